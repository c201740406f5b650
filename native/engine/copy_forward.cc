#include "engine/copy_forward.h"

#include "blockmap/blockmap.h"

namespace granary {
namespace {

// Enough for whole regions whatever is left of the records; bounds the memory of a call.
constexpr size_t kBatchSize = 8 * kRegionSizeTarget;
constexpr size_t kRecordsWaitingMax = 64;
constexpr size_t kAskedMax = 8;  // tables in memory at once: some megabytes each

Result<Buffer> ReadPlain(StoreSlot* slot, const RecordRows& record) {
  BlockBuffer memory;
  Buffer scratch;
  ASSIGN_OR_RETURN(const ConstBytes bytes, slot->store->Read(record.offset, record.size, &memory));
  DecodedRecord decoded;
  RETURN_IF_ERROR(DecodeRecord(slot->store->place(), bytes, &scratch, &decoded));
  Buffer plain(decoded.header.plain_size);
  RETURN_IF_ERROR(Decompress(decoded.header.codec, decoded.payload, plain));
  if (decoded.table.size() != record.rows.size()) {
    return Status(Code::kCorrupt, "the trailer names another number of chunks");
  }
  return plain;
}

// A node that lies among a blockmap's records is found by the probe soonest.
RecordType TypeOf(ConstBytes bytes) {
  if (bytes.size() < kNodeHeaderSize || bytes.size() > kNodeSizeMax) return RecordType::kRegion;
  std::vector<NodeRow> rows;
  for (uint32_t level = 0; level < kBlockmapDepthMax; ++level) {
    if (DecodeNode(bytes, level, &rows).ok()) return RecordType::kBlockmap;
  }
  return RecordType::kRegion;
}

}  // namespace

// A copy that the resident index knows of; another one is only a chunk stored twice.
bool CopyForward::HasCopy(const Fingerprint& fingerprint) {
  StoreSlot* indexed = stores_->FindIndexed(fingerprint);
  if (indexed == nullptr || indexed == slot_) return false;
  if (!indexed->store->is_in_memory()) {
    if (asked_.size() >= kAskedMax) LetGo();
    asked_.insert(indexed);
  }
  return stores_->HasVisible(indexed, fingerprint);
}

void CopyForward::LetGo() {
  for (StoreSlot* asked : asked_) asked->store->DropMemory();
  asked_.clear();
}

bool CopyForward::IsWanted(const TableRow& row, uint32_t chunk) {
  if (stores_->IsHidden(slot_, HiddenReason::kDead, chunk)) return false;
  if (!copied_names_.contains(row.fingerprint) && !HasCopy(row.fingerprint)) return true;
  report_.duplicate_plain_bytes += row.length;
  return false;
}

Status CopyForward::CopyRecord(const RecordRows& record) {
  std::vector<size_t> wanted;
  for (size_t index = 0; index < record.rows.size(); ++index) {
    const auto chunk = static_cast<uint32_t>(record.first_chunk + index);
    if (IsWanted(record.rows[index], chunk)) wanted.push_back(index);
  }
  if (wanted.empty()) return Status::Ok();
  read_bytes_ += record.plain_size;
  if (record.type != type_) RETURN_IF_ERROR(Flush());
  type_ = record.type;
  auto plain = ReadPlain(slot_, record);
  if (plain.status().code() == Code::kIo) return plain.status().Within("data store " + slot_->store->path());
  const ConstBytes bytes = plain.ok() ? ConstBytes(plain.value()) : ConstBytes();
  uint64_t position = 0;
  auto next = wanted.begin();
  for (size_t index = 0; index < record.rows.size() && next != wanted.end(); ++index) {
    const TableRow& row = record.rows[index];
    const uint64_t start = position;
    position += row.length;
    if (*next != index) continue;
    ++next;
    const bool is_whole = position <= bytes.size();
    const ConstBytes chunk = is_whole ? bytes.subspan(start, row.length) : ConstBytes();
    if (!is_whole || fingerprinter_->Hash(chunk) != row.fingerprint) {
      report_.damaged.push_back(row.fingerprint);
      continue;
    }
    if (!copied_names_.insert(row.fingerprint).second) continue;  // twice in this record
    waiting_.push_back({row.fingerprint, chunk});
    waiting_size_ += row.length;
  }
  if (plain.ok()) plains_.push_back(std::move(plain.value()));  // the bytes stay where they are
  return waiting_size_ >= kBatchSize || plains_.size() >= kRecordsWaitingMax ? Flush() : Status::Ok();
}

Status CopyForward::Flush() {
  if (!waiting_.empty()) {
    ASSIGN_OR_RETURN(const RecordWriter::Written written,
                     writer_->Write(type_, waiting_, &placed_));
    report_.copied_count += waiting_.size();
    report_.copied_plain_bytes += written.plain_bytes;
    report_.copied_stored_bytes += written.stored_bytes;
  }
  waiting_.clear();
  plains_.clear();
  waiting_size_ = 0;
  return Status::Ok();
}

Result<CopyReport> CopyForward::Run(uint64_t from, uint64_t bytes_max) {
  report_.next = slot_->store->counts().chunk_count;
  Status status;
  RETURN_IF_ERROR(slot_->store->ForEachRecord(from, [&](const RecordRows& record) {
    if (read_bytes_ > 0 && read_bytes_ >= bytes_max) {
      report_.next = record.first_chunk;
      return false;
    }
    status = CopyRecord(record);
    return status.ok();
  }));
  if (status.ok()) status = Flush();
  LetGo();
  // What was copied before a failure, too.
  const Status published = writer_->Publish(placed_);
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(published);
  return std::move(report_);
}

Result<uint64_t> AdmitChunks(RecordWriter* writer, const Fingerprinter& fingerprinter,
                             std::span<const Row> rows, ConstBytes bytes) {
  std::vector<WriteChunk> batches[2];  // regions, blockmap nodes
  uint64_t position = 0;
  for (const Row& row : rows) {
    if (row.length > bytes.size() - position) return Status(Code::kInvalid, "fewer bytes than the rows say");
    const ConstBytes chunk = bytes.subspan(position, row.length);
    position += row.length;
    if (row.length == 0 || fingerprinter.Hash(chunk) != row.fingerprint) {
      return Status(Code::kCorrupt, "chunk " + ToHex(row.fingerprint.bytes).substr(0, 16) +
                                        ": the bytes are another chunk's");
    }
    batches[TypeOf(chunk) == RecordType::kBlockmap ? 1 : 0].push_back({row.fingerprint, chunk});
  }
  RecordWriter::Placed placed;
  RETURN_IF_ERROR(writer->Write(RecordType::kRegion, batches[0], &placed).status());
  RETURN_IF_ERROR(writer->Write(RecordType::kBlockmap, batches[1], &placed).status());
  RETURN_IF_ERROR(writer->Publish(placed));
  return static_cast<uint64_t>(rows.size());
}

}  // namespace granary
