// A commit log on a simulated disk whose every record's content follows from its sequence number.
#ifndef GRANARY_TEST_DATASTORE_LOG_FIXTURE_H_
#define GRANARY_TEST_DATASTORE_LOG_FIXTURE_H_

#include "datastore/commit_log.h"
#include "datastore/commit_log_format.h"
#include "datastore/store_fixture.h"

namespace granary {

class LogFixture : public testing::Test {
 protected:
  explicit LogFixture(bool sealed) : sealed_(sealed) {}

  void MakeDirectories() {
    ASSERT_TRUE(files_->MakeDirectory("/g").ok());
    ASSERT_TRUE(files_->SyncDirectory("/").ok());
    ASSERT_TRUE(CommitLog::Create(files_.get(), "/g/log").ok());
  }
  CommitLog::Parameters Parameters(uint64_t incarnation, uint64_t from) const {
    return {TestStoreId(), incarnation, from, sealed_ ? &kDataKey : nullptr};
  }
  Result<std::unique_ptr<CommitLog>> TryOpen(uint64_t incarnation = 1, uint64_t from = 0,
                                             uint64_t target = kLogSegmentSizeTarget, bool read_only = false,
                                             CommitLog::Report* report = nullptr) {
    auto parameters = Parameters(incarnation, from);
    parameters.segment_size_target = target;
    return CommitLog::Open(files_.get(), "/g/log", parameters, read_only, report);
  }
  std::unique_ptr<CommitLog> Open(uint64_t incarnation = 1, uint64_t from = 0,
                                  uint64_t target = kLogSegmentSizeTarget, bool read_only = false) {
    auto log = TryOpen(incarnation, from, target, read_only);
    EXPECT_TRUE(log.ok()) << log.status().message();
    return std::move(*log);
  }

  static uint8_t TypeOf(uint64_t sequence) { return static_cast<uint8_t>(1 + sequence % 250); }
  static Buffer PayloadOf(uint64_t sequence) {
    DiskRandom random(sequence);
    Buffer payload(random.Below(300));
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random.Next());
    return payload;
  }
  static Status AppendBatch(CommitLog* log, int count) {
    std::vector<Buffer> payloads;
    std::vector<LogEntry> entries;
    for (int index = 0; index < count; ++index)
      payloads.push_back(PayloadOf(log->last_sequence() + 1 + index));
    for (int index = 0; index < count; ++index) {
      entries.push_back({TypeOf(log->last_sequence() + 1 + index), payloads[index]});
    }
    return log->Append(entries).status();
  }
  static void AppendBatches(CommitLog* log, const std::vector<int>& counts) {
    for (int count : counts) ASSERT_TRUE(AppendBatch(log, count).ok());
  }
  // Exactly the records from `from` to `last`, each as it was appended.
  static void ExpectHolds(CommitLog* log, uint64_t from, uint64_t last) {
    uint64_t next = std::max<uint64_t>(from, 1);
    const Status status = log->Read(from, [&](uint64_t sequence, const LogEntry& entry) {
      const Buffer payload(entry.payload.begin(), entry.payload.end());
      EXPECT_TRUE(sequence == next && entry.type == TypeOf(sequence) && payload == PayloadOf(sequence))
          << sequence;
      ++next;
      return true;
    });
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(next, std::max(last + 1, std::max<uint64_t>(from, 1)));
  }

  static std::string PathOf(int copy, uint64_t first_sequence) {
    return std::string(copy == 0 ? "/g/log/a/" : "/g/log/b/") + LogSegmentName(first_sequence);
  }
  std::vector<std::string> Segments(int copy) { return *files_->List(copy == 0 ? "/g/log/a" : "/g/log/b"); }
  Buffer Content(int copy, uint64_t first_sequence) {
    return *ReadWholeFile(files_.get(), PathOf(copy, first_sequence), 1 << 30);
  }
  void Flip(int copy, uint64_t first_sequence, uint64_t offset) {
    const uint8_t flipped[] = {static_cast<uint8_t>(Content(copy, first_sequence)[offset] ^ 0x21)};
    ASSERT_TRUE(files_->Damage(PathOf(copy, first_sequence), offset, flipped).ok());
  }
  std::vector<uint64_t> RecordOffsets(uint64_t first_sequence) {
    const Buffer content = Content(0, first_sequence);
    LogSegmentHeader segment;
    EXPECT_TRUE(DecodeLogSegmentHeader(content, &segment).ok());
    std::vector<uint64_t> offsets;
    LogRecordHeader header;
    for (uint64_t at = kLogSegmentHeaderSize;
         DecodeLogRecordHeader(segment.segment_id, ConstBytes(content).subspan(at), &header).ok();
         at += header.RecordSize()) {
      offsets.push_back(at);
    }
    return offsets;
  }

  const bool sealed_;
  std::shared_ptr<SimulatedFileSystem> files_ = SimulatedFileSystem::Create();
};

}  // namespace granary

#endif  // GRANARY_TEST_DATASTORE_LOG_FIXTURE_H_
