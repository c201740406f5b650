#include "fingerprint/digest.h"

#include <gtest/gtest.h>

#include "base/generated_input.h"
#include "base/vector_file.h"

namespace granary {
namespace {

constexpr uint32_t kAllKinds = kDigestXxh3 | kDigestBlake3 | kDigestSha256 | kDigestMd5;

void ExpectVector(const Digests& digests, const JsonValue& vector) {
  EXPECT_EQ(ToHex(digests.xxh3), vector["xxh3"].text);
  EXPECT_EQ(ToHex(digests.blake3), vector["blake3"].text);
  EXPECT_EQ(ToHex(digests.sha256), vector["sha256"].text);
  EXPECT_EQ(ToHex(digests.md5), vector["md5"].text);
}

TEST(DigestStream, TheSharedVectorsHoldHoweverTheInputIsSliced) {
  SplitMix64 random(5);
  const JsonValue vectors = ReadVectors("digests.json");
  ASSERT_GT(vectors["cases"].items.size(), 5u);
  for (const JsonValue& vector : vectors["cases"].items) {
    const Buffer input = Cycle251(vector["size"].number);
    DigestStream whole(kAllKinds), sliced(kAllKinds);
    whole.Update(input);
    for (ConstBytes rest(input); !rest.empty();) {
      const size_t size = std::min(rest.size(), random.Below(5000));
      sliced.Update(rest.first(size));
      rest = rest.subspan(size);
    }
    ExpectVector(whole.Finish(), vector);
    ExpectVector(sliced.Finish(), vector);
  }
}

TEST(DigestStream, Xxh3IsAlwaysTakenAndTheOthersOnlyWhenAsked) {
  DigestStream none(0), sha256(kDigestSha256);
  const Buffer input = Cycle251(1000);
  none.Update(input);
  sha256.Update(input);
  const Digests without = none.Finish(), with = sha256.Finish();
  EXPECT_EQ(without.kinds, kDigestXxh3);
  EXPECT_EQ(with.kinds, kDigestXxh3 | kDigestSha256);
  EXPECT_EQ(without.xxh3, with.xxh3);
  EXPECT_EQ(without.sha256, (std::array<uint8_t, 32>{}));
  EXPECT_NE(with.sha256, (std::array<uint8_t, 32>{}));
}

TEST(DigestStream, AMovedStreamGoesOnWhereItWas) {
  const Buffer input = Cycle251(3000);
  DigestStream first(kAllKinds), whole(kAllKinds);
  first.Update(ConstBytes(input).first(1234));
  DigestStream second(std::move(first));
  second.Update(ConstBytes(input).subspan(1234));
  whole.Update(input);
  const Digests moved = second.Finish(), expected = whole.Finish();
  EXPECT_EQ(moved.xxh3, expected.xxh3);
  EXPECT_EQ(moved.blake3, expected.blake3);
}

}  // namespace
}  // namespace granary
