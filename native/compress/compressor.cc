// lz4 and zstd over regions, each behind a probe that costs a fraction of what it saves: noise passes at 7
// GB/s.
#include "compress/compressor.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <climits>
#include <vector>

namespace granary {
namespace {

// In regions of 128 KiB of headers, libraries and scripts levels 1 to 5 store 20.0, 19.4, 18.8, 18.5, 17.8 MB
// of 67 at 418, 376, 290, 283, 144 MB/s (programs: 29.3, 28.3, 27.8, 27.3, 26.7): past 3 a percent costs more
// time than disk.
constexpr int kZstdLevel = 3;
constexpr size_t kGainDivisor = 16;  // what does not shrink by at least a sixteenth is stored as it is

// The probe: sums the squares of the byte counts of a sample taken in pieces all over the region. Bytes that
// are even give about size * size / 256; a sixteenth less entropy, or a stretch of text among noise, a good
// deal more.
constexpr size_t kSampleSize = 4096;
constexpr size_t kSamplePieces = 16;
constexpr size_t kSamplePieceSize = kSampleSize / kSamplePieces;
constexpr uint64_t kEvenSquares = kSampleSize * kSampleSize / 256 + kSampleSize;
constexpr uint64_t kSquaresThreshold = kEvenSquares + kEvenSquares / 10;
// Even bytes may still repeat: then lz4 skims the region, and what it finds decides.
constexpr int kSkimAcceleration = 16;

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

// The largest stored size that is worth the codec.
size_t SizeWanted(ConstBytes plain) {
  return plain.size() - (plain.size() + kGainDivisor - 1) / kGainDivisor;
}

bool BytesAreEven(ConstBytes plain) {
  if (plain.size() < 4 * kSampleSize) return false;
  uint32_t counts[4][256] = {};
  const size_t step = (plain.size() - kSamplePieceSize) / (kSamplePieces - 1);
  for (size_t piece = 0; piece < kSamplePieces; ++piece) {
    const uint8_t* from = plain.data() + piece * step;
    for (size_t index = 0; index < kSamplePieceSize; index += 4) {
      for (size_t lane = 0; lane < 4; ++lane) ++counts[lane][from[index + lane]];
    }
  }
  uint64_t squares = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    const uint64_t count = counts[0][byte] + counts[1][byte] + counts[2][byte] + counts[3][byte];
    squares += count * count;
  }
  return squares < kSquaresThreshold;
}

}  // namespace

struct Compressor::State {
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd;  // made when first asked for
  std::vector<char> lz4 = std::vector<char>(static_cast<size_t>(LZ4_sizeofState()));
  Buffer out;

  // The stored size, or 0 when it would exceed the size wanted.
  size_t Lz4(ConstBytes plain, int acceleration) {
    const size_t wanted = SizeWanted(plain);
    out.resize(std::max(out.size(), wanted));
    const int size = LZ4_compress_fast_extState(
        lz4.data(), reinterpret_cast<const char*>(plain.data()), reinterpret_cast<char*>(out.data()),
        static_cast<int>(plain.size()), static_cast<int>(wanted), acceleration);
    return size > 0 ? static_cast<size_t>(size) : 0;
  }

  size_t Zstd(ConstBytes plain) {
    if (!zstd) {
      zstd.reset(ZSTD_createCCtx());
      CHECK(zstd != nullptr);
      CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_compressionLevel, kZstdLevel)));
    }
    const size_t wanted = SizeWanted(plain);
    out.resize(std::max(out.size(), wanted));
    const size_t size = ZSTD_compress2(zstd.get(), out.data(), wanted, plain.data(), plain.size());
    return ZSTD_isError(size) ? 0 : size;
  }
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;

Compressor::Encoded Compressor::Compress(CompressionMode mode, ConstBytes plain) {
  CHECK(plain.size() <= LZ4_MAX_INPUT_SIZE);
  const Encoded refused{Codec::kNone, plain};
  if (mode == CompressionMode::kNone || plain.size() < kGainDivisor) return refused;
  if (BytesAreEven(plain) && state_->Lz4(plain, kSkimAcceleration) == 0) return refused;
  const bool is_best = mode == CompressionMode::kBest;
  const size_t size = is_best ? state_->Zstd(plain) : state_->Lz4(plain, 1);
  if (size == 0) return refused;
  return {is_best ? Codec::kZstd : Codec::kLz4, ConstBytes(state_->out).first(size)};
}

}  // namespace granary
