#include "engine/copy_forward.h"

#include <gtest/gtest.h>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

class CopyForwardTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { ASSERT_TRUE(group_.Start().ok()); }
  Engine& engine() { return group_.engine(); }
  Cleaner& cleaner() { return group_.engine().cleaner(); }
  StoreSet& stores() { return group_.engine().stores(); }

  // Files of 100 000 bytes, every third of which is deleted; the data store, condemned.
  DataStoreId PutAndCondemn(int count) {
    for (int file = 0; file < count; ++file) {
      EXPECT_TRUE(group_.Put("f" + std::to_string(file), MakeBytes(100000, 50 + file)).ok());
    }
    EXPECT_TRUE(group_.Restart().ok());
    for (int file = 0; file < count; file += 3) EXPECT_TRUE(group_.Delete("f" + std::to_string(file)).ok());
    EXPECT_TRUE(engine().BeginEpoch().ok());
    auto mark = group_.Mark();
    EXPECT_TRUE(mark.ok());
    const DataStoreId id = IdsOf(engine())[0];
    EXPECT_TRUE(group_.Condemn(*mark, id).ok());
    return id;
  }
  DataStoreCounts LiveCounts(const DataStoreId& but) {
    DataStoreCounts all;
    for (const DataStoreId& id : IdsOf(engine())) {
      if (id == but) continue;
      const DataStoreCounts counts = stores().FindSlot(id)->store->counts();
      all.chunk_count += counts.chunk_count;
      all.record_count += counts.record_count;
      all.plain_bytes += counts.plain_bytes;
      all.blockmap_plain_bytes += counts.blockmap_plain_bytes;
    }
    return all;
  }

  GroupOptions Options() const {
    GroupOptions options;
    options.is_encrypted = GetParam();
    options.store_size_target = 1ull << 30;
    return options;
  }
  CleanedGroup group_{Options()};
};
INSTANTIATE_TEST_SUITE_P(Encryption, CopyForwardTest, ::testing::Bool());

TEST_P(CopyForwardTest, ExactlyWhatIsNotDeadIsCopiedInFullRegionsAndItsOwnKindOfRecord) {
  const DataStoreId id = PutAndCondemn(9);
  const DataStoreCounts before = stores().FindSlot(id)->store->counts();
  auto copied = group_.CopyAll(id);
  ASSERT_TRUE(copied.ok()) << copied.status().message();
  EXPECT_TRUE(copied->damaged.empty());
  EXPECT_EQ(copied->duplicate_plain_bytes, 0u);
  EXPECT_EQ(copied->next, before.chunk_count);
  const DataStoreCounts after = LiveCounts(id);
  EXPECT_EQ(after.plain_bytes, 600000u);
  EXPECT_GT(after.blockmap_plain_bytes, 0u);
  EXPECT_EQ(copied->copied_plain_bytes, after.plain_bytes + after.blockmap_plain_bytes);
  EXPECT_EQ(copied->copied_count, after.chunk_count);
  EXPECT_GT(copied->copied_stored_bytes, 0u);
  ASSERT_TRUE(engine().Sync().ok());
  ASSERT_TRUE(cleaner().Trash(id).ok());
  group_.ExpectLedgerHolds("copied");
}

TEST_P(CopyForwardTest, ACopyThatIsCutIntoCallsIsTheSame) {
  const DataStoreId id = PutAndCondemn(9);
  auto report = cleaner().Copy(id, 0, 1);
  ASSERT_TRUE(report.ok());
  EXPECT_GT(report->next, 0u);
  EXPECT_LT(report->next, stores().FindSlot(id)->store->counts().chunk_count);
  EXPECT_LE(report->copied_plain_bytes, kRegionSizeTarget + 4096u * 8) << "a record at a time";
  auto rest = group_.CopyAll(id, 1);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->duplicate_plain_bytes, report->copied_plain_bytes) << "what is copied is not copied again";
  EXPECT_EQ(LiveCounts(id).plain_bytes, 600000u);
}

TEST_P(CopyForwardTest, WhatAnotherDataStoreHasIsCountedAndNotCopied) {
  const DataStoreId id = PutAndCondemn(9);
  auto copied = group_.CopyAll(id);
  ASSERT_TRUE(copied.ok());
  auto again = group_.CopyAll(id);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->copied_count, 0u);
  EXPECT_EQ(again->duplicate_plain_bytes, copied->copied_plain_bytes);
}

TEST_P(CopyForwardTest, AReadFindsACopyThatIsNotYetSynced) {
  const DataStoreId id = PutAndCondemn(9);
  ASSERT_TRUE(group_.CopyAll(id).ok());
  group_.ExpectLedgerHolds("copied, not synced");
}

TEST_P(CopyForwardTest, WhatIsCondemnedBeforeItIsPublishedIsNotFound) {
  RecordWriter writer(&stores(), CompressionMode::kFast);
  const Buffer bytes = MakeBytes(5000, 9);
  Fingerprint fingerprint;
  fingerprint.bytes.fill(0x5a);
  const WriteChunk chunk{fingerprint, bytes};
  RecordWriter::Placed placed;
  ASSERT_TRUE(writer.Write(RecordType::kRegion, {&chunk, 1}, &placed).ok());
  const DataStoreId id = placed[0].second->store->identity().id;
  ASSERT_TRUE(stores().CloseStore(id).ok());
  ASSERT_TRUE(engine().BeginEpoch().ok());
  auto mark = group_.Mark();
  ASSERT_TRUE(mark.ok());
  auto condemned = group_.Condemn(*mark, id);
  ASSERT_TRUE(condemned.ok());
  ASSERT_EQ(*condemned, 1u);
  ASSERT_TRUE(writer.Publish(placed).ok());
  PinSet pins;
  uint32_t found = 0;
  stores().LookUpAndPin({&fingerprint, 1}, &pins, {&found, 1});
  EXPECT_EQ(found, ResidentIndex::kAbsent) << "a stream relies on what is about to go";
  stores().Unpin(pins);
}

TEST_P(CopyForwardTest, ACopyThatIsHiddenIsNone) {
  const DataStoreId id = PutAndCondemn(9);
  ASSERT_TRUE(group_.CopyAll(id).ok());
  for (const DataStoreId& copy : IdsOf(engine())) {
    if (copy == id) continue;
    const uint8_t one[] = {1};
    ASSERT_TRUE(stores().HideChunks(copy, HiddenReason::kDamaged, 0, one).ok());
  }
  auto again = group_.CopyAll(id);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->copied_count, 1u);
}

TEST_P(CopyForwardTest, DamagedChunksAreNamedAndTheOthersCopied) {
  const DataStoreId id = PutAndCondemn(9);
  StoreSlot* slot = stores().FindSlot(id);
  RecordRows record;
  ASSERT_TRUE(slot->store
                  ->ForEachRecord(0,
                                  [&](const RecordRows& found) {
                                    record = found;
                                    return stores().IsHidden(slot, HiddenReason::kDead, found.first_chunk);
                                  })
                  .ok());
  const uint8_t garbage[] = {1, 2, 3};
  ASSERT_TRUE(group_.disk().Damage(slot->store->path(), record.offset + 300, garbage).ok());
  auto copied = group_.CopyAll(id);
  ASSERT_TRUE(copied.ok()) << copied.status().message();
  ASSERT_EQ(copied->damaged.size(), record.rows.size());
  EXPECT_EQ(copied->damaged[0], record.rows[0].fingerprint);
  EXPECT_EQ(copied->copied_plain_bytes, LiveCounts(id).plain_bytes + LiveCounts(id).blockmap_plain_bytes);
  ASSERT_TRUE(engine().Sync().ok());
  EXPECT_EQ(cleaner().Trash(id).code(), Code::kInvalid);
}

TEST_P(CopyForwardTest, ADiskThatIsFullFailsTheCopyAndRoomLetsItGoOn) {
  const DataStoreId id = PutAndCondemn(9);
  group_.disk().SetCapacity(1);
  EXPECT_EQ(group_.CopyAll(id).status().code(), Code::kNoSpace);
  group_.disk().SetCapacity(1ull << 40);
  ASSERT_TRUE(group_.Empty(id).ok());
  group_.ExpectLedgerHolds("room again");
}

TEST(CopyForwardKeys, CopiesAreSealedUnderTheActiveKey) {
  GroupOptions options;
  options.store_size_target = 1ull << 30;
  CleanedGroup group(options);
  ASSERT_TRUE(group.Start().ok());
  ASSERT_TRUE(group.Put("file", MakeBytes(200000, 1)).ok());
  ASSERT_TRUE(group.Restart().ok());
  StoreSet::DataKeys keys = group.Parameters().data_keys;
  keys.keys[2].fill(55);
  keys.active_epoch = 2;
  group.engine().stores().SetDataKeys(keys);
  ASSERT_TRUE(group.Empty(IdsOf(group.engine())[0]).ok());
  ASSERT_GT(IdsOf(group.engine()).size(), 0u);
  for (const StoreSlot* slot : group.engine().stores().AllSlots()) {
    EXPECT_EQ(slot->store->identity().key_epoch, 2u);
  }
  group.ExpectLedgerHolds("re-sealed");
}

class AdmitTest : public CopyForwardTest {
 protected:
  // All chunks of the file's data store, as rows and their bytes.
  void ReadAll(const DataStoreId& id) {
    ASSERT_TRUE(stores()
                    .FindSlot(id)
                    ->store
                    ->ForEachChunk([&](const Fingerprint& name, const ChunkPlace& place) {
                      rows_.push_back({name, place.length, RowState::kUnknown});
                      size_ += place.length;
                    })
                    .ok());
    bytes_.resize(size_);
    ASSERT_TRUE(engine().reader().ReadChunks(rows_.data(), rows_.size(), bytes_).ok());
  }
  std::vector<Row> rows_;
  Buffer bytes_;
  size_t size_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Encryption, AdmitTest, ::testing::Bool());

TEST_P(AdmitTest, BytesThatFitTheirNamesTakeThePlaceOfDamagedOnes) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(200000, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  const DataStoreId id = IdsOf(engine())[0];
  ReadAll(id);
  Buffer bits((rows_.size() + 7) / 8, 0xff);
  if (rows_.size() % 8 != 0) bits.back() = static_cast<uint8_t>((1 << rows_.size() % 8) - 1);
  ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDamaged, 0, bits).ok());
  auto admitted = cleaner().Admit(rows_, bytes_);
  ASSERT_TRUE(admitted.ok()) << admitted.status().message();
  EXPECT_EQ(*admitted, rows_.size());
  ASSERT_TRUE(engine().Sync().ok());
  ASSERT_TRUE(cleaner().Trash(id).ok()) << "every chunk has another copy";
  group_.ExpectLedgerHolds("repaired");
  auto hits = group_.Probe({});
  EXPECT_TRUE(hits.ok()) << "nodes are found as nodes: " << hits.status().message();
  EXPECT_GT(LiveCounts(id).blockmap_plain_bytes, 0u);
}

TEST_P(AdmitTest, AChunkThatADataStoreHasTwiceIsReadWhereItIsNotDamaged) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(5000, 1)).ok());
  const DataStoreId id = IdsOf(engine())[0];
  ReadAll(id);
  ASSERT_TRUE(cleaner().Admit(rows_, bytes_).ok());
  ASSERT_TRUE(group_.Restart().ok());
  ASSERT_EQ(IdsOf(engine()).size(), 1u);
  StoreSlot* slot = stores().FindSlot(id);
  auto last = slot->store->Find(rows_[0].fingerprint);
  ASSERT_TRUE(last.ok() && last->has_value());
  auto first = slot->store->FindEarlier((*last)->chunk);
  ASSERT_TRUE(first.ok() && first->has_value());
  for (const ChunkPlace& damaged : {**first, **last}) {
    Buffer bits(damaged.chunk / 8 + 1);
    bits[damaged.chunk / 8] = static_cast<uint8_t>(1 << damaged.chunk % 8);
    ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDamaged, 0, bits).ok());
    auto whole = stores().FindWhole(slot, rows_[0].fingerprint);
    ASSERT_TRUE(whole.ok() && whole->has_value());
    EXPECT_NE((*whole)->chunk, damaged.chunk);
    EXPECT_TRUE(stores().HasVisible(slot, rows_[0].fingerprint));
    ASSERT_TRUE(stores().RevealChunks(id, HiddenReason::kDamaged).ok());
  }
}

TEST_P(AdmitTest, OneByteThatDoesNotFitAndNothingIsStored) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(200000, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  ReadAll(IdsOf(engine())[0]);
  const uint64_t before = engine().Counters().stored.chunk_count;
  bytes_.back() ^= 1;
  EXPECT_EQ(cleaner().Admit(rows_, bytes_).status().code(), Code::kCorrupt);
  EXPECT_EQ(engine().Counters().stored.chunk_count, before);
  EXPECT_EQ(cleaner().Admit(rows_, ConstBytes(bytes_).first(10)).status().code(), Code::kInvalid);
  EXPECT_EQ(*cleaner().Admit({}, {}), 0u);
}

}  // namespace
}  // namespace granary
