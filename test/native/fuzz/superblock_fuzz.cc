// Hostile bytes as a superblock: what is accepted encodes to the same bytes again.
#include <cstdlib>

#include "datastore/sha256.h"
#include "datastore/superblock_format.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (const bool is_encrypted : {false, true}) {
    Superblock superblock;
    superblock.generation = 3;
    superblock.incarnation = 2;
    superblock.is_encrypted = is_encrypted;
    seeds.emplace_back(kSuperblockSize);
    EncodeSuperblock(superblock, seeds.back());
  }
  return seeds;
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  Superblock superblock;
  (void)DecodeSuperblock({data, size}, &superblock);
  Buffer block(kSuperblockSize);
  std::memcpy(block.data(), data, std::min(size, block.size() - sizeof(Sha256Digest)));
  StoreLittle(block.data(), kSuperblockMagic);
  const Sha256Digest digest = Sha256({ConstBytes(block).first(block.size() - sizeof(Sha256Digest))});
  std::memcpy(block.data() + block.size() - digest.size(), digest.data(), digest.size());
  if (!DecodeSuperblock(block, &superblock).ok()) return 0;
  Buffer again(kSuperblockSize);
  EncodeSuperblock(superblock, again);
  if (again != block) std::abort();
  return 0;
}
