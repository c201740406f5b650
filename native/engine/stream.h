// One stream being ingested: digests, cuts, look-ups, pins, records, blockmap. Bytes are borrowed during a
// call, never kept.
//
// Threads: Prepare and Admit are called in order by one thread at a time; Store may run beside the next
// Prepare, and several Stores beside each other. Finish comes after all of them. Memory: pins, one blockmap
// path (a few hundred KiB at most), nodes waiting to be stored (up to a region), fingerprints of segments
// under way.
#ifndef GRANARY_ENGINE_STREAM_H_
#define GRANARY_ENGINE_STREAM_H_

#include <mutex>
#include <unordered_set>
#include <vector>

#include "blockmap/blockmap.h"
#include "chunk/chunker.h"
#include "engine/record_writer.h"
#include "engine/store_set.h"
#include "fingerprint/digest.h"
#include "fingerprint/fingerprint.h"

namespace granary {

// What crosses the door per chunk. The same numbers stand in src/native/binding.ts.
inline constexpr size_t kRowSize = 40;
enum class RowState : uint32_t { kKnown = 0, kNew = 1, kUnknown = 2 };

struct Row {
  Fingerprint fingerprint;
  uint32_t length = 0;
  RowState state = RowState::kKnown;
};
static_assert(sizeof(Row) == kRowSize && std::is_trivially_copyable_v<Row>);

struct SegmentReport {
  uint32_t row_count = 0;
  uint32_t consumed = 0;
  uint32_t new_count = 0;
  uint32_t unknown_count = 0;
};

struct StoreReport {
  uint64_t new_bytes = 0;
  uint64_t stored_bytes = 0;
};

struct StreamReport {
  BlockmapRoot root;
  uint64_t size = 0;
  uint64_t chunk_count = 0;
  StoreReport stored;
  Digests digests;
};

class Stream {
 public:
  struct Stages {
    const Chunker* chunker;
    const Fingerprinter* fingerprinter;
    StoreSet* stores;
    RecordWriter* writer;
  };
  Stream(const Stages& stages, uint32_t digest_kinds);
  ~Stream();  // releases the pins

  // `segment` begins at the stream's last cut; the digests take what lies behind `fresh`. `rows` has room for
  // a row per size_min bytes and one more.
  Result<SegmentReport> Prepare(ConstBytes segment, size_t fresh, bool is_last, Row* rows, size_t rows_max);
  // `places[i]`: what the view says of rows[i], or all zero. Returns the count of new rows.
  Result<uint32_t> Admit(Row* rows, size_t row_count, const DataStoreId* places);
  Result<StoreReport> Store(ConstBytes chunks, const Row* rows, size_t row_count);
  Result<StreamReport> Finish();

 private:
  Fingerprint TakeNode(ConstBytes node);
  Status StoreNodes();
  Status StoreBatch(RecordType type, const std::vector<WriteChunk>& chunks, StoreReport* report);
  Status Fail(const Status& status);

  const Stages stages_;
  std::mutex mutex_;  // everything below
  DigestStream digests_;
  BlockmapBuilder blockmap_;
  PinSet pins_;
  // Chunks this stream has found new and whose records are not yet appended.
  std::unordered_set<Fingerprint, FingerprintHash> pending_;
  struct Node {
    Fingerprint fingerprint;
    Buffer bytes;
  };
  std::vector<Node> nodes_;
  size_t nodes_size_ = 0;
  uint64_t fresh_bytes_ = 0;
  uint64_t chunk_count_ = 0;
  StoreReport stored_;
  uint32_t unsettled_ = 0;  // rows handed out as new and not yet stored, or unknown and not yet admitted
  Status failure_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_STREAM_H_
