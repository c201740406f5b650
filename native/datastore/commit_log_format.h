// The bytes of the commit log: segment header and record frame. FORMAT.md, section "Commit log". Encode and
// decode only; no I/O.
#ifndef GRANARY_DATASTORE_COMMIT_LOG_FORMAT_H_
#define GRANARY_DATASTORE_COMMIT_LOG_FORMAT_H_

#include "datastore/commit_log.h"

namespace granary {

// First 8 bytes of SHA-256 of "Granary log segment v1" and of "Granary log record v1".
inline constexpr uint64_t kLogSegmentMagic = 0xda1699613aec31a9;
inline constexpr uint64_t kLogRecordMagic = 0x673c121bab540ed5;
inline constexpr uint32_t kLogVersion = 1;
inline constexpr size_t kLogSegmentHeaderSize = 256;
inline constexpr size_t kLogRecordHeaderSize = 64;
inline constexpr size_t kLogRecordAlignment = 8;

using LogHash = std::array<uint8_t, 16>;  // the first half of SHA-256
using LogSegmentId = std::array<uint8_t, 24>;

struct LogSegmentHeader {
  StoreId store_id;
  LogSegmentId segment_id{};
  uint64_t incarnation = 0;
  uint64_t first_sequence = 0;
  std::array<uint8_t, 32> key_commitment{};
  LogHash previous_hash{};  // of the last record before this segment; zero before the first
  bool is_sealed = false;
};

struct LogRecordHeader {
  uint8_t type = 0;
  bool is_sealed = false;
  uint32_t batch_index = 0;  // position among the records of one Append
  uint64_t sequence = 0;
  uint32_t payload_size = 0;
  LogHash previous_hash{};      // of the record before it
  uint64_t RecordSize() const;  // with tag and padding
  uint64_t first_of_batch() const { return sequence - batch_index; }
};

// What a record is bound to beside its header. `key`: the segment's; null: not sealed.
struct LogPlace {
  StoreId store_id;
  LogSegmentId segment_id{};
  const Key* key = nullptr;
};

void EncodeLogSegmentHeader(const LogSegmentHeader& header, Bytes out);
Status DecodeLogSegmentHeader(ConstBytes in, LogSegmentHeader* header);
// The key of a segment; kDenied when it is not the one the segment was written with. With a key at hand a
// clear segment is a forgery, unless it begins before `sealed_from`.
Status OpenLogSegmentKey(const LogSegmentHeader& header, const Key* log_key, uint64_t sealed_from,
                         Key* segment_key);

// Appends the record to `out`; returns its hash.
LogHash EncodeLogRecord(const LogPlace& place, const LogRecordHeader& header, ConstBytes payload,
                        Buffer* out);
Status DecodeLogRecordHeader(const LogSegmentId& segment_id, ConstBytes in, LogRecordHeader* header);
// `in` begins with the record and may go on. `payload` is resized.
struct DecodedLogRecord {
  LogRecordHeader header;
  Buffer payload;
  LogHash hash{};
};
Status DecodeLogRecord(const LogPlace& place, ConstBytes in, DecodedLogRecord* record);
// The hash of an encoded record, padding left out.
LogHash HashLogRecord(const LogRecordHeader& header, ConstBytes encoded);

// "0000000000000001.log".
std::string LogSegmentName(uint64_t first_sequence);
bool ParseLogSegmentName(const std::string& name, uint64_t* first_sequence);

}  // namespace granary

#endif  // GRANARY_DATASTORE_COMMIT_LOG_FORMAT_H_
