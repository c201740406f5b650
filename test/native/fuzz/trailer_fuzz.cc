// Hostile bytes as a data store's trailer, under a valid checksum: the tag, the sums and the bounds stand
// against it. What is accepted has its records inside the file.
#include <cstdlib>

#include "fuzz/fuzz_records.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

constexpr uint64_t kTrailerOffset = 1 << 20;

static ChunkTable SomeTable(uint32_t records) {
  ChunkTable table;
  for (uint32_t at = 0; at < records; ++at) {
    ChunkTable::Record record{};
    record.offset = kDataStoreHeaderSize + at * 4096;
    record.ordinal = at;
    record.size = 2048;
    record.plain_size = 1500;
    record.type = RecordType::kRegion;
    table.Add(record, FuzzTable(at * 100, 15, 100));
  }
  return table;
}

std::vector<Buffer> FuzzSeeds() {
  const DataStoreHeader header{FuzzIdentity(), {}};
  std::vector<Buffer> seeds;
  for (const uint32_t records : {0u, 1u, 3u}) {
    seeds.push_back(EncodeTrailer({header, nullptr}, 1, SomeTable(records), {}));
  }
  return seeds;
}

static void Decode(Buffer bytes) {
  if (bytes.size() < kTrailerHeaderSize + 64) return;
  const DataStoreHeader header{FuzzIdentity(), {}};
  StoreLittle(bytes.data(), kDataStoreTrailerMagic);
  std::memset(bytes.data() + 72, 0, 16);  // the id
  StoreLittle(bytes.data() + 124, Crc32c(ConstBytes(bytes).first(124)));
  ChunkTable table;
  Sha256Digest root;
  if (!DecodeTrailer({header, nullptr}, kTrailerOffset, bytes, &table, &root).ok()) return;
  for (const ChunkTable::Record& record : table.records()) {
    if (record.offset + record.size > kTrailerOffset) std::abort();
  }
  for (const TableRow& row : table.chunks()) {
    if (!table.Find(row.fingerprint).has_value()) std::abort();
  }
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  granary::Decode(granary::Buffer(data, data + size));
  return 0;
}
