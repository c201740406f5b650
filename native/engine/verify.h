// Reads a data store as a sceptic: past the page cache, every record's seal, table, decompression, every
// fingerprint, and the trailer against what was found. Changes nothing.
#ifndef GRANARY_ENGINE_VERIFY_H_
#define GRANARY_ENGINE_VERIFY_H_

#include <string>
#include <vector>

#include "engine/store_set.h"
#include "fingerprint/fingerprint.h"

namespace granary {

struct StoreDamage {
  uint64_t offset = 0;
  uint64_t first_chunk = 0;  // position of the record's first chunk among the data store's
  uint64_t chunk_count = 0;
  std::string reason;
  std::vector<Fingerprint> fingerprints;  // of the chunks that cannot be read, by the trailer
};

struct VerifyReport {
  uint64_t record_count = 0;
  uint64_t chunk_count = 0;
  uint64_t bytes = 0;
  uint64_t next = 0;  // chunk to go on from; the data store's count of chunks at its end
  std::vector<StoreDamage> damages;
};

// Records from the one on that holds chunk `from`, about `bytes_max` stored bytes and at least one record.
Result<VerifyReport> VerifyStore(StoreSlot* slot, const Fingerprinter& fingerprinter, uint64_t from,
                                 uint64_t bytes_max);

}  // namespace granary

#endif  // GRANARY_ENGINE_VERIFY_H_
