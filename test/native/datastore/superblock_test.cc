// The superblock: four copies, quorum of two, never less than the old or the new whole.
#include "datastore/superblock.h"

#include "datastore/store_fixture.h"
#include "datastore/superblock_format.h"

namespace granary {
namespace {

class SuperblockTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(files_->MakeDirectory("/g").ok());
    ASSERT_TRUE(files_->SyncDirectory("/").ok());
  }
  static Superblock First() {
    Superblock superblock;
    superblock.store_id = TestStoreId();
    superblock.generation = 1;
    superblock.incarnation = 1;
    superblock.is_encrypted = true;
    superblock.realm_id.fill(9);
    return superblock;
  }
  Result<Superblock> Read(SuperblockReport* report = nullptr) {
    return ReadSuperblock(files_.get(), "/g", report);
  }
  // First(), then writes that set epoch to the generation.
  void Make(uint64_t generations) {
    Superblock superblock = First();
    ASSERT_TRUE(CreateSuperblock(files_.get(), "/g", superblock).ok());
    while (superblock.generation < generations) Write(&superblock);
  }
  void Write(Superblock* superblock) {
    superblock->epoch = superblock->generation + 1;
    ASSERT_TRUE(WriteSuperblock(files_.get(), "/g", superblock).ok());
  }
  static std::string PathOf(int slot) { return "/g/superblock." + std::to_string(slot); }
  void Put(int slot, const Superblock& superblock) {
    Buffer block(kSuperblockSize);
    EncodeSuperblock(superblock, block);
    ASSERT_TRUE(ReplaceFile(files_.get(), PathOf(slot), block).ok());
  }
  void Damage(int slot) {
    const uint8_t bytes[] = {0xff, 0xff};
    ASSERT_TRUE(files_->Damage(PathOf(slot), 33, bytes).ok());
  }

  std::shared_ptr<SimulatedFileSystem> files_ = SimulatedFileSystem::Create();
};

TEST_F(SuperblockTest, EveryFieldReadsBack) {
  Superblock superblock = First();
  superblock.checkpoint_sequence = 0x0102030405060708;
  superblock.chunk_size_average = 65536;
  ASSERT_TRUE(CreateSuperblock(files_.get(), "/g", superblock).ok());
  superblock.epoch = 77;
  ASSERT_TRUE(WriteSuperblock(files_.get(), "/g", &superblock).ok());
  EXPECT_EQ(superblock.generation, 2u);
  SuperblockReport report;
  const Superblock read = *Read(&report);
  EXPECT_EQ(report.valid_count, 4);
  EXPECT_EQ(report.stale_count, 0);
  EXPECT_EQ(read.store_id, superblock.store_id);
  EXPECT_EQ(read.generation, 2u);
  EXPECT_EQ(read.incarnation, 1u);
  EXPECT_EQ(read.epoch, 77u);
  EXPECT_EQ(read.checkpoint_sequence, superblock.checkpoint_sequence);
  EXPECT_EQ(read.chunk_size_average, 65536u);
  EXPECT_TRUE(read.is_encrypted);
  EXPECT_EQ(read.realm_id, superblock.realm_id);
}

TEST_F(SuperblockTest, AnEmptyOrMissingDirectoryIsNotFoundAndStaysEmpty) {
  EXPECT_EQ(Read().status().code(), Code::kNotFound);
  EXPECT_EQ(ReadSuperblock(files_.get(), "/missing", nullptr).status().code(), Code::kNotFound);
  Superblock superblock = First();
  EXPECT_EQ(WriteSuperblock(files_.get(), "/g", &superblock).code(), Code::kNotFound);
  EXPECT_TRUE(files_->List("/g")->empty());
}

TEST_F(SuperblockTest, CreateRefusesADirectoryWithAnyCopy) {
  Put(2, First());
  EXPECT_EQ(CreateSuperblock(files_.get(), "/g", First()).code(), Code::kExists);
}

TEST_F(SuperblockTest, TwoOfFourCopiesAreEnoughAndOneIsNot) {
  for (int first = 0; first < 4; ++first) {
    for (int second = first + 1; second < 4; ++second) {
      files_ = SimulatedFileSystem::Create();
      SetUp();
      Make(3);
      Damage(first);
      Damage(second);
      ASSERT_EQ(Read()->generation, 3u);
      Damage((first + 1) % 4 == second ? (second + 1) % 4 : (first + 1) % 4);
      EXPECT_EQ(Read().status().code(), Code::kCorrupt);
    }
  }
}

TEST_F(SuperblockTest, ASingleNewerCopyDoesNotOutweighTheQuorum) {
  Make(3);
  Superblock newer = First();
  newer.generation = 9;
  Put(1, newer);
  SuperblockReport report;
  EXPECT_EQ(Read(&report)->generation, 3u);
  Put(2, newer);
  EXPECT_EQ(Read(&report)->generation, 9u);
  EXPECT_EQ(report.stale_count, 2);
}

TEST_F(SuperblockTest, TwoCopiesOfOneGenerationThatDifferAreNoQuorum) {
  Superblock one = First(), other = First();
  other.epoch = 5;
  Put(0, one);
  Put(1, other);
  EXPECT_EQ(Read().status().code(), Code::kCorrupt);
}

TEST_F(SuperblockTest, AWriteRepairsDamagedAndMissingCopies) {
  Make(3);
  Damage(0);
  ASSERT_TRUE(files_->Unlink(PathOf(3)).ok());
  Superblock superblock = *Read();
  ASSERT_TRUE(WriteSuperblock(files_.get(), "/g", &superblock).ok());
  SuperblockReport report;
  EXPECT_EQ(Read(&report)->generation, 4u);
  EXPECT_EQ(report.valid_count, 4);
}

TEST_F(SuperblockTest, AFlipOfAnyByteOfACopyIsDetected) {
  Make(1);
  Buffer block = *ReadWholeFile(files_.get(), PathOf(0), kSuperblockSize);
  Superblock superblock;
  for (size_t index = 0; index < block.size(); ++index) {
    block[index] ^= 0x40;
    EXPECT_FALSE(DecodeSuperblock(block, &superblock).ok()) << index;
    block[index] ^= 0x40;
  }
  for (size_t size = 0; size < block.size(); ++size) {
    EXPECT_FALSE(DecodeSuperblock(ConstBytes(block).first(size), &superblock).ok());
  }
  EXPECT_TRUE(DecodeSuperblock(block, &superblock).ok());
}

TEST_F(SuperblockTest, ANewerFormatHeldByTwoCopiesIsUnsupportedAndLeftAlone) {
  Make(1);
  Superblock newer = First();
  newer.format_version = 2;
  Put(0, newer);
  EXPECT_TRUE(Read().ok());  // one copy: an upgrade that never completed
  Put(1, newer);
  EXPECT_EQ(Read().status().code(), Code::kUnsupported);
  Superblock superblock = First();
  EXPECT_EQ(WriteSuperblock(files_.get(), "/g", &superblock).code(), Code::kUnsupported);
}

// At each operation of a write, from each state of the copies: what is read afterwards is the old or the new,
// whole; and once the write has answered, the new.
TEST_F(SuperblockTest, ACrashAtAnyOperationLeavesTheOldOrTheNewGeneration) {
  using Kind = FaultPlan::Kind;
  for (const Kind kind : {Kind::kDie, Kind::kTornDie, Kind::kIoError, Kind::kShortWrite, Kind::kNoSpace}) {
    for (uint64_t seed = 0; seed < 12; ++seed) {
      bool was_hit = true;
      for (uint64_t operation = 1; was_hit; ++operation) {
        files_ = SimulatedFileSystem::Create();
        SetUp();
        Make(2);
        if (seed % 3 == 1) Damage(static_cast<int>(seed % 4));
        if (seed % 3 == 2) Damage(static_cast<int>((seed + 1) % 4)), Damage(static_cast<int>(seed % 4));
        Superblock superblock = *Read();
        superblock.epoch = 3;
        files_->SetPlan({kind, operation, seed % 2 == 1});
        const Status written = WriteSuperblock(files_.get(), "/g", &superblock);
        was_hit = files_->plan_was_hit();
        files_->SetPlan({});
        files_->Crash(seed);
        const auto read = Read();
        ASSERT_TRUE(read.ok()) << "kind " << static_cast<int>(kind) << " seed " << seed << " operation "
                               << operation;
        ASSERT_EQ(read.value().epoch, read.value().generation);
        if (written.ok()) ASSERT_EQ(read.value().generation, 3u);
        superblock = read.value();
        Write(&superblock);  // and it goes on from there
        ASSERT_EQ(Read()->generation, superblock.generation);
      }
    }
  }
}

// The process dies without a power cut, the next one writes on, and then the power fails.
TEST_F(SuperblockTest, WhatADeadProcessLeftUnsyncedIsNotBuiltUpon) {
  for (uint64_t first = 1; first < 12; ++first) {
    for (uint64_t second = 1; second < 16; ++second) {
      for (uint64_t seed = 0; seed < 8; ++seed) {
        files_ = SimulatedFileSystem::Create();
        SetUp();
        Make(2);
        Superblock superblock = *Read();
        superblock.epoch = 3;
        files_->SetPlan({FaultPlan::Kind::kDie, first, false});
        (void)WriteSuperblock(files_.get(), "/g", &superblock);
        files_->SetPlan({FaultPlan::Kind::kTornDie, second, false});
        superblock = *Read();
        superblock.epoch = 4;
        (void)WriteSuperblock(files_.get(), "/g", &superblock);
        files_->SetPlan({});
        files_->Crash(seed);
        const auto read = Read();
        ASSERT_TRUE(read.ok()) << first << " " << second << " " << seed;
        ASSERT_TRUE(read.value().epoch >= 2 && read.value().epoch <= 4);
      }
    }
  }
}

}  // namespace
}  // namespace granary
