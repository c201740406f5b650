// Derives the cut rule from the group's key and average size, picks the backend, and walks a stream chunk by
// chunk.
#include "chunk/chunker.h"

#include <algorithm>
#include <limits>

#include "chunk/chunker_scan.h"

namespace granary {
namespace {

static_assert(kChunkAverageMin / 4 >= kScanReadsBefore && kScanReadsBefore >= kCutWindow);

// The filter lets one position in 2^bits through: as many as the laxer threshold needs four times over, but
// no fewer than one in 1024, where checking the candidates is lost in the noise and text of two letters still
// has some.
constexpr int kFilterBitsMax = 10;
constexpr int kFilterBitsBelowAverage = 3;
// Cut probability below the average is 1 / (4 average), from there on 4 / average.
constexpr int kNormalisationBits = 2;

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;

// The finaliser of SplitMix64.
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// The ordinal-th number that follows from the key: every bit of the key enters every number.
uint64_t Derive(const Key& key, uint64_t ordinal) {
  uint64_t value = (ordinal + 1) * kGolden;
  for (size_t word = 0; word < 4; ++word) value = Mix(value ^ LoadLittle<uint64_t>(key.data() + 8 * word));
  return value;
}

CutRule RuleFor(const ChunkerParameters& parameters) {
  const int average_bits = std::countr_zero(parameters.size_average);
  const int filter_bits = std::min(kFilterBitsMax, average_bits - kFilterBitsBelowAverage);
  CutRule rule;
  for (uint64_t word = 0; word < 3; ++word) {
    rule.filter_multiplier[word] = static_cast<uint32_t>(Derive(parameters.key, word) >> 32) | 1;
  }
  for (uint64_t word = 0; word < 6; ++word) rule.strong_seed[word] = Derive(parameters.key, 3 + word);
  rule.filter_threshold = static_cast<int32_t>((uint64_t{1} << 31) - (uint64_t{1} << (32 - filter_bits)));
  rule.strong_threshold_early = uint64_t{1} << (64 - (average_bits + kNormalisationBits - filter_bits));
  rule.strong_threshold_late = uint64_t{1} << (64 - (average_bits - kNormalisationBits - filter_bits));
  return rule;
}

CutScan ScanOf(ChunkerBackend backend) {
#ifdef __x86_64__
  if (backend == ChunkerBackend::kSse41) return ScanSse41;
  if (backend == ChunkerBackend::kAvx2) return ScanAvx2;
  if (backend == ChunkerBackend::kAvx512) return ScanAvx512;
#endif
  CHECK(backend == ChunkerBackend::kPortable);
  return ScanPortable;
}

}  // namespace

const char* ChunkerBackendName(ChunkerBackend backend) {
  switch (backend) {
    case ChunkerBackend::kPortable:
      return "portable";
    case ChunkerBackend::kSse41:
      return "sse41";
    case ChunkerBackend::kAvx2:
      return "avx2";
    case ChunkerBackend::kAvx512:
      return "avx512";
  }
  return "unknown";
}

bool ChunkerBackendIsAvailable(ChunkerBackend backend) {
  if (backend == ChunkerBackend::kPortable) return true;
#ifdef __x86_64__
  if (backend == ChunkerBackend::kSse41) return __builtin_cpu_supports("sse4.1");
  if (backend == ChunkerBackend::kAvx2) return __builtin_cpu_supports("avx2");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

ChunkerBackend BestChunkerBackend() {
  for (ChunkerBackend backend : {ChunkerBackend::kAvx512, ChunkerBackend::kAvx2, ChunkerBackend::kSse41}) {
    if (ChunkerBackendIsAvailable(backend)) return backend;
  }
  return ChunkerBackend::kPortable;
}

Chunker::Chunker(const ChunkerParameters& parameters, ChunkerBackend backend)
    : parameters_(parameters), backend_(backend) {
  CHECK(std::has_single_bit(parameters.size_average));
  CHECK(parameters.size_average >= kChunkAverageMin && parameters.size_average <= kChunkAverageMax);
  CHECK(ChunkerBackendIsAvailable(backend));
  rule_ = RuleFor(parameters);
}

size_t Chunker::EndOfChunk(ConstBytes data, size_t start) const {
  const CutScan scan = ScanOf(backend_);
  // The last position that may be looked at is the end of the data: a cut there needs no byte behind it.
  const size_t limit = std::min(data.size() + 1, start + parameters_.size_max());
  const size_t average = std::min(limit, start + parameters_.size_average);
  const size_t first = std::min(average, start + parameters_.size_min());
  size_t end = scan(data.data(), first, average, rule_, rule_.strong_threshold_early);
  if (end < average) return end;
  end = scan(data.data(), average, limit, rule_, rule_.strong_threshold_late);
  return end < limit || limit == start + parameters_.size_max() ? end : kNoCut;
}

size_t Chunker::Cut(ConstBytes data, bool is_last, std::vector<uint32_t>* cuts) const {
  CHECK(data.size() <= std::numeric_limits<uint32_t>::max());
  size_t start = 0;
  while (start < data.size()) {
    const size_t end = EndOfChunk(data, start);
    if (end > data.size()) break;
    cuts->push_back(static_cast<uint32_t>(end));
    start = end;
  }
  if (is_last && start < data.size()) {
    cuts->push_back(static_cast<uint32_t>(data.size()));
    start = data.size();
  }
  return start;
}

}  // namespace granary
