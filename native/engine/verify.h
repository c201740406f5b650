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
  std::string reason;
  std::vector<Fingerprint> fingerprints;  // of the chunks that cannot be read, by the trailer
};

struct VerifyReport {
  uint64_t record_count = 0;
  uint64_t chunk_count = 0;
  uint64_t bytes = 0;
  std::vector<StoreDamage> damages;
};

Result<VerifyReport> VerifyStore(StoreSlot* slot, const Fingerprinter& fingerprinter);

}  // namespace granary

#endif  // GRANARY_ENGINE_VERIFY_H_
