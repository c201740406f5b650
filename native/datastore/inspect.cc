#include "datastore/inspect.h"

#include <algorithm>
#include <deque>

#include "datastore/commit_log_format.h"
#include "datastore/data_store_format.h"
#include "datastore/record_scanner.h"
#include "datastore/superblock_format.h"

namespace granary {
namespace {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (char character : text) {
    if (character == '"' || character == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(character) < 0x20 ? ' ' : character;
  }
  return quoted + '"';
}

// {"name":value,…}
class JsonObject {
 public:
  JsonObject& Number(const char* name, uint64_t value) { return Raw(name, std::to_string(value)); }
  JsonObject& Flag(const char* name, bool value) { return Raw(name, value ? "true" : "false"); }
  JsonObject& Text(const char* name, const std::string& value) { return Raw(name, Quoted(value)); }
  JsonObject& Hex(const char* name, ConstBytes bytes) { return Text(name, ToHex(bytes)); }
  JsonObject& Valid(const Status& status) {
    Flag("valid", status.ok());
    return status.ok() ? *this : Text("reason", status.message());
  }
  JsonObject& Raw(const char* name, const std::string& json) {
    text_ += text_.empty() ? "" : ",";
    text_ += Quoted(name) + ":" + json;
    return *this;
  }
  std::string Finish() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

// The first and the last records of a file, and how many there are.
class RecordList {
 public:
  void Add(std::string json) {
    ++count_;
    if (first_.size() < kInspectRecordCountMax) {
      first_.push_back(std::move(json));
      return;
    }
    last_.push_back(std::move(json));
    if (last_.size() > kInspectRecordCountMax) last_.pop_front();
  }
  void AddTo(JsonObject* object) const {
    object->Number("recordCount", count_);
    object->Number("recordsLeftOut", count_ - first_.size() - last_.size());
    std::string list;
    for (const std::string& json : first_) list += (list.empty() ? "" : ",\n  ") + json;
    for (const std::string& json : last_) list += ",\n  " + json;
    object->Raw("records", "[" + list + "]");
  }

 private:
  uint64_t count_ = 0;
  std::vector<std::string> first_;
  std::deque<std::string> last_;
};

const char* TypeName(RecordType type) { return type == RecordType::kRegion ? "region" : "blockmap"; }
const char* CodecName(Codec codec) {
  return codec == Codec::kNone ? "none" : codec == Codec::kLz4 ? "lz4" : "zstd";
}

std::string InspectSuperblock(ConstBytes content) {
  Superblock superblock;
  const Status status = DecodeSuperblock(content, &superblock);
  JsonObject object;
  object.Text("kind", "superblock").Valid(status);
  if (status.code() == Code::kCorrupt) return object.Finish();
  return object.Number("formatVersion", superblock.format_version)
      .Number("features", superblock.features)
      .Number("generation", superblock.generation)
      .Number("incarnation", superblock.incarnation)
      .Number("epoch", superblock.epoch)
      .Number("checkpointSequence", superblock.checkpoint_sequence)
      .Number("chunkSizeAverage", superblock.chunk_size_average)
      .Flag("isEncrypted", superblock.is_encrypted)
      .Hex("storeId", superblock.store_id.bytes)
      .Hex("realmId", superblock.realm_id)
      .Finish();
}

// --- data store ---

std::string DescribeHeader(const DataStoreHeader& header, const Status& status) {
  JsonObject object;
  object.Valid(status);
  if (!status.ok()) return object.Finish();
  return object.Number("version", kDataStoreVersion)
      .Hex("storeId", header.identity.store_id.bytes)
      .Hex("dataStoreId", header.identity.id.bytes)
      .Number("incarnation", header.identity.incarnation)
      .Number("keyEpoch", header.identity.key_epoch)
      .Hex("keyCommitment", header.key_commitment)
      .Finish();
}

std::string DescribeFooter(const DataStoreFooter& footer) {
  return JsonObject()
      .Valid(Status::Ok())
      .Number("trailerOffset", footer.trailer_offset)
      .Number("trailerSize", footer.trailer_size)
      .Number("fileSize", footer.counts.file_bytes)
      .Number("recordCount", footer.counts.record_count)
      .Number("chunkCount", footer.counts.chunk_count)
      .Number("plainBytes", footer.counts.plain_bytes)
      .Number("storedBytes", footer.counts.stored_bytes)
      .Number("blockmapPlainBytes", footer.counts.blockmap_plain_bytes)
      .Number("blockmapStoredBytes", footer.counts.blockmap_stored_bytes)
      .Number("skippedBytes", footer.skipped_bytes)
      .Finish();
}

std::string DescribeTrailer(File* file, const DataStoreFooter& footer, const TrailerPlace& place,
                            bool can_open) {
  Buffer bytes(RoundUp(footer.trailer_size, kBlockSize));
  const auto count = file->ReadAt(footer.trailer_offset, bytes);
  if (!count.ok()) return JsonObject().Valid(count.status()).Finish();
  const ConstBytes content = ConstBytes(bytes).first(count.value());
  TrailerHeader header;
  const Status status = DecodeTrailerHeader(place.header.identity.id, content, &header);
  JsonObject object;
  if (!status.ok()) return object.Valid(status).Finish();
  object.Flag("isSealed", header.is_sealed)
      .Number("incarnation", header.incarnation)
      .Hex("salt", header.salt)
      .Number("bodySize", header.body_size)
      .Number("recordCount", header.record_count)
      .Number("chunkCount", header.chunk_count);
  if (!can_open) return object.Finish();
  ChunkTable table;
  Sha256Digest root{};
  const Status opened = DecodeTrailer(place, footer.trailer_offset, content, &table, &root);
  object.Valid(opened);
  return opened.ok() ? object.Hex("merkleRoot", root).Finish() : object.Finish();
}

std::string DescribeRecord(const ScannedRecord& record, bool can_open) {
  JsonObject object;
  object.Number("offset", record.offset)
      .Number("size", record.header.RecordSize())
      .Text("type", TypeName(record.header.type))
      .Text("codec", CodecName(record.header.codec))
      .Flag("isSealed", record.header.is_sealed)
      .Number("ordinal", record.header.ordinal)
      .Number("chunkCount", record.header.chunk_count)
      .Number("plainSize", record.header.plain_size)
      .Number("storedSize", record.header.stored_size)
      .Number("keyEpoch", record.header.key_epoch);
  return can_open ? object.Valid(record.status).Finish() : object.Finish();
}

Status DescribeRecords(File* file, uint64_t end, const RecordPlace& place, bool can_open,
                       JsonObject* object) {
  const auto depth = can_open ? RecordScanner::Depth::kRecords : RecordScanner::Depth::kHeaders;
  RecordScanner scanner(file, kDataStoreHeaderSize, end, place, depth);
  RecordList list;
  for (ScannedRecord record;;) {
    ASSIGN_OR_RETURN(const bool is_found, scanner.Next(&record));
    if (!is_found) break;
    list.Add(DescribeRecord(record, can_open));
  }
  list.AddTo(object);
  object->Number("bytesSkipped", scanner.skipped_bytes());
  return Status::Ok();
}

Result<std::string> InspectDataStore(File* file, const DataStore::KeyOfEpoch& data_keys) {
  Buffer block(kBlockSize);
  ASSIGN_OR_RETURN(const size_t header_size, file->ReadAt(0, block));
  DataStoreHeader header;
  const Status status = DecodeDataStoreHeader(ConstBytes(block).first(header_size), &header);
  JsonObject object;
  object.Text("kind", "data store").Raw("header", DescribeHeader(header, status));
  if (!status.ok()) return object.Finish();
  ASSIGN_OR_RETURN(const uint64_t content_end, EndOfContent(file));
  uint64_t end = RoundUp(content_end, kBlockSize);
  DataStoreFooter footer;
  ASSIGN_OR_RETURN(const size_t footer_size, file->ReadAt(end - kDataStoreFooterSize, block));
  const Status footer_status = DecodeDataStoreFooter(ConstBytes(block).first(footer_size), &footer);
  const uint32_t epoch = header.identity.key_epoch;
  Key store_key{};
  const Key* data_key = epoch != 0 && data_keys ? data_keys(epoch) : nullptr;
  const bool can_open =
      epoch == 0 || (data_key != nullptr && OpenDataStoreKey(header, data_key, &store_key).ok());
  const Key* key = epoch != 0 && can_open ? &store_key : nullptr;
  object.Flag("isOpened", can_open);
  if (footer_status.ok()) {
    object.Raw("footer", DescribeFooter(footer));
    object.Raw("trailer", DescribeTrailer(file, footer, {header, key}, can_open));
    end = footer.trailer_offset;
  } else {
    object.Raw("footer", JsonObject().Valid(footer_status).Finish());
  }
  const Status listed = DescribeRecords(file, end, {header.identity.id, key}, can_open, &object);
  WipeMemory(store_key);
  RETURN_IF_ERROR(listed);
  return object.Finish();
}

// --- commit log ---

std::string DescribeLogRecord(uint64_t offset, const DecodedLogRecord& record, bool can_open,
                              const Status& status) {
  JsonObject object;
  object.Number("offset", offset)
      .Number("type", record.header.type)
      .Flag("isSealed", record.header.is_sealed)
      .Number("sequence", record.header.sequence)
      .Number("batchIndex", record.header.batch_index)
      .Number("payloadSize", record.header.payload_size)
      .Hex("previousHash", record.header.previous_hash);
  if (!can_open) return object.Finish();
  object.Valid(status);
  if (!status.ok()) return object.Finish();
  const size_t shown = std::min(record.payload.size(), kInspectPayloadSizeMax);
  return object.Hex("hash", record.hash).Hex("payload", ConstBytes(record.payload).first(shown)).Finish();
}

// Until the first invalid header: what lies behind it is recovery's to judge, with the other copy.
Status DescribeLogRecords(File* file, const LogPlace& place, bool can_open, JsonObject* object) {
  ReadWindow window(file);
  RecordList list;
  uint64_t at = kLogSegmentHeaderSize;
  for (DecodedLogRecord record;;) {
    ASSIGN_OR_RETURN(ConstBytes bytes, window.At(at, kLogRecordHeaderSize));
    if (!DecodeLogRecordHeader(place.segment_id, bytes, &record.header).ok()) break;
    Status status;
    if (can_open) {
      ASSIGN_OR_RETURN(bytes, window.At(at, record.header.RecordSize()));
      status = DecodeLogRecord(place, bytes, &record);
    }
    list.Add(DescribeLogRecord(at, record, can_open, status));
    at += record.header.RecordSize();
  }
  list.AddTo(object);
  object->Number("end", at);
  return Status::Ok();
}

Result<std::string> InspectLogSegment(File* file, const Key* log_key) {
  Buffer bytes(kLogSegmentHeaderSize);
  ASSIGN_OR_RETURN(const size_t size, file->ReadAt(0, bytes));
  LogSegmentHeader header;
  const Status status = DecodeLogSegmentHeader(ConstBytes(bytes).first(size), &header);
  JsonObject object;
  object.Text("kind", "log segment").Valid(status);
  if (!status.ok()) return object.Finish();
  Key segment_key{};
  const bool can_open =
      !header.is_sealed || (log_key != nullptr && OpenLogSegmentKey(header, log_key, 0, &segment_key).ok());
  object.Number("version", kLogVersion)
      .Hex("storeId", header.store_id.bytes)
      .Number("incarnation", header.incarnation)
      .Hex("segmentId", header.segment_id)
      .Number("firstSequence", header.first_sequence)
      .Hex("keyCommitment", header.key_commitment)
      .Hex("previousHash", header.previous_hash)
      .Flag("isSealed", header.is_sealed)
      .Flag("isOpened", can_open);
  const LogPlace place{header.store_id, header.segment_id,
                       header.is_sealed && can_open ? &segment_key : nullptr};
  const Status listed = DescribeLogRecords(file, place, can_open, &object);
  WipeMemory(segment_key);
  RETURN_IF_ERROR(listed);
  return object.Finish();
}

}  // namespace

Result<std::string> InspectFile(FileSystem* files, const std::string& path,
                                const DataStore::KeyOfEpoch& data_keys, const Key* log_key) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files->Open(path, OpenMode::kRead));
  Buffer head(kSuperblockSize);
  ASSIGN_OR_RETURN(const size_t count, file->ReadAt(0, head));
  head.resize(count);
  const uint64_t magic = count >= sizeof(uint64_t) ? LoadLittle<uint64_t>(head.data()) : 0;
  if (magic == kSuperblockMagic) return InspectSuperblock(head);
  if (magic == kDataStoreMagic) return InspectDataStore(file.get(), data_keys);
  if (magic == kLogSegmentMagic) return InspectLogSegment(file.get(), log_key);
  return Status(Code::kUnsupported, path + ": not a superblock, a data store or a log segment");
}

}  // namespace granary
