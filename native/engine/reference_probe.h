// Mark 2: is a condemned chunk referenced by anything? Asks the records of the data stores, forward through
// the files, and neither view nor resident index. Nodes are found level by level: roots are missing until a
// record is met that holds them, then their children are.
//
// A referenced condemned chunk that has another copy, not hidden, came again and was stored anew: no hit.
// Threads: calls serialise themselves. Memory: 16 bytes a condemned chunk, 24 a node met, some 60 a node
// missing, 60 a condemned chunk that is referenced.
#ifndef GRANARY_ENGINE_REFERENCE_PROBE_H_
#define GRANARY_ENGINE_REFERENCE_PROBE_H_

#include <array>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "blockmap/blockmap.h"
#include "engine/prefix_set.h"
#include "engine/store_set.h"
#include "fingerprint/fingerprint.h"

namespace granary {

class ReferenceProbe {
 public:
  static constexpr size_t kHitsReportedMax = 64;

  ReferenceProbe(StoreSet* stores, const Fingerprinter* fingerprinter)
      : stores_(stores), fingerprinter_(fingerprinter) {}

  // Takes the chunks of the data store that are hidden as dead. All before the first root.
  Status AddDead(StoreSlot* slot);
  // kCorrupt: a depth that no blockmap has.
  Status AddRoots(std::span<const BlockmapRoot> roots);
  // Takes the missing nodes that this data store has. kIo.
  Status Scan(StoreSlot* slot);

  struct Report {
    uint64_t missing_count = 0;
    uint64_t node_count = 0;
    uint64_t hit_count = 0;
    std::vector<Fingerprint> hits;  // the first of them
  };
  Report MakeReport();

 private:
  using Prefix = std::array<uint8_t, 16>;
  static Prefix PrefixOf(const Fingerprint& fingerprint);
  void Want(const Fingerprint& fingerprint, uint32_t level);
  void Test(const Fingerprint& fingerprint);
  Status ScanOnce(StoreSlot* slot, uint64_t* found_count);
  Result<uint64_t> TakeNodes(StoreSlot* slot, const RecordRows& record);
  bool TakeNode(const Fingerprint& fingerprint, ConstBytes bytes);

  StoreSet* const stores_;
  const Fingerprinter* const fingerprinter_;
  std::mutex mutex_;
  std::vector<Prefix> dead_;
  bool is_sorted_ = true;
  PrefixSet met_;
  std::unordered_map<Fingerprint, uint32_t, FingerprintHash> missing_;  // and their level
  std::unordered_set<Fingerprint, FingerprintHash> referenced_;         // and condemned
  std::unordered_set<Fingerprint, FingerprintHash> copied_;             // of these: there is another copy
};

}  // namespace granary

#endif  // GRANARY_ENGINE_REFERENCE_PROBE_H_
