// Hostile bytes as a record, clear and sealed: decoded or refused, never read past.
#include <cstdlib>

#include "datastore/record_format.h"
#include "fuzz/fuzz_records.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

// The first byte says how the rest is taken.
std::vector<Buffer> FuzzSeeds() {
  const Key key{};
  std::vector<Buffer> seeds;
  for (const uint8_t how : {0, 1, 2, 3}) {
    for (const uint32_t rows : {1u, 9u}) {
      const RecordPlace place{{}, (how & 2) != 0 ? &key : nullptr};
      const Buffer record = FuzzRecord(place, RecordType::kRegion, rows, rows);
      seeds.emplace_back(1, how);
      seeds.back().insert(seeds.back().end(), record.begin(), record.end());
    }
  }
  return seeds;
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  if (size < 1) return 0;
  Buffer bytes(data + 1, data + size);
  RecordPlace place;
  if (bytes.size() >= kRecordHeaderSize) {
    // Half of the inputs get past magic, checksum and id, to what lies behind them.
    if (data[0] & 1) {
      StoreLittle(bytes.data(), uint64_t{0x5b56b500d9d2bbde});
      std::memcpy(place.data_store_id.bytes.data(), bytes.data() + 40, 16);
      StoreLittle(bytes.data() + 60, Crc32c(ConstBytes(bytes).first(60)));
    }
  }
  const Key key{};
  if (data[0] & 2) place.key = &key;
  Buffer scratch;
  DecodedRecord record;
  if (DecodeRecord(place, bytes, &scratch, &record).ok()) {
    Buffer plain(record.header.plain_size), again;
    (void)Decompress(record.header.codec, record.payload, plain);
    EncodeRecord(place, record.header, record.table, record.payload, &again);
    if (again != Buffer(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(again.size()))) std::abort();
  }
  return 0;
}
