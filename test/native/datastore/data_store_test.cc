// Rules of a data store's life on an undisturbed disk; crashes are in data_store_crash_test.cc.
#include "datastore/data_store.h"

#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "datastore/data_store_format.h"
#include "datastore/store_fixture.h"

namespace granary {
namespace {

const std::string kPath = "/d/a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7.gds";

class DataStoreTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { ASSERT_TRUE(files_->MakeDirectory("/d").ok()); }
  bool sealed() const { return GetParam(); }
  std::shared_ptr<DataStore> Create() {
    auto store =
        DataStore::Create(files_.get(), kPath, TestIdentity(sealed()), sealed() ? &kDataKey : nullptr);
    EXPECT_TRUE(store.ok()) << store.status().message();
    return *store;
  }
  Result<std::shared_ptr<DataStore>> Open() {
    return DataStore::Open(files_.get(), kPath, TestStoreId(), TestKeys());
  }
  Result<std::shared_ptr<DataStore>> Recover(bool close, DataStore::ScanReport* report,
                                             uint64_t incarnation = 8) {
    return DataStore::Recover(files_.get(), kPath, TestStoreId(), TestKeys(), incarnation, close, report);
  }
  // `count` records of growing odd sizes, with a sync behind every third.
  static uint32_t SizeOf(uint64_t seed) { return static_cast<uint32_t>(1 + seed * 2777 % 40000); }
  void Fill(DataStore* store, uint64_t count) {
    for (uint64_t seed = 0; seed < count; ++seed) {
      ASSERT_TRUE(AppendTestRecord(store, seed, SizeOf(seed)).ok());
      if (seed % 3 == 2) ASSERT_TRUE(store->Sync().ok());
    }
  }
  void ExpectHolds(DataStore* store, uint64_t count, uint64_t except = ~uint64_t{0}) {
    for (uint64_t seed = 0; seed < count; ++seed) {
      if (seed != except) EXPECT_TRUE(HoldsTestRecord(store, seed, SizeOf(seed)));
    }
  }
  Buffer Content() { return *ReadWholeFile(files_.get(), kPath, 1 << 30); }
  void Flip(uint64_t offset) {
    const uint8_t flipped[] = {static_cast<uint8_t>(Content()[offset] ^ 0x10)};
    ASSERT_TRUE(files_->Damage(kPath, offset, flipped).ok());
  }

  std::shared_ptr<SimulatedFileSystem> files_ = SimulatedFileSystem::Create();
};

TEST_P(DataStoreTest, EveryChunkThatWasSyncedIsFoundWhileTheStoreIsOpen) {
  auto store = Create();
  Fill(store.get(), 120);
  ASSERT_TRUE(store->Sync().ok());
  ExpectHolds(store.get(), 120);
  EXPECT_FALSE(store->is_closed());
  EXPECT_FALSE((*store->Find(Fingerprint{})).has_value());
}

TEST_P(DataStoreTest, AClosedStoreOpensWithTheSameChunksAndCounts) {
  auto store = Create();
  Fill(store.get(), 120);
  const DataStoreCounts before = store->counts();
  ASSERT_TRUE(store->Close().ok());
  ExpectHolds(store.get(), 120);
  auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  ExpectHolds(opened->get(), 120);
  const DataStoreCounts after = (*opened)->counts();
  EXPECT_EQ(after.record_count, 120u);
  EXPECT_EQ(after.chunk_count, before.chunk_count);
  EXPECT_EQ(after.plain_bytes, before.plain_bytes);
  EXPECT_EQ(after.stored_bytes, before.stored_bytes);
  EXPECT_EQ(after.blockmap_plain_bytes, before.blockmap_plain_bytes);
  EXPECT_EQ(after.file_bytes, Content().size());
  EXPECT_TRUE((*opened)->is_closed());
}

TEST_P(DataStoreTest, AStoreWithoutRecordsClosesAndOpens) {
  ASSERT_TRUE(Create()->Close().ok());
  auto opened = Open();
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->counts().chunk_count, 0u);
  EXPECT_FALSE((*(*opened)->Find(Fingerprint{})).has_value());
}

TEST_P(DataStoreTest, RecordsBeginAtMultiplesOfEightBehindTheHeaderAndBehindEverySyncAtABlock) {
  auto store = Create();
  Fill(store.get(), 9);
  uint64_t last_end = kBlockSize;
  ASSERT_TRUE(store
                  ->ForEachChunk([&](const Fingerprint&, const ChunkPlace& place) {
                    EXPECT_EQ(place.record_offset % kRecordAlignment, 0u);
                    EXPECT_GE(place.record_offset + place.record_size, last_end);
                    last_end = place.record_offset + place.record_size;
                  })
                  .ok());
  const auto fourth = MakeRecord(3, SizeOf(3), sealed(), 0).table.front().fingerprint;
  EXPECT_EQ((**store->Find(fourth)).record_offset % kBlockSize, 0u);
}

TEST_P(DataStoreTest, DroppedMemoryComesBackOnTheNextUse) {
  auto store = Create();
  Fill(store.get(), 30);
  store->DropMemory();  // open: nothing to come back from, so nothing is dropped
  ASSERT_TRUE(store->Sync().ok());
  ExpectHolds(store.get(), 30);
  ASSERT_TRUE(store->Close().ok());
  store->DropMemory();
  EXPECT_EQ(store->counts().record_count, 30u);
  ExpectHolds(store.get(), 30);
}

TEST_P(DataStoreTest, ForEachChunkGivesAllChunksInTheOrderOfTheFile) {
  auto store = Create();
  Fill(store.get(), 40);
  ASSERT_TRUE(store->Close().ok());
  std::vector<Fingerprint> expected, found;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (const TableRow& row : MakeRecord(seed, SizeOf(seed), false, 0).table)
      expected.push_back(row.fingerprint);
  }
  ASSERT_TRUE(
      store->ForEachChunk([&](const Fingerprint& each, const ChunkPlace&) { found.push_back(each); }).ok());
  EXPECT_EQ(found, expected);
}

TEST_P(DataStoreTest, AnUnfinishedStoreDoesNotOpenAndIsRecoveredWithAllThatWasSynced) {
  {
    auto store = Create();
    Fill(store.get(), 60);
    ASSERT_TRUE(store->Sync().ok());
  }
  EXPECT_EQ(Open().status().code(), Code::kInvalid);
  DataStore::ScanReport report;
  auto recovered = Recover(true, &report);
  ASSERT_TRUE(recovered.ok()) << recovered.status().message();
  EXPECT_EQ(report.records_kept, 60u);
  EXPECT_EQ(report.bytes_skipped, 0u);
  ExpectHolds(recovered->get(), 60);
  EXPECT_TRUE((*recovered)->is_closed());
  EXPECT_TRUE(Open().ok());
}

TEST_P(DataStoreTest, RecoveringTwiceChangesNothing) {
  {
    auto store = Create();
    Fill(store.get(), 20);
  }
  DataStore::ScanReport first, second;
  ASSERT_TRUE(Recover(true, &first, 8).ok());
  const Buffer content = Content();
  ASSERT_TRUE(Recover(true, &second, 9).ok());
  EXPECT_EQ(Content(), content);
  EXPECT_EQ(second.records_kept, first.records_kept);
}

TEST_P(DataStoreTest, RecoveryWithoutClosingWritesNothing) {
  {
    auto store = Create();
    Fill(store.get(), 21);
  }
  const Buffer content = Content();
  files_->SetPlan({});
  auto recovered = Recover(false, nullptr);
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(files_->operation_count(), 0u);
  EXPECT_EQ(Content(), content);
  EXPECT_FALSE((*recovered)->is_closed());
  (*recovered)->DropMemory();
  ExpectHolds(recovered->get(), 21);
}

TEST_P(DataStoreTest, ADamagedRecordCostsThatRecordOnly) {
  uint64_t offset = 0;
  {
    auto store = Create();
    Fill(store.get(), 30);
    ASSERT_TRUE(store->Sync().ok());
    offset = (**store->Find(MakeRecord(11, SizeOf(11), false, 0).table.front().fingerprint)).record_offset;
  }
  for (const uint64_t at : {offset, offset + 12, offset + 200}) {  // magic, a field, the body
    Flip(at);
    DataStore::ScanReport report;
    auto recovered = Recover(false, &report);
    ASSERT_TRUE(recovered.ok());
    EXPECT_EQ(report.records_kept, 29u);
    EXPECT_GT(report.bytes_skipped, 0u);
    ExpectHolds(recovered->get(), 30, 11);
    Flip(at);
  }
}

TEST_P(DataStoreTest, ARecordThatWasAlsoWrittenToASecondPlaceCountsOnce) {
  {
    auto store = Create();
    ASSERT_TRUE(AppendTestRecord(store.get(), 1, 100).ok());
    ASSERT_TRUE(store->Sync().ok());
  }
  const uint64_t size = MakeRecord(1, 100, sealed(), 0).header.RecordSize();
  const Buffer content = Content();
  const ConstBytes record = ConstBytes(content).subspan(kBlockSize, size);
  ASSERT_TRUE(files_->Damage(kPath, kBlockSize + 1024, record).ok());
  DataStore::ScanReport report;
  ASSERT_TRUE(Recover(true, &report).ok());
  EXPECT_EQ(report.records_kept, 1u);
}

TEST_P(DataStoreTest, AHeaderThatClaimsMoreThanThereIsHidesNoRecordBehindIt) {
  {
    auto store = Create();
    for (uint64_t seed = 1; seed < 4; ++seed) {
      ASSERT_TRUE(AppendTestRecord(store.get(), seed, 100).ok());
      ASSERT_TRUE(store->Sync().ok());
    }
  }
  const TestRecord large = MakeRecord(9, 20000, sealed(), 77);
  Buffer encoded;
  EncodeRecord({TestIdentity(sealed()).id, sealed() ? &kDataKey : nullptr}, large.header, large.table,
               large.payload, &encoded);
  ASSERT_TRUE(files_->Damage(kPath, kBlockSize + 2048, ConstBytes(encoded).first(kRecordHeaderSize)).ok());
  DataStore::ScanReport report;
  auto recovered = Recover(false, &report);
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(report.records_kept, 3u);
  EXPECT_GT(report.bytes_skipped, 0u);
}

TEST_P(DataStoreTest, AClosedStoreNeedsNoRecoveryBehindAPowerCut) {
  auto store = Create();
  Fill(store.get(), 5);
  ASSERT_TRUE(store->Close().ok());
  ASSERT_TRUE(files_->SyncDirectory("/").ok());
  files_->Crash(0);
  auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  ExpectHolds(opened->get(), 5);
}

TEST_P(DataStoreTest, ADamagedTrailerIsReplacedByAScan) {
  {
    auto store = Create();
    Fill(store.get(), 30);
    ASSERT_TRUE(store->Close().ok());
  }
  const uint64_t size = Content().size();
  Flip(size - kBlockSize - 2000);
  EXPECT_EQ(Open().status().code(), Code::kCorrupt);
  DataStore::ScanReport report;
  auto recovered = Recover(true, &report);
  ASSERT_TRUE(recovered.ok()) << recovered.status().message();
  EXPECT_EQ(report.records_kept, 30u);
  ASSERT_TRUE(Open().ok());
  ExpectHolds((*Open()).get(), 30);
}

TEST_P(DataStoreTest, ADamagedHeaderIsReplacedByTheFootersCopyOrByTheNameAndTheRecords) {
  {
    auto store = Create();
    Fill(store.get(), 30);
    ASSERT_TRUE(store->Sync().ok());
    Flip(50);
    auto recovered = Recover(false, nullptr);
    ASSERT_TRUE(recovered.ok()) << recovered.status().message();
    ExpectHolds(recovered->get(), 30);
    EXPECT_EQ((*recovered)->identity().id, TestIdentity(sealed()).id);
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_EQ(Open().status().code(), Code::kCorrupt);
  auto recovered = Recover(true, nullptr);
  ASSERT_TRUE(recovered.ok()) << recovered.status().message();
  EXPECT_EQ((*recovered)->identity().incarnation, 7u);
  ExpectHolds(recovered->get(), 30);
}

TEST_P(DataStoreTest, AStoreOfAnotherGroupIsRefused) {
  ASSERT_TRUE(Create()->Close().ok());
  StoreId other = TestStoreId();
  other.bytes[3] ^= 1;
  EXPECT_EQ(DataStore::Open(files_.get(), kPath, other, TestKeys()).status().code(), Code::kCorrupt);
  EXPECT_EQ(DataStore::Recover(files_.get(), kPath, other, TestKeys(), 8, true, nullptr).status().code(),
            Code::kCorrupt);
}

TEST_P(DataStoreTest, VerifyNamesTheDamagedRecordAndTheRootDoesNotFit) {
  auto store = Create();
  Fill(store.get(), 30);
  ASSERT_TRUE(store->Close().ok());
  size_t count = 0, damaged = 0;
  const auto each = [&](const ScannedRecord& record) {
    ++count;
    damaged += record.status.ok() ? 0 : 1;
    return true;
  };
  EXPECT_TRUE(store->VerifyRecords(each).ok());
  EXPECT_EQ(count, 30u);
  EXPECT_EQ(damaged, 0u);
  Flip((**store->Find(MakeRecord(11, SizeOf(11), false, 0).table.front().fingerprint)).record_offset + 300);
  EXPECT_EQ(store->VerifyRecords(each).code(), Code::kCorrupt);
  EXPECT_EQ(damaged, 1u);
}

TEST_P(DataStoreTest, OneThreadAppendsWhileOthersSyncAndFind) {
  auto store = Create();
  std::atomic<uint64_t> appended{0};
  std::atomic<bool> is_done{false};
  std::thread syncing([&] {
    while (!is_done) {
      const uint64_t covered = appended;
      ASSERT_TRUE(store->Sync().ok());
      if (covered > 0) EXPECT_TRUE(HoldsTestRecord(store.get(), covered - 1, SizeOf(covered - 1)));
    }
  });
  std::thread closing_reader([&] {
    while (!is_done) {
      EXPECT_TRUE(store->Find(Fingerprint{}).ok());
      EXPECT_GE(store->counts().record_count + 1, 1u);
      EXPECT_TRUE(store->Sync().ok());
    }
  });
  for (uint64_t seed = 0; seed < 300; ++seed) {
    ASSERT_TRUE(AppendTestRecord(store.get(), seed, SizeOf(seed)).ok());
    appended = seed + 1;
  }
  is_done = true;
  syncing.join();
  closing_reader.join();
  ASSERT_TRUE(store->Close().ok());
  ExpectHolds((*Open()).get(), 300);
}

INSTANTIATE_TEST_SUITE_P(All, DataStoreTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

// Over a real file system, past its page cache where it has a way.
TEST(DataStorePosixTest, WhatWasAppendedReadsBackFromARealFileSystem) {
  std::string directory = (std::filesystem::temp_directory_path() / "granary-store-XXXXXX").string();
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + kPath.substr(2);
  const auto large = [](uint64_t seed) { return static_cast<uint32_t>(100000 + seed * 777); };
  {
    auto store = DataStore::Create(PosixFileSystem(), path, TestIdentity(true), &kDataKey);
    ASSERT_TRUE(store.ok()) << store.status().message();
    for (uint64_t seed = 0; seed < 60; ++seed) {
      ASSERT_TRUE(AppendTestRecord(store->get(), seed, large(seed)).ok());
      if (seed % 20 == 19) ASSERT_TRUE((*store)->Sync().ok());
    }
    for (uint64_t seed = 0; seed < 60; ++seed) EXPECT_TRUE(HoldsTestRecord(store->get(), seed, large(seed)));
  }
  DataStore::ScanReport report;
  auto store = DataStore::Recover(PosixFileSystem(), path, TestStoreId(), TestKeys(), 8, true, &report);
  ASSERT_TRUE(store.ok()) << store.status().message();
  EXPECT_EQ(report.records_kept, 60u);
  EXPECT_EQ(std::filesystem::file_size(path), (*store)->counts().file_bytes);
  store = DataStore::Open(PosixFileSystem(), path, TestStoreId(), TestKeys());
  ASSERT_TRUE(store.ok()) << store.status().message();
  for (uint64_t seed = 0; seed < 60; ++seed) EXPECT_TRUE(HoldsTestRecord(store->get(), seed, large(seed)));
  std::filesystem::remove_all(directory);
}

TEST(DataStoreKeyTest, AWrongOrMissingKeyIsDeniedBeforeAnythingIsUnsealed) {
  auto files = SimulatedFileSystem::Create();
  ASSERT_TRUE(files->MakeDirectory("/d").ok());
  auto store = DataStore::Create(files.get(), kPath, TestIdentity(true), &kDataKey);
  ASSERT_TRUE((*store)->Close().ok());
  const auto open = [&](const Key* key) {
    return DataStore::Open(files.get(), kPath, TestStoreId(), [key](uint32_t) { return key; })
        .status()
        .code();
  };
  EXPECT_EQ(open(&kDataKey), Code::kOk);
  EXPECT_EQ(open(&kWrongKey), Code::kDenied);
  EXPECT_EQ(open(nullptr), Code::kDenied);
}

}  // namespace
}  // namespace granary
