// The parts of a data store file around its records: header, trailer, footer. FORMAT.md, section "Data
// store". Encode and decode only; no I/O.
#ifndef GRANARY_DATASTORE_DATA_STORE_FORMAT_H_
#define GRANARY_DATASTORE_DATA_STORE_FORMAT_H_

#include "datastore/chunk_table.h"
#include "datastore/sha256.h"

namespace granary {

// First 8 bytes of SHA-256 of "Granary data store v1", "Granary data store trailer v1", "Granary data store
// footer v1".
inline constexpr uint64_t kDataStoreMagic = 0xf3085d19063d7e6f;
inline constexpr uint64_t kDataStoreTrailerMagic = 0xd1d0e5275f8dfda3;
inline constexpr uint64_t kDataStoreFooterMagic = 0xa8b1cae3f16aa997;
inline constexpr uint32_t kDataStoreVersion = 1;
inline constexpr size_t kDataStoreHeaderSize = kBlockSize;  // records begin behind it
inline constexpr size_t kDataStoreFooterSize = kBlockSize;  // the file's last block
inline constexpr size_t kTrailerHeaderSize = 128;
inline constexpr uint64_t kTrailerRecordCountMax =
    1 << 24;  // more than the smallest records fill a data store with
inline constexpr uint64_t kTrailerSizeMax = uint64_t{1} << 31;

// Of a trailer's body, without its header and tag.
uint64_t TrailerBodySize(uint64_t record_count, uint64_t chunk_count);

struct DataStoreHeader {
  DataStoreIdentity identity;
  std::array<uint8_t, 32> key_commitment{};  // zero when not sealed
};

// The header of a new data store; `store_key` takes the key derived for it (when data_key is not null).
DataStoreHeader MakeDataStoreHeader(const DataStoreIdentity& identity, const Key* data_key, Key* store_key);
// The key of a data store whose header names an epoch. kDenied: no such key, or the commitment says it is
// another one.
Status OpenDataStoreKey(const DataStoreHeader& header, const Key* data_key, Key* store_key);

void EncodeDataStoreHeader(const DataStoreHeader& header, Bytes block);
Status DecodeDataStoreHeader(ConstBytes block, DataStoreHeader* header);

struct DataStoreFooter {
  uint64_t trailer_offset = 0;
  uint64_t trailer_size = 0;   // without its padding
  uint64_t skipped_bytes = 0;  // by the recovery that wrote the trailer
  DataStoreCounts counts;      // file_bytes: the file's size
  DataStoreHeader header;      // a copy
};
void EncodeDataStoreFooter(const DataStoreFooter& footer, Bytes block);
Status DecodeDataStoreFooter(ConstBytes block, DataStoreFooter* footer);

// What a trailer is bound to. `store_key` null: not sealed.
struct TrailerPlace {
  const DataStoreHeader& header;
  const Key* store_key;
};
// The clear part of a trailer. Its key derives from the data store's with a fresh random salt: a trailer that
// is written a second time, by a recovery, never shares (key, nonce) with the first.
struct TrailerHeader {
  bool is_sealed = false;
  uint64_t incarnation = 0;  // that wrote it; the nonce
  std::array<uint8_t, 24> salt{};
  uint64_t body_size = 0;
  uint64_t record_count = 0;
  uint64_t chunk_count = 0;
};
Status DecodeTrailerHeader(const DataStoreId& id, ConstBytes in, TrailerHeader* header);

// Trailer, padded to whole blocks.
Buffer EncodeTrailer(const TrailerPlace& place, uint64_t incarnation, const ChunkTable& table,
                     const Sha256Digest& root);
// `trailer_offset`: records lie before it. Checks that records ascend and lie apart, and every sum.
Status DecodeTrailer(const TrailerPlace& place, uint64_t trailer_offset, ConstBytes in, ChunkTable* table,
                     Sha256Digest* root);

// What the Merkle root is taken of: each record's clear header and its tag.
void AddRecordLeaf(MerkleTree* tree, const RecordHeader& header, ConstBytes encoded);

}  // namespace granary

#endif  // GRANARY_DATASTORE_DATA_STORE_FORMAT_H_
