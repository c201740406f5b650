#include "datastore/sha256.h"

#include <openssl/evp.h>

#include <memory>

#include "base/check.h"

namespace granary {
namespace {

class Hasher {
 public:
  Hasher() {
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    CHECK(algorithm != nullptr);
    CHECK(EVP_DigestInit_ex(Context(), algorithm, nullptr) == 1);
  }
  void Update(ConstBytes bytes) {
    if (!bytes.empty()) CHECK(EVP_DigestUpdate(Context(), bytes.data(), bytes.size()) == 1);
  }
  void Update(std::initializer_list<ConstBytes> parts) {
    for (ConstBytes part : parts) Update(part);
  }
  Sha256Digest Finish() {
    Sha256Digest digest;
    CHECK(EVP_DigestFinal_ex(Context(), digest.data(), nullptr) == 1);
    return digest;
  }

 private:
  static EVP_MD_CTX* Context() {
    struct Release {
      void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    thread_local const std::unique_ptr<EVP_MD_CTX, Release> context(EVP_MD_CTX_new());
    CHECK(context != nullptr);
    return context.get();
  }
};

constexpr uint8_t kLeafPrefix[] = {0};
constexpr uint8_t kNodePrefix[] = {1};

Sha256Digest Join(const Sha256Digest& left, const Sha256Digest& right) {
  return Sha256({kNodePrefix, left, right});
}

}  // namespace

Sha256Digest Sha256(std::initializer_list<ConstBytes> parts) {
  Hasher hasher;
  hasher.Update(parts);
  return hasher.Finish();
}

void MerkleTree::AddLeaf(std::initializer_list<ConstBytes> parts) {
  Hasher hasher;
  hasher.Update(kLeafPrefix);
  hasher.Update(parts);
  subtrees_.push_back({1, hasher.Finish()});
  while (subtrees_.size() >= 2) {
    Subtree& left = subtrees_[subtrees_.size() - 2];
    if (left.leaf_count != subtrees_.back().leaf_count) break;
    left = {left.leaf_count * 2, Join(left.digest, subtrees_.back().digest)};
    subtrees_.pop_back();
  }
}

Sha256Digest MerkleTree::Root() const {
  if (subtrees_.empty()) return Sha256({});
  Sha256Digest root = subtrees_.back().digest;
  for (size_t index = subtrees_.size() - 1; index-- > 0;) root = Join(subtrees_[index].digest, root);
  return root;
}

}  // namespace granary
