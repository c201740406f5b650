// Crash, I/O error and full disk at every mutating operation of cleanings, with unsynced data dropped, kept
// and torn. The oracle is the ledger of what was acknowledged; and two runs behind the recovery the space is
// back.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

struct Workload {
  const char* name;
  // Runs until it ends or an operation fails.
  Status (*run)(CleanedGroup& group);
};

Status PutFiles(CleanedGroup& group, int from, int count) {
  for (int file = from; file < from + count; ++file) {
    RETURN_IF_ERROR(group.Put("f" + std::to_string(file), MakeBytes(40000 + file * 100, 1000 + file)));
  }
  return Status::Ok();
}

Status DeleteFiles(CleanedGroup& group, int from, int count) {
  for (int file = from; file < from + count; ++file)
    RETURN_IF_ERROR(group.Delete("f" + std::to_string(file)));
  return Status::Ok();
}

// Every workload begins with six files in a closed data store, of which three are deleted.
const Workload kWorkloads[] = {
    {"two runs",
     [](CleanedGroup& group) {
       RETURN_IF_ERROR(group.RunCycle());
       return group.RunCycle();
     }},
    {"an upload of what was condemned between the runs",
     [](CleanedGroup& group) {
       RETURN_IF_ERROR(group.RunCycle());
       RETURN_IF_ERROR(group.Put("again", MakeBytes(40000, 1000)));
       return group.RunCycle();
     }},
    {"deletions and a restart between the runs",
     [](CleanedGroup& group) {
       RETURN_IF_ERROR(group.RunCycle());
       RETURN_IF_ERROR(DeleteFiles(group, 3, 2));
       RETURN_IF_ERROR(group.Detach());
       RETURN_IF_ERROR(group.Recover());
       RETURN_IF_ERROR(group.RunCycle());
       return group.RunCycle();
     }},
    {"back from the trash",
     [](CleanedGroup& group) {
       RETURN_IF_ERROR(group.RunCycle());
       ASSIGN_OR_RETURN(const CleanedGroup::States states, group.ReadStates());
       for (const auto& [id, bits] : states.condemned) {
         RETURN_IF_ERROR(group.Empty(id));
         RETURN_IF_ERROR(group.engine().stores().UntrashStore(id));
         RETURN_IF_ERROR(group.LogState(CleanedGroup::kReclaimType, id, {}));
         RETURN_IF_ERROR(group.engine().stores().RevealChunks(id, HiddenReason::kDead));
         RETURN_IF_ERROR(group.Put("again", MakeBytes(40000, 1000)));  // dedup against what came back
       }
       return group.RunCycle();
     }},
};

// GRANARY_CRASH_STEP=1 tries every operation; the default takes one in eleven, with another start for each
// workload.
uint64_t Step() {
  const char* text = std::getenv("GRANARY_CRASH_STEP");
  return text == nullptr ? 11 : std::strtoull(text, nullptr, 10);
}

void Prepare(CleanedGroup* group) {
  ASSERT_TRUE(group->Start().ok());
  ASSERT_TRUE(PutFiles(*group, 0, 6).ok());
  ASSERT_TRUE(group->Restart().ok());
  ASSERT_TRUE(DeleteFiles(*group, 0, 3).ok());
}

uint64_t CountOperations(const Workload& workload) {
  CleanedGroup group;
  Prepare(&group);
  group.disk().SetPlan({});
  const Status status = workload.run(group);
  EXPECT_TRUE(status.ok()) << workload.name << ": " << status.message();
  return group.disk().operation_count();
}

void ExpectRecovers(CleanedGroup* group, const std::string& where) {
  Status status = group->Recover();
  ASSERT_TRUE(status.ok()) << where << ": " << status.message();
  group->ExpectLedgerHolds(where);
  ASSERT_TRUE(group->Detach().ok()) << where;
  // A second recovery changes nothing.
  status = group->Recover();
  ASSERT_TRUE(status.ok()) << where << ": " << status.message();
  for (const auto& damage : group->report().stores.damaged) ADD_FAILURE() << where << ": " << damage.reason;
  EXPECT_EQ(group->report().stores.recovered_count, 0u) << where;
  group->ExpectLedgerHolds(where + ", again");
  ASSERT_TRUE(group->Put("after", MakeBytes(30000, 4711)).ok()) << where;
  ASSERT_TRUE(group->Detach().ok()) << where;  // closes what that has appended
  ASSERT_TRUE(group->Recover().ok()) << where;
  for (int run = 0; run < 3; ++run) {
    status = group->RunCycle();
    ASSERT_TRUE(status.ok()) << where << ", run " << run << ": " << status.message();
    group->ExpectLedgerHolds(where + ", cleaned");
  }
  EXPECT_EQ(group->engine().Counters().trash_reads, 0u) << where;
  EXPECT_EQ(group->engine().Counters().trash_bytes, 0u) << where;
  // Three to four files of 40 000 bytes, "again", and "after"; what the last run has copied may be there
  // twice.
  EXPECT_LT(group->engine().Counters().stored.plain_bytes, 260000u) << where << ": the space is not back";
}

class CleanerCrashTest : public ::testing::TestWithParam<int> {
 protected:
  const Workload& workload() const { return kWorkloads[GetParam()]; }
};
INSTANTIATE_TEST_SUITE_P(Workloads, CleanerCrashTest,
                         ::testing::Range(0, static_cast<int>(std::size(kWorkloads))));

TEST_P(CleanerCrashTest, ACrashAtAnyOperationLosesNothingAcknowledged) {
  const uint64_t count = CountOperations(workload());
  ASSERT_GT(count, 30u);
  uint64_t states = 0;
  for (uint64_t operation = 1 + GetParam() % Step(); operation <= count; operation += Step()) {
    for (FaultPlan::Kind kind : {FaultPlan::Kind::kDie, FaultPlan::Kind::kTornDie}) {
      for (uint64_t seed : {0, 1, 17}) {
        CleanedGroup group;
        Prepare(&group);
        group.disk().SetPlan({kind, operation, true});
        (void)workload().run(group);
        group.Crash(seed == 17 ? operation * 31 + 17 : seed);
        ExpectRecovers(&group, std::string(workload().name) + ", operation " + std::to_string(operation) +
                                   ", kind " + std::to_string(static_cast<int>(kind)) + ", seed " +
                                   std::to_string(seed));
        if (HasFailure()) return;
        ++states;
      }
    }
  }
  RecordProperty("crash_states", std::to_string(states));
}

TEST_P(CleanerCrashTest, ACrashDuringRecoveryLosesNothingEither) {
  const uint64_t count = CountOperations(workload());
  for (uint64_t nested = 1; nested <= 60; nested += Step()) {
    CleanedGroup group;
    Prepare(&group);
    group.disk().SetPlan({FaultPlan::Kind::kDie, 1 + (count * nested / 61), true});
    (void)workload().run(group);
    group.Crash(nested * 7 + 3);
    for (int round = 0; round < 3; ++round) {
      group.disk().SetPlan({FaultPlan::Kind::kTornDie, nested + round, true});
      if (group.Recover().ok()) (void)group.Detach();
      group.Crash(nested * 11 + round);
    }
    ExpectRecovers(&group, std::string(workload().name) + ", nested crash at " + std::to_string(nested));
    if (HasFailure()) return;
  }
}

TEST_P(CleanerCrashTest, AnErrorAtAnyOperationLosesNothingAcknowledged) {
  const uint64_t count = CountOperations(workload());
  for (FaultPlan::Kind kind :
       {FaultPlan::Kind::kIoError, FaultPlan::Kind::kNoSpace, FaultPlan::Kind::kShortWrite}) {
    for (bool for_ever : {false, true}) {
      for (uint64_t operation = 1 + GetParam() % Step(); operation <= count; operation += Step()) {
        CleanedGroup group;
        Prepare(&group);
        group.disk().SetPlan({kind, operation, for_ever});
        (void)workload().run(group);
        group.Crash(operation);
        ExpectRecovers(&group, std::string(workload().name) + ", error " +
                                   std::to_string(static_cast<int>(kind)) +
                                   (for_ever ? " for ever" : " once") + " at " + std::to_string(operation));
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace granary
