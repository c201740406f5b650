// Crash, I/O error and full disk at every mutating operation of canonical workloads, with unsynced data
// dropped, kept and torn. The oracle is the ledger of what was acknowledged.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/group_harness.h"

namespace granary {
namespace {

struct Workload {
  const char* name;
  // Runs until it ends or an operation fails.
  void (*run)(Group& group);
};

void PutFiles(Group& group, int from, int count, size_t size) {
  for (int file = from; file < from + count; ++file) {
    if (!group.Put("f" + std::to_string(file % 5), MakeBytes(size + file * 100, 1000 + file)).ok()) return;
  }
}

const Workload kWorkloads[] = {
    {"small files", [](Group& group) { PutFiles(group, 0, 6, 700); }},
    {"one file over several regions", [](Group& group) { PutFiles(group, 0, 1, 900000); }},
    {"a data store fills and closes", [](Group& group) { PutFiles(group, 0, 4, 600000); }},
    {"overwrites", [](Group& group) { PutFiles(group, 0, 10, 20000); }},
    {"restart between puts",
     [](Group& group) {
       PutFiles(group, 0, 2, 50000);
       if (!group.Detach().ok() || !group.Attach().ok()) return;
       PutFiles(group, 2, 2, 50000);
     }},
};

// GRANARY_CRASH_STEP=1 tries every operation; the default takes one in seven, with another start for each
// workload.
uint64_t Step() {
  const char* text = std::getenv("GRANARY_CRASH_STEP");
  return text == nullptr ? 11 : std::strtoull(text, nullptr, 10);
}

uint64_t CountOperations(const Workload& workload) {
  Group group;
  EXPECT_TRUE(group.Format().ok());
  EXPECT_TRUE(group.Attach().ok());
  group.disk().SetPlan({});
  workload.run(group);
  return group.disk().operation_count();
}

// Formats, attaches, runs the workload under the plan, and hands over a group whose engine may or may not be
// there.
void RunUnder(const Workload& workload, const FaultPlan& plan, Group* group) {
  ASSERT_TRUE(group->Format().ok());
  ASSERT_TRUE(group->Attach().ok());
  group->disk().SetPlan(plan);
  workload.run(*group);
}

void ExpectRecovers(Group* group, const std::string& where) {
  ASSERT_TRUE(group->Attach().ok()) << where;
  group->ExpectLedgerHolds(where);
  const uint64_t last = group->report().last_sequence;
  ASSERT_TRUE(group->Detach().ok()) << where;
  // A second recovery changes nothing.
  ASSERT_TRUE(group->Attach().ok()) << where;
  EXPECT_EQ(group->report().last_sequence, last) << where;
  for (const auto& damage : group->report().stores.damaged) ADD_FAILURE() << where << ": " << damage.reason;
  EXPECT_EQ(group->report().stores.recovered_count, 0u) << where;
  group->ExpectLedgerHolds(where + ", again");
  ASSERT_TRUE(group->Put("after", MakeBytes(30000, 4711)).ok()) << where;
  group->ExpectLedgerHolds(where + ", going on");
}

class CrashTest : public ::testing::TestWithParam<int> {
 protected:
  const Workload& workload() const { return kWorkloads[GetParam()]; }
};
INSTANTIATE_TEST_SUITE_P(Workloads, CrashTest, ::testing::Range(0, static_cast<int>(std::size(kWorkloads))));

TEST_P(CrashTest, ACrashAtAnyOperationLosesNothingAcknowledged) {
  const uint64_t count = CountOperations(workload());
  ASSERT_GT(count, 10u);
  uint64_t states = 0;
  for (uint64_t operation = 1 + GetParam() % Step(); operation <= count; operation += Step()) {
    for (FaultPlan::Kind kind : {FaultPlan::Kind::kDie, FaultPlan::Kind::kTornDie}) {
      for (uint64_t seed : {0, 1, 17}) {
        Group group;
        RunUnder(workload(), {kind, operation, true}, &group);
        group.Crash(seed == 17 ? operation * 31 + 17 : seed);
        ExpectRecovers(&group, std::string(workload().name) + ", operation " + std::to_string(operation) +
                                   ", kind " + std::to_string(static_cast<int>(kind)) + ", seed " +
                                   std::to_string(seed));
        if (HasFatalFailure()) return;
        ++states;
      }
    }
  }
  RecordProperty("crash_states", std::to_string(states));
}

TEST_P(CrashTest, ACrashDuringRecoveryLosesNothingEither) {
  const uint64_t count = CountOperations(workload());
  for (uint64_t nested = 1; nested <= 60; nested += Step()) {
    Group group;
    RunUnder(workload(), {FaultPlan::Kind::kDie, count * 2 / 3 + 1, true}, &group);
    group.Crash(nested * 7 + 3);
    for (int round = 0; round < 3; ++round) {
      group.disk().SetPlan({FaultPlan::Kind::kTornDie, nested + round, true});
      const Status status = group.Attach();
      if (status.ok()) (void)group.Detach();
      group.Crash(nested * 11 + round);
    }
    ExpectRecovers(&group, std::string(workload().name) + ", nested crash at " + std::to_string(nested));
    if (HasFatalFailure()) return;
  }
}

TEST_P(CrashTest, AnErrorAtAnyOperationLosesNothingAcknowledged) {
  const uint64_t count = CountOperations(workload());
  for (FaultPlan::Kind kind :
       {FaultPlan::Kind::kIoError, FaultPlan::Kind::kNoSpace, FaultPlan::Kind::kShortWrite}) {
    for (bool for_ever : {false, true}) {
      for (uint64_t operation = 1 + GetParam() % Step(); operation <= count; operation += Step()) {
        Group group;
        RunUnder(workload(), {kind, operation, for_ever}, &group);
        group.Crash(operation);
        ExpectRecovers(&group, std::string(workload().name) + ", error " +
                                   std::to_string(static_cast<int>(kind)) +
                                   (for_ever ? " for ever" : " once") + " at " + std::to_string(operation));
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace granary
