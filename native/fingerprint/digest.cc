// Digests of whole files. XXH3 is compiled in from its header; SHA-256 and MD5 are OpenSSL's.
#define XXH_INLINE_ALL
#include "fingerprint/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "blake3.h"

namespace granary {
namespace {

// An OpenSSL digest that is taken only when it is asked for.
class OptionalDigest {
 public:
  OptionalDigest(bool is_wanted, const EVP_MD* kind) {
    if (!is_wanted) return;
    context_.reset(EVP_MD_CTX_new());
    CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }
  void Update(ConstBytes bytes) {
    if (context_) CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  void Finish(Bytes out) {
    if (!context_) return;
    unsigned int size = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), out.data(), &size) == 1 && size == out.size());
  }

 private:
  struct Release {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Release> context_;
};

}  // namespace

struct DigestStream::State {
  explicit State(uint32_t wanted)
      : kinds(wanted | kDigestXxh3),
        sha256((wanted & kDigestSha256) != 0, EVP_sha256()),
        md5((wanted & kDigestMd5) != 0, EVP_md5()) {
    XXH3_128bits_reset(&xxh3);
    blake3_hasher_init(&blake3);
  }

  uint32_t kinds;
  XXH3_state_t xxh3;
  blake3_hasher blake3;
  OptionalDigest sha256;
  OptionalDigest md5;
};

DigestStream::DigestStream(uint32_t kinds) : state_(std::make_unique<State>(kinds)) {}
DigestStream::~DigestStream() = default;
DigestStream::DigestStream(DigestStream&&) noexcept = default;
DigestStream& DigestStream::operator=(DigestStream&&) noexcept = default;

void DigestStream::Update(ConstBytes bytes) {
  if (bytes.empty()) return;
  XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
  if ((state_->kinds & kDigestBlake3) != 0) blake3_hasher_update(&state_->blake3, bytes.data(), bytes.size());
  state_->sha256.Update(bytes);
  state_->md5.Update(bytes);
}

Digests DigestStream::Finish() {
  Digests digests;
  digests.kinds = state_->kinds;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh3));
  std::memcpy(digests.xxh3.data(), canonical.digest, digests.xxh3.size());
  if ((state_->kinds & kDigestBlake3) != 0) {
    blake3_hasher_finalize(&state_->blake3, digests.blake3.data(), digests.blake3.size());
  }
  state_->sha256.Finish(digests.sha256);
  state_->md5.Finish(digests.md5);
  return digests;
}

}  // namespace granary
