// The commit log: the truth about names, in two copies (log/a, log/b) of the same segments. Each incarnation
// starts a segment of its own with a random id, from which the segment's key derives: a sequence number seals
// one text only, even when a torn tail was cut. FORMAT.md, section "Commit log".
//
// Recovery reads both copies together. An invalid record with nothing valid behind it, in either copy, is a
// torn tail and is cut; an invalid record followed by a valid one is corruption and comes from the other
// copy; both bad: kCorrupt, nothing is cut. "Behind" means in a later Append: records of one Append reach the
// disk in any order, so a valid one behind an invalid one of the same Append is part of the torn tail. The
// longer valid copy repairs the shorter.
//
// Threads: one appender at a time (the engine's lock); Read by anyone, at any time.
#ifndef GRANARY_DATASTORE_COMMIT_LOG_H_
#define GRANARY_DATASTORE_COMMIT_LOG_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "io/file.h"

namespace granary {

inline constexpr size_t kLogPayloadSizeMax = 64 * 1024;
inline constexpr uint64_t kLogSegmentSizeTarget = 64ull << 20;  // a new segment is begun behind it

// What the log says; the payload's fields are the catalog's (src/catalog/record.ts), opaque here.
struct LogEntry {
  uint8_t type = 0;  // 1 … 255; 0 is never legal
  ConstBytes payload;
};

class CommitLog {
 public:
  struct Parameters {
    StoreId store_id;
    uint64_t incarnation = 0;
    uint64_t from_sequence = 0;    // of the checkpoint: older segments need not be there
    const Key* log_key = nullptr;  // null: not sealed
    uint64_t sealed_from = 0;      // with a key: segments that begin before this record may be clear
    uint64_t segment_size_target = kLogSegmentSizeTarget;
  };
  struct Report {
    uint64_t bytes_cut = 0;         // of torn tails
    uint64_t records_repaired = 0;  // taken from the other copy; a segment's header counts as one
  };
  // Makes `directory` and the two copies' directories in it, durable: an empty log. Part of making a group.
  // What is there already is left alone.
  static Status Create(FileSystem* files, const std::string& directory);
  // Recovers and is ready to append: the next record starts a new segment. `read_only`: changes nothing, cuts
  // nothing. `directory` is the one that holds a/ and b/. kNotFound: neither is there (one alone is remade
  // from the other); kCorrupt: both copies are damaged, or end before from_sequence; kDenied: wrong key.
  static Result<std::unique_ptr<CommitLog>> Open(FileSystem* files, const std::string& directory,
                                                 const Parameters& parameters, bool read_only,
                                                 Report* report);
  virtual ~CommitLog() = default;

  // Appends all entries, in order, to both copies, and makes them durable with one sync a copy. Returns the
  // sequence number of the first. After a failure the log is broken for good: whether the entries are durable
  // is unknown, and every later Append returns the failure. kNoSpace alone breaks nothing: it comes before
  // anything is written.
  virtual Result<uint64_t> Append(const std::vector<LogEntry>& entries) = 0;
  // Of the last durable record; 0 when there is none. Numbers start at 1 and have no gaps.
  virtual uint64_t last_sequence() const = 0;
  // Calls `each` for records from `from` on, in order, until it returns false or the durable end is reached.
  using Each = std::function<bool(uint64_t sequence, const LogEntry& entry)>;
  virtual Status Read(uint64_t from, const Each& each) = 0;
  // First sequence that Read can still give; greater than 1 after DropBefore.
  virtual uint64_t first_sequence() const = 0;
  // Unlinks whole segments that lie before `sequence`. Called when two later checkpoints are durable.
  virtual Status DropBefore(uint64_t sequence) = 0;
  virtual uint64_t file_bytes() const = 0;  // of both copies
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_COMMIT_LOG_H_
