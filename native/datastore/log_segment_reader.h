// Reads one segment of the commit log from both copies at once, record by record: what is invalid in one is
// taken from the other. Bounded memory. Never writes.
#ifndef GRANARY_DATASTORE_LOG_SEGMENT_READER_H_
#define GRANARY_DATASTORE_LOG_SEGMENT_READER_H_

#include <optional>

#include "datastore/commit_log_format.h"
#include "io/read_window.h"

namespace granary {

inline constexpr int kLogCopyCount = 2;

class LogSegmentReader {
 public:
  // `compare_all`: look at both copies of every record (recovery), not only at B where A is invalid.
  LogSegmentReader(FileSystem* files, const std::string (&directories)[kLogCopyCount],
                   uint64_t first_sequence, bool compare_all);
  ~LogSegmentReader();

  // Opens what is there and reads the header. kNotFound: in neither copy; kCorrupt: no valid header; kDenied.
  Status Begin(const StoreId& store_id, const Key* log_key, uint64_t sealed_from);
  const LogSegmentHeader& header() const { return header_; }

  // The record behind the last one; false when neither copy has a valid one there. kIo when that may be for
  // want of reading.
  Result<bool> Next();
  // Steps over the record behind the last one by its header alone, for readers who begin further on.
  Result<bool> Skip();
  const DecodedLogRecord& record() const { return record_; }
  ConstBytes encoded() const { return encoded_; }  // of the record, until the next call
  uint64_t end() const { return end_; }            // of the last record: where the next one begins
  uint64_t next_sequence() const { return next_sequence_; }
  const LogHash& last_hash() const { return last_hash_; }

  // --- for recovery, after Next() was false ---
  // Whether a record of a later Append than the missing one's lies behind end(), in either copy: then it is
  // corruption.
  Result<bool> HasLaterAppend();
  // Of a segment neither of whose headers is valid: whether any record header lies in it.
  Result<bool> HasAnyRecord();
  struct CopyState {
    bool exists = false;
    uint64_t size = 0;
    uint64_t records_missing = 0;  // valid in the other copy only
    bool header_is_valid = false;
  };
  const CopyState& state(int copy) const { return copies_[copy].state; }
  // Bytes behind end() up to the last that is not zero.
  Result<uint64_t> TornBytes(int copy);

 private:
  struct Copy {
    std::string path;
    std::unique_ptr<File> file;
    std::optional<ReadWindow> window;
    CopyState state;
    Status failure;  // of the last read
  };
  LogPlace place() const {
    return {header_.store_id, header_.segment_id, header_.is_sealed ? &key_ : nullptr};
  }
  Status OpenCopy(Copy* copy);
  ConstBytes ReadCopy(Copy* copy, uint64_t offset, size_t size);
  ConstBytes ReadRecord(Copy* copy);
  bool IsNext(Copy* copy, DecodedLogRecord* record, ConstBytes* encoded);
  Status ReadFailure() const;
  Result<bool> FindHeader(Copy* copy, uint64_t from, bool any_segment);

  FileSystem* const files_;
  const uint64_t first_sequence_;
  const bool compare_all_;
  Copy copies_[kLogCopyCount];
  LogSegmentHeader header_;
  Key key_{};
  DecodedLogRecord record_, other_;
  ConstBytes encoded_;
  uint64_t end_ = kLogSegmentHeaderSize;
  uint64_t next_sequence_;
  LogHash last_hash_{};
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_LOG_SEGMENT_READER_H_
