// Four copies of the facts that must be known before anything else, in files superblock.0 … superblock.3; the
// only thing that is overwritten in place. Read: the highest generation that two valid copies hold. Written
// two at a time, with a sync in between, so that a crash leaves a quorum of the old or of the new. FORMAT.md,
// section "Superblock".
#ifndef GRANARY_DATASTORE_SUPERBLOCK_H_
#define GRANARY_DATASTORE_SUPERBLOCK_H_

#include <string>

#include "base/ids.h"
#include "io/file.h"

namespace granary {

inline constexpr uint32_t kFormatVersion = 1;

struct Superblock {
  StoreId store_id;
  uint32_t format_version = kFormatVersion;
  uint64_t features = 0;             // mandatory: a bit we do not know is kUnsupported
  uint64_t generation = 0;           // of this superblock; +1 each write
  uint64_t incarnation = 0;          // +1, durable, at each attach that may write
  uint64_t epoch = 0;                // of the cleaner
  uint64_t checkpoint_sequence = 0;  // log is read from here; 0: from its start
  // Of a group that was encrypted later: log segments that begin before this record, and data stores of key
  // epoch 0, may be clear. 0: the group was made as it is.
  uint64_t sealed_from = 0;
  uint32_t chunk_size_average = 16384;
  bool is_encrypted = false;
  std::array<uint8_t, 16> realm_id{};  // dedup realm: groups with one fingerprint key
};

struct SuperblockReport {
  int valid_count = 0;  // copies that could be read
  int stale_count = 0;  // valid, of an older generation
};

// kNotFound: no copy exists (an empty or missing directory: never initialised by itself); kCorrupt: no
// quorum; kUnsupported: a newer format.
Result<Superblock> ReadSuperblock(FileSystem* files, const std::string& directory, SuperblockReport* report);
// Makes the four files. kExists when any is there.
Status CreateSuperblock(FileSystem* files, const std::string& directory, const Superblock& superblock);
// Writes generation + 1 (in `superblock`, too) to all copies; repairs damaged ones on the way.
Status WriteSuperblock(FileSystem* files, const std::string& directory, Superblock* superblock);

}  // namespace granary

#endif  // GRANARY_DATASTORE_SUPERBLOCK_H_
