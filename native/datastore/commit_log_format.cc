#include "datastore/commit_log_format.h"

#include <algorithm>

#include "datastore/body_tag.h"
#include "datastore/sha256.h"

namespace granary {
namespace {

constexpr size_t kSegmentCrcAt = kLogSegmentHeaderSize - 4;
constexpr size_t kRecordCrcAt = kLogRecordHeaderSize - 4;
constexpr size_t kIdPrefixSize = 8;
constexpr uint32_t kFlagSealed = 1;
constexpr const char* kSegmentSuffix = ".log";
constexpr size_t kSegmentDigits = 16;

Status Corrupt(const char* what) { return Status(Code::kCorrupt, std::string("log ") + what); }

bool IsZero(ConstBytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// Clear record header, segment id and store id, as the tag binds them.
using Additional = std::array<uint8_t, kLogRecordHeaderSize + sizeof(LogSegmentId) + sizeof(StoreId::bytes)>;

Additional RecordAdditional(const LogPlace& place, ConstBytes header) {
  Additional additional;
  std::memcpy(additional.data(), header.data(), kLogRecordHeaderSize);
  std::memcpy(additional.data() + kLogRecordHeaderSize, place.segment_id.data(), sizeof(LogSegmentId));
  std::memcpy(additional.data() + kLogRecordHeaderSize + sizeof(LogSegmentId), place.store_id.bytes.data(),
              sizeof(StoreId::bytes));
  return additional;
}

}  // namespace

uint64_t LogRecordHeader::RecordSize() const {
  return RoundUp(kLogRecordHeaderSize + uint64_t{payload_size} + kTagSize, kLogRecordAlignment);
}

void EncodeLogSegmentHeader(const LogSegmentHeader& header, Bytes out) {
  CHECK(out.size() == kLogSegmentHeaderSize);
  Buffer fields;
  fields.reserve(kLogSegmentHeaderSize);
  Writer writer(&fields);
  writer.Put(kLogSegmentMagic);
  writer.Put(kLogVersion);
  writer.Put(header.is_sealed ? kFlagSealed : 0u);
  writer.Put(uint64_t{0});  // features
  writer.PutBytes(header.store_id.bytes);
  writer.PutBytes(header.segment_id);
  writer.Put(header.incarnation);
  writer.Put(header.first_sequence);
  writer.PutBytes(header.key_commitment);
  writer.PutBytes(header.previous_hash);
  fields.resize(kSegmentCrcAt);
  writer.Put(Crc32c(fields));
  std::memcpy(out.data(), fields.data(), fields.size());
}

Status DecodeLogSegmentHeader(ConstBytes in, LogSegmentHeader* header) {
  if (in.size() < kLogSegmentHeaderSize) return Corrupt("segment: shorter than its header");
  BoundedReader reader(in.first(kSegmentCrcAt));
  if (reader.Take<uint64_t>() != kLogSegmentMagic) return Corrupt("segment: wrong magic");
  if (LoadLittle<uint32_t>(in.data() + kSegmentCrcAt) != Crc32c(in.first(kSegmentCrcAt))) {
    return Corrupt("segment: wrong header checksum");
  }
  const auto version = reader.Take<uint32_t>();
  const auto flags = reader.Take<uint32_t>();
  const auto features = reader.Take<uint64_t>();
  if (version != kLogVersion || features != 0 || (flags & ~kFlagSealed) != 0) {
    return Status(Code::kUnsupported, "log segment: a newer format");
  }
  header->is_sealed = (flags & kFlagSealed) != 0;
  header->store_id.bytes = reader.Take<decltype(StoreId::bytes)>();
  header->segment_id = reader.Take<LogSegmentId>();
  header->incarnation = reader.Take<uint64_t>();
  header->first_sequence = reader.Take<uint64_t>();
  header->key_commitment = reader.Take<decltype(LogSegmentHeader::key_commitment)>();
  header->previous_hash = reader.Take<LogHash>();
  if (header->first_sequence == 0) return Corrupt("segment: sequence number 0");
  return IsZero(reader.TakeBytes(reader.remaining())) ? Status::Ok()
                                                      : Corrupt("segment: reserved bytes are not zero");
}

Status OpenLogSegmentKey(const LogSegmentHeader& header, const Key* log_key, uint64_t sealed_from,
                         Key* segment_key) {
  if (!header.is_sealed) {
    const bool may_be_clear = log_key == nullptr || header.first_sequence < sealed_from;
    return may_be_clear ? Status::Ok() : Corrupt("segment: not sealed, in a sealed group");
  }
  if (log_key == nullptr) return Status(Code::kDenied, "log segment: sealed, and no key is at hand");
  const DerivedKey derived = DeriveKey(*log_key, header.segment_id, "log segment");
  if (!EqualInConstantTime(derived.commitment, header.key_commitment)) {
    return Status(Code::kDenied, "log segment: wrong key");
  }
  *segment_key = derived.key;
  return Status::Ok();
}

LogHash EncodeLogRecord(const LogPlace& place, const LogRecordHeader& header, ConstBytes payload,
                        Buffer* out) {
  CHECK(header.type != 0 && payload.size() == header.payload_size && payload.size() <= kLogPayloadSizeMax);
  CHECK(header.is_sealed == (place.key != nullptr));
  const size_t start = out->size();
  out->reserve(start + header.RecordSize());
  Writer writer(out);
  writer.Put(kLogRecordMagic);
  writer.Put(header.type);
  writer.Put(static_cast<uint8_t>(header.is_sealed ? kFlagSealed : 0));
  writer.Put(uint16_t{0});
  writer.Put(header.batch_index);
  writer.Put(header.sequence);
  writer.Put(header.payload_size);
  writer.Put(uint32_t{0});
  writer.PutBytes(header.previous_hash);
  writer.PutBytes(ConstBytes(place.segment_id).first(kIdPrefixSize));
  writer.Put(uint32_t{0});
  writer.Put(Crc32c(ConstBytes(*out).subspan(start)));
  writer.PutBytes(payload);
  out->resize(start + header.RecordSize());
  const Bytes encoded = Bytes(*out).subspan(start);
  const Additional additional = RecordAdditional(place, encoded.first(kLogRecordHeaderSize));
  CloseBody({place.key, NonceType::kLogRecord, header.sequence, additional},
            encoded.subspan(kLogRecordHeaderSize, header.payload_size + kTagSize));
  return HashLogRecord(header, encoded);
}

LogHash HashLogRecord(const LogRecordHeader& header, ConstBytes encoded) {
  const Sha256Digest digest = Sha256({encoded.first(kLogRecordHeaderSize + header.payload_size + kTagSize)});
  LogHash hash;
  std::memcpy(hash.data(), digest.data(), hash.size());
  return hash;
}

Status DecodeLogRecordHeader(const LogSegmentId& segment_id, ConstBytes in, LogRecordHeader* header) {
  if (in.size() < kLogRecordHeaderSize) return Corrupt("record: shorter than its header");
  BoundedReader reader(in.first(kLogRecordHeaderSize));
  if (reader.Take<uint64_t>() != kLogRecordMagic) return Corrupt("record: wrong magic");
  if (LoadLittle<uint32_t>(in.data() + kRecordCrcAt) != Crc32c(in.first(kRecordCrcAt))) {
    return Corrupt("record: wrong header checksum");
  }
  header->type = reader.Take<uint8_t>();
  const auto flags = reader.Take<uint8_t>();
  const auto reserved = reader.Take<uint16_t>();
  header->batch_index = reader.Take<uint32_t>();
  header->sequence = reader.Take<uint64_t>();
  header->payload_size = reader.Take<uint32_t>();
  const auto reserved_middle = reader.Take<uint32_t>();
  header->previous_hash = reader.Take<LogHash>();
  const ConstBytes prefix = reader.TakeBytes(kIdPrefixSize);
  if (std::memcmp(prefix.data(), segment_id.data(), kIdPrefixSize) != 0)
    return Corrupt("record: of another segment");
  if ((flags & ~kFlagSealed) != 0) return Status(Code::kUnsupported, "log record: unknown flags");
  header->is_sealed = (flags & kFlagSealed) != 0;
  if (reserved != 0 || reserved_middle != 0 || reader.Take<uint32_t>() != 0) {
    return Corrupt("record: reserved bytes are not zero");
  }
  if (header->type == 0 || header->payload_size > kLogPayloadSizeMax || header->sequence == 0 ||
      header->batch_index >= header->sequence) {
    return Corrupt("record: a field out of bounds");
  }
  return Status::Ok();
}

Status DecodeLogRecord(const LogPlace& place, ConstBytes in, DecodedLogRecord* record) {
  LogRecordHeader& header = record->header;
  RETURN_IF_ERROR(DecodeLogRecordHeader(place.segment_id, in, &header));
  if (in.size() < header.RecordSize()) return Corrupt("record: cut off");
  if (header.is_sealed != (place.key != nullptr))
    return Corrupt("record: sealed where it must not be, or the reverse");
  const size_t closed_size = header.payload_size + kTagSize;
  if (!IsZero(in.first(header.RecordSize()).subspan(kLogRecordHeaderSize + closed_size))) {
    return Corrupt("record: padding is not zero");
  }
  record->payload.resize(header.payload_size);
  const Additional additional = RecordAdditional(place, in.first(kLogRecordHeaderSize));
  RETURN_IF_ERROR(OpenBody({place.key, NonceType::kLogRecord, header.sequence, additional},
                           in.subspan(kLogRecordHeaderSize, closed_size), record->payload)
                      .Within("log record"));
  record->hash = HashLogRecord(header, in);
  return Status::Ok();
}

std::string LogSegmentName(uint64_t first_sequence) {
  uint8_t big_endian[sizeof first_sequence];
  for (size_t index = 0; index < sizeof big_endian; ++index) {
    big_endian[index] = static_cast<uint8_t>(first_sequence >> (8 * (sizeof big_endian - 1 - index)));
  }
  return ToHex(big_endian) + kSegmentSuffix;
}

bool ParseLogSegmentName(const std::string& name, uint64_t* first_sequence) {
  uint8_t big_endian[kSegmentDigits / 2];
  if (name.size() != kSegmentDigits + std::strlen(kSegmentSuffix) || !name.ends_with(kSegmentSuffix))
    return false;
  if (!FromHex(name.substr(0, kSegmentDigits), big_endian)) return false;
  *first_sequence = 0;
  for (uint8_t byte : big_endian) *first_sequence = *first_sequence << 8 | byte;
  return *first_sequence != 0 && LogSegmentName(*first_sequence) == name;
}

}  // namespace granary
