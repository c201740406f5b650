// Mark 1 and mark 2: what they reach, what stops them, and that they agree.
#include <gtest/gtest.h>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

class MarkTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(group_.Start().ok()); }
  Engine& engine() { return group_.engine(); }
  Cleaner& cleaner() { return group_.engine().cleaner(); }
  StoreSet& stores() { return group_.engine().stores(); }
  // A blockmap of two levels at least.
  static constexpr size_t kDeepSize = 4000000;

  GroupOptions Options() const {
    GroupOptions options;
    options.store_size_target = 1ull << 30;
    return options;
  }
  // Hides every chunk of the data store as dead.
  void HideAll(const DataStoreId& id) {
    const uint64_t count = stores().FindSlot(id)->store->counts().chunk_count;
    Buffer bits(count / 8 + 1);
    for (uint64_t chunk = 0; chunk < count; ++chunk) bits[chunk / 8] |= static_cast<uint8_t>(1 << chunk % 8);
    ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDead, 0, bits).ok());
  }
  CleanedGroup group_{Options()};
};

TEST_F(MarkTest, EveryChunkAndNodeOfEveryRootIsMarkedAndEachNodeWalkedOnce) {
  ASSERT_TRUE(group_.Put("one", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Put("same", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Put("empty", {}).ok());
  ASSERT_TRUE(group_.Restart().ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  const uint32_t mark = cleaner().OpenMark();
  auto report = cleaner().MarkRoots(mark, *roots);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->done, 3u);
  EXPECT_FALSE(report->unresolved);
  const DataStoreCounts counts = engine().Counters().stored;
  EXPECT_EQ(report->node_count + report->chunk_count, counts.chunk_count);
  for (const DataStoreId& id : IdsOf(engine())) EXPECT_EQ(cleaner().Survey(mark, id)->dead_count, 0u);
  auto again = cleaner().MarkRoots(mark, *roots);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->done, 3u);
  EXPECT_EQ(again->node_count, report->node_count);
}

TEST_F(MarkTest, ANodeThatOnlyTheViewKnowsStopsTheCallAndTheWalkGoesOnBehindTheHint) {
  ASSERT_TRUE(group_.Put("one", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Put("two", MakeBytes(kDeepSize, 2)).ok());
  ASSERT_TRUE(group_.Detach().ok());
  ASSERT_TRUE(group_.AttachCold().ok());
  for (const DataStoreId& id : IdsOf(engine())) stores().MarkInView(id);
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  const uint32_t mark = cleaner().OpenMark();
  auto report = cleaner().MarkRoots(mark, *roots);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->done, 0u);
  ASSERT_TRUE(report->unresolved);
  EXPECT_EQ(*report->unresolved, (*roots)[0].fingerprint);
  for (const DataStoreId& id : IdsOf(engine())) {
    ASSERT_TRUE(stores().MakeResidentAgain(stores().FindSlot(id)).ok());
  }
  report = cleaner().MarkRoots(mark, *roots);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->done, 2u);
  for (const DataStoreId& id : IdsOf(engine())) EXPECT_EQ(cleaner().Survey(mark, id)->dead_count, 0u);
}

TEST_F(MarkTest, AWalkThatWasCutOffMarksWhatIsBelowItsNodesTheNextTime) {
  ASSERT_TRUE(group_.Put("deep", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  ASSERT_GE((*roots)[0].depth, 2u);
  // A leaf is out of sight for the first walk.
  const DataStoreId id = IdsOf(engine())[0];
  StoreSlot* slot = stores().FindSlot(id);
  std::vector<uint32_t> nodes;
  ASSERT_TRUE(slot->store
                  ->ForEachChunk([&](const Fingerprint&, const ChunkPlace& place) {
                    if (place.type == RecordType::kBlockmap) nodes.push_back(place.chunk);
                  })
                  .ok());
  ASSERT_GT(nodes.size(), 3u);
  const uint32_t mark = cleaner().OpenMark();
  const uint64_t offset = [&] {
    uint64_t found = 0;
    EXPECT_TRUE(slot->store
                    ->ForEachChunk([&](const Fingerprint&, const ChunkPlace& place) {
                      if (place.chunk == nodes[nodes.size() / 2]) found = place.record_offset;
                    })
                    .ok());
    return found;
  }();
  BlockBuffer memory;
  auto before = slot->store->Read(offset + 200, 3, &memory);
  ASSERT_TRUE(before.ok());
  const uint8_t garbage[] = {1, 2, 3};
  ASSERT_TRUE(group_.disk().Damage(slot->store->path(), offset + 200, garbage).ok());
  EXPECT_EQ(cleaner().MarkRoots(mark, *roots).status().code(), Code::kCorrupt);
  ASSERT_TRUE(group_.disk().Damage(slot->store->path(), offset + 200, *before).ok());
  auto report = cleaner().MarkRoots(mark, *roots);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(cleaner().Survey(mark, id)->dead_count, 0u);
}

TEST_F(MarkTest, AnImpossibleRootIsDamage) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(10000, 1)).ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  const uint32_t mark = cleaner().OpenMark();
  for (uint32_t depth : {0u, 2u, kBlockmapDepthMax + 1}) {
    BlockmapRoot root = (*roots)[0];
    root.depth = depth;
    EXPECT_EQ(cleaner().MarkRoots(mark, {&root, 1}).status().code(), Code::kCorrupt) << depth;
  }
  auto probe = cleaner().OpenProbe({});
  ASSERT_TRUE(probe.ok());
  BlockmapRoot root = (*roots)[0];
  root.depth = kBlockmapDepthMax + 1;
  EXPECT_EQ(cleaner().ProbeRoots(*probe, {&root, 1}).code(), Code::kCorrupt);
}

TEST_F(MarkTest, TheProbeMeetsEveryNodeAndHitsEveryReferencedDeadChunk) {
  ASSERT_TRUE(group_.Put("deep", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Put("other", MakeBytes(100000, 2)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  HideAll(IdsOf(engine())[0]);  // as a mark that has missed everything would
  auto probe = cleaner().OpenProbe(IdsOf(engine()));
  ASSERT_TRUE(probe.ok());
  ASSERT_TRUE(cleaner().ProbeRoots(*probe, *roots).ok());
  EXPECT_EQ(cleaner().ReportProbe(*probe)->missing_count, 2u);
  EXPECT_EQ(cleaner().ReportProbe(*probe)->hit_count, 2u) << "roots are chunks, too";
  auto report = cleaner().ProbeStore(*probe, IdsOf(engine())[0]);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->missing_count, 0u);
  EXPECT_EQ(report->hit_count, engine().Counters().stored.chunk_count);
  EXPECT_EQ(report->hits.size(), ReferenceProbe::kHitsReportedMax);
  cleaner().CloseProbe(*probe);
  EXPECT_EQ(cleaner().ReportProbe(*probe).status().code(), Code::kInvalid);
}

TEST_F(MarkTest, TheProbeHitsOneChunkOfOneLeafByItsName) {
  ASSERT_TRUE(group_.Put("deep", MakeBytes(kDeepSize, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  const DataStoreId id = IdsOf(engine())[0];
  Fingerprint wanted;
  ASSERT_TRUE(stores()
                  .FindSlot(id)
                  ->store
                  ->ForEachChunk([&](const Fingerprint& name, const ChunkPlace& place) {
                    if (place.chunk == 77) wanted = name;
                  })
                  .ok());
  const uint8_t one[] = {1};
  ASSERT_TRUE(stores().HideChunks(id, HiddenReason::kDead, 77, one).ok());
  auto probe = cleaner().OpenProbe({&id, 1});
  ASSERT_TRUE(probe.ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(cleaner().ProbeRoots(*probe, *roots).ok());
  auto report = cleaner().ProbeStore(*probe, id);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->hit_count, 1u);
  EXPECT_EQ(report->hits, std::vector<Fingerprint>{wanted});
}

TEST_F(MarkTest, ANodeThatIsInNoDataStoreStaysMissing) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(100000, 1)).ok());
  auto roots = group_.Roots();
  ASSERT_TRUE(roots.ok());
  (*roots)[0].fingerprint.bytes[0] ^= 1;
  auto probe = cleaner().OpenProbe({});
  ASSERT_TRUE(probe.ok());
  ASSERT_TRUE(cleaner().ProbeRoots(*probe, *roots).ok());
  for (const DataStoreId& id : IdsOf(engine())) {
    EXPECT_EQ(cleaner().ProbeStore(*probe, id)->missing_count, 1u);
  }
  // A root that names a node of another level is damage, and never met.
  roots = group_.Roots();
  (*roots)[0].depth += 1;
  ASSERT_TRUE(cleaner().ProbeRoots(*probe, *roots).ok());
  for (const DataStoreId& id : IdsOf(engine())) {
    EXPECT_EQ(cleaner().ProbeStore(*probe, id)->missing_count, 2u);
  }
}

TEST_F(MarkTest, ADamagedBlockmapRecordLeavesItsNodesMissingAndDoesNotFailTheProbe) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(100000, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  const DataStoreId id = IdsOf(engine())[0];
  StoreSlot* slot = stores().FindSlot(id);
  ASSERT_TRUE(slot->store
                  ->ForEachRecord(
                      0,
                      [&](const RecordRows& record) {
                        const uint8_t garbage[] = {1, 2, 3};
                        if (record.type == RecordType::kBlockmap) {
                          EXPECT_TRUE(
                              group_.disk().Damage(slot->store->path(), record.offset + 80, garbage).ok());
                        }
                        return true;
                      })
                  .ok());
  auto roots = group_.Roots();
  auto probe = cleaner().OpenProbe({});
  ASSERT_TRUE(probe.ok());
  ASSERT_TRUE(cleaner().ProbeRoots(*probe, *roots).ok());
  auto report = cleaner().ProbeStore(*probe, id);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->missing_count, 1u);
}

TEST_F(MarkTest, AScrubThatIsCutIntoCallsSeesEveryRecordOnce) {
  ASSERT_TRUE(group_.Put("file", MakeBytes(700000, 1)).ok());
  ASSERT_TRUE(group_.Restart().ok());
  const DataStoreId id = IdsOf(engine())[0];
  auto whole = cleaner().Scrub(id, 0, UINT64_MAX);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->next, whole->chunk_count);
  VerifyReport sum;
  uint64_t calls = 0;
  for (uint64_t from = 0; from < whole->chunk_count; ++calls) {
    auto part = cleaner().Scrub(id, from, 1);
    ASSERT_TRUE(part.ok());
    ASSERT_GT(part->next, from);
    sum.record_count += part->record_count;
    sum.chunk_count += part->chunk_count;
    sum.bytes += part->bytes;
    from = part->next;
  }
  EXPECT_EQ(calls, whole->record_count);
  EXPECT_EQ(sum.record_count, whole->record_count);
  EXPECT_EQ(sum.chunk_count, whole->chunk_count);
  EXPECT_EQ(sum.bytes, whole->bytes);
  EXPECT_EQ(cleaner().Scrub(id, whole->chunk_count, 1)->record_count, 0u);
  EXPECT_EQ(cleaner().Scrub(id, 1, 1)->chunk_count, cleaner().Scrub(id, 0, 1)->chunk_count)
      << "from the record on that holds the chunk";
  DataStoreId nobody;
  nobody.bytes.fill(9);
  EXPECT_EQ(cleaner().Scrub(nobody, 0, 1).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace granary
