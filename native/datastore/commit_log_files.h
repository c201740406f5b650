// The commit log's two directories: recovery of what is there, and the segment that is being appended to.
#ifndef GRANARY_DATASTORE_COMMIT_LOG_FILES_H_
#define GRANARY_DATASTORE_COMMIT_LOG_FILES_H_

#include <condition_variable>
#include <mutex>
#include <thread>

#include "datastore/log_segment_reader.h"

namespace granary {

inline constexpr uint64_t kLogAllocateStep = 1 << 20;  // a segment grows by that much at a time

// One segment, the same in both copies.
struct LogSegment {
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  uint64_t end = 0;  // of its last record
};

// What recovery found.
struct RecoveredLog {
  std::vector<LogSegment> segments;  // from the one that holds from_sequence on, without gaps
  LogHash last_hash{};               // of the last record
};

// The two copies' directories.
struct LogDirectories {
  explicit LogDirectories(const std::string& directory) : copies{directory + "/a", directory + "/b"} {}
  std::string copies[kLogCopyCount];
};

Result<RecoveredLog> RecoverLog(FileSystem* files, const std::string& directory,
                                const CommitLog::Parameters& parameters, bool read_only,
                                CommitLog::Report* report);
// First sequences of all segment files in a copy's directory, ascending.
Result<std::vector<uint64_t>> ListLogSegments(FileSystem* files, const std::string& copy_directory);

// Syncs two files at the same time: one here, one on a thread of its own, or in order one after the other.
class PairSync {
 public:
  explicit PairSync(bool is_in_order) : is_in_order_(is_in_order) {}
  ~PairSync();
  Status Sync(File* a, File* b);

 private:
  void Run();

  const bool is_in_order_;
  std::mutex mutex_;
  std::condition_variable changed_;
  File* pending_ = nullptr;
  Status result_;
  std::thread thread_;
  bool must_stop_ = false;
};

class CommitLogFiles : public CommitLog {
 public:
  CommitLogFiles(FileSystem* files, const std::string& directory, const Parameters& parameters,
                 bool read_only, RecoveredLog recovered);
  ~CommitLogFiles() override;

  Result<uint64_t> Append(const std::vector<LogEntry>& entries) override;
  uint64_t last_sequence() const override;
  Status Read(uint64_t from, const Each& each) override;
  uint64_t first_sequence() const override;
  Status DropBefore(uint64_t sequence) override;
  uint64_t file_bytes() const override;

 private:
  struct Active {
    std::unique_ptr<File> files[kLogCopyCount];
    LogPlace place;  // its key points to segment_key_
    uint64_t end = 0;
    uint64_t allocated = 0;
    uint64_t record_count = 0;
  };
  Status CheckEntries(const std::vector<LogEntry>& entries) const;
  Status MakeRoom(uint64_t size);
  Status StartSegment();
  Status CreateSegmentFiles(const LogSegmentHeader& header, Active* active);
  Status WriteBatch(ConstBytes bytes);
  Status ReadSegment(const LogSegment& segment, uint64_t from, uint64_t last, const Each& each,
                     bool* must_stop) const;
  Status Fail(const Status& status);
  uint64_t AllocateStep() const;  // never more than a whole segment

  FileSystem* const files_;
  const LogDirectories directories_;
  const Parameters parameters_;
  const bool read_only_;
  std::optional<Key> log_key_;
  Key segment_key_{};

  mutable std::mutex mutex_;          // guards segments_ and last_sequence_ against readers
  std::vector<LogSegment> segments_;  // the last one is the active one, once there is one
  uint64_t last_sequence_ = 0;

  // The appender's own.
  LogHash last_hash_;
  std::optional<Active> active_;
  PairSync pair_sync_;
  Status failure_;
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_COMMIT_LOG_FILES_H_
