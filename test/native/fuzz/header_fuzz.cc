// Hostile bytes as a data store's header: what is accepted encodes to the same bytes again.
#include <cstdlib>

#include "fuzz/fuzz_records.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (const uint32_t key_epoch : {0u, 3u}) {
    DataStoreIdentity identity = FuzzIdentity();
    identity.key_epoch = key_epoch;
    const Key key = KeyOf(1);
    Key store_key;
    seeds.emplace_back(kDataStoreHeaderSize);
    EncodeDataStoreHeader(MakeDataStoreHeader(identity, key_epoch == 0 ? nullptr : &key, &store_key),
                          seeds.back());
  }
  return seeds;
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  DataStoreHeader header;
  (void)DecodeDataStoreHeader({data, size}, &header);
  Buffer block(kDataStoreHeaderSize);
  std::memcpy(block.data(), data, std::min(size, block.size()));
  // Past magic and checksum, to what lies behind them.
  StoreLittle(block.data(), kDataStoreMagic);
  StoreLittle(block.data() + block.size() - 4, Crc32c(ConstBytes(block).first(block.size() - 4)));
  if (!DecodeDataStoreHeader(block, &header).ok()) return 0;
  Buffer again(kDataStoreHeaderSize);
  EncodeDataStoreHeader(header, again);
  if (again != block) std::abort();
  return 0;
}
