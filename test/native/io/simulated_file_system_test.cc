// What the simulated disk promises to the tests that stand on it, and whole-file replacement over its
// crashes.
#include "io/simulated_file_system.h"

#include <gtest/gtest.h>

#include <set>

namespace granary {
namespace {

using Kind = FaultPlan::Kind;

Buffer Text(const std::string& text) { return Buffer(text.begin(), text.end()); }

class SimulatedFileSystemTest : public testing::Test {
 protected:
  SimulatedFileSystemTest() { Reset(); }
  void Reset() {
    files_ = SimulatedFileSystem::Create();
    EXPECT_TRUE(files_->MakeDirectory("/d").ok());
    EXPECT_TRUE(files_->SyncDirectory("/").ok());
    files_->SetPlan({});
  }
  std::unique_ptr<File> Make(const std::string& path, const std::string& content) {
    auto file = std::move(*files_->Open(path, OpenMode::kCreate));
    EXPECT_TRUE(file->WriteAt(0, Text(content)).ok());
    return file;
  }
  // Null content: not there.
  std::string Content(const std::string& path) {
    auto content = ReadWholeFile(files_.get(), path, 1 << 20);
    return content.ok() ? std::string(content->begin(), content->end()) : "(absent)";
  }

  std::shared_ptr<SimulatedFileSystem> files_;
};

TEST_F(SimulatedFileSystemTest, ACrashOfSeedZeroLosesWhatWasNotSyncedAndOfSeedOneKeepsIt) {
  for (const uint64_t seed : {0, 1}) {
    Reset();
    auto file = Make("/d/a", "one");
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(files_->SyncDirectory("/d").ok());
    ASSERT_TRUE(file->WriteAt(0, Text("two")).ok());
    Make("/d/b", "new");
    files_->Crash(seed);
    EXPECT_EQ(Content("/d/a"), seed == 0 ? "one" : "two");
    EXPECT_EQ(Content("/d/b"), seed == 0 ? "(absent)" : "new");
  }
}

TEST_F(SimulatedFileSystemTest, ASyncedFileVanishesWhenItsDirectoryWasNotSynced) {
  ASSERT_TRUE(Make("/d/a", "one")->Sync().ok());
  files_->Crash(0);
  EXPECT_EQ(Content("/d/a"), "(absent)");
}

TEST_F(SimulatedFileSystemTest, ADirectoryThatWasNotSyncedTakesWhatIsInItAlong) {
  ASSERT_TRUE(files_->MakeDirectory("/d/e").ok());
  ASSERT_TRUE(Make("/d/e/a", "one")->Sync().ok());
  ASSERT_TRUE(files_->SyncDirectory("/d/e").ok());
  files_->Crash(0);
  EXPECT_FALSE(*files_->Exists("/d/e"));
}

TEST_F(SimulatedFileSystemTest, ARenameIsDurableWithItsDirectoryAndItsOldNameDoesNotComeBack) {
  ASSERT_TRUE(files_->MakeDirectory("/e").ok());
  ASSERT_TRUE(files_->SyncDirectory("/").ok());
  ASSERT_TRUE(Make("/d/a", "one")->Sync().ok());
  ASSERT_TRUE(files_->Rename("/d/a", "/e/b").ok());
  ASSERT_TRUE(files_->SyncDirectory("/e").ok());
  files_->Crash(1);
  EXPECT_EQ(Content("/d/a"), "(absent)");
  EXPECT_EQ(Content("/e/b"), "one");
}

TEST_F(SimulatedFileSystemTest, TheSeedDecidesAndOneSeedAlwaysAlike) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::string outcome[2];
    for (std::string& each : outcome) {
      Reset();
      auto file = Make("/d/a", std::string(2000, 'o'));
      ASSERT_TRUE(file->Sync().ok());
      ASSERT_TRUE(files_->SyncDirectory("/d").ok());
      ASSERT_TRUE(file->WriteAt(0, Text(std::string(2000, 'n'))).ok());
      Make("/d/b", "b");
      files_->Crash(seed);
      each = Content("/d/a") + Content("/d/b");
    }
    EXPECT_EQ(outcome[0], outcome[1]);
    outcomes.insert(outcome[0]);
  }
  EXPECT_GT(outcomes.size(), 20u);  // old, new, torn at sectors, torn at any byte; with and without b
}

TEST_F(SimulatedFileSystemTest, AllocatedSpaceReadsAsZerosAndItsSizeIsLostWithoutASync) {
  auto file = Make("/d/a", "one");
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(files_->SyncDirectory("/d").ok());
  ASSERT_TRUE(file->Allocate(8192).ok());
  EXPECT_EQ(Content("/d/a").size(), 8192u);
  files_->Crash(0);
  EXPECT_EQ(Content("/d/a"), "one");
}

TEST_F(SimulatedFileSystemTest, AFailedSyncPoisonsTheFileAndNoLaterSyncBringsItsBytesBack) {
  auto file = Make("/d/a", "one");
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(files_->SyncDirectory("/d").ok());
  ASSERT_TRUE(file->WriteAt(0, Text("two")).ok());
  files_->SetPlan({Kind::kIoError, 1, false});
  EXPECT_EQ(file->Sync().code(), Code::kIo);
  EXPECT_EQ(file->Sync().code(), Code::kIo);
  EXPECT_EQ(file->WriteAt(0, Text("x")).code(), Code::kIo);
  auto again = std::move(*files_->Open("/d/a", OpenMode::kWrite));
  EXPECT_TRUE(again->Sync().ok());  // as the kernel says, wrongly
  EXPECT_EQ(Content("/d/a"), "two");
  again->DropCache();
  EXPECT_EQ(Content("/d/a"), "one");
}

TEST_F(SimulatedFileSystemTest, ADeadDiskDoesNothingUntilThePlanIsSetAnew) {
  auto file = Make("/d/a", "one");
  files_->SetPlan({Kind::kDie, 2, false});
  EXPECT_TRUE(file->WriteAt(3, Text("+")).ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->WriteAt(0, Text("x")).ok());
  Buffer out(1);
  EXPECT_FALSE(file->ReadAt(0, out).ok());
  EXPECT_FALSE(files_->List("/d").ok());
  EXPECT_TRUE(files_->plan_was_hit());
  files_->SetPlan({});
  EXPECT_EQ(Content("/d/a"), "one+");
}

TEST_F(SimulatedFileSystemTest, AShortWriteLeavesHalfAndAnErrorHitsOnceOrForEver) {
  auto file = Make("/d/a", "");
  files_->SetPlan({Kind::kShortWrite, 1, false});
  EXPECT_EQ(file->WriteAt(0, Text("12345678")).code(), Code::kIo);
  EXPECT_EQ(Content("/d/a"), "1234");
  EXPECT_TRUE(file->WriteAt(0, Text("ab")).ok());
  files_->SetPlan({Kind::kIoError, 2, true});
  EXPECT_TRUE(file->WriteAt(0, Text("c")).ok());
  EXPECT_FALSE(file->WriteAt(0, Text("d")).ok());
  EXPECT_FALSE(file->WriteAt(0, Text("d")).ok());
}

TEST_F(SimulatedFileSystemTest, CapacityBoundsWhatFilesTakeAndDeletionGivesItBack) {
  files_->SetCapacity(10);
  auto file = Make("/d/a", "12345678");
  EXPECT_EQ(file->WriteAt(8, Text("abc")).code(), Code::kNoSpace);
  EXPECT_EQ(file->Allocate(11).code(), Code::kNoSpace);
  EXPECT_TRUE(file->WriteAt(0, Text("87654321")).ok());
  EXPECT_EQ(*files_->FreeSpace("/d"), 2u);
  ASSERT_TRUE(files_->Unlink("/d/a").ok());
  EXPECT_EQ(*files_->FreeSpace("/d"), 10u);
}

TEST_F(SimulatedFileSystemTest, ACrashReleasesLocksAndEndsOpenFiles) {
  auto lock = files_->Lock("/d/lock");
  ASSERT_TRUE(files_->SyncDirectory("/d").ok());
  auto file = Make("/d/a", "one");
  files_->Crash(1);
  EXPECT_FALSE(file->WriteAt(0, Text("x")).ok());
  auto second = files_->Lock("/d/lock");
  EXPECT_TRUE(second.ok());
  lock->reset();  // of the time before: releases nothing
  EXPECT_EQ(files_->Lock("/d/lock").status().code(), Code::kBusy);
}

TEST_F(SimulatedFileSystemTest, DamageChangesWhatIsReadNowAndAfterACrash) {
  ASSERT_TRUE(Make("/d/a", "one")->Sync().ok());
  ASSERT_TRUE(files_->SyncDirectory("/d").ok());
  EXPECT_EQ(files_->Damage("/d/b", 0, Text("x")).code(), Code::kNotFound);
  EXPECT_EQ(files_->Damage("/d/a", 3, Text("x")).code(), Code::kInvalid);
  ASSERT_TRUE(files_->Damage("/d/a", 1, Text("x")).ok());
  EXPECT_EQ(Content("/d/a"), "oxe");
  files_->Crash(0);
  EXPECT_EQ(Content("/d/a"), "oxe");
}

TEST_F(SimulatedFileSystemTest, AFailureOrCrashAtAnyOperationOfAReplacementLeavesTheOldOrTheNewContentWhole) {
  const std::string before(1500, 'o'), after(2500, 'n');
  for (const Kind kind : {Kind::kDie, Kind::kTornDie, Kind::kIoError, Kind::kNoSpace, Kind::kShortWrite}) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      bool was_hit = true;
      for (uint64_t operation = 1; was_hit; ++operation) {
        Reset();
        ASSERT_TRUE(ReplaceFile(files_.get(), "/d/a", Text(before)).ok());
        files_->SetPlan({kind, operation, seed % 2 == 1});
        const Status status = ReplaceFile(files_.get(), "/d/a", Text(after));
        was_hit = files_->plan_was_hit();
        files_->SetPlan({});
        files_->Crash(seed);
        const std::string content = Content("/d/a");
        ASSERT_TRUE(content == after || (!status.ok() && content == before)) << operation << " seed " << seed;
        ASSERT_TRUE(ReplaceFile(files_.get(), "/d/a", Text(after)).ok());
        ASSERT_EQ(*files_->List("/d"), std::vector<std::string>{"a"});
      }
    }
  }
}

}  // namespace
}  // namespace granary
