#include "fingerprint/fingerprint.h"

#include <gtest/gtest.h>

#include "base/generated_input.h"
#include "base/vector_file.h"
#include "blake3.h"

namespace granary {
namespace {

Fingerprint PlainHasher(const Key& key, ConstBytes chunk) {
  blake3_hasher hasher;
  blake3_hasher_init_keyed(&hasher, key.data());
  blake3_hasher_update(&hasher, chunk.data(), chunk.size());
  Fingerprint fingerprint;
  blake3_hasher_finalize(&hasher, fingerprint.bytes.data(), fingerprint.bytes.size());
  return fingerprint;
}

// Chunks of these sizes, one behind the other from `offset` on, hashed at once and one by one.
void ExpectSameAsPlainHasher(const std::vector<uint32_t>& sizes, size_t offset = 0) {
  std::vector<uint32_t> cuts;
  uint32_t end = 0;
  for (uint32_t size : sizes) cuts.push_back(end += size);
  const Buffer bytes = RandomBytes(sizes.size(), offset + end);
  const ConstBytes data = ConstBytes(bytes).subspan(offset);
  const Key key = KeyOf(7);
  std::vector<Fingerprint> fingerprints(cuts.size());
  Fingerprinter(key).HashChunks(data, cuts, fingerprints);
  uint32_t start = 0;
  for (size_t index = 0; index < cuts.size(); ++index) {
    ASSERT_EQ(fingerprints[index], PlainHasher(key, data.subspan(start, sizes[index])))
        << "chunk " << index << " of " << sizes[index] << " bytes";
    start = cuts[index];
  }
}

TEST(Fingerprinter, EveryLengthUpTo5000IsHashedAsIfAlone) {
  std::vector<uint32_t> sizes;
  for (uint32_t size = 0; size <= 5000; ++size) sizes.push_back(size);
  ExpectSameAsPlainHasher(sizes);
}

TEST(Fingerprinter, LengthsAroundEveryLeafBoundaryAreHashedAsIfAlone) {
  std::vector<uint32_t> sizes;
  for (uint32_t leaves = 1; leaves <= 80; ++leaves) {
    for (uint32_t size : {leaves * 1024 - 1, leaves * 1024, leaves * 1024 + 1}) sizes.push_back(size);
  }
  ExpectSameAsPlainHasher(sizes, 3);
}

TEST(Fingerprinter, ASingleChunkOfAnyTreeShapeIsHashedAsIfAlone) {
  for (uint32_t leaves = 1; leaves <= 200; ++leaves) ExpectSameAsPlainHasher({leaves * 1024 - 100});
}

TEST(Fingerprinter, RandomSetsOfChunksAreHashedAsIfAlone) {
  SplitMix64 random(11);
  for (int round = 0; round < 30; ++round) {
    std::vector<uint32_t> sizes;
    for (size_t count = 1 + random.Below(200); count > 0; --count) {
      sizes.push_back(static_cast<uint32_t>(1 + random.Below(65536)));
    }
    ExpectSameAsPlainHasher(sizes, random.Below(64));
  }
}

TEST(Fingerprinter, ChunksLargerThanABatchStandBetweenSmallOnes) {
  ExpectSameAsPlainHasher({5000, 4u << 20, 20000, 1, 524288, 524289, 523264, 1u << 20, 3000});
}

TEST(Fingerprinter, NoChunksAreNoFingerprints) { ExpectSameAsPlainHasher({}); }

TEST(Fingerprinter, AnotherKeyGivesAnotherName) {
  const Buffer chunk = RandomBytes(1, 5000);
  EXPECT_NE(Fingerprinter(KeyOf(1)).Hash(chunk), Fingerprinter(KeyOf(2)).Hash(chunk));
}

TEST(FingerprinterDeathTest, CutsThatDescendOrLeaveTheDataEndTheProcess) {
  const Buffer data(100);
  std::vector<Fingerprint> out(2);
  const std::vector<uint32_t> descending = {50, 40}, outside = {50, 101};
  EXPECT_DEATH(Fingerprinter(Key{}).HashChunks(data, descending, out), "invariant broken");
  EXPECT_DEATH(Fingerprinter(Key{}).HashChunks(data, outside, out), "invariant broken");
}

TEST(Fingerprinter, TheSharedVectorsHold) {
  const JsonValue vectors = ReadVectors("fingerprints.json");
  ASSERT_GT(vectors["cases"].items.size(), 10u);
  Key key;
  const Buffer key_bytes = vectors["key"].FromHexText();
  std::memcpy(key.data(), key_bytes.data(), key.size());
  for (const JsonValue& vector : vectors["cases"].items) {
    const Buffer input = Cycle251(vector["size"].number);
    const std::vector<uint32_t> cuts = {static_cast<uint32_t>(input.size())};
    std::vector<Fingerprint> fingerprints(1);
    Fingerprinter(key).HashChunks(input, cuts, fingerprints);
    EXPECT_EQ(ToHex(fingerprints[0].bytes), vector["fingerprint"].text) << input.size();
    EXPECT_EQ(ToHex(Fingerprinter(key).Hash(input).bytes), vector["fingerprint"].text) << input.size();
  }
}

}  // namespace
}  // namespace granary
