// The resident index: fingerprint -> data store, in memory, 16 bytes an entry (18 to 24 bytes a chunk with
// the table's free places). It answers in tens of nanoseconds where the view takes microseconds. Open
// addressing with linear probing in 64 shards; an entry keeps 96 bits of the fingerprint and its shard 6
// more, so that among 2^30 chunks a look-up is wrong with a chance of 2^-72; fingerprints are keyed, so
// nobody can aim at it.
//
// Bounds: bytes_max for all shards together. At the bound Insert returns false and nothing is stored: the
// engine then forgets whole data stores. Threads: all methods may be called by all threads; a shard's lock is
// held for one key.
#ifndef GRANARY_INDEX_RESIDENT_INDEX_H_
#define GRANARY_INDEX_RESIDENT_INDEX_H_

#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace granary {

class ResidentIndex {
 public:
  static constexpr size_t kEntrySize = 16;
  static constexpr uint32_t kAbsent = 0;  // data store numbers start at 1

  explicit ResidentIndex(uint64_t bytes_max);

  // The number of the data store that holds the chunk, or kAbsent. Batches: out.size() ==
  // fingerprints.size().
  uint32_t Find(const Fingerprint& fingerprint) const;
  void FindMany(std::span<const Fingerprint> fingerprints, std::span<uint32_t> out) const;

  // kKeep: an entry that is there stays, so that a later copy of a chunk does not take over from the one that
  // is relied on; kReplace sets it, whatever it was. False, and nothing stored: the memory bound is reached.
  enum class Mode { kKeep, kReplace };
  [[nodiscard]] bool Insert(const Fingerprint& fingerprint, uint32_t data_store, Mode mode = Mode::kKeep);
  // Removes the entry when it names this data store; true when it did.
  bool Remove(const Fingerprint& fingerprint, uint32_t data_store);

  uint64_t size() const;
  uint64_t bytes() const;
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  struct Entry {
    uint8_t tag[12];
    uint32_t data_store;  // kAbsent: empty
  };
  static_assert(sizeof(Entry) == kEntrySize);
  struct Shard {
    mutable std::shared_mutex mutex;
    std::vector<Entry> entries;
    uint64_t count = 0;
  };

  static constexpr size_t kShardCount = 64;
  Shard& ShardOf(const Fingerprint& fingerprint) const;
  bool Grow(Shard* shard);
  // Where the tag's entry is, or the empty place where it belongs. The shard has places.
  static uint64_t SlotOf(const Shard& shard, const uint8_t* tag);

  uint64_t bytes_max_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace granary

#endif  // GRANARY_INDEX_RESIDENT_INDEX_H_
