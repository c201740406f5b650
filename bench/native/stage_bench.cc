// Rates of the pure stages on one core: stage_bench [size in MiB] [file]. With a file, its bytes are the
// input of all stages in the place of generated ones. One JSON line a stage: name, bytes, median seconds of
// five runs, GB/s (10^9), and a hash of the result, so that two builds can be compared for sameness as well.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "base/generated_input.h"
#include "chunk/chunker.h"
#include "chunk/chunker_scan.h"
#include "compress/compressor.h"
#include "fingerprint/digest.h"
#include "fingerprint/fingerprint.h"
#include "seal/seal.h"

namespace granary {
namespace {

constexpr int kRuns = 5;
constexpr size_t kSegment = 4 << 20;  // what a worker is given at a time
constexpr size_t kRegion = 128 << 10;
constexpr size_t kDefaultMebibytes = 64;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint64_t HashOf(ConstBytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

template <typename T>
ConstBytes BytesOf(const std::vector<T>& items) {
  return {reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)};
}

// Runs `stage`, which returns its result's hash, and prints its line.
void Report(const std::string& name, size_t bytes, const std::function<uint64_t()>& stage) {
  std::vector<double> seconds;
  uint64_t hash = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double start = Now();
    hash = stage();
    seconds.push_back(Now() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[kRuns / 2];
  std::printf("{\"name\":\"%s\",\"bytes\":%zu,\"seconds\":%.6f,\"gbPerSecond\":%.3f,\"hash\":\"%016llx\"}\n",
              name.c_str(), bytes, median, static_cast<double>(bytes) / median / 1e9,
              static_cast<unsigned long long>(hash));
  std::fflush(stdout);
}

// Half text of a small vocabulary, half noise, in stretches: shrinks to about a half, as unique backup data
// does.
Buffer SemiCompressible(size_t size) {
  SplitMix64 random(42);
  Buffer bytes;
  bytes.reserve(size + kRegion);
  while (bytes.size() < size) {
    for (size_t end = bytes.size() + 2000; bytes.size() < end;) {
      const Buffer word = RandomBytes(random.Below(400), 6 + random.Below(20));
      for (uint8_t byte : word) bytes.push_back(static_cast<uint8_t>('a' + byte % 26));
      bytes.push_back(' ');
    }
    const Buffer noise = RandomBytes(random.Next(), 400);
    bytes.insert(bytes.end(), noise.begin(), noise.end());
  }
  bytes.resize(size);
  return bytes;
}

// A period of 96 bytes of which a third of all positions pass the filter: few values, so that hardly any is a
// cut.
Buffer MadeAgainstTheFilter(const CutRule& rule, size_t size) {
  SplitMix64 random(99);
  Buffer period = RandomBytes(98, kCutWindow);
  while (period.size() < 3 * kCutWindow) {
    period.resize(period.size() + 2);
    do {
      StoreLittle(period.data() + period.size() - 2, static_cast<uint16_t>(random.Next()));
    } while (FilterValue(period.data() + period.size(), rule) < rule.filter_threshold);
  }
  Buffer bytes;
  while (bytes.size() < size) bytes.insert(bytes.end(), period.begin(), period.end());
  return bytes;
}

uint64_t CutSegments(const Chunker& chunker, ConstBytes data) {
  uint64_t hash = 0;
  std::vector<uint32_t> cuts;
  for (size_t at = 0; at < data.size(); at += kSegment) {
    cuts.clear();
    chunker.Cut(data.subspan(at, std::min(kSegment, data.size() - at)), true, &cuts);
    hash ^= HashOf(BytesOf(cuts));
  }
  return hash;
}

void BenchChunk(ConstBytes data) {
  for (ChunkerBackend backend :
       {ChunkerBackend::kPortable, ChunkerBackend::kSse41, ChunkerBackend::kAvx2, ChunkerBackend::kAvx512}) {
    if (!ChunkerBackendIsAvailable(backend)) continue;
    const Chunker chunker(ChunkerParameters{.key = KeyOf(1)}, backend);
    Report(std::string("chunk-") + ChunkerBackendName(backend), data.size(),
           [&] { return CutSegments(chunker, data); });
  }
  for (uint32_t average : {kChunkAverageMin, kChunkAverageMax}) {
    const Chunker chunker(ChunkerParameters{.size_average = average, .key = KeyOf(1)});
    Report("chunk-average-" + std::to_string(average), data.size(),
           [&] { return CutSegments(chunker, data); });
  }
  const Chunker chunker(ChunkerParameters{.size_average = kChunkAverageMax, .key = KeyOf(1)});
  const Buffer hostile = MadeAgainstTheFilter(chunker.rule(), 1 << 20);
  Report("chunk-hostile", hostile.size() * 16, [&] {
    uint64_t hash = 0;
    for (int round = 0; round < 16; ++round) hash += CutSegments(chunker, hostile);
    return hash;
  });
}

void BenchFingerprint(ConstBytes data) {
  const Chunker chunker(ChunkerParameters{.key = KeyOf(1)});
  const Fingerprinter fingerprinter(KeyOf(2));
  std::vector<std::vector<uint32_t>> cuts;
  for (size_t at = 0; at < data.size(); at += kSegment) {
    chunker.Cut(data.subspan(at, std::min(kSegment, data.size() - at)), true, &cuts.emplace_back());
  }
  std::vector<Fingerprint> fingerprints;
  Report("fingerprint", data.size(), [&] {
    uint64_t hash = 0;
    for (size_t segment = 0; segment < cuts.size(); ++segment) {
      fingerprints.resize(cuts[segment].size());
      fingerprinter.HashChunks(data.subspan(segment * kSegment), cuts[segment], fingerprints);
      hash ^= HashOf(BytesOf(fingerprints));
    }
    return hash;
  });
  Report("fingerprint-one-by-one", data.size(), [&] {
    uint64_t hash = 0;
    for (size_t segment = 0; segment < cuts.size(); ++segment) {
      fingerprints.clear();
      uint32_t start = 0;
      for (uint32_t end : cuts[segment]) {
        fingerprints.push_back(fingerprinter.Hash(data.subspan(segment * kSegment + start, end - start)));
        start = end;
      }
      hash ^= HashOf(BytesOf(fingerprints));
    }
    return hash;
  });
}

void BenchCompress(const std::string& kind, ConstBytes data, CompressionMode mode) {
  Compressor compressor;
  std::vector<std::pair<Codec, Buffer>> regions;
  const auto compress = [&](bool keeps) {
    size_t stored = 0;
    for (size_t at = 0; at < data.size(); at += kRegion) {
      const Compressor::Encoded encoded =
          compressor.Compress(mode, data.subspan(at, std::min(kRegion, data.size() - at)));
      stored += encoded.bytes.size();
      if (keeps) regions.emplace_back(encoded.codec, Buffer(encoded.bytes.begin(), encoded.bytes.end()));
    }
    return stored;
  };
  Report(kind + "-compress", data.size(), [&] { return compress(false); });
  compress(true);
  Buffer back(kRegion);
  Report(kind + "-decompress", data.size(), [&] {
    uint64_t hash = 0;
    for (size_t region = 0; region < regions.size(); ++region) {
      const size_t size = std::min(kRegion, data.size() - region * kRegion);
      CHECK(Decompress(regions[region].first, regions[region].second, Bytes(back).first(size)).ok());
      hash += back[size - 1];
    }
    return hash;
  });
}

void BenchSeal(ConstBytes data) {
  const Key key = KeyOf(3);
  const size_t regions = data.size() / kRegion;
  Buffer sealed(regions * (kRegion + kTagSize)), plain(kRegion);
  Report("seal", regions * kRegion, [&] {
    for (size_t region = 0; region < regions; ++region) {
      Seal(key, NonceType::kRecord, region, {}, data.subspan(region * kRegion, kRegion),
           Bytes(sealed).subspan(region * (kRegion + kTagSize), kRegion + kTagSize));
    }
    return uint64_t{sealed.back()};
  });
  Report("unseal", regions * kRegion, [&] {
    for (size_t region = 0; region < regions; ++region) {
      const ConstBytes from = ConstBytes(sealed).subspan(region * (kRegion + kTagSize), kRegion + kTagSize);
      CHECK(Unseal(key, NonceType::kRecord, region, {}, from, plain).ok());
    }
    return uint64_t{plain.back()};
  });
}

void BenchDigests(ConstBytes data) {
  const auto digest = [&](uint32_t kinds) {
    DigestStream stream(kinds);
    for (size_t at = 0; at < data.size(); at += kSegment) {
      stream.Update(data.subspan(at, std::min(kSegment, data.size() - at)));
    }
    return LoadLittle<uint64_t>(stream.Finish().xxh3.data());
  };
  Report("xxh3", data.size(), [&] { return digest(kDigestXxh3); });
  Report("xxh3-blake3", data.size(), [&] { return digest(kDigestBlake3); });
  Report("xxh3-sha256", data.size(), [&] { return digest(kDigestSha256); });
  Report("xxh3-md5", data.size(), [&] { return digest(kDigestMd5); });
  Report("crc32c", data.size(), [&] {
    uint32_t checksum = 0;
    for (int round = 0; round < 16; ++round) checksum ^= Crc32c(data.first(data.size() / 16), checksum);
    return uint64_t{checksum};
  });
}

// At most `size` bytes of the file; empty when it cannot be read.
Buffer ReadSample(const char* path, size_t size) {
  Buffer bytes(size);
  std::FILE* file = std::fopen(path, "rb");
  bytes.resize(file == nullptr ? 0 : std::fread(bytes.data(), 1, size, file));
  if (file != nullptr) std::fclose(file);
  return bytes;
}

int Run(size_t size, const char* path) {
  const Buffer noise = path == nullptr ? RandomBytes(1, size) : ReadSample(path, size);
  const Buffer half = path == nullptr ? SemiCompressible(size) : noise;
  if (noise.empty()) {
    std::fprintf(stderr, "stage_bench: %s cannot be read or is empty\n", path);
    return 1;
  }
  BenchChunk(noise);
  BenchFingerprint(noise);
  BenchCompress("lz4", half, CompressionMode::kFast);
  BenchCompress("zstd", half, CompressionMode::kBest);
  BenchCompress("lz4-noise", noise, CompressionMode::kFast);
  BenchCompress("zstd-noise", noise, CompressionMode::kBest);
  BenchSeal(noise);
  BenchDigests(noise);
  return 0;
}

}  // namespace
}  // namespace granary

int main(int count, char** arguments) {
  const size_t mebibytes = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : granary::kDefaultMebibytes;
  if (mebibytes == 0 || mebibytes > 4096) {
    std::fprintf(stderr, "usage: stage_bench [size in MiB, 1 to 4096] [file]\n");
    return 2;
  }
  return granary::Run(mebibytes << 20, count > 2 ? arguments[2] : nullptr);
}
