// Hostile bytes as the header of a log segment: what is accepted encodes to the same bytes again. And as the
// name of its file.
#include <cstdlib>

#include "base/generated_input.h"
#include "datastore/commit_log_format.h"
#include "fuzz/fuzz_seeds.h"
#include "seal/seal.h"

namespace granary {

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (const bool is_sealed : {false, true}) {
    LogSegmentHeader header;
    header.first_sequence = 0x1234;
    header.incarnation = 2;
    header.is_sealed = is_sealed;
    if (is_sealed) header.key_commitment = KeyOf(1);
    seeds.emplace_back(kLogSegmentHeaderSize);
    EncodeLogSegmentHeader(header, seeds.back());
  }
  const std::string name = LogSegmentName(0x1234);
  seeds.emplace_back(name.begin(), name.end());
  return seeds;
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  uint64_t sequence;
  const std::string name(reinterpret_cast<const char*>(data), size);
  if (ParseLogSegmentName(name, &sequence) && LogSegmentName(sequence) != name) std::abort();
  Buffer bytes(kLogSegmentHeaderSize);
  std::memcpy(bytes.data(), data, std::min(size, bytes.size()));
  StoreLittle(bytes.data(), kLogSegmentMagic);
  StoreLittle(bytes.data() + bytes.size() - 4, Crc32c(ConstBytes(bytes).first(bytes.size() - 4)));
  LogSegmentHeader header;
  (void)DecodeLogSegmentHeader({data, size}, &header);
  if (!DecodeLogSegmentHeader(bytes, &header).ok()) return 0;
  Buffer again(kLogSegmentHeaderSize);
  EncodeLogSegmentHeader(header, again);
  if (again != bytes) std::abort();
  return 0;
}
