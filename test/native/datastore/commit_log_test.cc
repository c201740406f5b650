// Rules of the commit log on a disk that is damaged but does not crash; crashes are in
// commit_log_crash_test.cc.
#include "datastore/commit_log.h"

#include <atomic>
#include <thread>

#include "datastore/commit_log_format.h"
#include "datastore/log_fixture.h"

namespace granary {
namespace {

class CommitLogTest : public LogFixture, public testing::WithParamInterface<bool> {
 protected:
  CommitLogTest() : LogFixture(GetParam()) {}
  void SetUp() override { MakeDirectories(); }
};

TEST_P(CommitLogTest, RecordsReadBackInOrderFromAnySequence) {
  auto log = Open();
  AppendBatches(log.get(), {1, 3, 2, 5});
  EXPECT_EQ(log->last_sequence(), 11u);
  EXPECT_EQ(log->first_sequence(), 1u);
  for (uint64_t from = 0; from <= 12; ++from) ExpectHolds(log.get(), from, 11);
}

TEST_P(CommitLogTest, AnEmptyLogHasNoRecords) {
  auto log = Open();
  EXPECT_EQ(log->last_sequence(), 0u);
  EXPECT_EQ(log->first_sequence(), 1u);
  ExpectHolds(log.get(), 1, 0);
}

TEST_P(CommitLogTest, PayloadsFromNothingToTheBoundAreTaken) {
  auto log = Open();
  const Buffer longest(kLogPayloadSizeMax, 7), too_long(kLogPayloadSizeMax + 1, 7);
  EXPECT_EQ(log->Append({{1, too_long}}).status().code(), Code::kInvalid);
  EXPECT_EQ(log->Append({{0, longest}}).status().code(), Code::kInvalid);
  EXPECT_EQ(log->Append({}).status().code(), Code::kInvalid);
  EXPECT_EQ(*log->Append({{255, longest}, {1, {}}}), 1u);
  log = Open();
  std::vector<size_t> sizes;
  ASSERT_TRUE(log->Read(1,
                        [&](uint64_t, const LogEntry& entry) {
                          sizes.push_back(entry.payload.size());
                          return true;
                        })
                  .ok());
  EXPECT_EQ(sizes, (std::vector<size_t>{kLogPayloadSizeMax, 0}));
}

TEST_P(CommitLogTest, ReadStopsWhenTheCallerHasEnough) {
  auto log = Open();
  AppendBatches(log.get(), {4});
  uint64_t count = 0;
  ASSERT_TRUE(log->Read(1, [&](uint64_t, const LogEntry&) { return ++count < 2; }).ok());
  EXPECT_EQ(count, 2u);
}

TEST_P(CommitLogTest, EachIncarnationContinuesTheChainInASegmentOfItsOwn) {
  for (uint64_t incarnation = 1; incarnation <= 4; ++incarnation) {
    auto log = Open(incarnation);
    AppendBatches(log.get(), {1, 2});
    ExpectHolds(log.get(), 1, incarnation * 3);
  }
  EXPECT_EQ(Segments(0).size(), 4u);
  EXPECT_EQ(Segments(1), Segments(0));
}

TEST_P(CommitLogTest, AnIncarnationThatAppendsNothingLeavesNothing) {
  AppendBatches(Open(1).get(), {2});
  Open(2);
  Open(3);
  EXPECT_EQ(Segments(0).size(), 1u);
}

TEST_P(CommitLogTest, ALogGoesOnInANewSegmentBehindItsTarget) {
  auto log = Open(1, 0, 3000);
  AppendBatches(log.get(), std::vector<int>(60, 2));
  EXPECT_GT(Segments(0).size(), 3u);
  ExpectHolds(log.get(), 50, 120);
  ExpectHolds(Open(2).get(), 1, 120);
}

TEST_P(CommitLogTest, DropBeforeUnlinksWholeSegmentsOnlyAndNeverTheLast) {
  auto log = Open(1, 0, 3000);
  AppendBatches(log.get(), std::vector<int>(60, 2));
  const size_t before = Segments(0).size();
  ASSERT_TRUE(log->DropBefore(60).ok());
  EXPECT_LT(Segments(0).size(), before);
  EXPECT_EQ(Segments(0), Segments(1));
  EXPECT_GT(log->first_sequence(), 1u);
  EXPECT_LE(log->first_sequence(), 60u);
  ExpectHolds(log.get(), 60, 120);
  EXPECT_EQ(log->Read(1, [](uint64_t, const LogEntry&) { return true; }).code(), Code::kNotFound);
  log = Open(2, 60);
  ExpectHolds(log.get(), 60, 120);
  ASSERT_TRUE(log->DropBefore(1000).ok());
  EXPECT_EQ(Segments(0).size(), 1u);
}

TEST_P(CommitLogTest, ALogThatLacksWhatTheCheckpointNeedsIsCorrupt) {
  AppendBatches(Open().get(), {3});
  EXPECT_TRUE(TryOpen(2, 4).ok());
  EXPECT_EQ(TryOpen(2, 5).status().code(), Code::kCorrupt);
  for (int copy = 0; copy < 2; ++copy) ASSERT_TRUE(files_->Unlink(PathOf(copy, 1)).ok());
  EXPECT_EQ(TryOpen(2, 3).status().code(), Code::kCorrupt);
}

TEST_P(CommitLogTest, AMissingLogIsNotFoundAndAMissingCopyIsRemade) {
  EXPECT_EQ(CommitLog::Open(files_.get(), "/g/other", Parameters(1, 0), false, nullptr).status().code(),
            Code::kNotFound);
  AppendBatches(Open().get(), {3, 3});
  ASSERT_TRUE(files_->Rename("/g/log/b", "/g/b-unmounted").ok());
  ExpectHolds(Open(2, 0, kLogSegmentSizeTarget, true).get(), 1, 6);
  EXPECT_FALSE(*files_->Exists("/g/log/b"));
  Open(2);
  EXPECT_EQ(Content(1, 1), Content(0, 1));
}

TEST_P(CommitLogTest, AFlipOfAnyByteOfOneCopyIsRepairedFromTheOther) {
  AppendBatches(Open().get(), {1, 2, 1});
  Open(2);  // cuts the preallocated rest
  const Buffer good = Content(0, 1);
  for (size_t index = 0; index < good.size(); ++index) {
    const int copy = static_cast<int>(index % 2);
    Flip(copy, 1, index);
    CommitLog::Report report;
    auto log = TryOpen(3, 0, kLogSegmentSizeTarget, false, &report);
    ASSERT_TRUE(log.ok()) << index << ": " << log.status().message();
    ExpectHolds(log->get(), 1, 4);
    ASSERT_EQ(Content(copy, 1), good) << index;
    EXPECT_EQ(report.bytes_cut, 0u);
    EXPECT_LE(report.records_repaired, 4u);
  }
}

TEST_P(CommitLogTest, AnOpenLogReadsWhatIsDamagedInOneCopyFromTheOther) {
  auto log = Open();
  AppendBatches(log.get(), {1, 2, 1});
  Flip(0, 1, kLogSegmentHeaderSize + 80);
  Flip(0, 1, 20);
  ExpectHolds(log.get(), 1, 4);
  ExpectHolds(log.get(), 3, 4);
}

TEST_P(CommitLogTest, DifferentRecordsDamagedInTheTwoCopiesAreBothRepaired) {
  AppendBatches(Open().get(), {1, 1, 1, 1});
  const auto offsets = RecordOffsets(1);
  Flip(0, 1, offsets[1] + 70);
  Flip(1, 1, offsets[2] + 70);
  CommitLog::Report report;
  ExpectHolds(TryOpen(2, 0, kLogSegmentSizeTarget, false, &report)->get(), 1, 4);
  EXPECT_EQ(report.records_repaired, 2u);
  EXPECT_EQ(Content(0, 1), Content(1, 1));
}

TEST_P(CommitLogTest, ARecordDamagedInBothCopiesWithALaterAppendBehindIsCorruptAndNothingIsCut) {
  AppendBatches(Open().get(), {1, 1, 1, 1});
  const auto offsets = RecordOffsets(1);
  for (int copy = 0; copy < 2; ++copy) Flip(copy, 1, offsets[1] + 70);
  const Buffer before = Content(0, 1);
  EXPECT_EQ(TryOpen(2).status().code(), Code::kCorrupt);
  EXPECT_EQ(Content(0, 1), before);
}

TEST_P(CommitLogTest, TheLastAppendDamagedInBothCopiesIsATornTailHoweverItsRecordsLie) {
  AppendBatches(Open().get(), {2, 4});
  const auto offsets = RecordOffsets(1);
  for (int copy = 0; copy < 2; ++copy) Flip(copy, 1, offsets[3] + 70);  // the second of the four
  CommitLog::Report report;
  ExpectHolds(TryOpen(2, 0, kLogSegmentSizeTarget, false, &report)->get(), 1, 3);
  EXPECT_GT(report.bytes_cut, 0u);
  auto log = Open(3);
  AppendBatches(log.get(), {2});
  ExpectHolds(Open(4).get(), 1, 5);
}

TEST_P(CommitLogTest, ATailThatOneCopyHasIsKeptAndGivenToTheOther) {
  AppendBatches(Open().get(), {2, 1});
  Flip(0, 1, RecordOffsets(1)[2] + 10);
  CommitLog::Report report;
  ExpectHolds(TryOpen(2, 0, kLogSegmentSizeTarget, false, &report)->get(), 1, 3);
  EXPECT_EQ(report.records_repaired, 1u);
  EXPECT_EQ(Content(0, 1), Content(1, 1));
}

TEST_P(CommitLogTest, BothHeadersOfASegmentWithRecordsDamagedIsCorrupt) {
  AppendBatches(Open().get(), {2});
  for (int copy = 0; copy < 2; ++copy) Flip(copy, 1, 30);
  EXPECT_EQ(TryOpen(2).status().code(), Code::kCorrupt);
}

// By someone who has the keys, or where there are none: tag and checksum fit, the record behind tells.
TEST_P(CommitLogTest, ARecordReplacedByAWellFormedOneBreaksTheChain) {
  for (const uint64_t replaced : {2, 3}) {  // in the middle of a segment, and before the next
    files_ = SimulatedFileSystem::Create();
    MakeDirectories();
    AppendBatches(Open(1).get(), {1, 1, 1});
    AppendBatches(Open(2).get(), {1});
    const Buffer content = Content(0, 1);
    LogSegmentHeader segment;
    Key key{};
    ASSERT_TRUE(DecodeLogSegmentHeader(content, &segment).ok());
    ASSERT_TRUE(OpenLogSegmentKey(segment, GetParam() ? &kDataKey : nullptr, 0, &key).ok());
    const LogPlace place{segment.store_id, segment.segment_id, GetParam() ? &key : nullptr};
    const uint64_t offset = RecordOffsets(1)[replaced - 1];
    LogRecordHeader header;
    ASSERT_TRUE(DecodeLogRecordHeader(segment.segment_id, ConstBytes(content).subspan(offset), &header).ok());
    Buffer forged;
    EncodeLogRecord(place, header, Buffer(header.payload_size, 0x66), &forged);
    for (int copy = 0; copy < 2; ++copy) ASSERT_TRUE(files_->Damage(PathOf(copy, 1), offset, forged).ok());
    EXPECT_EQ(TryOpen(3).status().code(), Code::kCorrupt) << replaced;
  }
}

TEST_P(CommitLogTest, AMissingSegmentInTheMiddleIsCorrupt) {
  auto log = Open(1, 0, 3000);
  AppendBatches(log.get(), std::vector<int>(60, 2));
  const auto segments = Segments(0);
  for (int copy = 0; copy < 2; ++copy) {
    ASSERT_TRUE(files_->Unlink("/g/log/" + std::string(copy == 0 ? "a/" : "b/") + segments[2]).ok());
  }
  EXPECT_EQ(TryOpen(2).status().code(), Code::kCorrupt);
}

TEST_P(CommitLogTest, CutAtEveryByteOfTheLastAppendWhatPrecedesItIsKept) {
  AppendBatches(Open().get(), {2, 1});
  Open(2);
  const Buffer good = Content(0, 1);
  const uint64_t last = RecordOffsets(1)[2];
  for (uint64_t size = last; size < good.size(); ++size) {
    for (int copy = 0; copy < 2; ++copy) {
      ASSERT_TRUE(ReplaceFile(files_.get(), PathOf(copy, 1), ConstBytes(good).first(size)).ok());
    }
    auto log = TryOpen(3);
    ASSERT_TRUE(log.ok()) << size;
    ExpectHolds(log->get(), 1, 2);
    ASSERT_EQ(Content(0, 1).size(), last);
  }
}

TEST_P(CommitLogTest, ReadOnlyChangesNothingAndRefusesAppends) {
  AppendBatches(Open().get(), {2, 1});
  Flip(0, 1, RecordOffsets(1)[1] + 70);
  const Buffer a = Content(0, 1), b = Content(1, 1);
  files_->SetPlan({});
  auto log = Open(2, 0, kLogSegmentSizeTarget, true);
  ExpectHolds(log.get(), 1, 3);
  EXPECT_EQ(log->Append({{1, {}}}).status().code(), Code::kInvalid);
  EXPECT_EQ(files_->operation_count(), 0u);
  EXPECT_EQ(Content(0, 1), a);
  EXPECT_EQ(Content(1, 1), b);
}

TEST_P(CommitLogTest, ASegmentOfAnotherGroupIsCorrupt) {
  AppendBatches(Open().get(), {2});
  auto parameters = Parameters(2, 0);
  parameters.store_id.bytes[0] ^= 1;
  EXPECT_EQ(CommitLog::Open(files_.get(), "/g/log", parameters, false, nullptr).status().code(),
            Code::kCorrupt);
}

TEST_P(CommitLogTest, ACutTailsSequenceNumberIsSealedAnewUnderAnotherKey) {
  AppendBatches(Open().get(), {1, 1});
  const Buffer before = Content(0, 1);
  const uint64_t second = RecordOffsets(1)[1];
  for (int copy = 0; copy < 2; ++copy) Flip(copy, 1, second + 70);
  auto log = Open(2);
  AppendBatches(log.get(), {1});
  const Buffer after = Content(0, 2);
  EXPECT_NE(Buffer(after.begin() + 32, after.begin() + 56), Buffer(before.begin() + 40, before.begin() + 64));
  LogSegmentHeader one, two;
  ASSERT_TRUE(DecodeLogSegmentHeader(before, &one).ok());
  ASSERT_TRUE(DecodeLogSegmentHeader(after, &two).ok());
  EXPECT_NE(one.segment_id, two.segment_id);
  if (GetParam()) EXPECT_NE(one.key_commitment, two.key_commitment);
}

TEST_P(CommitLogTest, OneThreadAppendsWhileOthersRead) {
  auto log = Open(1, 0, 20000);
  std::atomic<bool> is_done{false};
  std::thread reader([&] {
    while (!is_done) {
      const uint64_t last = log->last_sequence();
      uint64_t count = 0;
      EXPECT_TRUE(log->Read(1, [&](uint64_t sequence, const LogEntry&) { return ++count == sequence; }).ok());
      EXPECT_GE(count, last);
      EXPECT_GE(log->file_bytes(), count);
    }
  });
  AppendBatches(log.get(), std::vector<int>(200, 2));
  is_done = true;
  reader.join();
  ExpectHolds(log.get(), 1, 400);
}

INSTANTIATE_TEST_SUITE_P(All, CommitLogTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "sealed" : "unsealed"; });

TEST(CommitLogKeyTest, AWrongOrMissingKeyIsDeniedAndAClearSegmentInASealedGroupIsRefused) {
  auto files = SimulatedFileSystem::Create();
  ASSERT_TRUE(files->MakeDirectory("/g").ok());
  ASSERT_TRUE(CommitLog::Create(files.get(), "/g/log").ok());
  const auto open = [&](const Key* key) {
    return CommitLog::Open(files.get(), "/g/log", {TestStoreId(), 1, 0, key}, false, nullptr);
  };
  ASSERT_TRUE((*open(&kDataKey))->Append({{1, {}}}).ok());
  EXPECT_EQ(open(&kWrongKey).status().code(), Code::kDenied);
  EXPECT_EQ(open(nullptr).status().code(), Code::kDenied);
  ASSERT_TRUE(files->Unlink("/g/log/a/0000000000000001.log").ok());
  ASSERT_TRUE(files->Unlink("/g/log/b/0000000000000001.log").ok());
  ASSERT_TRUE((*open(nullptr))->Append({{1, {}}}).ok());
  EXPECT_EQ(open(&kDataKey).status().code(), Code::kCorrupt);
}

}  // namespace
}  // namespace granary
