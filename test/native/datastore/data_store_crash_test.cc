// Crashes and failures at every operation of a data store's life: what a Sync or Close answered for reads
// back, recovery succeeds from every state, and doing it twice changes nothing.
#include "datastore/data_store.h"
#include "datastore/store_fixture.h"

namespace granary {
namespace {

using Kind = FaultPlan::Kind;
const std::string kPath = "/d/a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7.gds";
constexpr uint64_t kRecordCount = 14;

uint32_t SizeOf(uint64_t seed) { return static_cast<uint32_t>(1 + seed * 30011 % 200000); }

// How far a run came before it failed.
struct Progress {
  uint64_t synced = 0;  // records that a Sync answered for
  bool is_created = false;
  bool is_closed = false;
  Status failure;
};

class DataStoreCrash : public testing::TestWithParam<bool> {
 protected:
  void Reset() {
    files_ = SimulatedFileSystem::Create();
    ASSERT_TRUE(files_->MakeDirectory("/d").ok());
    ASSERT_TRUE(files_->SyncDirectory("/").ok());
    files_->SetPlan({});
  }

  // Creates, appends with syncs in between, closes; stops at the first failure.
  Progress Live(std::shared_ptr<DataStore>* kept = nullptr) {
    Progress progress;
    auto store =
        DataStore::Create(files_.get(), kPath, TestIdentity(GetParam()), GetParam() ? &kDataKey : nullptr);
    progress.failure = store.status();
    if (!store.ok()) return progress;
    progress.is_created = true;
    if (kept != nullptr) *kept = *store;
    for (uint64_t seed = 0; seed < kRecordCount && progress.failure.ok(); ++seed) {
      progress.failure = AppendTestRecord(store->get(), seed, SizeOf(seed));
      if (!progress.failure.ok() || seed % 4 != 3) continue;
      progress.failure = (*store)->Sync();
      if (progress.failure.ok()) progress.synced = seed + 1;
    }
    if (progress.failure.ok()) progress.failure = (*store)->Close();
    if (progress.failure.ok()) {
      progress.synced = kRecordCount;
      progress.is_closed = true;
    }
    return progress;
  }

  Result<std::shared_ptr<DataStore>> Recover(uint64_t incarnation, DataStore::ScanReport* report = nullptr) {
    return DataStore::Recover(files_.get(), kPath, TestStoreId(), TestKeys(), incarnation, true, report);
  }
  Buffer Content() {
    auto content = ReadWholeFile(files_.get(), kPath, 1 << 30);
    return content.ok() ? *content : Buffer();
  }

  void ExpectSurvived(const Progress& progress, const std::string& where) {
    SCOPED_TRACE(where);
    auto store = Recover(8);
    if (!store.ok()) {
      // Only a file that no Create answered for may be gone or empty.
      ASSERT_EQ(store.status().code(), Code::kNotFound) << store.status().message();
      ASSERT_FALSE(progress.is_created);
      return;
    }
    ASSERT_TRUE((*store)->is_closed());
    for (uint64_t seed = 0; seed < progress.synced; ++seed) {
      ASSERT_TRUE(HoldsTestRecord(store->get(), seed, SizeOf(seed)));
    }
    ASSERT_TRUE((*store)
                    ->VerifyRecords([](const ScannedRecord& record) {
                      EXPECT_TRUE(record.status.ok());
                      return true;
                    })
                    .ok());
    const Buffer content = Content();
    ASSERT_TRUE(Recover(9).ok());
    ASSERT_EQ(Content(), content);
    ASSERT_TRUE(DataStore::Open(files_.get(), kPath, TestStoreId(), TestKeys()).ok());
  }

  std::shared_ptr<SimulatedFileSystem> files_;
};

TEST_P(DataStoreCrash, APowerCutAtAnyOperationLosesNothingThatWasSynced) {
  for (const Kind kind : {Kind::kDie, Kind::kTornDie}) {
    for (const uint64_t seed : CrashSeeds()) {
      bool was_hit = true;
      for (uint64_t operation = 1; was_hit; ++operation) {
        Reset();
        files_->SetPlan({kind, operation, false});
        const Progress progress = Live();
        was_hit = files_->plan_was_hit();
        files_->SetPlan({});
        files_->Crash(seed);
        ExpectSurvived(progress, "kind " + std::to_string(static_cast<int>(kind)) + " seed " +
                                     std::to_string(seed) + " operation " + std::to_string(operation));
      }
    }
  }
}

// Records that no Sync answered for, and a Close that dies: torn by many seeds, since a trailer is small and
// the records in front of it are not.
TEST_P(DataStoreCrash, ATrailerNamesNoRecordThatIsNotDurable) {
  for (uint64_t operation = 1; operation <= 4; ++operation) {
    for (uint64_t seed = 2; seed < 200; ++seed) {
      Reset();
      auto store =
          *DataStore::Create(files_.get(), kPath, TestIdentity(GetParam()), GetParam() ? &kDataKey : nullptr);
      for (uint64_t record = 0; record < 3; ++record) {
        ASSERT_TRUE(AppendTestRecord(store.get(), record, 3000).ok());
      }
      files_->SetPlan({Kind::kDie, operation, false});
      (void)store->Close();
      files_->SetPlan({});
      files_->Crash(seed);
      Progress progress;
      progress.is_created = true;
      ExpectSurvived(progress, "operation " + std::to_string(operation) + " seed " + std::to_string(seed));
      if (HasFailure()) return;
    }
  }
}

TEST_P(DataStoreCrash, AnErrorAtAnyOperationIsFinalForTheStoreAndLosesNothingThatWasSynced) {
  for (const Kind kind : {Kind::kIoError, Kind::kShortWrite, Kind::kNoSpace}) {
    for (const bool for_ever : {false, true}) {
      bool was_hit = true;
      for (uint64_t operation = 1; was_hit; ++operation) {
        Reset();
        files_->SetPlan({kind, operation, for_ever});
        std::shared_ptr<DataStore> store;
        const Progress progress = Live(&store);
        was_hit = files_->plan_was_hit();
        files_->SetPlan({});
        if (was_hit)
          ASSERT_EQ(progress.failure.code(), kind == Kind::kNoSpace ? Code::kNoSpace : Code::kIo)
              << operation;
        if (was_hit && store != nullptr) {
          ASSERT_EQ(store->Sync().code(), progress.failure.code());
          ASSERT_EQ(store->Close().code(), progress.failure.code());
          ASSERT_EQ(AppendTestRecord(store.get(), 99, 10).code(), progress.failure.code());
        }
        if (operation % 2 == 0) files_->Crash(operation);
        ExpectSurvived(progress, "kind " + std::to_string(static_cast<int>(kind)) + " operation " +
                                     std::to_string(operation));
      }
    }
  }
}

TEST_P(DataStoreCrash, ACrashAtAnyOperationOfARecoveryLeavesAStateThatRecovers) {
  for (const uint64_t seed : CrashSeeds()) {
    for (const uint64_t died_at : {8, 10, 12, 14, 15, 16}) {
      bool was_hit = true;
      for (uint64_t operation = 1; was_hit; ++operation) {
        Reset();
        files_->SetPlan({Kind::kTornDie, died_at, false});
        const Progress progress = Live();
        files_->SetPlan({});
        files_->Crash(seed + 2);
        files_->SetPlan({seed % 2 == 0 ? Kind::kDie : Kind::kTornDie, operation, false});
        (void)Recover(7 + operation);
        was_hit = files_->plan_was_hit();
        files_->SetPlan({});
        files_->Crash(seed);
        ExpectSurvived(progress, "seed " + std::to_string(seed) + " died at " + std::to_string(died_at) +
                                     " operation " + std::to_string(operation));
      }
    }
  }
}

// The process dies, the machine lives on: recovery reads from the page cache, and only then the power fails.
TEST_P(DataStoreCrash, WhatRecoveryKeptIsDurable) {
  for (uint64_t operation = 4; operation < 20; ++operation) {
    Reset();
    files_->SetPlan({Kind::kDie, operation, false});
    (void)Live();
    files_->SetPlan({});
    DataStore::ScanReport first, second;
    auto store = Recover(8, &first);
    if (!store.ok()) continue;
    files_->Crash(0);
    ASSERT_TRUE(Recover(9, &second).ok());
    ASSERT_EQ(second.records_kept, first.records_kept) << operation;
  }
}

TEST_P(DataStoreCrash, WhatAFailedSyncLeftInThePageCacheIsNotBelieved) {
  Reset();
  auto store =
      *DataStore::Create(files_.get(), kPath, TestIdentity(GetParam()), GetParam() ? &kDataKey : nullptr);
  ASSERT_TRUE(AppendTestRecord(store.get(), 0, 5000).ok());
  ASSERT_TRUE(store->Sync().ok());
  ASSERT_TRUE(AppendTestRecord(store.get(), 1, 5000).ok());
  files_->SetPlan({Kind::kIoError, 2, false});
  ASSERT_EQ(store->Sync().code(), Code::kIo);
  files_->SetPlan({});
  DataStore::ScanReport report;
  ASSERT_TRUE(Recover(8, &report).ok());
  EXPECT_EQ(report.records_kept, 1u);
  files_->Crash(0);
  EXPECT_TRUE(HoldsTestRecord(Recover(9)->get(), 0, 5000));
}

TEST_P(DataStoreCrash, AReadErrorFailsTheCallAndNothingElse) {
  Reset();
  ASSERT_TRUE(Live().is_closed);
  bool was_hit = true;
  for (uint64_t read = 1; was_hit; ++read) {
    files_->SetPlan({Kind::kReadError, read, false});
    auto store = DataStore::Open(files_.get(), kPath, TestStoreId(), TestKeys());
    if (store.ok()) {
      (*store)->DropMemory();
      (void)(*store)->Find(Fingerprint{});
    }
    auto recovered = Recover(8);
    was_hit = files_->plan_was_hit();
    files_->SetPlan({});
    ASSERT_TRUE(HoldsTestRecord(Recover(9)->get(), 3, SizeOf(3)));
  }
}

TEST_P(DataStoreCrash, CreationCutOffAtAnyOperationCanBeMadeAgainAtAnotherPath) {
  bool was_hit = true;
  for (uint64_t operation = 1; was_hit; ++operation) {
    Reset();
    files_->SetPlan({Kind::kNoSpace, operation, true});
    auto store =
        DataStore::Create(files_.get(), kPath, TestIdentity(GetParam()), GetParam() ? &kDataKey : nullptr);
    was_hit = files_->plan_was_hit();
    if (was_hit) EXPECT_FALSE(*files_->Exists(kPath));
  }
}

INSTANTIATE_TEST_SUITE_P(All, DataStoreCrash, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

}  // namespace
}  // namespace granary
