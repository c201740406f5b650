// Crashes and failures at every operation of the commit log's life: what Append answered for is there
// afterwards, in order; what it did not answer for is a prefix of the batch or absent; recovery twice changes
// nothing.
#include "datastore/log_fixture.h"

namespace granary {
namespace {

using Kind = FaultPlan::Kind;
constexpr uint64_t kTarget = 1500;  // rotates every few batches

class CommitLogCrash : public LogFixture, public testing::WithParamInterface<bool> {
 protected:
  CommitLogCrash() : LogFixture(GetParam()) {}

  void Reset() {
    files_ = SimulatedFileSystem::Create();
    MakeDirectories();
    AppendBatches(Open(1, 0, kTarget).get(), {1, 3});
    files_->SetPlan({});
  }
  // Appends batches until a failure; returns the last sequence that was answered for.
  uint64_t Live(uint64_t incarnation, uint64_t durable, uint64_t* attempted) {
    auto log = TryOpen(incarnation, 0, kTarget);
    if (!log.ok()) return durable;
    for (const int count : {2, 1, 4, 1, 3, 2}) {
      *attempted = (*log)->last_sequence() + static_cast<uint64_t>(count);
      if (!AppendBatch(log->get(), count).ok()) break;
      durable = (*log)->last_sequence();
    }
    return durable;
  }
  // Reads the whole log; returns its last sequence.
  uint64_t ExpectSurvived(uint64_t durable, uint64_t attempted, uint64_t incarnation,
                          const std::string& where) {
    SCOPED_TRACE(where);
    auto log = TryOpen(incarnation, 0, kTarget);
    EXPECT_TRUE(log.ok()) << log.status().message();
    if (!log.ok()) return 0;
    const uint64_t last = (*log)->last_sequence();
    EXPECT_GE(last, durable);
    EXPECT_LE(last, attempted);
    ExpectHolds(log->get(), 1, last);
    std::vector<Buffer> contents;
    const auto collect = [&] {
      contents.clear();
      for (int copy = 0; copy < 2; ++copy) {
        for (const std::string& name : Segments(copy)) {
          contents.push_back(
              *ReadWholeFile(files_.get(), (copy == 0 ? "/g/log/a/" : "/g/log/b/") + name, 1 << 30));
        }
      }
      return contents;
    };
    const std::vector<Buffer> before = collect();
    EXPECT_EQ(Segments(0), Segments(1));
    EXPECT_TRUE(TryOpen(incarnation + 1, 0, kTarget).ok());
    EXPECT_EQ(collect(), before);
    return last;
  }

  // `power_cut`: else the process alone dies.
  void EveryOperation(Kind kind, uint64_t seed, bool for_ever, bool power_cut) {
    bool was_hit = true;
    for (uint64_t operation = 1; was_hit; ++operation) {
      Reset();
      files_->SetPlan({kind, operation, for_ever});
      uint64_t attempted = 4;
      const uint64_t durable = Live(2, 4, &attempted);
      was_hit = files_->plan_was_hit();
      files_->SetPlan({});
      if (power_cut) files_->Crash(seed);
      const std::string where = "kind " + std::to_string(static_cast<int>(kind)) + " seed " +
                                std::to_string(seed) + " operation " + std::to_string(operation);
      const uint64_t last = ExpectSurvived(durable, attempted, 3, where);
      // What recovery gave once it gives for ever, and the log goes on behind it.
      AppendBatches(Open(5, 0, kTarget).get(), {2});
      files_->Crash(0);
      ASSERT_EQ(ExpectSurvived(last + 2, last + 2, 6, where + ", second power cut"), last + 2);
      if (HasFailure()) return;
    }
  }
};

TEST_P(CommitLogCrash, APowerCutAtAnyOperationLosesNothingThatWasAnsweredFor) {
  for (const uint64_t seed : CrashSeeds()) {
    EveryOperation(Kind::kDie, seed, false, true);
    EveryOperation(Kind::kTornDie, seed, false, true);
  }
}

TEST_P(CommitLogCrash, AProcessThatDiesAtAnyOperationLosesNothingThatWasAnsweredFor) {
  EveryOperation(Kind::kDie, 0, false, false);
  EveryOperation(Kind::kTornDie, 0, false, false);
}

TEST_P(CommitLogCrash, AnErrorAtAnyOperationLosesNothingThatWasAnsweredFor) {
  for (const Kind kind : {Kind::kIoError, Kind::kShortWrite, Kind::kNoSpace}) {
    for (const bool for_ever : {false, true}) {
      EveryOperation(kind, 0, for_ever, false);
      EveryOperation(kind, 5, for_ever, true);
    }
  }
}

TEST_P(CommitLogCrash, ACrashAtAnyOperationOfARecoveryLeavesAStateThatRecovers) {
  for (const uint64_t seed : CrashSeeds()) {
    bool was_hit = true;
    for (uint64_t operation = 1; was_hit; ++operation) {
      Reset();
      files_->SetPlan({Kind::kTornDie, 12 + 5 * seed % 40, false});
      uint64_t attempted = 4;
      const uint64_t durable = Live(2, 4, &attempted);
      files_->SetPlan({});
      files_->Crash(seed + 2);
      Flip(static_cast<int>(seed % 2), 1, kLogSegmentHeaderSize + 70);  // a copy to repair, too
      files_->SetPlan({seed % 2 == 0 ? Kind::kDie : Kind::kTornDie, operation, false});
      (void)TryOpen(3, 0, kTarget);
      was_hit = files_->plan_was_hit();
      files_->SetPlan({});
      files_->Crash(seed);
      ExpectSurvived(durable, attempted, 4,
                     "seed " + std::to_string(seed) + " operation " + std::to_string(operation));
      if (HasFailure()) return;
    }
  }
}

TEST_P(CommitLogCrash, ARepairedCopyIsDurableBeforeTheOtherIsTouched) {
  for (const uint64_t seed : CrashSeeds()) {
    bool was_hit = true;
    for (uint64_t operation = 1; was_hit; ++operation) {
      Reset();
      const auto offsets = RecordOffsets(1);
      Flip(0, 1, offsets[1] + 70);
      Flip(1, 1, offsets[2] + 70);
      files_->SetPlan({Kind::kDie, operation, false});
      (void)TryOpen(2, 0, kTarget);
      was_hit = files_->plan_was_hit();
      files_->SetPlan({});
      files_->Crash(seed);
      ASSERT_EQ(ExpectSurvived(4, 4, 3, "operation " + std::to_string(operation)), 4u);
    }
  }
}

TEST_P(CommitLogCrash, AFailedAppendIsFinalForTheLog) {
  Reset();
  auto log = Open(2);
  AppendBatches(log.get(), {1});
  files_->SetPlan({Kind::kIoError, 1, false});
  EXPECT_EQ(AppendBatch(log.get(), 1).code(), Code::kIo);
  files_->SetPlan({});
  EXPECT_EQ(AppendBatch(log.get(), 1).code(), Code::kIo);
  ExpectHolds(log.get(), 1, 5);
}

TEST_P(CommitLogCrash, AFullDiskBreaksNothingAndTheLogGoesOnWhenThereIsSpace) {
  Reset();
  auto log = Open(2, 0, kTarget);
  files_->SetCapacity(1000);
  EXPECT_EQ(AppendBatch(log.get(), 1).code(), Code::kNoSpace);
  files_->SetCapacity(uint64_t{1} << 40);
  AppendBatches(log.get(), {1, 2});
  ExpectHolds(log.get(), 1, 7);
  ExpectHolds(Open(3).get(), 1, 7);
}

TEST_P(CommitLogCrash, ACrashWhileSegmentsAreDroppedLosesNoneBehindTheBound) {
  for (const uint64_t seed : CrashSeeds()) {
    bool was_hit = true;
    for (uint64_t operation = 1; was_hit; ++operation) {
      Reset();
      auto log = Open(2, 0, kTarget);
      AppendBatches(log.get(), std::vector<int>(20, 2));
      files_->SetPlan({Kind::kDie, operation, false});
      (void)log->DropBefore(30);
      was_hit = files_->plan_was_hit();
      files_->SetPlan({});
      files_->Crash(seed);
      log = Open(3, 30, kTarget);
      ExpectHolds(log.get(), 30, 44);
      ASSERT_TRUE(log->DropBefore(30).ok());
      EXPECT_EQ(Segments(0), Segments(1));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CommitLogCrash, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

}  // namespace
}  // namespace granary
