// Inspect prints every file of a group from the engine's own decoders, and never more than it may.
#include "datastore/inspect.h"

#include "datastore/commit_log.h"
#include "datastore/store_fixture.h"
#include "datastore/superblock.h"

namespace granary {
namespace {

const std::string kPath = "/a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7.gds";

class InspectTest : public testing::Test {
 protected:
  std::string Inspect(const std::string& path, bool with_keys) {
    auto json = InspectFile(files_.get(), path, with_keys ? TestKeys() : DataStore::KeyOfEpoch(),
                            with_keys ? &kDataKey : nullptr);
    EXPECT_TRUE(json.ok()) << json.status().message();
    return *json;
  }
  static bool Has(const std::string& json, const std::string& part) {
    return json.find(part) != std::string::npos;
  }
  void MakeDataStore(uint64_t count, bool close) {
    auto store = *DataStore::Create(files_.get(), kPath, TestIdentity(true), &kDataKey);
    for (uint64_t seed = 0; seed < count; ++seed) ASSERT_TRUE(AppendTestRecord(store.get(), seed, 100).ok());
    ASSERT_TRUE((close ? store->Close() : store->Sync()).ok());
  }

  std::shared_ptr<SimulatedFileSystem> files_ = SimulatedFileSystem::Create();
};

TEST_F(InspectTest, ASuperblockIsPrintedFieldByField) {
  Superblock superblock;
  superblock.generation = 41;
  superblock.store_id = TestStoreId();
  ASSERT_TRUE(CreateSuperblock(files_.get(), "", superblock).ok());
  const std::string json = Inspect("/superblock.2", false);
  EXPECT_TRUE(Has(json, "\"kind\":\"superblock\",\"valid\":true")) << json;
  EXPECT_TRUE(Has(json, "\"generation\":41"));
  EXPECT_TRUE(Has(json, "\"storeId\":\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\""));
}

TEST_F(InspectTest, ADataStoreShowsClearFieldsWithoutKeysAndWhetherRecordsOpenWithThem) {
  MakeDataStore(3, true);
  const std::string clear = Inspect(kPath, false);
  EXPECT_TRUE(Has(clear, "\"isOpened\":false")) << clear;
  EXPECT_TRUE(Has(clear, "\"recordCount\":3,\"recordsLeftOut\":0"));
  EXPECT_FALSE(Has(clear, "merkleRoot"));
  const std::string opened = Inspect(kPath, true);
  EXPECT_TRUE(Has(opened, "merkleRoot")) << opened;
  EXPECT_TRUE(Has(opened, "\"keyEpoch\":3,\"valid\":true"));
}

TEST_F(InspectTest, AnUnfinishedDataStoreIsPrintedToo) {
  MakeDataStore(3, false);
  const std::string json = Inspect(kPath, true);
  EXPECT_TRUE(Has(json, "\"footer\":{\"valid\":false")) << json;
  EXPECT_TRUE(Has(json, "\"recordCount\":3"));
}

TEST_F(InspectTest, OfManyRecordsTheFirstAndTheLastAreShown) {
  MakeDataStore(500, true);
  const std::string json = Inspect(kPath, false);
  EXPECT_TRUE(Has(json, "\"recordCount\":500,\"recordsLeftOut\":372"));
  EXPECT_TRUE(Has(json, "\"ordinal\":499"));
  EXPECT_FALSE(Has(json, "\"ordinal\":200,"));
}

TEST_F(InspectTest, ALogSegmentShowsPayloadsOnlyToWhoHasTheKey) {
  ASSERT_TRUE(CommitLog::Create(files_.get(), "/log").ok());
  {
    auto log =
        std::move(*CommitLog::Open(files_.get(), "/log", {TestStoreId(), 1, 0, &kDataKey}, false, nullptr));
    const uint8_t payload[] = {0xca, 0xfe, 1, 2, 3, 4, 5, 6};
    ASSERT_TRUE(log->Append({{9, payload}, {8, {}}}).ok());
  }
  const std::string clear = Inspect("/log/a/0000000000000001.log", false);
  EXPECT_TRUE(Has(clear, "\"type\":9")) << clear;
  EXPECT_FALSE(Has(clear, "cafe010203040506"));
  const std::string opened = Inspect("/log/b/0000000000000001.log", true);
  EXPECT_TRUE(Has(opened, "\"payload\":\"cafe010203040506\"")) << opened;
  EXPECT_TRUE(Has(opened, "\"recordCount\":2"));
}

TEST_F(InspectTest, AFileOfAnotherKindIsUnsupportedAndADamagedOneSaysWhy) {
  ASSERT_TRUE(ReplaceFile(files_.get(), "/other", Buffer(5000, 7)).ok());
  ASSERT_TRUE(ReplaceFile(files_.get(), "/empty", {}).ok());
  EXPECT_EQ(InspectFile(files_.get(), "/other", {}, nullptr).status().code(), Code::kUnsupported);
  EXPECT_EQ(InspectFile(files_.get(), "/empty", {}, nullptr).status().code(), Code::kUnsupported);
  MakeDataStore(1, true);
  const uint8_t damage[] = {1};
  ASSERT_TRUE(files_->Damage(kPath, 2000, damage).ok());
  EXPECT_TRUE(Has(Inspect(kPath, true), "wrong checksum"));
}

}  // namespace
}  // namespace granary
