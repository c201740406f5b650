// From fingerprints to verified bytes: places, coalesced reads, unsealing, decompression, and the check of
// every fingerprint before a byte is handed out (invariant I8).
//
// Threads: all methods may be called by all threads. Memory: regions that were used in part are kept up to a
// bound, for the next segment of the same restore; blockmap records likewise.
#ifndef GRANARY_ENGINE_RECORD_READER_H_
#define GRANARY_ENGINE_RECORD_READER_H_

#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "blockmap/blockmap.h"
#include "engine/store_set.h"
#include "engine/stream.h"
#include "fingerprint/fingerprint.h"

namespace granary {

// Decompressed records, least recently used out first.
class RegionCache {
 public:
  explicit RegionCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  struct Region {
    std::shared_ptr<uint8_t[]> memory;  // null: not here
    size_t size = 0;
    Bytes bytes() const { return {memory.get(), size}; }
  };
  Region Get(uint32_t store, uint64_t offset);
  void Put(uint32_t store, uint64_t offset, Region region);
  void DropStore(uint32_t store);

 private:
  struct Key {
    uint32_t store;
    uint64_t offset;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const { return key.offset * 0x9e3779b97f4a7c15ull ^ key.store; }
  };
  using Order = std::list<std::pair<Key, Region>>;

  const uint64_t bytes_max_;
  std::mutex mutex_;
  Order order_;
  std::unordered_map<Key, Order::iterator, KeyHash> entries_;
  uint64_t bytes_ = 0;
};

class RecordReader {
 public:
  RecordReader(StoreSet* stores, const Fingerprinter* fingerprinter, uint64_t cache_bytes_max)
      : stores_(stores), fingerprinter_(fingerprinter), cache_(cache_bytes_max) {}

  struct ReadReport {
    uint64_t bytes = 0;
    uint32_t unresolved_count = 0;
  };
  // Fills `out` with the rows' chunks one behind the other. Rows whose place only the view may know become
  // kUnknown and nothing is read. kCorrupt names the chunk.
  Result<ReadReport> ReadChunks(Row* rows, size_t row_count, Bytes out);

  // Rows for a range of a file. `unresolved` is set, and kUnavailable returned, when a node's place is not
  // known here.
  Result<BlockmapReader::Range> ReadRows(const BlockmapRoot& root, uint64_t offset, uint64_t length,
                                         size_t row_count_max, uint64_t covered_max,
                                         std::vector<NodeRow>* rows, Fingerprint* unresolved);

  // A blockmap node's bytes, sealed and named as they have to be. `unresolved`, kUnavailable: as above.
  Result<Buffer> ReadNode(const NodeRow& node, Fingerprint* unresolved);

  // Lets go of decompressed records of a data store that leaves.
  void DropStore(uint32_t number) { cache_.DropStore(number); }

 private:
  struct Wanted;
  Result<ReadReport> ReadPlaced(Row* rows, size_t row_count, Bytes out, std::vector<Wanted>* placed);
  Result<bool> Place(Row* row, Wanted* wanted);
  Status ReadGroup(std::span<Wanted> group, Bytes out);
  Status DecodeInto(std::span<Wanted> wanted, ConstBytes record, Bytes out);
  Status VerifyChunks(const Row* rows, size_t row_count, ConstBytes bytes);

  StoreSet* const stores_;
  const Fingerprinter* const fingerprinter_;
  RegionCache cache_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_RECORD_READER_H_
