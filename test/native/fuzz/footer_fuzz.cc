// Hostile bytes as a data store's footer: what is accepted names a trailer inside the file and encodes to the
// same bytes again.
#include <cstdlib>

#include "fuzz/fuzz_records.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

std::vector<Buffer> FuzzSeeds() {
  const Buffer file = FuzzStoreFile(true);
  return {Buffer(file.end() - static_cast<ptrdiff_t>(kDataStoreFooterSize), file.end())};
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  DataStoreFooter footer;
  (void)DecodeDataStoreFooter({data, size}, &footer);
  Buffer block(kDataStoreFooterSize);
  std::memcpy(block.data(), data, std::min(size, block.size()));
  StoreLittle(block.data(), kDataStoreFooterMagic);
  StoreLittle(block.data() + block.size() - 4, Crc32c(ConstBytes(block).first(block.size() - 4)));
  if (!DecodeDataStoreFooter(block, &footer).ok()) return 0;
  if (footer.trailer_offset + footer.trailer_size > footer.counts.file_bytes) std::abort();
  Buffer again(kDataStoreFooterSize);
  EncodeDataStoreFooter(footer, again);
  if (again != block) std::abort();
  return 0;
}
