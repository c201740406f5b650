// A data store: an append-only file of records, closed with a trailer that names every chunk in it.
// FORMAT.md, section "Data store". Never appended to by a later incarnation; never changed once closed.
//
// Threads: one thread at a time appends (the engine hands a store to one worker); Find, Read and the
// counters may be called by all threads at any time. Writes of full buffers go out on the object's own writer
// thread, so that the cores that compress do not wait for the device.
#ifndef GRANARY_DATASTORE_DATA_STORE_H_
#define GRANARY_DATASTORE_DATA_STORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datastore/record_format.h"
#include "datastore/table_budget.h"
#include "io/block_buffer.h"

namespace granary {

// Where a chunk lies inside its data store.
struct ChunkPlace {
  uint64_t record_offset = 0;
  uint32_t record_size = 0;   // whole record, with padding
  uint32_t plain_offset = 0;  // in the decompressed region
  uint32_t length = 0;
  RecordType type = RecordType::kRegion;
  uint32_t chunk = 0;  // position among the data store's chunks, in the order of the file
};

// What the trailer says of one record.
struct RecordRows {
  uint64_t offset = 0;
  uint32_t size = 0;
  uint32_t plain_size = 0;
  uint32_t first_chunk = 0;
  RecordType type = RecordType::kRegion;
  std::vector<TableRow> rows;
};

struct DataStoreCounts {
  uint64_t chunk_count = 0;  // of regions and blockmap nodes together
  uint64_t record_count = 0;
  uint64_t plain_bytes = 0;   // of regions
  uint64_t stored_bytes = 0;  // of regions: whole records, with header, table, tag and padding
  uint64_t blockmap_plain_bytes = 0;
  uint64_t blockmap_stored_bytes = 0;
  uint64_t file_bytes = 0;  // what the file takes on the device
};

// What a data store's header says of it. `data_key` is the group's key of that epoch; the store's own key
// derives from it.
struct DataStoreIdentity {
  StoreId store_id;  // of the group
  DataStoreId id;
  uint64_t incarnation = 0;
  uint32_t key_epoch = 0;  // 0: not sealed
};

struct ScannedRecord {
  uint64_t offset = 0;
  RecordHeader header;
  Status status;  // of the whole record
};

class DataStore {
 public:
  static constexpr const char* kFileSuffix = ".gds";

  // `path` is the file's. `data_key` null exactly when identity.key_epoch is 0.
  static Result<std::shared_ptr<DataStore>> Create(FileSystem* files, const std::string& path,
                                                   const DataStoreIdentity& identity, const Key* data_key);

  // Finds the key of an epoch; null when it is not in the keyring.
  using KeyOfEpoch = std::function<const Key*(uint32_t epoch)>;
  // Opens a closed data store by header and trailer. kCorrupt when either is damaged (Recover reads it all
  // the same), kDenied when its key is not at hand, kInvalid when it has no trailer yet.
  static Result<std::shared_ptr<DataStore>> Open(FileSystem* files, const std::string& path,
                                                 const StoreId& store_id, const KeyOfEpoch& keys);

  // Reads an unfinished or damaged data store forward, record by record, resynchronising at the next valid
  // header behind damage, and (when `close`) writes the trailer it should have had. Doing it twice changes
  // nothing. A file with a valid trailer is opened by it and not scanned. Every record is unsealed and its
  // table checked. A damaged header is replaced in memory by the footer's copy, else by the file's name and
  // the first record. kNotFound: the file never held anything (its creation was cut off); kIo: it could not
  // be read to its end.
  struct ScanReport {
    uint64_t records_kept = 0;
    uint64_t bytes_skipped = 0;  // not zero and not a valid record
  };
  static Result<std::shared_ptr<DataStore>> Recover(FileSystem* files, const std::string& path,
                                                    const StoreId& store_id, const KeyOfEpoch& keys,
                                                    uint64_t incarnation, bool close, ScanReport* report);

  virtual ~DataStore() = default;

  virtual const DataStoreIdentity& identity() const = 0;
  virtual bool is_closed() const = 0;
  virtual DataStoreCounts counts() const = 0;

  // --- appending: one thread at a time, only between Create and Close ---
  // The next ordinal. Consumed by the call: a record that is then not appended leaves a gap, never a second
  // use.
  virtual uint64_t TakeOrdinal() = 0;
  virtual RecordPlace place() const = 0;
  // Copies the encoded record into the write buffer. After any failure the store is broken for good: every
  // later Append, Sync and Close returns that failure, nothing written since the last Sync may be relied on.
  virtual Status Append(const RecordHeader& header, const std::vector<TableRow>& table,
                        ConstBytes encoded) = 0;
  // Pads to a block, waits until all is written, and makes it durable. May be called by any thread, beside
  // appending: what was appended before the call is durable after it.
  virtual Status Sync() = 0;
  // Writes trailer and footer, cuts the file to its size, makes it durable.
  virtual Status Close() = 0;

  // --- reading ---
  // nullopt: not here. Loads the trailer if it was dropped from memory (then kIo, kCorrupt may come). Of a
  // chunk that is there more than once the last one.
  virtual Result<std::optional<ChunkPlace>> Find(const Fingerprint& fingerprint) = 0;
  // The same chunk, stored before this one. nullopt: there is none.
  virtual Result<std::optional<ChunkPlace>> FindEarlier(uint32_t chunk) = 0;
  // Calls `each` for every chunk, in the order of the file.
  virtual Status ForEachChunk(const std::function<void(const Fingerprint&, const ChunkPlace&)>& each) = 0;
  // Calls `each` for every record from the one on that holds chunk `from`, in the order of the file, until it
  // returns false.
  virtual Status ForEachRecord(size_t from, const std::function<bool(const RecordRows&)>& each) = 0;
  // `size` bytes at `offset` of the file, past the page cache, valid until the next use of `memory`. What was
  // appended but not yet synced may not be there.
  virtual Result<ConstBytes> Read(uint64_t offset, size_t size, BlockBuffer* memory) = 0;
  // Reads every record anew, past the page cache: its tag, its table and its decompression are checked, and
  // that the table in memory says the same of it; fingerprints are the caller's to check. Stops when `each`
  // returns false. kCorrupt at the end when the Merkle root of a closed store does not fit (single records'
  // damage is in their own status).
  virtual Status VerifyRecords(const std::function<bool(const ScannedRecord&)>& each) = 0;
  // Forgets the trailer's table and, for closed stores, the open file; both come back on the next use.
  virtual void DropMemory() = 0;
  virtual bool is_in_memory() const = 0;  // the trailer's table
  // Once, before others see the object: from now on a closed data store's memory counts there, and goes when
  // it is wanted for others'.
  virtual void UseBudget(std::shared_ptr<TableBudget> budget) = 0;
  virtual void DropCache() = 0;

  // --- its place in the file system ---
  virtual std::string path() const = 0;
  // Renames the file of a closed data store. Reads under way and later ones find it: none ever looks at the
  // place where it was. Not durable before both directories are synced.
  virtual Status MoveFile(const std::string& to) = 0;
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_DATA_STORE_H_
