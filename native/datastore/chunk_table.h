// Which chunks a data store holds and where: what its trailer says, in memory. 36 bytes a chunk for
// fingerprint and length, 5 to 10 for the hash index, 40 a record; a chunk's place is computed from its
// neighbours' lengths. Not thread-safe by itself.
#ifndef GRANARY_DATASTORE_CHUNK_TABLE_H_
#define GRANARY_DATASTORE_CHUNK_TABLE_H_

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "datastore/data_store.h"

namespace granary {

class ChunkTable {
 public:
  struct Record {
    uint64_t offset;
    uint64_t ordinal;
    uint32_t size;
    uint32_t plain_size;
    uint32_t first_chunk;
    uint32_t chunk_count;
    RecordType type;
  };

  void Reserve(size_t record_count, size_t chunk_count);
  // first_chunk and chunk_count of `record` are set here.
  void Add(Record record, std::span<const TableRow> rows);
  void Add(uint64_t offset, const RecordHeader& header, std::span<const TableRow> rows);
  // The last chunk of that name in the file's order, and the one of the same name before `chunk`.
  std::optional<ChunkPlace> Find(const Fingerprint& fingerprint) const;
  std::optional<ChunkPlace> FindEarlier(uint32_t chunk) const;
  ChunkPlace PlaceOf(size_t chunk) const;
  // Position of the record that holds the chunk; records().size() for a chunk behind the last.
  size_t RecordOf(size_t chunk) const;

  uint64_t memory_bytes() const;

  const std::vector<Record>& records() const { return records_; }
  const std::vector<TableRow>& chunks() const { return chunks_; }
  const DataStoreCounts& counts() const { return counts_; }  // file_bytes is the caller's to fill

 private:
  size_t SlotOf(const Fingerprint& fingerprint) const;  // where it is, or the empty one where it belongs
  void Rehash(size_t slot_count);

  std::vector<Record> records_;
  std::vector<TableRow> chunks_;
  std::vector<uint32_t> slots_;  // chunk + 1; 0: empty. Linear probing, at most 4/5 full
  std::unordered_map<uint32_t, uint32_t> earlier_;  // of chunks that are there more than once
  DataStoreCounts counts_;
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_CHUNK_TABLE_H_
