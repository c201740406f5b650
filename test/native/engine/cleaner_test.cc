// What is condemned, what is not, and what becomes of it.
#include "engine/cleaner.h"

#include <gtest/gtest.h>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

class CleanerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(group_.Start().ok()); }
  Engine& engine() { return group_.engine(); }
  Cleaner& cleaner() { return group_.engine().cleaner(); }
  StoreSet& stores() { return group_.engine().stores(); }

  // Puts and closes; the data store they lie in.
  DataStoreId PutClosed(std::initializer_list<std::pair<const char*, uint64_t>> files) {
    const std::vector<DataStoreId> before = IdsOf(engine());
    for (const auto& [name, seed] : files) EXPECT_TRUE(group_.Put(name, MakeBytes(60000, seed)).ok());
    EXPECT_TRUE(group_.Restart().ok());
    for (const DataStoreId& id : IdsOf(engine())) {
      if (std::find(before.begin(), before.end(), id) == before.end()) return id;
    }
    return {};
  }
  uint32_t BeginAndMark() {
    EXPECT_TRUE(engine().BeginEpoch().ok());
    auto mark = group_.Mark();
    EXPECT_TRUE(mark.ok()) << mark.status().message();
    return *mark;
  }
  uint64_t ChunkCount() { return engine().Counters().stored.chunk_count; }
  // Ingests content without committing it; the stream stays open.
  StoreReport Ingest(const Buffer& content) {
    auto report = group_.Ingest(content);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report->stored;
  }
  std::vector<Fingerprint> Fingerprints(const DataStoreId& id) {
    std::vector<Fingerprint> all;
    EXPECT_TRUE(
        stores()
            .FindSlot(id)
            ->store->ForEachChunk([&](const Fingerprint& name, const ChunkPlace&) { all.push_back(name); })
            .ok());
    return all;
  }

  static GroupOptions OneStore() {
    GroupOptions options;
    options.store_size_target = 1ull << 30;
    return options;
  }
  CleanedGroup group_{OneStore()};
};

TEST_F(CleanerTest, AnEpochIsDurableBeforeItIsAnswered) {
  for (uint64_t wanted = 1; wanted <= 3; ++wanted) {
    auto epoch = engine().BeginEpoch();
    ASSERT_TRUE(epoch.ok());
    EXPECT_EQ(*epoch, wanted);
    EXPECT_EQ(engine().Counters().epoch, wanted);
    group_.Crash(0);
    ASSERT_TRUE(group_.Attach().ok());
    EXPECT_EQ(engine().Counters().epoch, wanted);
  }
}

TEST_F(CleanerTest, WhatAFileReachesIsNotDeadAndTheRestIs) {
  const DataStoreId id = PutClosed({{"keep", 1}, {"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  const uint32_t mark = BeginAndMark();
  auto survey = cleaner().Survey(mark, id);
  ASSERT_TRUE(survey.ok());
  EXPECT_TRUE(survey->is_closed);
  EXPECT_GT(survey->dead_count, 0u);
  EXPECT_NEAR(static_cast<double>(survey->dead_plain_bytes), 60000, 4000);
  EXPECT_GT(survey->plain_bytes, 120000u);
  auto condemned = group_.Condemn(mark, id);
  ASSERT_TRUE(condemned.ok());
  EXPECT_EQ(*condemned, survey->dead_count);
  EXPECT_EQ(cleaner().Survey(mark, id)->dead_count, 0u) << "what is dead already counts once";
  group_.ExpectLedgerHolds("condemned");
}

TEST_F(CleanerTest, TheBitsNameEveryDeadChunkOfTheDataStoreInTheTrailersOrder) {
  const DataStoreId id = PutClosed({{"keep", 1}, {"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  const uint32_t mark = BeginAndMark();
  Buffer bits(stores().FindSlot(id)->store->counts().chunk_count / 8 + 1, 0xff);
  auto survey = cleaner().Condemn(mark, id, bits);
  ASSERT_TRUE(survey.ok());
  EXPECT_EQ(CountBits(bits), survey->dead_count);
  Buffer again(bits.size());
  ASSERT_TRUE(cleaner().Condemn(mark, id, again).ok());
  EXPECT_EQ(again, bits) << "what was hidden before is named again, so that one record says all";
  Buffer few(bits.size() / 2);
  EXPECT_EQ(cleaner().Condemn(mark, id, few).status().code(), Code::kInvalid);
}

TEST_F(CleanerTest, ACondemnedChunkThatComesAgainIsStoredAnewAndTheOldCopyMayGo) {
  const DataStoreId id = PutClosed({{"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  ASSERT_TRUE(group_.Condemn(BeginAndMark(), id).ok());
  const uint64_t before = ChunkCount();
  ASSERT_TRUE(group_.Put("again", MakeBytes(60000, 2)).ok());
  EXPECT_EQ(ChunkCount(), before * 2) << "all of it, nodes too";
  auto hits = group_.Probe({id});
  ASSERT_TRUE(hits.ok()) << hits.status().message();
  EXPECT_EQ(*hits, 0u);
  ASSERT_TRUE(group_.Empty(id).ok());
  group_.ExpectLedgerHolds("trashed");
  ASSERT_TRUE(group_.Reclaim(id).ok());
  group_.ExpectLedgerHolds("reclaimed");
  EXPECT_EQ(ChunkCount(), before);
}

TEST_F(CleanerTest, WhatAStreamWasAnsweredKnownForIsNotCondemnedWhileItMayCommit) {
  const DataStoreId id = PutClosed({{"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  EXPECT_EQ(Ingest(MakeBytes(60000, 2)).new_bytes, 0u);  // everything is known
  const uint32_t mark = BeginAndMark();
  auto condemned = group_.Condemn(mark, id);
  ASSERT_TRUE(condemned.ok());
  EXPECT_EQ(*condemned, 0u);
}

TEST_F(CleanerTest, ATouchOutlivesTheEpochsThatItsStreamLivesIn) {
  const DataStoreId id = PutClosed({{"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  Ingest(MakeBytes(60000, 2));
  for (size_t epoch = 0; epoch < TouchFilters::kFilterCountMax * 3; ++epoch) {
    auto condemned = group_.Condemn(BeginAndMark(), id);
    ASSERT_TRUE(condemned.ok());
    ASSERT_EQ(*condemned, 0u) << epoch;
  }
}

TEST_F(CleanerTest, WhatAStreamHasStoredIsNotCondemnedBeforeItsCommit) {
  GroupOptions options;
  options.store_size_target = 1;
  CleanedGroup group(options);
  ASSERT_TRUE(group.Start().ok());
  ASSERT_TRUE(group.Ingest(MakeBytes(60000, 3)).ok());
  ASSERT_TRUE(group.engine().BeginEpoch().ok());
  auto mark = group.Mark();
  ASSERT_TRUE(mark.ok());
  for (const DataStoreId& id : IdsOf(group.engine())) {
    auto condemned = group.Condemn(*mark, id);
    if (!condemned.ok()) {
      EXPECT_EQ(condemned.status().code(), Code::kBusy);
      continue;
    }
    EXPECT_EQ(*condemned, 0u);
  }
}

TEST_F(CleanerTest, ADataStoreThatIsNotClosedIsBusy) {
  const uint32_t mark = BeginAndMark();
  ASSERT_TRUE(group_.Put("file", MakeBytes(60000, 1)).ok());
  const DataStoreId id = IdsOf(engine())[0];
  Buffer bits(1024);
  EXPECT_EQ(cleaner().Condemn(mark, id, bits).status().code(), Code::kBusy);
  EXPECT_EQ(cleaner().Trash(id).code(), Code::kBusy);
  EXPECT_EQ(cleaner().Copy(id, 0, 1).status().code(), Code::kBusy);
  EXPECT_FALSE(cleaner().Survey(mark, id)->is_closed);
}

TEST_F(CleanerTest, ADataStoreThatWaitsForMoreIsClosedWhenAskedAndWhatComesGoesElsewhere) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(60000, 1)).ok());
  ASSERT_EQ(IdsOf(engine()).size(), 1u);
  const DataStoreId id = IdsOf(engine())[0];
  ASSERT_TRUE(stores().CloseStore(id).ok());
  EXPECT_TRUE(stores().CloseStore(id).ok()) << "twice is nothing";
  ASSERT_TRUE(group_.Delete("file").ok());
  const uint32_t mark = BeginAndMark();
  auto condemned = group_.Condemn(mark, id);
  ASSERT_TRUE(condemned.ok()) << condemned.status().message();
  EXPECT_GT(*condemned, 0u);
  ASSERT_TRUE(group_.Put("next", MakeBytes(60000, 2)).ok());
  EXPECT_EQ(IdsOf(engine()).size(), 2u);
  EXPECT_EQ(stores().CloseStore(DataStoreId{}).code(), Code::kNotFound);
  auto taken = stores().TakeAppender();
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(stores().CloseStore((*taken)->store->identity().id).code(), Code::kBusy);
  stores().ReturnAppender(*taken);
}

TEST_F(CleanerTest, AMarkOfAnEarlierEpochCondemnsNothing) {
  const DataStoreId id = PutClosed({{"drop", 2}});
  ASSERT_TRUE(group_.Delete("drop").ok());
  const uint32_t mark = BeginAndMark();
  ASSERT_TRUE(engine().BeginEpoch().ok());
  EXPECT_EQ(group_.Condemn(mark, id).status().code(), Code::kInvalid);
  cleaner().CloseMark(mark);
  EXPECT_EQ(cleaner().Survey(mark, id).status().code(), Code::kInvalid);
}

TEST_F(CleanerTest, AViewThatNamesADataStoreIsBelievedOnlyWhenItHasTheChunkAndDoesNotHideIt) {
  const DataStoreId id = PutClosed({{"file", 2}});
  const std::vector<Fingerprint> names = Fingerprints(id);
  PinSet pins;
  EXPECT_NE(stores().LookUpPlaceAndPin(names[0], id, &pins), ResidentIndex::kAbsent);
  Fingerprint other = names[0];
  other.bytes[0] ^= 1;
  EXPECT_EQ(stores().LookUpPlaceAndPin(other, id, &pins), ResidentIndex::kAbsent);
  const uint8_t first[] = {1};
  ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDead, 0, first).ok());
  EXPECT_EQ(stores().LookUpPlaceAndPin(names[0], id, &pins), ResidentIndex::kAbsent);
  EXPECT_NE(stores().LookUpPlaceAndPin(names[1], id, &pins), ResidentIndex::kAbsent);
  stores().Unpin(pins);
}

TEST_F(CleanerTest, HiddenChunksStayHiddenWhateverLoadsTheResidentIndex) {
  const DataStoreId id = PutClosed({{"file", 2}});
  const uint64_t count = ChunkCount();
  Buffer bits(count / 8 + 1);
  for (uint64_t chunk = 0; chunk < count; ++chunk) bits[chunk / 8] |= static_cast<uint8_t>(1 << chunk % 8);
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.AttachCold().ok());
  ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDead, 0, bits).ok());
  ASSERT_TRUE(group_.Warm().ok());
  ASSERT_TRUE(stores().MakeResidentAgain(stores().FindSlot(id)).ok());
  const std::vector<Fingerprint> names = Fingerprints(id);
  std::vector<uint32_t> numbers(names.size());
  PinSet pins;
  stores().LookUpAndPin(names, &pins, numbers);
  EXPECT_EQ(numbers, std::vector<uint32_t>(names.size(), ResidentIndex::kAbsent));
  EXPECT_TRUE(pins.empty());
  group_.ExpectLedgerHolds("hidden chunks that are there can be read");
  EXPECT_GT(engine().Counters().dead_reads, 0u);
  ASSERT_TRUE(stores().RevealChunks(id, HiddenReason::kDead).ok());
  stores().LookUpAndPin(names, &pins, numbers);
  for (uint32_t number : numbers) EXPECT_NE(number, ResidentIndex::kAbsent);
  stores().Unpin(pins);
  EXPECT_TRUE(stores().IsComplete());
}

TEST_F(CleanerTest, HidingCountsChunksInTheTrailersOrderAndKnowsWhereItEnds) {
  const DataStoreId id = PutClosed({{"file", 2}});
  const uint64_t count = ChunkCount();
  const uint8_t one[] = {1};
  EXPECT_TRUE(stores().HideChunks(id, HiddenReason::kDead, static_cast<uint32_t>(count - 1), one).ok());
  EXPECT_EQ(stores().HideChunks(id, HiddenReason::kDead, static_cast<uint32_t>(count), one).code(),
            Code::kInvalid);
  EXPECT_TRUE(
      stores().IsHidden(stores().FindSlot(id), HiddenReason::kDead, static_cast<uint32_t>(count - 1)));
  EXPECT_FALSE(stores().IsHidden(stores().FindSlot(id), HiddenReason::kDead, 0));
  DataStoreId nobody;
  nobody.bytes.fill(9);
  EXPECT_EQ(stores().HideChunks(nobody, HiddenReason::kDead, 0, one).code(), Code::kNotFound);
  EXPECT_EQ(stores().RevealChunks(nobody, HiddenReason::kDead).code(), Code::kNotFound);
}

TEST_F(CleanerTest, ADamagedChunkAnswersAbsentAndTheNextBackupHealsIt) {
  const DataStoreId id = PutClosed({{"file", 2}});
  StoreSlot* slot = stores().FindSlot(id);
  const uint8_t garbage[] = {1, 2, 3};
  ASSERT_TRUE(group_.disk().Damage(slot->store->path(), 4096 + 500, garbage).ok());
  auto damage = cleaner().Scrub(id, 0, UINT64_MAX);
  ASSERT_TRUE(damage.ok());
  ASSERT_EQ(damage->damages.size(), 1u);
  EXPECT_EQ(damage->damages[0].chunk_count, damage->damages[0].fingerprints.size());
  const Buffer bits(damage->damages[0].chunk_count / 8 + 1, 0xff);
  Buffer exact = bits;
  exact.back() = static_cast<uint8_t>((1 << damage->damages[0].chunk_count % 8) - 1);
  ASSERT_TRUE(stores()
                  .HideChunks(id, HiddenReason::kDamaged,
                              static_cast<uint32_t>(damage->damages[0].first_chunk), exact)
                  .ok());
  auto catalog = group_.ReadCatalog();
  ASSERT_TRUE(catalog.ok());
  EXPECT_EQ(group_.Read(catalog->at("file")).status().code(), Code::kCorrupt);
  ASSERT_TRUE(group_.Put("file", MakeBytes(60000, 2)).ok());
  group_.ExpectLedgerHolds("healed");
  EXPECT_EQ(engine().Counters().dead_reads, 0u);
}

TEST_F(CleanerTest, ADamagedChunkIsReadFromAnotherCopy) {
  const DataStoreId first = PutClosed({{"file", 2}});
  const uint64_t count = ChunkCount();
  Buffer bits(count / 8 + 1);
  for (uint64_t chunk = 0; chunk < count; ++chunk) bits[chunk / 8] |= static_cast<uint8_t>(1 << chunk % 8);
  ASSERT_TRUE(stores().HideChunks(first, HiddenReason::kDead, 0, bits).ok());
  const DataStoreId second = PutClosed({{"other", 2}});  // forgets what was hidden in memory
  ASSERT_NE(second, DataStoreId{});
  for (const auto& [damaged, good] : {std::pair{first, second}, std::pair{second, first}}) {
    ASSERT_TRUE(stores().HideChunks(damaged, HiddenReason::kDamaged, 0, bits).ok());
    for (const Fingerprint& name : Fingerprints(damaged)) {
      StoreSlot* found = stores().Locate(name);
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(found->store->identity().id, good);
    }
    ASSERT_TRUE(stores().RevealChunks(damaged, HiddenReason::kDamaged).ok());
  }
}

TEST_F(CleanerTest, TwoRunsReturnTheSpaceAndTheFilesThatAreLeftReadBack) {
  for (int file = 0; file < 12; ++file) {
    ASSERT_TRUE(group_.Put("f" + std::to_string(file), MakeBytes(200000, 100 + file)).ok());
  }
  ASSERT_TRUE(group_.Restart().ok());
  for (int file = 0; file < 12; ++file) {
    if (file % 4 != 0) ASSERT_TRUE(group_.Delete("f" + std::to_string(file)).ok());
  }
  const uint64_t before = engine().Counters().stored.plain_bytes;
  for (int run = 0; run < 2; ++run) {
    const Status status = group_.RunCycle();
    ASSERT_TRUE(status.ok()) << status.message();
    group_.ExpectLedgerHolds("run " + std::to_string(run));
  }
  EXPECT_LT(engine().Counters().stored.plain_bytes, before / 4 + before / 20);
  EXPECT_EQ(engine().Counters().trash_bytes, 0u);
  EXPECT_EQ(engine().Counters().trash_reads, 0u);
  ASSERT_TRUE(group_.Restart().ok());
  group_.ExpectLedgerHolds("restarted");
}

TEST_F(CleanerTest, AGroupAttachedForReadingChangesNothing) {
  const DataStoreId id = PutClosed({{"file", 2}});
  ASSERT_TRUE(group_.Detach().ok());
  AttachParameters parameters = group_.Parameters();
  parameters.is_read_only = true;
  AttachReport report;
  auto reader = Engine::Attach(&group_.disk(), parameters, &report);
  ASSERT_TRUE(reader.ok());
  Buffer bits(1024);
  const uint32_t mark = (*reader)->cleaner().OpenMark();
  EXPECT_EQ((*reader)->BeginEpoch().status().code(), Code::kInvalid);
  EXPECT_EQ((*reader)->cleaner().Condemn(mark, id, bits).status().code(), Code::kInvalid);
  EXPECT_EQ((*reader)->cleaner().Copy(id, 0, 1).status().code(), Code::kInvalid);
  EXPECT_EQ((*reader)->cleaner().Trash(id).code(), Code::kInvalid);
  EXPECT_EQ((*reader)->stores().UntrashStore(id).code(), Code::kInvalid);
  EXPECT_EQ((*reader)->stores().ReclaimStore(id).code(), Code::kInvalid);
  EXPECT_EQ((*reader)->cleaner().Admit({}, {}).status().code(), Code::kInvalid);
  ASSERT_TRUE(group_.Attach().ok());
}

TEST_F(CleanerTest, AGroupThatHasStoppedWritingIsNotCleaned) {
  const DataStoreId id = PutClosed({{"file", 2}});
  const uint32_t mark = BeginAndMark();
  group_.disk().SetPlan({FaultPlan::Kind::kIoError, 1, false});
  EXPECT_FALSE(group_.Put("during", MakeBytes(300000, 3)).ok());
  ASSERT_FALSE(engine().Counters().stopped.empty());
  Buffer bits(1024);
  EXPECT_EQ(engine().BeginEpoch().status().code(), Code::kIo);
  EXPECT_EQ(cleaner().Condemn(mark, id, bits).status().code(), Code::kIo);
  EXPECT_EQ(cleaner().Copy(id, 0, 1).status().code(), Code::kIo);
  EXPECT_EQ(cleaner().Trash(id).code(), Code::kIo);
}

}  // namespace
}  // namespace granary
