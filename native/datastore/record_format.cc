#include "datastore/record_format.h"

#include <algorithm>

#include "datastore/body_tag.h"

namespace granary {
namespace {

constexpr uint64_t kRecordMagic = 0x5b56b500d9d2bbde;  // SHA-256 of "Granary record v1", first 8 bytes
constexpr uint8_t kFlagSealed = 1;
constexpr size_t kIdPrefixSize = 16;

// Offsets of FORMAT.md, "Record".
constexpr size_t kTypeAt = 8, kCodecAt = 9, kFlagsAt = 10, kReservedByteAt = 11, kChunkCountAt = 12,
                 kOrdinalAt = 16, kPlainSizeAt = 24, kStoredSizeAt = 28, kKeyEpochAt = 32,
                 kReservedFrontAt = 36, kIdPrefixAt = 40, kReservedBackAt = 56, kCrcAt = 60;
static_assert(kIdPrefixAt + kIdPrefixSize == kReservedBackAt && kCrcAt + 4 == kRecordHeaderSize);

Status Corrupt(const char* what) { return Status(Code::kCorrupt, std::string("record: ") + what); }

uint64_t TableSize(const RecordHeader& header) { return uint64_t{header.chunk_count} * kRecordTableRowSize; }

// Header and full data store id, as the tag binds them.
struct Additional {
  Additional(const uint8_t* header, const DataStoreId& id) {
    std::memcpy(bytes, header, kRecordHeaderSize);
    std::memcpy(bytes + kRecordHeaderSize, id.bytes.data(), id.bytes.size());
  }
  uint8_t bytes[kRecordHeaderSize + sizeof(DataStoreId::bytes)];
};

void EncodeHeader(const DataStoreId& id, const RecordHeader& header, uint8_t* out) {
  std::memset(out, 0, kRecordHeaderSize);
  StoreLittle(out, kRecordMagic);
  out[kTypeAt] = static_cast<uint8_t>(header.type);
  out[kCodecAt] = static_cast<uint8_t>(header.codec);
  out[kFlagsAt] = header.is_sealed ? kFlagSealed : 0;
  StoreLittle(out + kChunkCountAt, header.chunk_count);
  StoreLittle(out + kOrdinalAt, header.ordinal);
  StoreLittle(out + kPlainSizeAt, header.plain_size);
  StoreLittle(out + kStoredSizeAt, header.stored_size);
  StoreLittle(out + kKeyEpochAt, header.key_epoch);
  std::memcpy(out + kIdPrefixAt, id.bytes.data(), kIdPrefixSize);
  StoreLittle(out + kCrcAt, Crc32c({out, kCrcAt}));
}

Status CheckBounds(const RecordHeader& header) {
  if (header.is_sealed != (header.key_epoch != 0))
    return Corrupt("sealed without a key epoch, or the reverse");
  if (header.chunk_count == 0 || header.chunk_count > kRecordChunkCountMax)
    return Corrupt("chunk count out of bounds");
  if (header.plain_size == 0 || header.plain_size > kRecordPlainSizeMax)
    return Corrupt("plain size out of bounds");
  if (header.stored_size == 0 || header.stored_size > header.plain_size)
    return Corrupt("stored size out of bounds");
  if (header.codec == Codec::kNone && header.stored_size != header.plain_size) {
    return Corrupt("not compressed, yet of another size");
  }
  return Status::Ok();
}

Status DecodeTable(ConstBytes body, const RecordHeader& header, std::vector<TableRow>* table) {
  table->resize(header.chunk_count);
  BoundedReader reader(body);
  uint64_t total = 0;
  for (TableRow& row : *table) {
    row.fingerprint.bytes = reader.Take<std::array<uint8_t, 32>>();
    row.length = reader.Take<uint32_t>();
    if (row.length == 0) return Corrupt("a chunk of no bytes");
    total += row.length;
  }
  if (!reader.ok() || total != header.plain_size)
    return Corrupt("chunk lengths do not sum up to the plain size");
  return Status::Ok();
}

}  // namespace

uint64_t RecordHeader::RecordSize() const {
  return RoundUp(kRecordHeaderSize + TableSize(*this) + stored_size + kTagSize, kRecordAlignment);
}

void EncodeRecord(const RecordPlace& place, const RecordHeader& header, const std::vector<TableRow>& table,
                  ConstBytes payload, Buffer* out) {
  CHECK(header.stored_size == payload.size() && header.chunk_count == table.size());
  CHECK(header.is_sealed == (place.key != nullptr));
  CHECK(CheckBounds(header).ok());
  out->resize(header.RecordSize());
  EncodeHeader(place.data_store_id, header, out->data());
  uint8_t* at = out->data() + kRecordHeaderSize;
  for (const TableRow& row : table) {
    std::memcpy(at, row.fingerprint.bytes.data(), row.fingerprint.bytes.size());
    StoreLittle(at + row.fingerprint.bytes.size(), row.length);
    at += kRecordTableRowSize;
  }
  std::memcpy(at, payload.data(), payload.size());
  const size_t body_size = TableSize(header) + header.stored_size + kTagSize;
  std::fill(out->begin() + static_cast<ptrdiff_t>(kRecordHeaderSize + body_size), out->end(), 0);
  const Additional additional(out->data(), place.data_store_id);
  CloseBody({place.key, NonceType::kRecord, header.ordinal, additional.bytes},
            Bytes(*out).subspan(kRecordHeaderSize, body_size));
}

Status DecodeRecordHeader(const DataStoreId& data_store_id, ConstBytes in, RecordHeader* header) {
  if (in.size() < kRecordHeaderSize) return Corrupt("shorter than its header");
  const uint8_t* bytes = in.data();
  if (LoadLittle<uint64_t>(bytes) != kRecordMagic) return Corrupt("wrong magic");
  if (LoadLittle<uint32_t>(bytes + kCrcAt) != Crc32c(in.first(kCrcAt)))
    return Corrupt("wrong header checksum");
  if (std::memcmp(bytes + kIdPrefixAt, data_store_id.bytes.data(), kIdPrefixSize) != 0) {
    return Corrupt("belongs to another data store");
  }
  const uint8_t type = bytes[kTypeAt], codec = bytes[kCodecAt], flags = bytes[kFlagsAt];
  if (type == 0) return Corrupt("type 0");
  if (type > static_cast<uint8_t>(RecordType::kBlockmap) || codec > static_cast<uint8_t>(Codec::kZstd) ||
      (flags & ~kFlagSealed) != 0) {
    return Status(Code::kUnsupported, "record: a type, codec or flag of a newer format");
  }
  if (bytes[kReservedByteAt] != 0 || LoadLittle<uint32_t>(bytes + kReservedFrontAt) != 0 ||
      LoadLittle<uint32_t>(bytes + kReservedBackAt) != 0) {
    return Corrupt("reserved bytes are not zero");
  }
  header->type = static_cast<RecordType>(type);
  header->codec = static_cast<Codec>(codec);
  header->is_sealed = (flags & kFlagSealed) != 0;
  header->chunk_count = LoadLittle<uint32_t>(bytes + kChunkCountAt);
  header->ordinal = LoadLittle<uint64_t>(bytes + kOrdinalAt);
  header->plain_size = LoadLittle<uint32_t>(bytes + kPlainSizeAt);
  header->stored_size = LoadLittle<uint32_t>(bytes + kStoredSizeAt);
  header->key_epoch = LoadLittle<uint32_t>(bytes + kKeyEpochAt);
  return CheckBounds(*header);
}

Status DecodeRecord(const RecordPlace& place, ConstBytes in, Buffer* scratch, DecodedRecord* record) {
  RecordHeader& header = record->header;
  RETURN_IF_ERROR(DecodeRecordHeader(place.data_store_id, in, &header));
  if (in.size() < header.RecordSize()) return Corrupt("cut off");
  // A clear record in a sealed data store is a forgery, whatever its digest says.
  if (header.is_sealed != (place.key != nullptr))
    return Corrupt("sealed where it must not be, or the reverse");
  const size_t body_size = TableSize(header) + header.stored_size;
  const ConstBytes padding = in.first(header.RecordSize()).subspan(kRecordHeaderSize + body_size + kTagSize);
  if (std::any_of(padding.begin(), padding.end(), [](uint8_t byte) { return byte != 0; })) {
    return Corrupt("padding is not zero");
  }
  if (scratch->size() < body_size) scratch->resize(body_size);  // never less: growing fills with zeros
  const Bytes body = Bytes(*scratch).first(body_size);
  const Additional additional(in.data(), place.data_store_id);
  RETURN_IF_ERROR(OpenBody({place.key, NonceType::kRecord, header.ordinal, additional.bytes},
                           in.subspan(kRecordHeaderSize, body_size + kTagSize), body)
                      .Within("record"));
  RETURN_IF_ERROR(DecodeTable(body, header, &record->table));
  record->payload = ConstBytes(body).subspan(TableSize(header));
  return Status::Ok();
}

}  // namespace granary
