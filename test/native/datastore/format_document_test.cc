// The examples of native/FORMAT.md are what the encoders write.
#include <fstream>
#include <sstream>

#include "datastore/store_fixture.h"
#include "datastore/superblock_format.h"

namespace granary {
namespace {

// The bytes of the fenced block that begins with "```hex NAME".
Buffer Example(const std::string& name) {
  std::ifstream document(GRANARY_VECTORS "/../../native/FORMAT.md");
  std::string digits;
  bool is_inside = false;
  for (std::string line; std::getline(document, line);) {
    if (is_inside && line == "```") break;
    if (is_inside) {
      for (char digit : line) digits += digit == ' ' ? "" : std::string(1, digit);
    }
    is_inside = is_inside || line == "```hex " + name;
  }
  Buffer bytes(digits.size() / 2);
  EXPECT_TRUE(FromHex(digits, bytes)) << name;
  return bytes;
}

TEST(FormatDocumentTest, TheSuperblockExampleIsWhatIsWrittenAndRead) {
  Superblock superblock;
  for (uint8_t index = 0; index < 16; ++index) {
    superblock.store_id.bytes[index] = index;
    superblock.realm_id[index] = static_cast<uint8_t>(0xf0 + index);
  }
  superblock.generation = 5;
  superblock.incarnation = 3;
  superblock.epoch = 2;
  superblock.checkpoint_sequence = 1000;
  superblock.is_encrypted = true;
  Buffer block(kSuperblockSize);
  EncodeSuperblock(superblock, block);
  const Buffer fields = Example("superblock"), digest = Example("superblock-digest");
  EXPECT_EQ(ToHex(ConstBytes(block).first(96)), ToHex(fields));
  EXPECT_EQ(ToHex(ConstBytes(block).last(32)), ToHex(digest));
  Buffer documented(kSuperblockSize);
  std::copy(fields.begin(), fields.end(), documented.begin());
  std::copy(digest.begin(), digest.end(), documented.end() - 32);
  Superblock read;
  ASSERT_TRUE(DecodeSuperblock(documented, &read).ok());
  EXPECT_EQ(read.checkpoint_sequence, 1000u);
}

TEST(FormatDocumentTest, TheRecordHeaderExampleIsWhatIsWrittenAndRead) {
  const DataStoreId id = TestIdentity(true).id;
  const RecordHeader header{RecordType::kRegion, Codec::kZstd, true, 42, 8, 131072, 60001, 3};
  Buffer encoded;
  EncodeRecord({id, &kDataKey}, header, std::vector<TableRow>(8, TableRow{{}, 16384}), Buffer(60001),
               &encoded);
  const Buffer documented = Example("record-header");
  EXPECT_EQ(ToHex(ConstBytes(encoded).first(kRecordHeaderSize)), ToHex(documented));
  RecordHeader read;
  ASSERT_TRUE(DecodeRecordHeader(id, documented, &read).ok());
  EXPECT_EQ(read.stored_size, 60001u);
}

}  // namespace
}  // namespace granary
