// The record: what is bound to it, what is refused, and that no byte of it can change unseen.
#include "datastore/record_format.h"

#include <set>

#include "datastore/data_store_format.h"
#include "datastore/store_fixture.h"

namespace granary {
namespace {

class RecordFormatTest : public testing::TestWithParam<bool> {
 protected:
  RecordPlace place() const { return {TestIdentity(false).id, GetParam() ? &kDataKey : nullptr}; }
  Buffer Encoded(uint64_t seed, uint32_t size, uint64_t ordinal = 5) const {
    const TestRecord record = MakeRecord(seed, size, GetParam(), ordinal);
    Buffer encoded;
    EncodeRecord(place(), record.header, record.table, record.payload, &encoded);
    return encoded;
  }
  static Status Decode(const RecordPlace& place, ConstBytes in) {
    Buffer scratch;
    DecodedRecord record;
    return DecodeRecord(place, in, &scratch, &record);
  }
};

TEST_P(RecordFormatTest, WhatWasEncodedComesBack) {
  for (const uint32_t size : {1u, 7u, 999u, 1000u, 1001u, 131072u}) {
    const TestRecord record = MakeRecord(size, size, GetParam(), 5);
    const Buffer encoded = Encoded(size, size);
    EXPECT_EQ(encoded.size(), record.header.RecordSize());
    EXPECT_EQ(encoded.size() % kRecordAlignment, 0u);
    Buffer scratch;
    DecodedRecord decoded;
    ASSERT_TRUE(DecodeRecord(place(), encoded, &scratch, &decoded).ok());
    EXPECT_EQ(Buffer(decoded.payload.begin(), decoded.payload.end()), record.payload);
    ASSERT_EQ(decoded.table.size(), record.table.size());
    for (size_t row = 0; row < record.table.size(); ++row) {
      EXPECT_EQ(decoded.table[row].fingerprint, record.table[row].fingerprint);
      EXPECT_EQ(decoded.table[row].length, record.table[row].length);
    }
    EXPECT_EQ(decoded.header.ordinal, 5u);
    EXPECT_EQ(decoded.header.type, record.header.type);
    EXPECT_EQ(decoded.header.key_epoch, record.header.key_epoch);
  }
}

TEST_P(RecordFormatTest, AFlipOfAnyBitOfAnyByteIsDetected) {
  Buffer encoded = Encoded(1, 2500);
  for (size_t index = 0; index < encoded.size(); ++index) {
    for (int bit = 0; bit < 8; ++bit) {
      encoded[index] ^= static_cast<uint8_t>(1 << bit);
      EXPECT_FALSE(Decode(place(), encoded).ok()) << index;
      encoded[index] ^= static_cast<uint8_t>(1 << bit);
    }
  }
  EXPECT_TRUE(Decode(place(), encoded).ok());
}

TEST_P(RecordFormatTest, ARecordCutAtAnyByteIsRefused) {
  const Buffer encoded = Encoded(1, 2500);
  for (size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_EQ(Decode(place(), ConstBytes(encoded).first(size)).code(), Code::kCorrupt) << size;
  }
}

TEST_P(RecordFormatTest, ARecordMovedToAnotherDataStoreIsRefused) {
  const Buffer encoded = Encoded(1, 100);
  for (const size_t byte : {0, 15, 16, 23}) {  // the header's prefix, and what only the tag binds
    RecordPlace other = place();
    other.data_store_id.bytes[byte] ^= 1;
    EXPECT_EQ(Decode(other, encoded).code(), Code::kCorrupt) << byte;
  }
}

TEST_P(RecordFormatTest, ASealedRecordWithoutKeyAndAClearOneWithKeyAreRefused) {
  RecordPlace other = place();
  other.key = GetParam() ? nullptr : &kDataKey;
  EXPECT_EQ(Decode(other, Encoded(1, 100)).code(), Code::kCorrupt);
}

// With a fresh checksum, so that the bounds themselves are what refuses.
TEST_P(RecordFormatTest, FieldsOutOfBoundsAreRefusedThoughTheChecksumFits) {
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } cases[] = {
      {8, 0, Code::kCorrupt},
      {8, 3, Code::kUnsupported},
      {12, 0, Code::kCorrupt},
      {12, 4097, Code::kCorrupt},
      {24, 0, Code::kCorrupt},
      {24, 8 * 1024 * 1024 + 1, Code::kCorrupt},
      {28, 0, Code::kCorrupt},
      {28, 0xffffffff, Code::kCorrupt},
      {36, 1, Code::kCorrupt},
      {56, 1, Code::kCorrupt},
      {32, GetParam() ? 0u : 1u, Code::kCorrupt},
  };
  for (const auto& each : cases) {
    Buffer encoded = Encoded(1, 100);
    if (each.offset == 8) {
      encoded[8] = static_cast<uint8_t>(each.value);
    } else {
      StoreLittle(encoded.data() + each.offset, each.value);
    }
    StoreLittle(encoded.data() + 60, Crc32c(ConstBytes(encoded).first(60)));
    RecordHeader header;
    EXPECT_EQ(DecodeRecordHeader(place().data_store_id, encoded, &header).code(), each.code) << each.offset;
  }
}

TEST_P(RecordFormatTest, AChunkOfNoBytesIsRefused) {
  TestRecord record = MakeRecord(1, 100, GetParam(), 5);
  record.table.push_back({record.table[0].fingerprint, 0});
  ++record.header.chunk_count;
  Buffer encoded;
  EncodeRecord(place(), record.header, record.table, record.payload, &encoded);
  EXPECT_EQ(Decode(place(), encoded).code(), Code::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(All, RecordFormatTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

class TrailerTest : public testing::TestWithParam<bool> {
 protected:
  TrailerTest() {
    header_ = MakeDataStoreHeader(TestIdentity(GetParam()), GetParam() ? &kDataKey : nullptr, &store_key_);
    uint64_t offset = kDataStoreHeaderSize;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      const TestRecord record = MakeRecord(seed, 1500, GetParam(), seed);
      table_.Add(offset, record.header, record.table);
      offset += record.header.RecordSize();
    }
    trailer_offset_ = RoundUp(offset, kBlockSize);
    root_.fill(3);
    trailer_ = EncodeTrailer(place(), 7, table_, root_);
  }
  TrailerPlace place() const { return {header_, GetParam() ? &store_key_ : nullptr}; }
  Status Decode(ConstBytes in, const TrailerPlace& where) const {
    ChunkTable table;
    Sha256Digest root;
    return DecodeTrailer(where, trailer_offset_, in, &table, &root);
  }

  Key store_key_{};
  DataStoreHeader header_;
  ChunkTable table_;
  Sha256Digest root_{};
  uint64_t trailer_offset_;
  Buffer trailer_;
};

TEST_P(TrailerTest, AFlipOfAnyByteAndACutAtAnyByteAreDetected) {
  ASSERT_TRUE(Decode(trailer_, place()).ok());
  const size_t size = kTrailerHeaderSize + TrailerBodySize(6, 12) + kTagSize;
  for (size_t index = 0; index < trailer_.size(); ++index) {
    trailer_[index] ^= 0x08;
    EXPECT_FALSE(Decode(trailer_, place()).ok()) << index;
    trailer_[index] ^= 0x08;
    if (index < size) EXPECT_FALSE(Decode(ConstBytes(trailer_).first(index), place()).ok()) << index;
  }
}

TEST_P(TrailerTest, ATrailerIsBoundToItsHeader) {
  DataStoreHeader other = header_;
  other.identity.incarnation ^= 1;
  EXPECT_EQ(Decode(trailer_, {other, place().store_key}).code(), Code::kCorrupt);
}

TEST_P(TrailerTest, ARecordBehindTheTrailersStartIsRefused) {
  ChunkTable table;
  Sha256Digest root;
  EXPECT_EQ(DecodeTrailer(place(), kDataStoreHeaderSize + 4096, trailer_, &table, &root).code(),
            Code::kCorrupt);
}

TEST_P(TrailerTest, HeaderAndFooterBlocksDetectAFlipOfAnyByte) {
  Buffer header(kBlockSize), footer(kBlockSize);
  EncodeDataStoreHeader(header_, header);
  DataStoreFooter written{trailer_offset_, kTrailerHeaderSize + TrailerBodySize(6, 12) + kTagSize, 0,
                          table_.counts(), header_};
  written.counts.file_bytes = trailer_offset_ + trailer_.size() + kDataStoreFooterSize;
  EncodeDataStoreFooter(written, footer);
  DataStoreHeader decoded;
  DataStoreFooter read;
  ASSERT_TRUE(DecodeDataStoreHeader(header, &decoded).ok());
  ASSERT_TRUE(DecodeDataStoreFooter(footer, &read).ok());
  EXPECT_EQ(read.trailer_offset, trailer_offset_);
  for (size_t index = 0; index < kBlockSize; ++index) {
    header[index] ^= 1, footer[index] ^= 1;
    EXPECT_FALSE(DecodeDataStoreHeader(header, &decoded).ok()) << index;
    EXPECT_FALSE(DecodeDataStoreFooter(footer, &read).ok()) << index;
    header[index] ^= 1, footer[index] ^= 1;
  }
}

TEST_P(TrailerTest, ASecondTrailerOfTheSameStoreIsSealedUnderAnotherKey) {
  if (!GetParam()) return;
  const Buffer second = EncodeTrailer(place(), 7, table_, root_);
  TrailerHeader one, two;
  ASSERT_TRUE(DecodeTrailerHeader(header_.identity.id, trailer_, &one).ok());
  ASSERT_TRUE(DecodeTrailerHeader(header_.identity.id, second, &two).ok());
  EXPECT_NE(one.salt, two.salt);
}

INSTANTIATE_TEST_SUITE_P(All, TrailerTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

// RFC 6962's own recursion, as the reference.
Sha256Digest ReferenceRoot(const std::vector<Buffer>& leaves, size_t begin, size_t end) {
  const uint8_t leaf_prefix[] = {0}, node_prefix[] = {1};
  if (begin == end) return Sha256({});
  if (end - begin == 1) return Sha256({leaf_prefix, leaves[begin]});
  size_t split = 1;
  while (split * 2 < end - begin) split *= 2;
  return Sha256(
      {node_prefix, ReferenceRoot(leaves, begin, begin + split), ReferenceRoot(leaves, begin + split, end)});
}

TEST(MerkleTreeTest, TheRootIsThatOfRfc6962AtEveryCount) {
  std::vector<Buffer> leaves;
  MerkleTree tree;
  for (uint8_t count = 0; count < 70; ++count) {
    EXPECT_EQ(tree.Root(), ReferenceRoot(leaves, 0, leaves.size())) << int{count};
    leaves.push_back(Buffer(count, count));
    tree.AddLeaf({leaves.back()});
  }
}

TEST(ChunkTableTest, EveryChunkIsFoundAtItsPlaceAsTheTableGrows) {
  ChunkTable table;
  uint64_t offset = kDataStoreHeaderSize;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const TestRecord record = MakeRecord(seed, 5500, false, seed);
    table.Add(offset, record.header, record.table);
    offset += record.header.RecordSize();
  }
  offset = kDataStoreHeaderSize;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const TestRecord record = MakeRecord(seed, 5500, false, seed);
    uint32_t plain_offset = 0;
    for (const TableRow& row : record.table) {
      const auto place = table.Find(row.fingerprint);
      ASSERT_TRUE(place.has_value());
      EXPECT_EQ(place->record_offset, offset);
      EXPECT_EQ(place->plain_offset, plain_offset);
      EXPECT_EQ(place->length, row.length);
      plain_offset += row.length;
    }
    offset += record.header.RecordSize();
  }
  EXPECT_FALSE(table.Find(Fingerprint{}).has_value());
  EXPECT_EQ(table.counts().chunk_count, 1800u);
}

}  // namespace
}  // namespace granary
