#include "compress/compressor.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "base/generated_input.h"

namespace granary {
namespace {

constexpr size_t kRegion = 128 << 10;

// Words of a small vocabulary in random order: shrinks to a fraction, as text does.
Buffer TextLikeBytes(uint64_t seed, size_t size) {
  SplitMix64 random(seed);
  Buffer text;
  while (text.size() < size) {
    const Buffer word = RandomBytes(random.Below(500), 2 + random.Below(9));
    for (uint8_t byte : word) text.push_back(static_cast<uint8_t>('a' + byte % 26));
    text.push_back(' ');
  }
  text.resize(size);
  return text;
}

Codec CodecOf(CompressionMode mode) { return mode == CompressionMode::kFast ? Codec::kLz4 : Codec::kZstd; }

Buffer CompressedCopy(CompressionMode mode, ConstBytes plain) {
  Compressor compressor;
  const Compressor::Encoded encoded = compressor.Compress(mode, plain);
  EXPECT_EQ(encoded.codec, CodecOf(mode));
  return Buffer(encoded.bytes.begin(), encoded.bytes.end());
}

class EachMode : public testing::TestWithParam<CompressionMode> {};
INSTANTIATE_TEST_SUITE_P(Compress, EachMode, testing::Values(CompressionMode::kFast, CompressionMode::kBest));

TEST_P(EachMode, WhatIsCompressedComesBackAtEverySize) {
  Compressor compressor;
  SplitMix64 random(1);
  for (int round = 0; round < 300; ++round) {
    const size_t size = random.Below(round % 3 == 0 ? 400000 : 5000);
    const Buffer plain = round % 5 == 0 ? RandomBytes(size, size) : TextLikeBytes(size, size);
    const Compressor::Encoded encoded = compressor.Compress(GetParam(), plain);
    Buffer back(size);
    ASSERT_TRUE(Decompress(encoded.codec, encoded.bytes, back).ok());
    ASSERT_EQ(back, plain);
  }
}

TEST_P(EachMode, WhatShrinksByASixteenthIsStoredCompressed) {
  const Buffer plain = TextLikeBytes(1, kRegion);
  EXPECT_LE(CompressedCopy(GetParam(), plain).size(), plain.size() - plain.size() / 16);
}

TEST_P(EachMode, WhatDoesNotShrinkComesBackAsItselfWithoutACopy) {
  Compressor compressor;
  const Buffer random = RandomBytes(1, kRegion);
  for (size_t size : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{1000}, kRegion}) {
    const ConstBytes plain = ConstBytes(random).first(size);
    const Compressor::Encoded encoded = compressor.Compress(GetParam(), plain);
    EXPECT_EQ(encoded.codec, Codec::kNone);
    EXPECT_EQ(encoded.bytes.data(), plain.data());
    EXPECT_EQ(encoded.bytes.size(), plain.size());
  }
}

TEST_P(EachMode, AGainBelowASixteenthIsRefused) {
  Compressor compressor;
  Buffer plain = RandomBytes(2, kRegion);
  std::fill(plain.begin(), plain.begin() + kRegion / 20, uint8_t{0});
  EXPECT_EQ(compressor.Compress(GetParam(), plain).codec, Codec::kNone);
  std::fill(plain.begin(), plain.begin() + kRegion / 10, uint8_t{0});
  EXPECT_EQ(compressor.Compress(GetParam(), plain).codec, CodecOf(GetParam()));
}

TEST_P(EachMode, AStretchOfZerosAmongNoiseIsFoundWhereverItLies) {
  Compressor compressor;
  for (size_t at = 0; at + kRegion / 8 <= kRegion; at += 5000) {
    Buffer plain = RandomBytes(3, kRegion);
    std::fill_n(plain.begin() + static_cast<ptrdiff_t>(at), kRegion / 8, uint8_t{0});
    ASSERT_EQ(compressor.Compress(GetParam(), plain).codec, CodecOf(GetParam())) << at;
  }
}

TEST_P(EachMode, RepeatedNoiseIsCompressedThoughItsBytesAreEven) {
  Compressor compressor;
  const Buffer noise = RandomBytes(4, 4096);
  Buffer plain;
  while (plain.size() < kRegion) plain.insert(plain.end(), noise.begin(), noise.end());
  const Compressor::Encoded encoded = compressor.Compress(GetParam(), plain);
  EXPECT_EQ(encoded.codec, CodecOf(GetParam()));
  EXPECT_LT(encoded.bytes.size(), plain.size() / 8);
}

TEST(Compressor, ModeNoneLeavesEverythingAsItIs) {
  const Buffer plain(kRegion, 7);
  EXPECT_EQ(Compressor().Compress(CompressionMode::kNone, plain).codec, Codec::kNone);
}

TEST(Compressor, BestStoresLessThanFast) {
  const Buffer plain = TextLikeBytes(5, kRegion);
  EXPECT_LT(CompressedCopy(CompressionMode::kBest, plain).size(),
            CompressedCopy(CompressionMode::kFast, plain).size());
}

TEST_P(EachMode, AnotherPlainLengthThanTheTrueOneIsCorrupt) {
  const Buffer plain = TextLikeBytes(6, 10000), stored = CompressedCopy(GetParam(), plain);
  for (size_t size : {size_t{0}, plain.size() - 1, plain.size() + 1, 2 * plain.size()}) {
    Buffer back(size);
    EXPECT_EQ(Decompress(CodecOf(GetParam()), stored, back).code(), Code::kCorrupt) << size;
  }
}

TEST_P(EachMode, StoredBytesThatAreCutShortOrLengthenedAreCorrupt) {
  const Buffer plain = TextLikeBytes(7, 3000);
  Buffer stored = CompressedCopy(GetParam(), plain), back(plain.size());
  for (size_t size = 0; size < stored.size(); ++size) {
    ASSERT_EQ(Decompress(CodecOf(GetParam()), ConstBytes(stored).first(size), back).code(), Code::kCorrupt)
        << size;
  }
  stored.push_back(0);
  EXPECT_EQ(Decompress(CodecOf(GetParam()), stored, back).code(), Code::kCorrupt);
}

TEST_P(EachMode, DamagedBytesNeverWriteOutsideThePlainText) {
  const Buffer plain = TextLikeBytes(8, 5000), stored = CompressedCopy(GetParam(), plain);
  SplitMix64 random(8);
  for (int round = 0; round < 3000; ++round) {
    Buffer damaged = stored;
    for (size_t count = 1 + random.Below(4); count > 0; --count) {
      damaged[random.Below(damaged.size())] = static_cast<uint8_t>(random.Next());
    }
    Buffer guarded(plain.size() + 64, 0x5a);
    static_cast<void>(Decompress(CodecOf(GetParam()), damaged, Bytes(guarded).subspan(32, plain.size())));
    for (size_t index = 0; index < 32; ++index) {
      ASSERT_EQ(guarded[index], 0x5a);
      ASSERT_EQ(guarded[guarded.size() - 1 - index], 0x5a);
    }
  }
}

TEST(Decompress, TwoFramesOrAFrameWithoutItsLengthAreCorrupt) {
  const Buffer plain = TextLikeBytes(9, 2000);
  Buffer stored(ZSTD_compressBound(plain.size()));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  stored.resize(ZSTD_compress2(context, stored.data(), stored.size(), plain.data(), plain.size()));
  ZSTD_freeCCtx(context);
  Buffer back(plain.size()), twice(2 * plain.size());
  EXPECT_EQ(Decompress(Codec::kZstd, stored, back).code(), Code::kCorrupt);
  Buffer frames = CompressedCopy(CompressionMode::kBest, plain);
  frames.insert(frames.end(), frames.begin(), frames.end());
  EXPECT_EQ(Decompress(Codec::kZstd, frames, twice).code(), Code::kCorrupt);
  EXPECT_EQ(Decompress(Codec::kZstd, frames, back).code(), Code::kCorrupt);
}

TEST(Decompress, UncompressedBytesOfAnotherLengthAreCorrupt) {
  Buffer back(9);
  EXPECT_EQ(Decompress(Codec::kNone, Buffer(10), back).code(), Code::kCorrupt);
  EXPECT_EQ(Decompress(static_cast<Codec>(3), Buffer(9), back).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace granary
