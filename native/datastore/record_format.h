// The record: a region of consecutive new chunks of one stream, compressed together and sealed once, with the
// table of its chunks; or a batch of blockmap nodes. FORMAT.md, section "Record". Encode and decode only; no
// I/O.
#ifndef GRANARY_DATASTORE_RECORD_FORMAT_H_
#define GRANARY_DATASTORE_RECORD_FORMAT_H_

#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/status.h"
#include "compress/compressor.h"
#include "seal/seal.h"

namespace granary {

enum class RecordType : uint8_t { kRegion = 1, kBlockmap = 2 };  // 0 is never legal; values are at rest

inline constexpr size_t kRecordHeaderSize = 64;
inline constexpr size_t kRecordTableRowSize = 36;          // fingerprint, length
inline constexpr size_t kRecordAlignment = 8;              // a record starts at a multiple of it
inline constexpr uint32_t kRegionSizeTarget = 128 * 1024;  // plain bytes after which a region is closed
inline constexpr uint32_t kRecordPlainSizeMax = 8 * 1024 * 1024;  // a region always ends behind a whole chunk
inline constexpr uint32_t kRecordChunkCountMax = 4096;

struct TableRow {
  Fingerprint fingerprint;
  uint32_t length = 0;  // plain bytes of the chunk
};

// The clear header's fields. Table and payload behind it are sealed.
struct RecordHeader {
  RecordType type = RecordType::kRegion;
  Codec codec = Codec::kNone;
  bool is_sealed = false;
  uint64_t ordinal = 0;  // position of the record in its data store's count; the nonce
  uint32_t chunk_count = 0;
  uint32_t plain_size = 0;   // of all chunks together
  uint32_t stored_size = 0;  // of the payload after compression
  uint32_t key_epoch = 0;
  // Bytes from the header's first to the last of tag and padding.
  uint64_t RecordSize() const;
};

// What a record is bound to beside its header: full data store id and key. `key` null: not sealed, the 16
// bytes behind the payload are XXH3-128 of all before.
struct RecordPlace {
  DataStoreId data_store_id;
  const Key* key = nullptr;
};

// Writes the record into `out` (resized to RecordSize()). header.stored_size == payload.size(), chunk_count
// == table size.
void EncodeRecord(const RecordPlace& place, const RecordHeader& header, const std::vector<TableRow>& table,
                  ConstBytes payload, Buffer* out);

// Reads and checks the 64 clear bytes: magic, CRC, data store id, bounds, reserved bits. kCorrupt,
// kUnsupported.
Status DecodeRecordHeader(const DataStoreId& data_store_id, ConstBytes in, RecordHeader* header);

// `in` holds the whole record. Unseals and checks; the table comes out decoded, the payload (still
// compressed) lies in `scratch`. kCorrupt when anything does not fit.
struct DecodedRecord {
  RecordHeader header;
  std::vector<TableRow> table;
  ConstBytes payload;  // into scratch
};
Status DecodeRecord(const RecordPlace& place, ConstBytes in, Buffer* scratch, DecodedRecord* record);

}  // namespace granary

#endif  // GRANARY_DATASTORE_RECORD_FORMAT_H_
