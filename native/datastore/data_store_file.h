// The DataStore over one file: a writer while it is open for appending, a trailer once it is closed, a table
// of chunks in memory in both states. Created by the factories of data_store.h.
#ifndef GRANARY_DATASTORE_DATA_STORE_FILE_H_
#define GRANARY_DATASTORE_DATA_STORE_FILE_H_

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "datastore/block_writer.h"
#include "datastore/data_store_format.h"

namespace granary {

class DataStoreFile : public DataStore, private TableBudget::Holder {
 public:
  DataStoreFile(FileSystem* files, std::string path, const DataStoreHeader& header, const Key* store_key);
  ~DataStoreFile() override;

  // --- how it comes to be; each once, before anyone else sees the object ---
  Status StartNew(std::shared_ptr<File> file);
  // Reads and checks the trailer that `footer` names.
  Status OpenClosed(std::shared_ptr<File> file, const DataStoreFooter& footer);
  // Takes what a scan found; stays readable without a trailer.
  void AdoptScan(std::shared_ptr<File> file, ChunkTable table, const MerkleTree& tree, uint64_t skipped_bytes,
                 uint64_t file_bytes);
  // Writes trailer and footer at `end` (block-aligned) behind an adopted scan. `incarnation`: the writing
  // one.
  Status CloseAdopted(uint64_t end, uint64_t allocated, uint64_t incarnation);

  const DataStoreIdentity& identity() const override { return header_.identity; }
  bool is_closed() const override { return is_closed_; }
  DataStoreCounts counts() const override;
  uint64_t TakeOrdinal() override;
  RecordPlace place() const override { return {header_.identity.id, key_ ? &*key_ : nullptr}; }
  Status Append(const RecordHeader& header, const std::vector<TableRow>& table, ConstBytes encoded) override;
  Status Sync() override;
  Status Close() override;
  Result<std::optional<ChunkPlace>> Find(const Fingerprint& fingerprint) override;
  Result<std::optional<ChunkPlace>> FindEarlier(uint32_t chunk) override;
  Status ForEachChunk(const std::function<void(const Fingerprint&, const ChunkPlace&)>& each) override;
  Status ForEachRecord(size_t from, const std::function<bool(const RecordRows&)>& each) override;
  Result<ConstBytes> Read(uint64_t offset, size_t size, BlockBuffer* memory) override;
  Status VerifyRecords(const std::function<bool(const ScannedRecord&)>& each) override;
  void DropMemory() override;
  bool is_in_memory() const override;
  void UseBudget(std::shared_ptr<TableBudget> budget) override;
  void DropCache() override;
  std::string path() const override;
  Status MoveFile(const std::string& to) override;

 private:
  Status WriteTrailer(const std::shared_ptr<File>& file, BlockWriter* writer, uint64_t incarnation);
  uint64_t TrailerSizeWith(size_t chunk_count) const;  // of what is there and so many chunks more, at most
  Status Named(const Status& status) const;
  Result<std::shared_ptr<File>> OpenedFile();
  Status LoadTable(File* file);
  // Counts the table of a closed data store. Its lock is held alone.
  void CountTable();
  bool TryDropMemory() override;
  void CloseFile();
  // A shared lock under which table_ is there.
  Result<std::shared_lock<std::shared_mutex>> LockTable();
  void VerifyRecord(const ChunkTable::Record& record, const std::vector<TableRow>& rows, MerkleTree* tree,
                    ScannedRecord* found);

  FileSystem* const files_;
  const DataStoreHeader header_;
  std::optional<Key> key_;
  std::atomic<uint64_t> next_ordinal_{0};
  std::atomic<bool> is_closed_{false};

  mutable std::shared_mutex table_mutex_;
  std::optional<ChunkTable> table_;  // of a closed store: until it is dropped
  MerkleTree tree_;                  // of an open store
  Sha256Digest root_{};              // of a closed store
  DataStoreFooter footer_;
  std::shared_ptr<TableBudget> budget_;

  mutable std::mutex file_mutex_;  // guards path, pointers and failure, not what the pointers point to
  std::string path_;
  std::shared_ptr<File> file_;
  std::shared_ptr<BlockWriter> writer_;
  Status failure_;  // of Append, Sync or Close; sticks
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_DATA_STORE_FILE_H_
