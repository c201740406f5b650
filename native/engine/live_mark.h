// Mark 1: everything that blockmaps reach from their roots, as a filter that never forgets. A fingerprint
// that is live is so in every data store that has it. Nodes are remembered exactly, so that none is walked
// twice.
//
// Threads: calls serialise themselves; live() may be asked when the walk has ended.
#ifndef GRANARY_ENGINE_LIVE_MARK_H_
#define GRANARY_ENGINE_LIVE_MARK_H_

#include <mutex>
#include <optional>

#include "engine/fingerprint_filter.h"
#include "engine/prefix_set.h"
#include "engine/record_reader.h"

namespace granary {

class LiveMark {
 public:
  static constexpr uint32_t kBitsEach = 10;

  // `chunk_count`: about so many chunks there are. `epoch`: of the cleaner, as the mark begins.
  LiveMark(uint64_t chunk_count, uint64_t epoch);

  struct Report {
    uint64_t done = 0;  // roots that are marked with all below them
    std::optional<Fingerprint> unresolved;
    uint64_t node_count = 0;
    uint64_t chunk_count = 0;
  };
  // Stops at a node whose place is not known here (`unresolved`): what is below that root is marked in part,
  // and walked to its end by the next call. kCorrupt, kIo: a node cannot be read.
  Result<Report> MarkRoots(RecordReader* reader, std::span<const BlockmapRoot> roots);

  const FingerprintFilter& live() const { return live_; }
  uint64_t epoch() const { return epoch_; }

 private:
  Status Walk(RecordReader* reader, const NodeRow& node, uint32_t level, Fingerprint* unresolved);

  const uint64_t epoch_;
  std::mutex mutex_;
  FingerprintFilter live_;
  PrefixSet walked_;  // nodes that are marked with all below them
  uint64_t node_count_ = 0;
  uint64_t chunk_count_ = 0;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_LIVE_MARK_H_
