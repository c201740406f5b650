#include "datastore/data_store_file.h"

#include <algorithm>

namespace granary {

static constexpr size_t kChunkBatchSize = 1024;  // rows copied out under one lock

DataStoreFile::DataStoreFile(FileSystem* files, std::string path, const DataStoreHeader& header,
                             const Key* store_key)
    : files_(files), header_(header), path_(std::move(path)) {
  CHECK((store_key == nullptr) == (header.identity.key_epoch == 0));
  if (store_key != nullptr) key_ = *store_key;
  footer_.header = header;
}

Status DataStoreFile::Named(const Status& status) const {
  return status.Within("data store " + ToHex(header_.identity.id.bytes));
}

DataStoreFile::~DataStoreFile() {
  if (budget_ != nullptr) budget_->GiveBack(this);
  if (key_) WipeMemory(*key_);
}

Status DataStoreFile::StartNew(std::shared_ptr<File> file) {
  Buffer block(kDataStoreHeaderSize);
  EncodeDataStoreHeader(header_, block);
  DataStoreHeader decoded;
  CHECK(DecodeDataStoreHeader(block, &decoded).ok() && decoded.identity.id == header_.identity.id &&
        decoded.key_commitment == header_.key_commitment);
  file_ = file;
  writer_ = std::make_shared<BlockWriter>(std::move(file), 0, 0);
  table_.emplace();
  RETURN_IF_ERROR(writer_->Append(block).status());
  RETURN_IF_ERROR(writer_->Sync());
  // From here on the file cannot vanish: no record is ever durable in a file that is not.
  return files_->SyncDirectory(DirectoryOf(path_));
}

Status DataStoreFile::OpenClosed(std::shared_ptr<File> file, const DataStoreFooter& footer) {
  footer_ = footer;
  RETURN_IF_ERROR(LoadTable(file.get()));
  const DataStoreCounts& found = table_->counts();
  if (found.record_count != footer.counts.record_count || found.chunk_count != footer.counts.chunk_count ||
      found.plain_bytes != footer.counts.plain_bytes || found.stored_bytes != footer.counts.stored_bytes) {
    return Named(Status(Code::kCorrupt, "footer and trailer count differently"));
  }
  file_ = std::move(file);
  is_closed_ = true;
  return Status::Ok();
}

void DataStoreFile::AdoptScan(std::shared_ptr<File> file, ChunkTable table, const MerkleTree& tree,
                              uint64_t skipped_bytes, uint64_t file_bytes) {
  file_ = std::move(file);
  table_ = std::move(table);
  tree_ = tree;
  footer_.skipped_bytes = skipped_bytes;
  footer_.counts = table_->counts();
  footer_.counts.file_bytes = file_bytes;
}

Status DataStoreFile::CloseAdopted(uint64_t end, uint64_t allocated, uint64_t incarnation) {
  BlockWriter writer(file_, end, allocated);
  RETURN_IF_ERROR(Named(WriteTrailer(file_, &writer, incarnation)));
  is_closed_ = true;
  file_.reset();  // comes back for reading only
  return Status::Ok();
}

DataStoreCounts DataStoreFile::counts() const {
  std::shared_ptr<BlockWriter> writer;
  {
    std::lock_guard<std::mutex> guard(file_mutex_);
    writer = writer_;
  }
  std::shared_lock<std::shared_mutex> lock(table_mutex_);
  if (writer == nullptr || !table_) return footer_.counts;
  DataStoreCounts counts = table_->counts();
  counts.file_bytes = writer->allocated();
  return counts;
}

uint64_t DataStoreFile::TakeOrdinal() {
  const uint64_t ordinal = next_ordinal_.fetch_add(1);
  CHECK(ordinal < kTrailerRecordCountMax);  // bounds what one key seals, too
  return ordinal;
}

Status DataStoreFile::Append(const RecordHeader& header, const std::vector<TableRow>& table,
                             ConstBytes encoded) {
  CHECK(encoded.size() == header.RecordSize() && table.size() == header.chunk_count);
  CHECK(header.ordinal < next_ordinal_ && header.is_sealed == key_.has_value());
  std::shared_ptr<BlockWriter> writer;
  {
    std::lock_guard<std::mutex> guard(file_mutex_);
    if (!failure_.ok()) return failure_;
    CHECK(writer_ != nullptr);
    writer = writer_;
  }
  // Room for the trailer, too: a store that was full when it closed could not be closed.
  RETURN_IF_ERROR(Named(writer->Reserve(encoded.size() + TrailerSizeWith(table.size()))));
  auto offset = writer->Append(encoded);
  if (!offset.ok()) return Named(offset.status());
  std::unique_lock<std::shared_mutex> lock(table_mutex_);
  table_->Add(*offset, header, table);
  AddRecordLeaf(&tree_, header, encoded);
  return Status::Ok();
}

uint64_t DataStoreFile::TrailerSizeWith(size_t chunk_count) const {
  std::shared_lock<std::shared_mutex> lock(table_mutex_);
  const DataStoreCounts& counts = table_->counts();
  return kTrailerHeaderSize + TrailerBodySize(counts.record_count + 1, counts.chunk_count + chunk_count) +
         kTagSize + kDataStoreFooterSize + kBlockSize;
}

Status DataStoreFile::Sync() {
  std::shared_ptr<BlockWriter> writer;
  {
    std::lock_guard<std::mutex> guard(file_mutex_);
    if (!failure_.ok() || writer_ == nullptr) return failure_;  // closed: all is durable
    writer = writer_;
  }
  return Named(writer->Sync());
}

Status DataStoreFile::Close() {
  std::shared_ptr<BlockWriter> writer;
  std::shared_ptr<File> file;
  {
    std::lock_guard<std::mutex> guard(file_mutex_);
    if (!failure_.ok() || writer_ == nullptr) return failure_;
    writer = writer_;
    file = file_;
  }
  const Status status = Named(WriteTrailer(file, writer.get(), header_.identity.incarnation));
  {
    std::lock_guard<std::mutex> guard(file_mutex_);
    failure_ = status;
    if (!status.ok()) return status;
    is_closed_ = true;
    writer_.reset();
    file_.reset();
  }
  std::unique_lock<std::shared_mutex> lock(table_mutex_);
  CountTable();
  return Status::Ok();
}

// Records first, durable: a trailer is believed without a look at them. Then trailer and footer, durable;
// then the cut to size. A crash between the last two leaves a footer with zeros behind it, which Recover
// finds.
Status DataStoreFile::WriteTrailer(const std::shared_ptr<File>& file, BlockWriter* writer,
                                   uint64_t incarnation) {
  RETURN_IF_ERROR(writer->Sync());
  ASSIGN_OR_RETURN(const uint64_t offset, writer->PadToBlock());
  Buffer bytes;
  DataStoreFooter footer;
  {
    std::unique_lock<std::shared_mutex> lock(table_mutex_);
    root_ = tree_.Root();
    const TrailerPlace trailer_place{header_, key_ ? &*key_ : nullptr};
    bytes = EncodeTrailer(trailer_place, incarnation, *table_, root_);
    ChunkTable decoded;
    Sha256Digest root;
    TrailerHeader clear;
    CHECK(DecodeTrailer(trailer_place, offset, bytes, &decoded, &root).ok() && root == root_ &&
          decoded.counts().chunk_count == table_->counts().chunk_count);
    CHECK(DecodeTrailerHeader(header_.identity.id, bytes, &clear).ok());
    footer_.trailer_offset = offset;
    footer_.trailer_size = kTrailerHeaderSize + clear.body_size + kTagSize;
    footer_.counts = table_->counts();
    footer_.counts.file_bytes = offset + bytes.size() + kDataStoreFooterSize;
    footer = footer_;
  }
  bytes.resize(bytes.size() + kDataStoreFooterSize);
  EncodeDataStoreFooter(footer, Bytes(bytes).last(kDataStoreFooterSize));
  RETURN_IF_ERROR(writer->Append(bytes).status());
  RETURN_IF_ERROR(writer->Sync());
  RETURN_IF_ERROR(file->Truncate(footer.counts.file_bytes));
  return file->Sync();
}

Result<std::shared_ptr<File>> DataStoreFile::OpenedFile() {
  std::lock_guard<std::mutex> guard(file_mutex_);
  if (file_ == nullptr) {
    auto file = files_->Open(path_, OpenMode::kRead, true);
    if (!file.ok()) return Named(file.status());
    file_ = std::move(*file);
  }
  return file_;
}

Status DataStoreFile::LoadTable(File* file) {
  Buffer bytes(RoundUp(footer_.trailer_size, kBlockSize));
  auto count = file->ReadAt(footer_.trailer_offset, bytes);
  if (!count.ok()) return Named(count.status());
  ChunkTable table;
  const TrailerPlace trailer_place{header_, key_ ? &*key_ : nullptr};
  RETURN_IF_ERROR(Named(
      DecodeTrailer(trailer_place, footer_.trailer_offset, ConstBytes(bytes).first(*count), &table, &root_)));
  table_ = std::move(table);
  return Status::Ok();
}

Result<std::shared_lock<std::shared_mutex>> DataStoreFile::LockTable() {
  for (;;) {
    std::shared_lock<std::shared_mutex> shared(table_mutex_);
    if (table_) {
      if (budget_ != nullptr) last_use.store(budget_->now(), std::memory_order_relaxed);
      return shared;
    }
    shared.unlock();
    ASSIGN_OR_RETURN(const std::shared_ptr<File> file, OpenedFile());
    std::unique_lock<std::shared_mutex> lock(table_mutex_);
    if (!table_) {
      if (Status status = LoadTable(file.get()); !status.ok()) {
        if (is_closed_) CloseFile();  // nothing counts it
        return status;
      }
    }
    CountTable();
  }
}

void DataStoreFile::CountTable() {
  if (budget_ != nullptr && is_closed_ && table_) budget_->Take(this, table_->memory_bytes());
}

void DataStoreFile::UseBudget(std::shared_ptr<TableBudget> budget) {
  budget_ = std::move(budget);
  std::unique_lock<std::shared_mutex> lock(table_mutex_);
  CountTable();
}

Result<std::optional<ChunkPlace>> DataStoreFile::Find(const Fingerprint& fingerprint) {
  ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
  return table_->Find(fingerprint);
}

Result<std::optional<ChunkPlace>> DataStoreFile::FindEarlier(uint32_t chunk) {
  ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
  return table_->FindEarlier(chunk);
}

Status DataStoreFile::ForEachChunk(const std::function<void(const Fingerprint&, const ChunkPlace&)>& each) {
  std::vector<std::pair<Fingerprint, ChunkPlace>> batch;
  for (size_t next = 0;; next += batch.size()) {
    batch.clear();
    {
      ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
      const size_t end = std::min(table_->chunks().size(), next + kChunkBatchSize);
      for (size_t chunk = next; chunk < end; ++chunk) {
        batch.emplace_back(table_->chunks()[chunk].fingerprint, table_->PlaceOf(chunk));
      }
    }
    if (batch.empty()) return Status::Ok();
    for (const auto& [fingerprint, chunk_place] : batch) each(fingerprint, chunk_place);
  }
}

Status DataStoreFile::ForEachRecord(size_t from, const std::function<bool(const RecordRows&)>& each) {
  size_t index = 0;
  {
    ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
    index = table_->RecordOf(from);
  }
  for (RecordRows found;; ++index) {
    {
      ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
      if (index >= table_->records().size()) return Status::Ok();
      const ChunkTable::Record& record = table_->records()[index];
      const auto first = table_->chunks().begin() + record.first_chunk;
      found.offset = record.offset;
      found.size = record.size;
      found.plain_size = record.plain_size;
      found.first_chunk = record.first_chunk;
      found.type = record.type;
      found.rows.assign(first, first + record.chunk_count);
    }
    if (!each(found)) return Status::Ok();
  }
}

Result<ConstBytes> DataStoreFile::Read(uint64_t offset, size_t size, BlockBuffer* memory) {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, OpenedFile());
  auto bytes = ReadThroughBlocks(file.get(), offset, size, memory);
  // The table went meanwhile, and the file with it: what is open is what the budget counts.
  if (is_closed_ && !is_in_memory()) CloseFile();
  if (!bytes.ok()) return Named(bytes.status());
  if (bytes->size() < size) return Named(Status(Code::kCorrupt, "the file ends before what is read"));
  return bytes;
}

void DataStoreFile::VerifyRecord(const ChunkTable::Record& record, const std::vector<TableRow>& rows,
                                 MerkleTree* tree, ScannedRecord* found) {
  BlockBuffer memory;
  Buffer scratch, plain;
  found->offset = record.offset;
  DecodedRecord decoded;
  auto bytes = Read(record.offset, record.size, &memory);
  found->status = bytes.ok() ? DecodeRecord(place(), *bytes, &scratch, &decoded) : bytes.status();
  found->header = decoded.header;
  if (!found->status.ok()) return;
  const auto same = [](const TableRow& a, const TableRow& b) {
    return a.fingerprint == b.fingerprint && a.length == b.length;
  };
  if (decoded.header.ordinal != record.ordinal || decoded.header.RecordSize() != record.size ||
      !std::equal(rows.begin(), rows.end(), decoded.table.begin(), decoded.table.end(), same)) {
    found->status = Status(Code::kCorrupt, "record: not the one the trailer names");
    return;
  }
  AddRecordLeaf(tree, decoded.header, *bytes);
  plain.resize(decoded.header.plain_size);
  found->status = Decompress(decoded.header.codec, decoded.payload, plain);
}

Status DataStoreFile::VerifyRecords(const std::function<bool(const ScannedRecord&)>& each) {
  DropCache();
  MerkleTree tree;
  for (size_t index = 0;; ++index) {
    ChunkTable::Record record;
    std::vector<TableRow> rows;
    {
      ASSIGN_OR_RETURN(const std::shared_lock<std::shared_mutex> lock, LockTable());
      if (index == table_->records().size()) break;
      record = table_->records()[index];
      const auto first = table_->chunks().begin() + record.first_chunk;
      rows.assign(first, first + record.chunk_count);
    }
    ScannedRecord found;
    VerifyRecord(record, rows, &tree, &found);
    if (!each(found)) return Status::Ok();
  }
  if (!is_closed_) return Status::Ok();
  std::shared_lock<std::shared_mutex> lock(table_mutex_);
  return tree.Root() == root_ ? Status::Ok() : Named(Status(Code::kCorrupt, "the Merkle root does not fit"));
}

void DataStoreFile::DropMemory() {
  if (!is_closed_) return;
  {
    std::unique_lock<std::shared_mutex> lock(table_mutex_);
    table_.reset();
    if (budget_ != nullptr) budget_->GiveBack(this);
  }
  CloseFile();
}

bool DataStoreFile::TryDropMemory() {
  std::unique_lock<std::shared_mutex> lock(table_mutex_, std::try_to_lock);
  std::unique_lock<std::mutex> guard(file_mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !guard.owns_lock()) return false;
  table_.reset();
  file_.reset();
  return true;
}

void DataStoreFile::CloseFile() {
  std::lock_guard<std::mutex> guard(file_mutex_);
  file_.reset();
}

void DataStoreFile::DropCache() {
  if (auto file = OpenedFile(); file.ok()) (*file)->DropCache();
}

bool DataStoreFile::is_in_memory() const {
  std::shared_lock<std::shared_mutex> lock(table_mutex_);
  return table_.has_value();
}

std::string DataStoreFile::path() const {
  std::lock_guard<std::mutex> guard(file_mutex_);
  return path_;
}

Status DataStoreFile::MoveFile(const std::string& to) {
  CHECK(is_closed_);
  // Under the lock that opens the file: it is opened before at the one place, or after at the other.
  std::lock_guard<std::mutex> guard(file_mutex_);
  RETURN_IF_ERROR(files_->Rename(path_, to));
  path_ = to;
  return Status::Ok();
}

}  // namespace granary
