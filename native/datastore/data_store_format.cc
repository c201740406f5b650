#include "datastore/data_store_format.h"

#include <algorithm>

#include "datastore/body_tag.h"

namespace granary {
namespace {

constexpr size_t kHeaderFieldsSize = 112;
constexpr size_t kBlockCrcAt = kBlockSize - 4;
constexpr size_t kFooterHeaderCopyAt = 128;
constexpr size_t kTrailerCrcAt = kTrailerHeaderSize - 4;
constexpr size_t kTrailerRecordRowSize = 32;
constexpr size_t kIdPrefixSize = 16;
constexpr uint32_t kTrailerFlagSealed = 1;

Status Corrupt(const char* what) { return Status(Code::kCorrupt, std::string("data store ") + what); }

bool IsZero(ConstBytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

Buffer EncodeHeaderFields(const DataStoreHeader& header) {
  Buffer fields;
  Writer writer(&fields);
  writer.Put(kDataStoreMagic);
  writer.Put(kDataStoreVersion);
  writer.Put(uint32_t{0});
  writer.Put(uint64_t{0});  // features
  writer.PutBytes(header.identity.store_id.bytes);
  writer.PutBytes(header.identity.id.bytes);
  writer.Put(header.identity.incarnation);
  writer.Put(header.identity.key_epoch);
  writer.Put(uint32_t{0});
  writer.PutBytes(header.key_commitment);
  CHECK(fields.size() == kHeaderFieldsSize);
  return fields;
}

// Magic and checksum were checked.
Status DecodeHeaderFields(ConstBytes fields, DataStoreHeader* header) {
  BoundedReader reader(fields);
  if (reader.Take<uint64_t>() != kDataStoreMagic) return Corrupt("header: wrong magic");
  const auto version = reader.Take<uint32_t>();
  const auto reserved = reader.Take<uint32_t>();
  const auto features = reader.Take<uint64_t>();
  if (version != kDataStoreVersion || features != 0) {
    return Status(Code::kUnsupported,
                  "data store header: version " + std::to_string(version) + " is newer than ours");
  }
  header->identity.store_id.bytes = reader.Take<decltype(StoreId::bytes)>();
  header->identity.id.bytes = reader.Take<decltype(DataStoreId::bytes)>();
  header->identity.incarnation = reader.Take<uint64_t>();
  header->identity.key_epoch = reader.Take<uint32_t>();
  if (reserved != 0 || reader.Take<uint32_t>() != 0) return Corrupt("header: reserved bytes are not zero");
  header->key_commitment = reader.Take<std::array<uint8_t, 32>>();
  return reader.ok() ? Status::Ok() : Corrupt("header: cut off");
}

Status CheckBlock(ConstBytes block, uint64_t magic, const char* what) {
  if (block.size() != kBlockSize) return Corrupt(what);
  if (LoadLittle<uint64_t>(block.data()) != magic) return Corrupt(what).Within("wrong magic");
  if (LoadLittle<uint32_t>(block.data() + kBlockCrcAt) != Crc32c(block.first(kBlockCrcAt))) {
    return Corrupt(what).Within("wrong checksum");
  }
  return Status::Ok();
}

void CloseBlock(Bytes block, ConstBytes fields) {
  CHECK(block.size() == kBlockSize && fields.size() <= kBlockCrcAt);
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), fields.data(), fields.size());
  StoreLittle(block.data() + kBlockCrcAt, Crc32c(block.first(kBlockCrcAt)));
}

std::optional<Key> TrailerKey(const TrailerPlace& place, const TrailerHeader& header) {
  if (place.store_key == nullptr) return std::nullopt;
  return DeriveKey(*place.store_key, header.salt, "data store trailer").key;
}

void PutTrailerHeader(Writer* writer, const TrailerPlace& place, const TrailerHeader& header, Buffer* out) {
  writer->Put(kDataStoreTrailerMagic);
  writer->Put(header.is_sealed ? kTrailerFlagSealed : 0u);
  writer->Put(uint32_t{0});
  writer->Put(header.incarnation);
  writer->PutBytes(header.salt);
  writer->Put(header.body_size);
  writer->Put(header.record_count);
  writer->Put(header.chunk_count);
  writer->PutBytes(ConstBytes(place.header.identity.id.bytes).first(kIdPrefixSize));
  out->resize(kTrailerCrcAt);
  writer->Put(Crc32c(*out));
}

void PutTrailerBody(Writer* writer, const ChunkTable& table, const Sha256Digest& root) {
  writer->PutBytes(root);
  for (const ChunkTable::Record& record : table.records()) {
    writer->Put(record.offset);
    writer->Put(record.ordinal);
    writer->Put(record.size);
    writer->Put(record.plain_size);
    writer->Put(record.chunk_count);
    writer->Put(static_cast<uint32_t>(record.type));
  }
  for (const TableRow& row : table.chunks()) {
    writer->PutBytes(row.fingerprint.bytes);
    writer->Put(row.length);
  }
}

// Clear trailer header and data store header, as the tag binds them.
Buffer TrailerAdditional(const TrailerPlace& place, ConstBytes trailer_header) {
  Buffer additional(trailer_header.begin(), trailer_header.end());
  const Buffer fields = EncodeHeaderFields(place.header);
  additional.insert(additional.end(), fields.begin(), fields.end());
  return additional;
}

Status DecodeTrailerRecord(BoundedReader* reader, uint64_t trailer_offset, uint64_t* behind,
                           ChunkTable::Record* record) {
  record->offset = reader->Take<uint64_t>();
  record->ordinal = reader->Take<uint64_t>();
  record->size = reader->Take<uint32_t>();
  record->plain_size = reader->Take<uint32_t>();
  record->chunk_count = reader->Take<uint32_t>();
  const auto type = reader->Take<uint32_t>();
  record->type = static_cast<RecordType>(type);
  if (type == 0 || type > static_cast<uint32_t>(RecordType::kBlockmap))
    return Corrupt("trailer: unknown record type");
  if (record->offset < *behind || record->offset % kRecordAlignment != 0 ||
      record->size % kRecordAlignment != 0 || record->size < kRecordHeaderSize ||
      record->offset > trailer_offset || record->size > trailer_offset - record->offset) {
    return Corrupt("trailer: a record out of its place");
  }
  if (record->chunk_count == 0 || record->chunk_count > kRecordChunkCountMax) {
    return Corrupt("trailer: chunk count out of bounds");
  }
  *behind = record->offset + record->size;
  return Status::Ok();
}

Status DecodeTrailerChunks(BoundedReader* reader, const ChunkTable::Record& record,
                           std::vector<TableRow>* rows) {
  rows->resize(record.chunk_count);
  uint64_t total = 0;
  for (TableRow& row : *rows) {
    row.fingerprint.bytes = reader->Take<decltype(Fingerprint::bytes)>();
    row.length = reader->Take<uint32_t>();
    total += row.length;
  }
  return total == record.plain_size ? Status::Ok() : Corrupt("trailer: chunk lengths do not sum up");
}

Status DecodeTrailerBody(ConstBytes body, const TrailerHeader& header, uint64_t trailer_offset,
                         ChunkTable* table, Sha256Digest* root) {
  BoundedReader reader(body);
  *root = reader.Take<Sha256Digest>();
  BoundedReader chunks(body.subspan(TrailerBodySize(header.record_count, 0)));
  table->Reserve(header.record_count, header.chunk_count);
  uint64_t behind = kDataStoreHeaderSize, chunk_count = 0;
  std::vector<TableRow> rows;
  for (uint64_t index = 0; index < header.record_count; ++index) {
    ChunkTable::Record record{};
    RETURN_IF_ERROR(DecodeTrailerRecord(&reader, trailer_offset, &behind, &record));
    chunk_count += record.chunk_count;
    if (chunk_count > header.chunk_count) break;
    RETURN_IF_ERROR(DecodeTrailerChunks(&chunks, record, &rows));
    table->Add(record, rows);
  }
  return chunk_count == header.chunk_count ? Status::Ok() : Corrupt("trailer: chunk counts do not sum up");
}

}  // namespace

uint64_t TrailerBodySize(uint64_t record_count, uint64_t chunk_count) {
  return sizeof(Sha256Digest) + record_count * kTrailerRecordRowSize + chunk_count * kRecordTableRowSize;
}

DataStoreHeader MakeDataStoreHeader(const DataStoreIdentity& identity, const Key* data_key, Key* store_key) {
  CHECK((data_key == nullptr) == (identity.key_epoch == 0));
  DataStoreHeader header{identity, {}};
  if (data_key != nullptr) {
    const DerivedKey derived = DeriveKey(*data_key, identity.id.bytes, "data store");
    *store_key = derived.key;
    header.key_commitment = derived.commitment;
  }
  return header;
}

Status OpenDataStoreKey(const DataStoreHeader& header, const Key* data_key, Key* store_key) {
  if (header.identity.key_epoch == 0) return Status::Ok();
  if (data_key == nullptr) {
    return Status(Code::kDenied,
                  "the key of epoch " + std::to_string(header.identity.key_epoch) + " is not at hand");
  }
  const DerivedKey derived = DeriveKey(*data_key, header.identity.id.bytes, "data store");
  if (!EqualInConstantTime(derived.commitment, header.key_commitment)) {
    return Status(Code::kDenied, "wrong key of epoch " + std::to_string(header.identity.key_epoch));
  }
  *store_key = derived.key;
  return Status::Ok();
}

void EncodeDataStoreHeader(const DataStoreHeader& header, Bytes block) {
  CloseBlock(block, EncodeHeaderFields(header));
}

Status DecodeDataStoreHeader(ConstBytes block, DataStoreHeader* header) {
  RETURN_IF_ERROR(CheckBlock(block, kDataStoreMagic, "header"));
  if (!IsZero(block.subspan(kHeaderFieldsSize, kBlockCrcAt - kHeaderFieldsSize))) {
    return Corrupt("header: reserved bytes are not zero");
  }
  return DecodeHeaderFields(block.first(kHeaderFieldsSize), header);
}

void EncodeDataStoreFooter(const DataStoreFooter& footer, Bytes block) {
  Buffer fields;
  Writer writer(&fields);
  writer.Put(kDataStoreFooterMagic);
  for (uint64_t value :
       {footer.trailer_offset, footer.trailer_size, footer.counts.file_bytes, footer.counts.record_count,
        footer.counts.chunk_count, footer.counts.plain_bytes, footer.counts.stored_bytes,
        footer.counts.blockmap_plain_bytes, footer.counts.blockmap_stored_bytes, footer.skipped_bytes}) {
    writer.Put(value);
  }
  fields.resize(kFooterHeaderCopyAt);
  writer.PutBytes(EncodeHeaderFields(footer.header));
  CloseBlock(block, fields);
}

Status DecodeDataStoreFooter(ConstBytes block, DataStoreFooter* footer) {
  RETURN_IF_ERROR(CheckBlock(block, kDataStoreFooterMagic, "footer"));
  BoundedReader reader(block.subspan(8));
  for (uint64_t* value :
       {&footer->trailer_offset, &footer->trailer_size, &footer->counts.file_bytes,
        &footer->counts.record_count, &footer->counts.chunk_count, &footer->counts.plain_bytes,
        &footer->counts.stored_bytes, &footer->counts.blockmap_plain_bytes,
        &footer->counts.blockmap_stored_bytes, &footer->skipped_bytes}) {
    *value = reader.Take<uint64_t>();
  }
  const size_t fields_size = 8 + 10 * 8;
  const size_t copy_end = kFooterHeaderCopyAt + kHeaderFieldsSize;
  if (!IsZero(block.subspan(fields_size, kFooterHeaderCopyAt - fields_size)) ||
      !IsZero(block.subspan(copy_end, kBlockCrcAt - copy_end))) {
    return Corrupt("footer: reserved bytes are not zero");
  }
  const uint64_t end = footer->counts.file_bytes - kDataStoreFooterSize;
  if (footer->trailer_offset % kBlockSize != 0 || footer->trailer_offset < kDataStoreHeaderSize ||
      footer->trailer_size > kTrailerSizeMax || footer->counts.file_bytes % kBlockSize != 0 ||
      footer->trailer_offset > end ||
      RoundUp(footer->trailer_size, kBlockSize) != end - footer->trailer_offset) {
    return Corrupt("footer: the trailer is out of its place");
  }
  return DecodeHeaderFields(block.subspan(kFooterHeaderCopyAt, kHeaderFieldsSize), &footer->header);
}

Status DecodeTrailerHeader(const DataStoreId& id, ConstBytes in, TrailerHeader* header) {
  if (in.size() < kTrailerHeaderSize) return Corrupt("trailer: cut off");
  BoundedReader reader(in.first(kTrailerHeaderSize));
  if (reader.Take<uint64_t>() != kDataStoreTrailerMagic) return Corrupt("trailer: wrong magic");
  if (LoadLittle<uint32_t>(in.data() + kTrailerCrcAt) != Crc32c(in.first(kTrailerCrcAt))) {
    return Corrupt("trailer: wrong header checksum");
  }
  const auto flags = reader.Take<uint32_t>();
  const auto reserved = reader.Take<uint32_t>();
  header->is_sealed = (flags & kTrailerFlagSealed) != 0;
  header->incarnation = reader.Take<uint64_t>();
  header->salt = reader.Take<decltype(TrailerHeader::salt)>();
  header->body_size = reader.Take<uint64_t>();
  header->record_count = reader.Take<uint64_t>();
  header->chunk_count = reader.Take<uint64_t>();
  const ConstBytes prefix = reader.TakeBytes(kIdPrefixSize);
  if (std::memcmp(prefix.data(), id.bytes.data(), kIdPrefixSize) != 0)
    return Corrupt("trailer: of another data store");
  if ((flags & ~kTrailerFlagSealed) != 0)
    return Status(Code::kUnsupported, "data store trailer: unknown flags");
  if (reserved != 0 || !IsZero(reader.TakeBytes(reader.remaining() - 4))) {
    return Corrupt("trailer: reserved bytes are not zero");
  }
  if (header->record_count > kTrailerRecordCountMax ||
      header->chunk_count > kTrailerSizeMax / kRecordTableRowSize ||
      header->body_size != TrailerBodySize(header->record_count, header->chunk_count)) {
    return Corrupt("trailer: size does not fit the counts");
  }
  return Status::Ok();
}

Buffer EncodeTrailer(const TrailerPlace& place, uint64_t incarnation, const ChunkTable& table,
                     const Sha256Digest& root) {
  TrailerHeader header{place.store_key != nullptr, incarnation,          {}, 0,
                       table.records().size(),     table.chunks().size()};
  header.body_size = TrailerBodySize(header.record_count, header.chunk_count);
  if (header.is_sealed) FillRandom(header.salt);
  const uint64_t size = kTrailerHeaderSize + header.body_size + kTagSize;
  Buffer out;
  out.reserve(RoundUp(size, kBlockSize));
  Writer writer(&out);
  PutTrailerHeader(&writer, place, header, &out);
  PutTrailerBody(&writer, table, root);
  out.resize(size);
  const Buffer additional = TrailerAdditional(place, ConstBytes(out).first(kTrailerHeaderSize));
  const std::optional<Key> key = TrailerKey(place, header);
  CloseBody({key ? &*key : nullptr, NonceType::kTrailer, incarnation, additional},
            Bytes(out).subspan(kTrailerHeaderSize));
  out.resize(RoundUp(size, kBlockSize));
  return out;
}

Status DecodeTrailer(const TrailerPlace& place, uint64_t trailer_offset, ConstBytes in, ChunkTable* table,
                     Sha256Digest* root) {
  TrailerHeader header;
  RETURN_IF_ERROR(DecodeTrailerHeader(place.header.identity.id, in, &header));
  if (header.is_sealed != (place.store_key != nullptr))
    return Corrupt("trailer: sealed where it must not be, or not");
  const uint64_t size = kTrailerHeaderSize + header.body_size + kTagSize;
  if (in.size() < size) return Corrupt("trailer: cut off");
  if (!IsZero(in.subspan(size))) return Corrupt("trailer: padding is not zero");
  Buffer body(header.body_size);
  const Buffer additional = TrailerAdditional(place, in.first(kTrailerHeaderSize));
  const std::optional<Key> key = TrailerKey(place, header);
  RETURN_IF_ERROR(OpenBody({key ? &*key : nullptr, NonceType::kTrailer, header.incarnation, additional},
                           in.subspan(kTrailerHeaderSize, header.body_size + kTagSize), body)
                      .Within("data store trailer"));
  return DecodeTrailerBody(body, header, trailer_offset, table, root);
}

void AddRecordLeaf(MerkleTree* tree, const RecordHeader& header, ConstBytes encoded) {
  const size_t tag_at =
      kRecordHeaderSize + size_t{header.chunk_count} * kRecordTableRowSize + header.stored_size;
  CHECK(encoded.size() >= tag_at + kTagSize);
  tree->AddLeaf({encoded.first(kRecordHeaderSize), encoded.subspan(tag_at, kTagSize)});
}

}  // namespace granary
