#include "seal/seal.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/generated_input.h"
#include "base/vector_file.h"

namespace granary {
namespace {

Key KeyFrom(const JsonValue& hex) {
  Key key;
  const Buffer bytes = hex.FromHexText();
  CHECK(bytes.size() == key.size());
  std::memcpy(key.data(), bytes.data(), key.size());
  return key;
}

Buffer Sealed(const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional, ConstBytes plain) {
  Buffer out(plain.size() + kTagSize);
  Seal(key, type, ordinal, additional, plain, out);
  return out;
}

Status UnsealTo(Buffer* plain, const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional,
                ConstBytes sealed) {
  plain->assign(sealed.size() - kTagSize, 0xee);
  return Unseal(key, type, ordinal, additional, sealed, *plain);
}

TEST(Seal, TheSharedVectorsHoldInBothDirections) {
  const JsonValue vectors = ReadVectors("seal.json");
  for (const JsonValue& vector : vectors["seal"].items) {
    const Key key = KeyFrom(vector["key"]);
    const auto type = static_cast<NonceType>(vector["type"].number);
    const Buffer additional = vector["additional"].FromHexText(), plain = vector["plain"].FromHexText();
    const Buffer sealed = Sealed(key, type, vector["ordinal"].number, additional, plain);
    EXPECT_EQ(ToHex(sealed), vector["sealed"].text);
    Buffer back;
    EXPECT_TRUE(UnsealTo(&back, key, type, vector["ordinal"].number, additional, sealed).ok());
    EXPECT_EQ(back, plain);
  }
}

// The all-zero key and nonce are test cases 13 and 14 of the GCM specification; type 0 is legal nowhere else.
TEST(Seal, TheSpecificationsOwnCasesHold) {
  const auto zero_type = static_cast<NonceType>(0);
  EXPECT_EQ(ToHex(Sealed(Key{}, zero_type, 0, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(ToHex(Sealed(Key{}, zero_type, 0, {}, Buffer(16))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(Seal, TextMayBeSealedAndUnsealedInPlace) {
  const Key key = KeyOf(1);
  const Buffer plain = RandomBytes(1, 100001);
  Buffer buffer = plain;
  buffer.resize(plain.size() + kTagSize);
  Seal(key, NonceType::kRecord, 5, {}, ConstBytes(buffer).first(plain.size()), buffer);
  EXPECT_EQ(buffer, Sealed(key, NonceType::kRecord, 5, {}, plain));
  ASSERT_TRUE(Unseal(key, NonceType::kRecord, 5, {}, buffer, Bytes(buffer).first(plain.size())).ok());
  buffer.resize(plain.size());
  EXPECT_EQ(buffer, plain);
}

TEST(Unseal, AnyFlippedBitIsCorruptAndLeavesNoPlainText) {
  const Key key = KeyOf(2);
  const Buffer additional = RandomBytes(3, 20), plain = RandomBytes(4, 61);
  const Buffer sealed = Sealed(key, NonceType::kRecord, 1, additional, plain);
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Buffer damaged = sealed, back;
    damaged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    ASSERT_EQ(UnsealTo(&back, key, NonceType::kRecord, 1, additional, damaged).code(), Code::kCorrupt);
    ASSERT_EQ(back, Buffer(plain.size(), 0));
  }
}

TEST(Unseal, AnotherKeyTypeOrdinalOrAdditionalDataIsCorrupt) {
  const Key key = KeyOf(2);
  const Buffer plain = RandomBytes(4, 100), sealed = Sealed(key, NonceType::kRecord, 1, Buffer{1, 2}, plain);
  Buffer back;
  EXPECT_FALSE(UnsealTo(&back, KeyOf(3), NonceType::kRecord, 1, Buffer{1, 2}, sealed).ok());
  EXPECT_FALSE(UnsealTo(&back, key, NonceType::kTrailer, 1, Buffer{1, 2}, sealed).ok());
  EXPECT_FALSE(UnsealTo(&back, key, NonceType::kRecord, 2, Buffer{1, 2}, sealed).ok());
  EXPECT_FALSE(UnsealTo(&back, key, NonceType::kRecord, 1 + (uint64_t{1} << 32), Buffer{1, 2}, sealed).ok());
  EXPECT_FALSE(UnsealTo(&back, key, NonceType::kRecord, 1, Buffer{1, 3}, sealed).ok());
  EXPECT_FALSE(UnsealTo(&back, key, NonceType::kRecord, 1, {}, sealed).ok());
  EXPECT_TRUE(UnsealTo(&back, key, NonceType::kRecord, 1, Buffer{1, 2}, sealed).ok());
}

TEST(Unseal, TextShorterThanATagIsCorrupt) {
  for (size_t size = 0; size < kTagSize; ++size) {
    EXPECT_EQ(Unseal(Key{}, NonceType::kRecord, 0, {}, Buffer(size), {}).code(), Code::kCorrupt);
  }
}

TEST(Unseal, AFailureLeavesTheThreadsNextTextUntouched) {
  const Key key = KeyOf(5);
  const Buffer plain = RandomBytes(6, 1000), sealed = Sealed(key, NonceType::kRecord, 9, {}, plain);
  Buffer back;
  EXPECT_FALSE(UnsealTo(&back, KeyOf(6), NonceType::kRecord, 9, Buffer{7}, sealed).ok());
  EXPECT_EQ(Sealed(key, NonceType::kRecord, 9, {}, plain), sealed);
  EXPECT_TRUE(UnsealTo(&back, key, NonceType::kRecord, 9, {}, sealed).ok());
}

TEST(Seal, ThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread, &failures] {
      const Buffer plain = RandomBytes(thread, 3000);
      for (uint64_t ordinal = 0; ordinal < 200; ++ordinal) {
        Buffer back;
        const Buffer sealed = Sealed(KeyOf(thread), NonceType::kRecord, ordinal, {}, plain);
        const Status status = UnsealTo(&back, KeyOf(thread), NonceType::kRecord, ordinal, {}, sealed);
        if (!status.ok() || back != plain) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST(SealDeathTest, AnOutputOfAnotherLengthEndsTheProcess) {
  const Buffer plain(10);
  Buffer out(plain.size() + kTagSize - 1);
  EXPECT_DEATH(Seal(Key{}, NonceType::kRecord, 0, {}, plain, out), "invariant broken");
}

TEST(DeriveKey, TheSharedVectorsHold) {
  const JsonValue vectors = ReadVectors("seal.json");
  ASSERT_FALSE(vectors["derive"].items.empty());
  for (const JsonValue& vector : vectors["derive"].items) {
    const Buffer salt = vector["salt"].FromHexText();
    const DerivedKey derived = DeriveKey(KeyFrom(vector["dataKey"]), salt, vector["purpose"].text.c_str());
    EXPECT_EQ(ToHex(derived.key), vector["key"].text);
    EXPECT_EQ(ToHex(derived.commitment), vector["commitment"].text);
  }
}

TEST(DeriveKey, AnotherSaltOrPurposeGivesAnotherKeyAndCommitment) {
  const DerivedKey derived = DeriveKey(KeyOf(1), Buffer{1}, "data store");
  for (const DerivedKey& other :
       {DeriveKey(KeyOf(1), Buffer{2}, "data store"), DeriveKey(KeyOf(1), Buffer{1}, "log segment"),
        DeriveKey(KeyOf(2), Buffer{1}, "data store")}) {
    EXPECT_NE(derived.key, other.key);
    EXPECT_NE(derived.commitment, other.commitment);
  }
}

TEST(EqualInConstantTime, OnlyTheSameBytesOfTheSameLengthAreEqual) {
  EXPECT_TRUE(EqualInConstantTime(Buffer{1, 2}, Buffer{1, 2}));
  EXPECT_TRUE(EqualInConstantTime({}, {}));
  EXPECT_FALSE(EqualInConstantTime(Buffer{1, 2}, Buffer{1, 3}));
  EXPECT_FALSE(EqualInConstantTime(Buffer{1, 2}, Buffer{1}));
}

TEST(FillRandom, TwoFillsDiffer) {
  Buffer first(32), second(32);
  FillRandom(first);
  FillRandom(second);
  EXPECT_NE(first, second);
}

TEST(WipeMemory, NothingIsLeft) {
  Buffer bytes = RandomBytes(1, 100);
  WipeMemory(bytes);
  EXPECT_EQ(bytes, Buffer(100, 0));
}

TEST(Crc32c, TheSharedVectorsAndThePublishedOnesHold) {
  const JsonValue vectors = ReadVectors("seal.json");
  for (const JsonValue& vector : vectors["crc32c"].items) {
    EXPECT_EQ(Crc32c(Cycle251(vector["size"].number)), vector["crc32c"].number) << vector["size"].number;
  }
  EXPECT_EQ(Crc32c(Buffer{'1', '2', '3', '4', '5', '6', '7', '8', '9'}), 0xe3069283u);
  EXPECT_EQ(Crc32c(Buffer(32, 0)), 0x8a9136aau);
  EXPECT_EQ(Crc32c(Buffer(32, 0xff)), 0x62a8ab43u);
}

TEST(Crc32c, TheChecksumOfTwoPiecesGoesOnFromTheFirst) {
  const Buffer bytes = RandomBytes(3, 10000);
  const uint32_t whole = Crc32c(bytes);
  for (size_t cut = 0; cut <= bytes.size(); cut += 37) {
    ASSERT_EQ(Crc32c(ConstBytes(bytes).subspan(cut), Crc32c(ConstBytes(bytes).first(cut))), whole);
  }
}

}  // namespace
}  // namespace granary
