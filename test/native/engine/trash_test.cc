// Data stores that leave, and come back.
#include <gtest/gtest.h>

#include <thread>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

class TrashTest : public ::testing::Test {
 protected:
  // One data store with two files, of which one is deleted and condemned.
  void SetUp() override {
    ASSERT_TRUE(group_.Start().ok());
    ASSERT_TRUE(group_.Put("keep", MakeBytes(300000, 1)).ok());
    ASSERT_TRUE(group_.Put("drop", MakeBytes(300000, 2)).ok());
    auto catalog = group_.ReadCatalog();
    ASSERT_TRUE(catalog.ok());
    dropped_ = catalog->at("drop");
    ASSERT_TRUE(group_.Restart().ok());
    victim_ = IdsOf(engine())[0];
    ASSERT_TRUE(group_.Delete("drop").ok());
    ASSERT_TRUE(engine().BeginEpoch().ok());
    auto mark = group_.Mark();
    ASSERT_TRUE(mark.ok());
    auto condemned = group_.Condemn(*mark, victim_);
    ASSERT_TRUE(condemned.ok());
    ASSERT_GT(*condemned, 0u);
  }
  Engine& engine() { return group_.engine(); }
  Cleaner& cleaner() { return group_.engine().cleaner(); }
  StoreSet& stores() { return group_.engine().stores(); }
  std::string TrashPath() const {
    return std::string(Group::kDirectory) + "/trash/" + ToHex(victim_.bytes) + DataStore::kFileSuffix;
  }
  std::vector<Fingerprint> Fingerprints() {
    std::vector<Fingerprint> all;
    auto slot = stores().FindSlot(victim_);
    EXPECT_TRUE(
        slot->store->ForEachChunk([&](const Fingerprint& name, const ChunkPlace&) { all.push_back(name); })
            .ok());
    return all;
  }
  Status ReadDropped() { return group_.Read(dropped_).status(); }

  static GroupOptions OneStore() {
    GroupOptions options;
    options.store_size_target = 1ull << 30;
    return options;
  }
  CleanedGroup group_{OneStore()};
  DataStoreId victim_;
  Group::Entry dropped_;
};

TEST_F(TrashTest, ADataStoreWhoseLiveChunksHaveNoOtherCopyStays) {
  const Status status = cleaner().Trash(victim_);
  EXPECT_EQ(status.code(), Code::kInvalid) << status.message();
  EXPECT_NE(stores().FindSlot(victim_), nullptr);
  group_.ExpectLedgerHolds("stays");
}

TEST_F(TrashTest, OneChunkWithoutACopyIsEnoughToKeepIt) {
  ASSERT_TRUE(group_.CopyAll(victim_).ok());
  // The copies of one data store are not copies when they are hidden there.
  for (const DataStoreId& id : IdsOf(engine())) {
    if (id == victim_) continue;
    const uint8_t one[] = {1};
    ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDamaged, 0, one).ok());
  }
  EXPECT_EQ(cleaner().Trash(victim_).code(), Code::kInvalid);
}

TEST_F(TrashTest, AnEmptiedDataStoreLeavesDataAndItsLiveChunksAreFoundElsewhere) {
  const uint64_t file_bytes = stores().FindSlot(victim_)->store->counts().file_bytes;
  ASSERT_TRUE(group_.Empty(victim_).ok());
  EXPECT_EQ(stores().FindSlot(victim_), nullptr);
  EXPECT_EQ(stores().ListTrash(), std::vector<DataStoreId>{victim_});
  EXPECT_EQ(engine().Counters().trash_bytes, file_bytes);
  for (const DataStoreId& id : IdsOf(engine())) EXPECT_NE(id, victim_);
  EXPECT_TRUE(*group_.disk().Exists(TrashPath()));
  group_.ExpectLedgerHolds("trashed");
  EXPECT_EQ(engine().Counters().dead_reads, 0u);
  EXPECT_TRUE(stores().IsComplete());
  // What was dead is not dedup's any more; what was copied is.
  const uint64_t before = engine().Counters().stored.plain_bytes;
  ASSERT_TRUE(group_.Put("keep again", MakeBytes(300000, 1)).ok());
  EXPECT_EQ(engine().Counters().stored.plain_bytes, before);
  ASSERT_TRUE(group_.Put("drop again", MakeBytes(300000, 2)).ok());
  EXPECT_EQ(engine().Counters().stored.plain_bytes, before + 300000);
}

TEST_F(TrashTest, TrashingTwiceIsTrashingOnce) {
  ASSERT_TRUE(group_.Empty(victim_).ok());
  EXPECT_TRUE(cleaner().Trash(victim_).ok());
  DataStoreId nobody;
  nobody.bytes.fill(9);
  EXPECT_EQ(cleaner().Trash(nobody).code(), Code::kNotFound);
}

TEST_F(TrashTest, APinnedDataStoreIsBusyUntilItsStreamEnds) {
  const uint32_t stream = engine().OpenStream(kDigestXxh3);
  const Buffer content = MakeBytes(300000, 1);
  std::vector<Row> rows(4096);
  ASSERT_TRUE(engine().FindStream(stream)->Prepare(content, 0, true, rows.data(), rows.size()).ok());
  ASSERT_TRUE(group_.CopyAll(victim_).ok());
  EXPECT_EQ(cleaner().Trash(victim_).code(), Code::kBusy);
  engine().CloseStream(stream);
  EXPECT_TRUE(cleaner().Trash(victim_).ok());
}

TEST_F(TrashTest, AReadThatBeganBeforeGoesOnFromTheTrash) {
  // Located and not yet read; neither table nor open file is in memory.
  StoreSlot* slot = stores().FindSlot(victim_);
  const std::vector<Fingerprint> names = Fingerprints();
  const auto place = slot->store->Find(names[0]);
  ASSERT_TRUE(place.ok());
  slot->store->DropMemory();
  ASSERT_TRUE(group_.Empty(victim_).ok());
  BlockBuffer memory;
  EXPECT_TRUE(slot->store->Read(place.value()->record_offset, place.value()->record_size, &memory).ok());
  slot->store->DropMemory();
  EXPECT_TRUE(slot->store->Find(names[0]).ok());
}

TEST_F(TrashTest, ReadsBesideEverythingThatHappensToADataStoreAreRight) {
  const Buffer content = MakeBytes(300000, 1);
  auto catalog = group_.ReadCatalog();
  ASSERT_TRUE(catalog.ok());
  std::atomic<bool> stops = false;
  std::atomic<int> reads = 0;
  std::thread reader([&] {
    while (!stops) {
      auto read = group_.Read(catalog->at("keep"));
      ASSERT_TRUE(read.ok()) << read.status().message();
      ASSERT_TRUE(*read == content);
      ++reads;
    }
  });
  const auto wait = [&] {
    for (const int before = reads; reads < before + 2;) std::this_thread::yield();
  };
  wait();
  ASSERT_TRUE(group_.Empty(victim_).ok());
  wait();
  ASSERT_TRUE(stores().UntrashStore(victim_).ok());
  wait();
  ASSERT_TRUE(cleaner().Trash(victim_).ok());
  wait();
  ASSERT_TRUE(stores().ReclaimStore(victim_).ok());
  wait();
  stops = true;
  reader.join();
}

TEST_F(TrashTest, AReadOfAChunkThatOnlyTheTrashHasIsServedAndCounted) {
  EXPECT_TRUE(ReadDropped().ok()) << "dead chunks are read while they are there";
  ASSERT_TRUE(group_.Empty(victim_).ok());
  EXPECT_FALSE(ReadDropped().ok());
  std::vector<Fingerprint> dead;
  StoreSlot* slot = stores().slot(1);
  ASSERT_TRUE(slot->store
                  ->ForEachChunk([&](const Fingerprint& name, const ChunkPlace& place) {
                    if (stores().IsHidden(slot, HiddenReason::kDead, place.chunk)) dead.push_back(name);
                  })
                  .ok());
  ASSERT_GT(dead.size(), 3u);
  Fingerprint nobody;
  nobody.bytes.fill(9);
  std::vector<Fingerprint> asked = dead;
  asked.push_back(nobody);
  EXPECT_EQ(stores().Rescue(asked), dead.size());
  EXPECT_EQ(engine().Counters().trash_reads, dead.size());
  EXPECT_TRUE(ReadDropped().ok());
  // Rescued for reading: to streams they are as absent as before.
  PinSet pins;
  std::vector<uint32_t> numbers(dead.size());
  stores().LookUpAndPin(dead, &pins, numbers);
  EXPECT_TRUE(pins.empty());
  EXPECT_EQ(stores().LookUpPlaceAndPin(dead[0], victim_, &pins), ResidentIndex::kAbsent);
}

TEST_F(TrashTest, ARescueOfWhatDataStoresHaveIsNoAlarm) {
  EXPECT_EQ(stores().Rescue(Fingerprints()), Fingerprints().size());
  EXPECT_EQ(engine().Counters().trash_reads, 0u);
}

TEST_F(TrashTest, TheTrashIsRescuedFromAfterARestart) {
  ASSERT_TRUE(group_.Empty(victim_).ok());
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.Recover().ok());
  EXPECT_EQ(stores().ListTrash(), std::vector<DataStoreId>{victim_});
  EXPECT_GT(engine().Counters().trash_bytes, 300000u);
  EXPECT_EQ(stores().Rescue({&dropped_.root.fingerprint, 1}), 1u);
  EXPECT_EQ(engine().Counters().trash_reads, 1u);
}

TEST_F(TrashTest, ADataStoreComesBackWithAllItsChunks) {
  ASSERT_TRUE(group_.Empty(victim_).ok());
  ASSERT_EQ(stores().Rescue({&dropped_.root.fingerprint, 1}), 1u);
  ASSERT_TRUE(stores().UntrashStore(victim_).ok());
  EXPECT_EQ(stores().UntrashStore(victim_).code(), Code::kNotFound);
  EXPECT_EQ(stores().ListTrash().size(), 0u);
  EXPECT_EQ(engine().Counters().trash_bytes, 0u);
  EXPECT_TRUE(ReadDropped().ok());
  // Dead chunks come back to streams behind their pardon.
  PinSet pins;
  uint32_t number = 0;
  stores().LookUpAndPin({&dropped_.root.fingerprint, 1}, &pins, {&number, 1});
  EXPECT_EQ(number, ResidentIndex::kAbsent);
  ASSERT_TRUE(group_.LogState(CleanedGroup::kReclaimType, victim_, {}).ok());
  ASSERT_TRUE(stores().RevealChunks(victim_, HiddenReason::kDead).ok());
  stores().LookUpAndPin({&dropped_.root.fingerprint, 1}, &pins, {&number, 1});
  EXPECT_NE(number, ResidentIndex::kAbsent);
  stores().Unpin(pins);
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.Recover().ok());
  EXPECT_NE(stores().FindSlot(victim_), nullptr);
  EXPECT_TRUE(ReadDropped().ok());
}

TEST_F(TrashTest, ADataStoreComesBackAfterARestartToo) {
  ASSERT_TRUE(group_.Empty(victim_).ok());
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.Recover().ok());
  ASSERT_TRUE(stores().UntrashStore(victim_).ok());
  EXPECT_TRUE(ReadDropped().ok());
}

TEST_F(TrashTest, OnlyWhatIsInTheTrashIsReclaimedAndDoingItTwiceIsDoingItOnce) {
  EXPECT_EQ(stores().ReclaimStore(victim_).code(), Code::kInvalid);
  ASSERT_TRUE(group_.Empty(victim_).ok());
  ASSERT_TRUE(stores().ReclaimStore(victim_).ok());
  EXPECT_TRUE(stores().ReclaimStore(victim_).ok());
  EXPECT_FALSE(*group_.disk().Exists(TrashPath()));
  EXPECT_EQ(engine().Counters().trash_bytes, 0u);
  EXPECT_EQ(stores().UntrashStore(victim_).code(), Code::kNotFound);
  EXPECT_EQ(stores().Rescue({&dropped_.root.fingerprint, 1}), 0u);
  group_.ExpectLedgerHolds("reclaimed");
  ASSERT_TRUE(group_.Restart().ok());
  group_.ExpectLedgerHolds("restarted");
}

TEST_F(TrashTest, AMoveThatTheLogNamesIsFinishedByAStartWithAColdIndex) {
  ASSERT_TRUE(group_.CopyAll(victim_).ok());
  ASSERT_TRUE(engine().Sync().ok());
  ASSERT_TRUE(group_.LogState(CleanedGroup::kMoveType, victim_, {}).ok());
  group_.Crash(0);  // before the rename
  ASSERT_TRUE(group_.Recover().ok());
  EXPECT_EQ(stores().ListTrash(), std::vector<DataStoreId>{victim_});
  group_.ExpectLedgerHolds("recovered");
}

TEST_F(TrashTest, ADamagedFileInTheTrashKeepsNobodyFromOpeningAndIsListed) {
  ASSERT_TRUE(group_.Empty(victim_).ok());
  const Buffer garbage(4096, 0xee);
  ASSERT_TRUE(group_.disk().Damage(TrashPath(), 0, garbage).ok());
  ASSERT_TRUE(group_.Restart().ok());
  EXPECT_TRUE(group_.report().stores.damaged.empty());
  EXPECT_EQ(stores().ListTrash(), std::vector<DataStoreId>{victim_});
  EXPECT_EQ(stores().Rescue({&dropped_.root.fingerprint, 1}), 0u);
  EXPECT_EQ(stores().UntrashStore(victim_).code(), Code::kCorrupt);
  EXPECT_TRUE(stores().ReclaimStore(victim_).ok());
}

TEST_F(TrashTest, ARenameThatFindsNoRoomLeavesTheDataStoreWhereItWas) {
  ASSERT_TRUE(group_.CopyAll(victim_).ok());
  ASSERT_TRUE(engine().Sync().ok());
  group_.disk().SetPlan({FaultPlan::Kind::kNoSpace, 1, false});
  EXPECT_EQ(cleaner().Trash(victim_).code(), Code::kNoSpace);
  ASSERT_TRUE(group_.disk().plan_was_hit());
  EXPECT_NE(stores().FindSlot(victim_), nullptr);
  EXPECT_TRUE(stores().ListTrash().empty());
  EXPECT_TRUE(ReadDropped().ok());
  group_.ExpectLedgerHolds("no room");
  EXPECT_TRUE(cleaner().Trash(victim_).ok()) << "no room is no broken device";
  group_.ExpectLedgerHolds("room again");
}

TEST_F(TrashTest, FoundInBothPlacesTheFileInDataCountsAndTheOtherGoesWithIt) {
  const std::string path = stores().FindSlot(victim_)->store->path();
  Buffer content(stores().FindSlot(victim_)->store->counts().file_bytes);
  ASSERT_TRUE((*group_.disk().Open(path, OpenMode::kRead))->ReadAt(0, content).ok());
  ASSERT_TRUE((*group_.disk().Open(TrashPath(), OpenMode::kCreate))->WriteAt(0, content).ok());
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.Recover().ok());
  EXPECT_NE(stores().FindSlot(victim_), nullptr);
  EXPECT_EQ(stores().UntrashStore(victim_).code(), Code::kExists);
  EXPECT_EQ(stores().ReclaimStore(victim_).code(), Code::kInvalid);
  ASSERT_TRUE(group_.Empty(victim_).ok());
  EXPECT_EQ(stores().ListTrash().size(), 1u);
  ASSERT_TRUE(stores().ReclaimStore(victim_).ok());
  EXPECT_FALSE(*group_.disk().Exists(TrashPath()));
  group_.ExpectLedgerHolds("gone");
}

TEST_F(TrashTest, AFailedRenameStopsTheGroupAndAStartFindsTheFileWhereItIs) {
  ASSERT_TRUE(group_.CopyAll(victim_).ok());
  ASSERT_TRUE(engine().Sync().ok());
  for (uint64_t operation = 1; operation <= 3; ++operation) {  // rename, and the directories' syncs
    group_.disk().SetPlan({FaultPlan::Kind::kIoError, operation, false});
    EXPECT_EQ(cleaner().Trash(victim_).code(), Code::kIo);
    EXPECT_TRUE(group_.disk().plan_was_hit());
    EXPECT_FALSE(engine().Counters().stopped.empty());
    group_.Crash(operation);
    ASSERT_TRUE(group_.Recover().ok());
    group_.ExpectLedgerHolds("recovered");
    if (stores().FindSlot(victim_) == nullptr) ASSERT_TRUE(stores().UntrashStore(victim_).ok());
  }
}

}  // namespace
}  // namespace granary
