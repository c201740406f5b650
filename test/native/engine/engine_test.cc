#include "engine/engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/group_harness.h"

namespace granary {
namespace {

class EngineTest : public ::testing::TestWithParam<bool> {
 protected:
  GroupOptions Options() const {
    GroupOptions options;
    options.is_encrypted = GetParam();
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(Encryption, EngineTest, ::testing::Bool());

TEST_P(EngineTest, FilesOfAllSizesReadBackBeforeAndAfterARestart) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  for (size_t size : {0, 1, 1023, 1024, 1025, 4096, 16384, 65537, 300000, 3000000}) {
    ASSERT_TRUE(group.Put("f" + std::to_string(size), MakeBytes(size, size)).ok()) << size;
  }
  group.ExpectLedgerHolds("running");
  ASSERT_TRUE(group.Detach().ok());
  ASSERT_TRUE(group.Attach().ok());
  EXPECT_EQ(group.report().stores.recovered_count, 0u);
  EXPECT_TRUE(group.report().stores.damaged.empty());
  group.ExpectLedgerHolds("restarted");
}

TEST_P(EngineTest, ASecondGenerationStoresOnlyWhatChanged) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  Buffer content = MakeBytes(4000000, 1);
  ASSERT_TRUE(group.Put("one", content).ok());
  const uint64_t first = group.engine().Counters().stored.plain_bytes;
  ASSERT_TRUE(group.Put("same", content).ok());
  EXPECT_EQ(group.engine().Counters().stored.plain_bytes, first);
  for (size_t offset = 100000; offset < 100100; ++offset) content[offset] ^= 1;
  content.insert(content.begin() + 2000000, 77);
  ASSERT_TRUE(group.Put("two", content).ok());
  EXPECT_LE(group.engine().Counters().stored.plain_bytes - first, 8 * 16384u);
  ASSERT_TRUE(group.Detach().ok());
  ASSERT_TRUE(group.Attach().ok());
  const uint64_t before = group.engine().Counters().stored.plain_bytes;
  ASSERT_TRUE(group.Put("three", content).ok());
  EXPECT_EQ(group.engine().Counters().stored.plain_bytes, before) << "dedup must survive a restart";
  group.ExpectLedgerHolds("end");
}

TEST_P(EngineTest, CompressionModesReadBackTheSame) {
  for (CompressionMode mode : {CompressionMode::kNone, CompressionMode::kFast, CompressionMode::kBest}) {
    GroupOptions options = Options();
    options.compression = mode;
    Group group(options);
    ASSERT_TRUE(group.Format().ok());
    ASSERT_TRUE(group.Attach().ok());
    ASSERT_TRUE(group.Put("file", MakeBytes(1500000, 5)).ok());
    const DataStoreCounts counts = group.engine().Counters().stored;
    if (mode == CompressionMode::kNone) EXPECT_GE(counts.stored_bytes, counts.plain_bytes);
    if (mode != CompressionMode::kNone) EXPECT_LT(counts.stored_bytes, counts.plain_bytes * 9 / 10);
    group.ExpectLedgerHolds("mode " + std::to_string(static_cast<int>(mode)));
  }
}

TEST_P(EngineTest, TwoStreamsOfTheSameBytesAtOnceBothReadBack) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  const Buffer content = MakeBytes(2000000, 21);
  Result<StreamReport> reports[2] = {Status(Code::kIo, ""), Status(Code::kIo, "")};
  std::vector<std::thread> threads;
  std::mutex mutex;
  for (auto& report : reports) {
    threads.emplace_back([&] {
      // The harness keeps its list of streams for one thread; each thread drives a stream by itself here.
      const uint32_t number = group.engine().OpenStream(kDigestXxh3);
      auto stream = group.engine().FindStream(number);
      std::vector<Row> rows(4096);
      auto cut = stream->Prepare(content, 0, true, rows.data(), rows.size());
      ASSERT_TRUE(cut.ok());
      ASSERT_TRUE(stream->Store(content, rows.data(), cut->row_count).ok());
      report = stream->Finish();
      group.engine().CloseStream(number);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(reports[0].ok() && reports[1].ok());
  EXPECT_EQ(reports[0]->root.fingerprint, reports[1]->root.fingerprint);
  ASSERT_TRUE(group.engine().Sync().ok());
  for (auto& report : reports) {
    auto read = group.Read({report->root, report->size});
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_TRUE(*read == content);
  }
}

TEST_P(EngineTest, BeyondTheIndexBudgetFilesStillReadBackAndDedupGoesOn) {
  GroupOptions options = Options();
  options.resident_bytes_max = 64 * 1024;  // some 3 000 chunks
  options.store_size_target = 256 * 1024;
  Group group(options);
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  for (int file = 0; file < 6; ++file)
    ASSERT_TRUE(group.Put(std::to_string(file), MakeBytes(4000000, 100 + file)).ok());
  EXPECT_FALSE(group.engine().stores().IsComplete());
  group.ExpectLedgerHolds("over budget");
  const uint64_t before = group.engine().Counters().stored.plain_bytes;
  ASSERT_TRUE(group.Put("again", MakeBytes(4000000, 100)).ok());
  EXPECT_LE(group.engine().Counters().stored.plain_bytes - before, 400000u);
}

TEST_P(EngineTest, TablesOfClosedDataStoresStayWithinTheirBudgetHoweverManyAreRead) {
  GroupOptions options = Options();
  options.store_size_target = 256 * 1024;
  options.table_bytes_max = 4 * kOpenFileCharge;  // two or three data stores
  Group group(options);
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  const auto expect_within = [&](const std::string& when) {
    EXPECT_GT(group.engine().Counters().store_count, 10u) << when;
    EXPECT_LE(group.engine().Counters().table_bytes, options.table_bytes_max) << when;
    size_t in_memory = 0;
    for (StoreSlot* slot : group.engine().stores().AllSlots()) {
      if (slot->store->is_closed() && slot->store->is_in_memory()) ++in_memory;
    }
    EXPECT_LE(in_memory, 4u) << when;
  };
  for (int file = 0; file < 6; ++file)
    ASSERT_TRUE(group.Put(std::to_string(file), MakeBytes(4000000, 100 + file)).ok());
  ASSERT_TRUE(group.Detach().ok());
  ASSERT_TRUE(group.AttachCold().ok());
  expect_within("attached");
  group.ExpectLedgerHolds("read");
  expect_within("read");
  for (int file = 0; file < 2; ++file)
    ASSERT_TRUE(group.Put("more" + std::to_string(file), MakeBytes(4000000, 200 + file)).ok());
  group.ExpectLedgerHolds("read again");
  expect_within("closed behind what was appended");
}

TEST_P(EngineTest, AChunkThatNobodyHasLoadsEachColdDataStoreOnce) {
  GroupOptions options = Options();
  options.store_size_target = 256 * 1024;
  options.table_bytes_max = 1;
  Group group(options);
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  const Buffer content = MakeBytes(4000000, 100);
  ASSERT_TRUE(group.Put("file", content).ok());
  ASSERT_TRUE(group.Detach().ok());
  ASSERT_TRUE(group.AttachCold().ok());
  StoreSet& stores = group.engine().stores();
  EXPECT_EQ(stores.resident_entries(), 0u);
  EXPECT_EQ(stores.Locate(Fingerprint{}), nullptr);
  for (StoreSlot* slot : stores.AllSlots()) EXPECT_TRUE(slot->is_resident);
  EXPECT_EQ(stores.resident_entries(), group.engine().Counters().stored.chunk_count);
  group.ExpectLedgerHolds("after it");
}

TEST_P(EngineTest, VerifyFindsNothingInASoundGroupAndNamesEachDamagedRecord) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("file", MakeBytes(700000, 8)).ok());
  ASSERT_TRUE(group.Detach().ok());
  ASSERT_TRUE(group.Attach().ok());
  for (StoreSlot* slot : group.engine().stores().AllSlots()) {
    const DataStoreId id = slot->store->identity().id;
    auto sound = group.engine().cleaner().Scrub(id, 0, UINT64_MAX);
    ASSERT_TRUE(sound.ok()) << sound.status().message();
    EXPECT_TRUE(sound->damages.empty());
    EXPECT_GT(sound->record_count, 0u);
    const uint8_t garbage[3] = {1, 2, 3};
    ASSERT_TRUE(group.disk().Damage(slot->store->path(), 4096 + 500, garbage).ok());
    auto damaged = group.engine().cleaner().Scrub(id, 0, UINT64_MAX);
    ASSERT_TRUE(damaged.ok());
    ASSERT_EQ(damaged->damages.size(), 1u);
    EXPECT_GT(damaged->damages[0].fingerprints.size(), 0u);
  }
}

TEST_P(EngineTest, WhatWasAppendedButNotSyncedIsNoDamage) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Ingest(MakeBytes(300000, 31)).ok());  // given up before its commit
  for (StoreSlot* slot : group.engine().stores().AllSlots()) {
    auto report = group.engine().cleaner().Scrub(slot->store->identity().id, 0, UINT64_MAX);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_GT(report->record_count, 0u);
    EXPECT_TRUE(report->damages.empty()) << report->damages[0].reason;
  }
}

TEST_P(EngineTest, ADamagedChunkIsAnErrorNeverAWrongByte) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  const Buffer content = MakeBytes(200000, 9);
  ASSERT_TRUE(group.Put("file", content).ok());
  auto catalog = group.ReadCatalog();
  ASSERT_TRUE(catalog.ok());
  StoreSlot* slot = group.engine().stores().AllSlots()[0];
  int refused = 0;
  for (uint64_t offset = 4096; offset < 4096 + 60000; offset += 977) {
    BlockBuffer memory;
    auto before = slot->store->Read(offset, 1, &memory);
    ASSERT_TRUE(before.ok());
    const uint8_t flipped = (*before)[0] ^ 0x10;
    ASSERT_TRUE(group.disk().Damage(slot->store->path(), offset, {&flipped, 1}).ok());
    auto read = group.Read(catalog->at("file"));
    if (read.ok()) {
      EXPECT_TRUE(*read == content) << "a wrong byte was served, damage at " << offset;
    } else {
      EXPECT_EQ(read.status().code(), Code::kCorrupt);
      ++refused;
    }
    ASSERT_TRUE(group.disk().Damage(slot->store->path(), offset, *before).ok());
  }
  EXPECT_GT(refused, 10);
}

TEST_P(EngineTest, NoSpaceFailsTheStreamAndSpaceBringsTheServiceBackWithoutARestart) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("before", MakeBytes(300000, 1)).ok());
  group.disk().SetCapacity(40 << 20);
  Status status;
  for (int file = 0; status.ok() && file < 60; ++file) {
    status = group.Put("fill" + std::to_string(file), MakeBytes(1000000, 50 + file));
  }
  EXPECT_EQ(status.code(), Code::kNoSpace) << status.message();
  group.ExpectLedgerHolds("full");
  group.disk().SetCapacity(1ull << 40);
  const Status again = group.Put("after", MakeBytes(1000000, 2));
  EXPECT_TRUE(again.ok()) << again.message();
  group.ExpectLedgerHolds("space again");
}

TEST_P(EngineTest, OnASmallVolumeDataStoresAreSmallEnoughForTheCleanerToCopyAround) {
  for (const uint64_t capacity : {uint64_t{1} << 30, uint64_t{1} << 40}) {
    GroupOptions options = Options();
    options.store_size_target = 128ull << 20;
    Group group(options);
    ASSERT_TRUE(group.Format().ok());
    group.disk().SetCapacity(capacity);
    ASSERT_TRUE(group.Attach().ok());
    for (int file = 0; file < 6; ++file) {
      ASSERT_TRUE(group.Put("f" + std::to_string(file), MakeBytes(8000000, file)).ok());
    }
    const EngineCounters counters = group.engine().Counters();
    EXPECT_LE(counters.store_size_target, capacity / 100);
    EXPECT_GE(counters.store_count, capacity / 100 < options.store_size_target ? 3 : 1);
    EXPECT_LE(counters.stored.file_bytes / counters.store_count, 2 * counters.store_size_target);
  }
}

TEST_P(EngineTest, AFullDiskAtTheStartLeavesEveryFileReadable) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("file", MakeBytes(900000, 1)).ok());
  group.Crash(0);  // its data store has no trailer yet
  group.disk().SetCapacity(1);
  ASSERT_TRUE(group.Attach().ok());
  EXPECT_TRUE(group.report().stores.damaged.empty());
  group.ExpectLedgerHolds("full at the start");
}

TEST_P(EngineTest, AFailedWriteStopsTheGroupAndNothingIsAcknowledged) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("before", MakeBytes(300000, 1)).ok());
  group.disk().SetPlan({FaultPlan::Kind::kIoError, 1, false});
  EXPECT_EQ(group.Put("during", MakeBytes(300000, 2)).code(), Code::kIo);
  EXPECT_FALSE(group.Put("behind", MakeBytes(300000, 3)).ok()) << "a failed sync must never be retried";
  EXPECT_FALSE(group.engine().Counters().stopped.empty());
  group.Crash(0);
  ASSERT_TRUE(group.Attach().ok());
  group.ExpectLedgerHolds("restarted");
  EXPECT_TRUE(group.Put("later", MakeBytes(300000, 4)).ok());
}

TEST_P(EngineTest, AnEmptyOrMissingDirectoryIsNeverInitialisedByItself) {
  Group group(Options());
  EXPECT_EQ(group.Attach().code(), Code::kNotFound);
  ASSERT_TRUE(group.disk().MakeDirectory(Group::kDirectory).ok());
  EXPECT_EQ(group.Attach().code(), Code::kNotFound);
  EXPECT_TRUE(group.disk().List(Group::kDirectory)->empty());
}

TEST_P(EngineTest, AGroupInUseIsRefused) {
  Group group(Options());
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  AttachReport report;
  EXPECT_EQ(Engine::Attach(&group.disk(), group.Parameters(), &report).status().code(), Code::kBusy);
}

TEST(EngineKeys, AnEncryptedGroupOpensWithItsKeysOnly) {
  Group group;
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("file", MakeBytes(100000, 1)).ok());
  ASSERT_TRUE(group.Detach().ok());
  AttachReport report;
  AttachParameters wrong = group.Parameters();
  wrong.data_keys.keys[1].fill(9);
  EXPECT_EQ(Engine::Attach(&group.disk(), wrong, &report).status().code(), Code::kDenied);
  AttachParameters none = group.Parameters();
  none.data_keys = {};
  EXPECT_EQ(Engine::Attach(&group.disk(), none, &report).status().code(), Code::kDenied);
}

TEST(EngineKeys, ANewKeyEpochSealsNewDataStoresAndOldOnesStayReadable) {
  Group group;
  ASSERT_TRUE(group.Format().ok());
  ASSERT_TRUE(group.Attach().ok());
  ASSERT_TRUE(group.Put("old", MakeBytes(200000, 1)).ok());
  StoreSet::DataKeys keys = group.Parameters().data_keys;
  keys.keys[2].fill(55);
  keys.active_epoch = 2;
  group.engine().stores().SetDataKeys(keys);
  ASSERT_TRUE(group.Put("new", MakeBytes(200000, 2)).ok());
  bool has_new = false;
  for (StoreSlot* slot : group.engine().stores().AllSlots())
    has_new |= slot->store->identity().key_epoch == 2;
  EXPECT_TRUE(has_new);
  group.ExpectLedgerHolds("both epochs");
}

}  // namespace
}  // namespace granary
