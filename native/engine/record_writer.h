// From chunks to durable-to-be records: regions, compressed, decoded again and compared, sealed, unsealed
// again and compared, appended. Threads: all; each call works on an appender and scratch memory of its own.
#ifndef GRANARY_ENGINE_RECORD_WRITER_H_
#define GRANARY_ENGINE_RECORD_WRITER_H_

#include <atomic>
#include <span>
#include <vector>

#include "compress/compressor.h"
#include "datastore/record_format.h"
#include "engine/store_set.h"

namespace granary {

struct WriteChunk {
  Fingerprint fingerprint;
  ConstBytes bytes;
};

class RecordWriter {
 public:
  RecordWriter(StoreSet* stores, CompressionMode mode) : stores_(stores), mode_(mode) {}

  void SetCompression(CompressionMode mode) { mode_.store(mode); }

  struct Written {
    uint64_t plain_bytes = 0;
    uint64_t stored_bytes = 0;
  };
  // Chunks that were appended, and where; look-ups do not know of it yet.
  using Placed = std::vector<std::pair<Fingerprint, StoreSlot*>>;

  // Cuts the chunks into regions and appends a record for each. On failure some may have been appended: they
  // are harmless. Look-ups find these copies unless they knew others, or, with `placed`, not before Publish.
  Result<Written> Write(RecordType type, std::span<const WriteChunk> chunks, Placed* placed = nullptr);
  // Makes them durable; then look-ups go to them, whatever they knew before. In this order: a restore that is
  // under way reads the old copies until the new ones can be read.
  Status Publish(const Placed& placed);

  // Records whose first encoding did not decode to what went in, and were stored uncompressed instead.
  uint64_t mismatch_count() const { return mismatch_count_.load(); }

 private:
  Result<uint64_t> WriteRegion(StoreSlot* slot, RecordType type, std::span<const WriteChunk> chunks,
                               Placed* placed);

  StoreSet* const stores_;
  std::atomic<CompressionMode> mode_;
  std::atomic<uint64_t> mismatch_count_{0};
};

}  // namespace granary

#endif  // GRANARY_ENGINE_RECORD_WRITER_H_
