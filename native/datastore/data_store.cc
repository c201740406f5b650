// How data stores are made, opened and recovered.
#include "datastore/data_store.h"

#include <unordered_set>

#include "datastore/data_store_file.h"
#include "datastore/record_scanner.h"

namespace granary {
namespace {

Status ReadBlock(File* file, uint64_t offset, Buffer* block) {
  block->assign(kBlockSize, 0);
  ASSIGN_OR_RETURN(const size_t count, file->ReadAt(offset, *block));
  return count == kBlockSize ? Status::Ok() : Status(Code::kCorrupt, "data store: shorter than a block");
}

Status ReadHeader(File* file, DataStoreHeader* header) {
  Buffer block;
  RETURN_IF_ERROR(ReadBlock(file, 0, &block));
  return DecodeDataStoreHeader(block, header);
}

// The footer whose block ends at `end`.
Status ReadFooter(File* file, uint64_t end, DataStoreFooter* footer) {
  if (end % kBlockSize != 0 || end < kDataStoreHeaderSize + kDataStoreFooterSize) {
    return Status(Code::kCorrupt, "data store: no room for a footer");
  }
  Buffer block;
  RETURN_IF_ERROR(ReadBlock(file, end - kDataStoreFooterSize, &block));
  RETURN_IF_ERROR(DecodeDataStoreFooter(block, footer));
  return footer->counts.file_bytes == end ? Status::Ok()
                                          : Status(Code::kCorrupt, "data store footer: out of its place");
}

bool SameHeader(const DataStoreHeader& a, const DataStoreHeader& b) {
  return a.identity.store_id == b.identity.store_id && a.identity.id == b.identity.id &&
         a.identity.incarnation == b.identity.incarnation && a.identity.key_epoch == b.identity.key_epoch &&
         a.key_commitment == b.key_commitment;
}

Status CheckGroup(const DataStoreHeader& header, const StoreId& store_id) {
  if (header.identity.store_id == store_id) return Status::Ok();
  return Status(Code::kCorrupt, "data store: belongs to another storage group");
}

// The object for a header, with its key.
Result<std::shared_ptr<DataStoreFile>> MakeStore(FileSystem* files, const std::string& path,
                                                 const DataStoreHeader& header,
                                                 const DataStore::KeyOfEpoch& keys) {
  Key store_key{};
  const uint32_t epoch = header.identity.key_epoch;
  RETURN_IF_ERROR(OpenDataStoreKey(header, epoch == 0 ? nullptr : keys(epoch), &store_key).Within(path));
  auto store = std::make_shared<DataStoreFile>(files, path, header, epoch == 0 ? nullptr : &store_key);
  WipeMemory(store_key);
  return store;
}

// One recovery of one file.
class Recovery {
 public:
  Recovery(FileSystem* files, std::string path, const StoreId& store_id, const DataStore::KeyOfEpoch& keys,
           bool close, DataStore::ScanReport* report)
      : files_(files),
        path_(std::move(path)),
        store_id_(store_id),
        keys_(keys),
        close_(close),
        report_(report) {}

  Result<std::shared_ptr<DataStore>> Run(uint64_t incarnation);

 private:
  Status FindHeader();
  Status GuessHeader();
  Result<std::shared_ptr<DataStore>> OpenByFooter();
  Status Scan();

  FileSystem* const files_;
  const std::string path_;
  const StoreId store_id_;
  const DataStore::KeyOfEpoch& keys_;
  const bool close_;
  DataStore::ScanReport* const report_;
  std::shared_ptr<File> file_;
  uint64_t end_ = 0;  // of the last block that is not zero
  uint64_t size_ = 0;
  DataStoreHeader header_;
  std::shared_ptr<DataStoreFile> store_;
};

// From the first block, else the footer, else the file's name and the first record.
Status Recovery::FindHeader() {
  Status status = ReadHeader(file_.get(), &header_);
  if (status.code() != Code::kCorrupt) return status;
  DataStoreFooter footer;
  if (ReadFooter(file_.get(), end_, &footer).ok()) {
    header_ = footer.header;
    return Status::Ok();
  }
  // Create makes the header durable before any record is written.
  if (end_ <= kDataStoreHeaderSize)
    return Status(Code::kNotFound, "data store: nothing was ever written to it");
  return GuessHeader();
}

Status Recovery::GuessHeader() {
  const std::string suffix = DataStore::kFileSuffix;
  const size_t name_at = path_.rfind('/') + 1;
  const std::string name =
      path_.substr(name_at, path_.size() - name_at - std::min(path_.size() - name_at, suffix.size()));
  DataStoreIdentity identity{store_id_, {}, 0, 0};
  if (!FromHex(name, identity.id.bytes)) {
    return Status(Code::kCorrupt,
                  "data store: the header is damaged and the file's name is not a data store's");
  }
  RecordScanner scanner(file_.get(), kDataStoreHeaderSize, end_, {identity.id, nullptr},
                        RecordScanner::Depth::kHeaders);
  ScannedRecord first;
  ASSIGN_OR_RETURN(const bool is_found, scanner.Next(&first));
  if (!is_found) return Status(Code::kCorrupt, "data store: neither header nor record is valid");
  identity.key_epoch = first.header.key_epoch;
  const Key* data_key = identity.key_epoch == 0 ? nullptr : keys_(identity.key_epoch);
  if (identity.key_epoch != 0 && data_key == nullptr)
    return OpenDataStoreKey({identity, {}}, nullptr, nullptr);
  Key store_key{};
  header_ = MakeDataStoreHeader(identity, data_key, &store_key);
  WipeMemory(store_key);
  return Status::Ok();
}

// Null when there is no valid trailer at the end of the content.
Result<std::shared_ptr<DataStore>> Recovery::OpenByFooter() {
  DataStoreFooter footer;
  if (!ReadFooter(file_.get(), end_, &footer).ok() || !SameHeader(footer.header, header_)) {
    return std::shared_ptr<DataStore>();
  }
  const Status status = store_->OpenClosed(file_, footer);
  if (status.code() == Code::kCorrupt) return std::shared_ptr<DataStore>();
  RETURN_IF_ERROR(status);
  if (close_ && size_ != end_) {
    RETURN_IF_ERROR(file_->Truncate(end_));
    RETURN_IF_ERROR(file_->Sync());
  }
  *report_ = {footer.counts.record_count, footer.skipped_bytes};
  store_->DropMemory();  // the file was opened for writing; it comes back for reading
  return std::shared_ptr<DataStore>(store_);
}

Status Recovery::Scan() {
  ChunkTable table;
  MerkleTree tree;
  std::unordered_set<uint64_t> ordinals;
  RecordScanner scanner(file_.get(), kDataStoreHeaderSize, end_, store_->place(),
                        RecordScanner::Depth::kRecords);
  for (ScannedRecord found;;) {
    ASSIGN_OR_RETURN(const bool is_found, scanner.Next(&found));
    if (!is_found) break;
    // An ordinal seen before: a write that went to a second place, or a copy inside a damaged record's
    // payload.
    if (!found.status.ok() || !ordinals.insert(found.header.ordinal).second) continue;
    table.Add(found.offset, found.header, scanner.decoded().table);
    AddRecordLeaf(&tree, found.header, scanner.encoded());
  }
  *report_ = {table.counts().record_count, scanner.skipped_bytes()};
  store_->AdoptScan(file_, std::move(table), tree, scanner.skipped_bytes(), size_);
  return Status::Ok();
}

Result<std::shared_ptr<DataStore>> Recovery::Run(uint64_t incarnation) {
  ASSIGN_OR_RETURN(file_, files_->Open(path_, close_ ? OpenMode::kWrite : OpenMode::kRead, true));
  if (close_) {
    // What an earlier process wrote but did not sync must not be believed before it is durable; and what a
    // failed sync left in the page cache must not be believed at all.
    RETURN_IF_ERROR(file_->Sync());
    RETURN_IF_ERROR(files_->SyncDirectory(DirectoryOf(path_)));
  }
  file_->DropCache();
  ASSIGN_OR_RETURN(size_, file_->Size());
  ASSIGN_OR_RETURN(const uint64_t content_end, EndOfContent(file_.get()));
  end_ = RoundUp(content_end, kBlockSize);
  RETURN_IF_ERROR(FindHeader());
  RETURN_IF_ERROR(CheckGroup(header_, store_id_));
  ASSIGN_OR_RETURN(store_, MakeStore(files_, path_, header_, keys_));
  ASSIGN_OR_RETURN(std::shared_ptr<DataStore> closed, OpenByFooter());
  if (closed != nullptr) return closed;
  RETURN_IF_ERROR(Scan());
  if (close_)
    RETURN_IF_ERROR(store_->CloseAdopted(std::max<uint64_t>(end_, kDataStoreHeaderSize), size_, incarnation));
  return std::shared_ptr<DataStore>(store_);
}

}  // namespace

Result<std::shared_ptr<DataStore>> DataStore::Create(FileSystem* files, const std::string& path,
                                                     const DataStoreIdentity& identity, const Key* data_key) {
  Key store_key{};
  const DataStoreHeader header = MakeDataStoreHeader(identity, data_key, &store_key);
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files->Open(path, OpenMode::kCreate, true));
  auto store =
      std::make_shared<DataStoreFile>(files, path, header, data_key == nullptr ? nullptr : &store_key);
  WipeMemory(store_key);
  if (Status status = store->StartNew(std::move(file)); !status.ok()) {
    (void)files->Unlink(path);  // else Recover finds it empty
    return status.Within("creating data store " + path);
  }
  return std::shared_ptr<DataStore>(store);
}

Result<std::shared_ptr<DataStore>> DataStore::Open(FileSystem* files, const std::string& path,
                                                   const StoreId& store_id, const KeyOfEpoch& keys) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, files->Open(path, OpenMode::kRead, true));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  DataStoreHeader header;
  RETURN_IF_ERROR(ReadHeader(file.get(), &header).Within(path));
  RETURN_IF_ERROR(CheckGroup(header, store_id).Within(path));
  DataStoreFooter footer;
  if (Status status = ReadFooter(file.get(), size, &footer); !status.ok()) {
    if (status.code() != Code::kCorrupt) return status.Within(path);
    ASSIGN_OR_RETURN(const uint64_t content_end, EndOfContent(file.get()));
    const uint64_t end = RoundUp(content_end, kBlockSize);
    // A file that was never closed ends in zeros or in a record; one whose size is its content's ends in a
    // damaged footer.
    const bool is_cut = size % kBlockSize != 0;  // we write and cut whole blocks only
    const bool is_damaged = is_cut || (end == size && size % kAllocateStepMin != 0 &&
                                       size >= kDataStoreHeaderSize + kDataStoreFooterSize);
    return Status(is_damaged ? Code::kCorrupt : Code::kInvalid, path + ": no trailer: " + status.message());
  }
  if (!SameHeader(footer.header, header))
    return Status(Code::kCorrupt, path + ": header and footer disagree");
  ASSIGN_OR_RETURN(std::shared_ptr<DataStoreFile> store, MakeStore(files, path, header, keys));
  RETURN_IF_ERROR(store->OpenClosed(std::move(file), footer));
  return std::shared_ptr<DataStore>(store);
}

Result<std::shared_ptr<DataStore>> DataStore::Recover(FileSystem* files, const std::string& path,
                                                      const StoreId& store_id, const KeyOfEpoch& keys,
                                                      uint64_t incarnation, bool close, ScanReport* report) {
  ScanReport ignored;
  Recovery recovery(files, path, store_id, keys, close, report != nullptr ? report : &ignored);
  auto store = recovery.Run(incarnation);
  if (!store.ok()) return store.status().Within("recovering " + path);
  return store;
}

}  // namespace granary
