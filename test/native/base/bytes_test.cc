#include "base/bytes.h"

#include <gtest/gtest.h>

namespace granary {
namespace {

TEST(BoundedReader, FieldsComeOffTheFrontInLittleEndianOrder) {
  const Buffer bytes = {1, 2, 3, 4, 5, 6, 7};
  BoundedReader reader(bytes);
  EXPECT_EQ(reader.Take<uint16_t>(), 0x0201);
  EXPECT_EQ(reader.Take<uint32_t>(), 0x06050403u);
  EXPECT_EQ(reader.remaining(), 1u);
  EXPECT_TRUE(reader.ok());
}

TEST(BoundedReader, AFieldThatDoesNotFitIsZeroAndEndsTheReading) {
  const Buffer bytes = {1, 2, 3};
  BoundedReader reader(bytes);
  EXPECT_EQ(reader.Take<uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(BoundedReader, NothingIsTakenAfterAShortReadThoughBytesAreLeft) {
  const Buffer bytes = {1, 2, 3};
  BoundedReader reader(bytes);
  EXPECT_TRUE(reader.TakeBytes(4).empty());
  EXPECT_EQ(reader.Take<uint8_t>(), 0);
  EXPECT_TRUE(reader.TakeBytes(1).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(BoundedReader, ALengthNearTheEndOfTheNumberRangeIsRefused) {
  const Buffer bytes(16);
  BoundedReader reader(bytes);
  EXPECT_EQ(reader.Take<uint8_t>(), 0);
  EXPECT_TRUE(reader.TakeBytes(SIZE_MAX).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(BoundedReader, TheWholeRestMayBeTakenAndThenNothingOfLengthZeroMore) {
  const Buffer bytes = {1, 2, 3};
  BoundedReader reader(bytes);
  EXPECT_EQ(reader.TakeBytes(3).size(), 3u);
  EXPECT_TRUE(reader.TakeBytes(0).empty());
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(Writer, WhatIsPutIsWhatAReaderTakes) {
  Buffer bytes;
  Writer writer(&bytes);
  writer.Put<uint64_t>(0x0102030405060708);
  writer.PutBytes(Buffer{9, 10});
  EXPECT_EQ(bytes, (Buffer{8, 7, 6, 5, 4, 3, 2, 1, 9, 10}));
}

TEST(Hex, BytesAndTheirHexTextAreTheSameThing) {
  const Buffer bytes = {0x00, 0x0f, 0xa5, 0xff};
  EXPECT_EQ(ToHex(bytes), "000fa5ff");
  Buffer back(4);
  EXPECT_TRUE(FromHex("000fA5fF", back));
  EXPECT_EQ(back, bytes);
}

TEST(Hex, TextOfAnotherLengthOrWithAnotherLetterIsRefused) {
  Buffer two(2);
  EXPECT_FALSE(FromHex("0011f", two));
  EXPECT_FALSE(FromHex("001", two));
  EXPECT_FALSE(FromHex("001122", two));
  EXPECT_FALSE(FromHex("00g1", two));
  EXPECT_FALSE(FromHex("00 1", two));
  EXPECT_FALSE(FromHex(std::string("00\0"
                                   "1",
                                   4),
                       two));
}

TEST(RoundUp, ANumberRisesToTheNextMultipleAndAMultipleStays) {
  EXPECT_EQ(RoundUp(0, 8), 0u);
  EXPECT_EQ(RoundUp(1, 8), 8u);
  EXPECT_EQ(RoundUp(8, 8), 8u);
}

}  // namespace
}  // namespace granary
