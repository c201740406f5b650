// SHA-256 of several byte ranges in a row, and the hash tree over leaves of it. Pure; thread-safe.
#ifndef GRANARY_DATASTORE_SHA256_H_
#define GRANARY_DATASTORE_SHA256_H_

#include <array>
#include <initializer_list>
#include <vector>

#include "base/bytes.h"

namespace granary {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(std::initializer_list<ConstBytes> parts);

// The tree of RFC 6962, 2.1: leaf = SHA-256(0x00, leaf bytes), node = SHA-256(0x01, left, right); n leaves
// split at the largest power of two below n; the root of none is SHA-256 of nothing. Keeps one digest a
// level.
class MerkleTree {
 public:
  void AddLeaf(std::initializer_list<ConstBytes> parts);
  Sha256Digest Root() const;

 private:
  struct Subtree {
    uint64_t leaf_count;
    Sha256Digest digest;
  };
  std::vector<Subtree> subtrees_;  // complete ones, larger to the left
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_SHA256_H_
