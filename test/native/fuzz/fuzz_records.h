// Valid records, tables and data stores for fuzzers to start from.
#ifndef GRANARY_TEST_FUZZ_FUZZ_RECORDS_H_
#define GRANARY_TEST_FUZZ_FUZZ_RECORDS_H_

#include <memory>

#include "base/generated_input.h"
#include "datastore/data_store.h"
#include "datastore/data_store_format.h"
#include "io/simulated_file_system.h"

namespace granary {

inline std::vector<TableRow> FuzzTable(uint64_t seed, uint32_t rows, uint32_t length) {
  std::vector<TableRow> table(rows);
  for (TableRow& row : table) {
    const Key name = KeyOf(seed++);
    row.fingerprint.bytes = name;
    row.length = length;
  }
  return table;
}

inline DataStoreIdentity FuzzIdentity() {
  DataStoreIdentity identity;
  identity.id.bytes.fill(0);  // as the fuzzers name their files
  identity.incarnation = 1;
  return identity;
}

inline Buffer FuzzRecord(const RecordPlace& place, RecordType type, uint64_t ordinal, uint32_t rows) {
  const std::vector<TableRow> table = FuzzTable(ordinal, rows, 100);
  const Buffer payload = RandomBytes(ordinal, rows * 100);
  RecordHeader header;
  header.type = type;
  header.is_sealed = place.key != nullptr;
  header.key_epoch = header.is_sealed ? 3 : 0;
  header.ordinal = ordinal;
  header.chunk_count = rows;
  header.plain_size = header.stored_size = rows * 100;
  Buffer out;
  EncodeRecord(place, header, table, payload, &out);
  return out;
}

inline std::string FuzzStorePath() { return "/" + std::string(48, '0') + DataStore::kFileSuffix; }

// A whole data store file, closed or as a crash leaves it.
inline Buffer FuzzStoreFile(bool is_closed) {
  auto files = SimulatedFileSystem::Create();
  auto store = DataStore::Create(files.get(), FuzzStorePath(), FuzzIdentity(), nullptr);
  CHECK(store.ok());
  for (uint32_t rows : {1u, 5u, 12u}) {
    RecordHeader header;
    const uint64_t ordinal = (*store)->TakeOrdinal();
    const RecordType type = rows == 5 ? RecordType::kBlockmap : RecordType::kRegion;
    const Buffer encoded = FuzzRecord((*store)->place(), type, ordinal, rows);
    CHECK(DecodeRecordHeader((*store)->identity().id, encoded, &header).ok());
    CHECK((*store)->Append(header, FuzzTable(ordinal, rows, 100), encoded).ok());
  }
  CHECK((is_closed ? (*store)->Close() : (*store)->Sync()).ok());
  store->reset();
  auto file = files->Open(FuzzStorePath(), OpenMode::kRead);
  CHECK(file.ok());
  auto size = (*file)->Size();
  CHECK(size.ok());
  Buffer bytes(std::min<uint64_t>(*size, 32768));
  CHECK((*file)->ReadAt(0, bytes).ok());
  return bytes;
}

}  // namespace granary

#endif  // GRANARY_TEST_FUZZ_FUZZ_RECORDS_H_
