// One copy of the superblock: a block of 4 KiB. FORMAT.md, section "Superblock". Encode and decode only; no
// I/O.
#ifndef GRANARY_DATASTORE_SUPERBLOCK_FORMAT_H_
#define GRANARY_DATASTORE_SUPERBLOCK_FORMAT_H_

#include "datastore/superblock.h"

namespace granary {

inline constexpr size_t kSuperblockSize = kBlockSize;
inline constexpr uint64_t kSuperblockMagic =
    0xb45c1ec41613da5f;  // SHA-256 of "Granary superblock v1", first 8 bytes

void EncodeSuperblock(const Superblock& superblock, Bytes block);
// kCorrupt; kUnsupported for a version or a feature we do not know (the digest fits).
Status DecodeSuperblock(ConstBytes block, Superblock* superblock);

}  // namespace granary

#endif  // GRANARY_DATASTORE_SUPERBLOCK_FORMAT_H_
