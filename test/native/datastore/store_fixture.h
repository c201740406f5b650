// Data stores for tests on a simulated disk: keys, identities, records with content made from a seed.
#ifndef GRANARY_TEST_DATASTORE_STORE_FIXTURE_H_
#define GRANARY_TEST_DATASTORE_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "datastore/data_store.h"
#include "io/simulated_disk.h"
#include "io/simulated_file_system.h"

namespace granary {

inline const Key kDataKey = [] {
  Key key;
  for (size_t index = 0; index < key.size(); ++index) key[index] = static_cast<uint8_t>(index + 1);
  return key;
}();
inline const Key kWrongKey{};

// Seeds of a crash loop: everything unsynced lost, then by chance; many more in the long form of the tests.
inline std::vector<uint64_t> CrashSeeds() {
  std::vector<uint64_t> seeds{0, 2, 3};
  for (uint64_t seed = 4; std::getenv("GRANARY_LONG") != nullptr && seed < 24; ++seed) seeds.push_back(seed);
  return seeds;
}

inline StoreId TestStoreId() {
  StoreId id;
  id.bytes.fill(0x5a);
  return id;
}
inline DataStoreIdentity TestIdentity(bool sealed) {
  DataStoreIdentity identity{TestStoreId(), {}, 7, sealed ? 3u : 0u};
  for (size_t index = 0; index < identity.id.bytes.size(); ++index)
    identity.id.bytes[index] = static_cast<uint8_t>(0xa0 + index);
  return identity;
}
inline DataStore::KeyOfEpoch TestKeys() {
  return [](uint32_t epoch) { return epoch == 3 ? &kDataKey : nullptr; };
}

struct TestRecord {
  RecordHeader header;
  std::vector<TableRow> table;
  Buffer payload;
};
// `size` plain bytes in chunks of at most 1000.
inline TestRecord MakeRecord(uint64_t seed, uint32_t size, bool sealed, uint64_t ordinal) {
  DiskRandom random(seed);
  TestRecord record;
  record.payload.resize(size);
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random.Next();
    std::memcpy(record.payload.data() + at, &word, std::min(sizeof word, size - at));
  }
  for (uint32_t done = 0; done < size;) {
    TableRow row;
    row.length = std::min<uint32_t>(1000, size - done);
    for (uint8_t& byte : row.fingerprint.bytes) byte = static_cast<uint8_t>(random.Next());
    record.table.push_back(row);
    done += row.length;
  }
  record.header = {seed % 5 == 4 ? RecordType::kBlockmap : RecordType::kRegion,
                   Codec::kNone,
                   sealed,
                   ordinal,
                   static_cast<uint32_t>(record.table.size()),
                   size,
                   size,
                   sealed ? 3u : 0u};
  return record;
}

// Appends MakeRecord(seed, size) to `store`.
inline Status AppendTestRecord(DataStore* store, uint64_t seed, uint32_t size) {
  const bool sealed = store->identity().key_epoch != 0;
  const TestRecord record = MakeRecord(seed, size, sealed, store->TakeOrdinal());
  Buffer encoded;
  EncodeRecord(store->place(), record.header, record.table, record.payload, &encoded);
  return store->Append(record.header, record.table, encoded);
}

// Whether every chunk of MakeRecord(seed, size) is found in `store` and reads back.
inline testing::AssertionResult HoldsTestRecord(DataStore* store, uint64_t seed, uint32_t size) {
  const TestRecord record = MakeRecord(seed, size, false, 0);
  size_t offset = 0;
  uint64_t decoded_at = 0;
  BlockBuffer memory;
  Buffer scratch;
  DecodedRecord decoded;
  for (const TableRow& row : record.table) {
    auto place = store->Find(row.fingerprint);
    if (!place.ok()) return testing::AssertionFailure() << place.status().message();
    if (!place->has_value()) return testing::AssertionFailure() << "record " << seed << ": chunk not found";
    const ChunkPlace at = **place;
    if (at.record_offset != decoded_at) {
      decoded_at = at.record_offset;
      auto bytes = store->Read(at.record_offset, at.record_size, &memory);
      const Status status =
          bytes.ok() ? DecodeRecord(store->place(), *bytes, &scratch, &decoded) : bytes.status();
      if (!status.ok()) return testing::AssertionFailure() << "record " << seed << ": " << status.message();
    }
    const uint8_t* wanted = record.payload.data() + offset;
    if (at.length != row.length || at.plain_offset + at.length > decoded.payload.size() ||
        std::memcmp(decoded.payload.data() + at.plain_offset, wanted, row.length) != 0) {
      return testing::AssertionFailure() << "record " << seed << ": other bytes";
    }
    offset += row.length;
  }
  return testing::AssertionSuccess();
}

}  // namespace granary

#endif  // GRANARY_TEST_DATASTORE_STORE_FIXTURE_H_
