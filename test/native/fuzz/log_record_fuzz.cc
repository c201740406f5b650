// Hostile bytes as a record of the commit log, past magic and checksum: what is accepted encodes to the same
// bytes again.
#include <cstdlib>

#include "base/generated_input.h"
#include "datastore/commit_log_format.h"
#include "fuzz/fuzz_seeds.h"
#include "seal/seal.h"

namespace granary {

static const Key kKey = KeyOf(1);

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (const size_t size : {size_t{0}, size_t{5}, size_t{900}}) {
    for (const bool is_sealed : {false, true}) {
      LogRecordHeader header;
      header.type = 3;
      header.is_sealed = is_sealed;
      header.batch_index = 1;
      header.sequence = 7;
      header.payload_size = static_cast<uint32_t>(size);
      seeds.emplace_back();
      EncodeLogRecord({{}, {}, is_sealed ? &kKey : nullptr}, header, RandomBytes(size, size), &seeds.back());
    }
  }
  return seeds;
}

static void Decode(const LogPlace& place, ConstBytes bytes) {
  DecodedLogRecord record;
  if (!DecodeLogRecord(place, bytes, &record).ok()) return;
  Buffer again;
  EncodeLogRecord(place, record.header, record.payload, &again);
  if (!std::equal(again.begin(), again.end(), bytes.begin())) std::abort();
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  Buffer bytes(data, data + size);
  if (bytes.size() >= kLogRecordHeaderSize) {
    StoreLittle(bytes.data(), kLogRecordMagic);
    std::memset(bytes.data() + 48, 0, 8);  // of the segment's id
    StoreLittle(bytes.data() + 60, Crc32c(ConstBytes(bytes).first(60)));
  }
  Decode({{}, {}, nullptr}, bytes);
  Decode({{}, {}, &kKey}, bytes);
  return 0;
}
