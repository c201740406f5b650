// AES-256-GCM and HKDF by OpenSSL 3's EVP; inside the addon these symbols are Node's own. OpenSSL fails here
// only for want of memory or through a wrong call, so its return values are checked as invariants, except the
// tag's verdict.
#include "seal/seal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <climits>
#include <memory>

namespace granary {
namespace {

constexpr size_t kNonceSize = 12;

using Nonce = std::array<uint8_t, kNonceSize>;

Nonce NonceOf(NonceType type, uint64_t ordinal) {
  Nonce nonce;
  StoreLittle(nonce.data(), static_cast<uint32_t>(type));
  StoreLittle(nonce.data() + 4, ordinal);
  return nonce;
}

// Fetched once for the process: a fetch takes a lock and a look-up each time.
const EVP_CIPHER* Aes256Gcm() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

// One context a thread, keyed anew by each call.
EVP_CIPHER_CTX* ThreadContext() {
  struct Release {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  thread_local const std::unique_ptr<EVP_CIPHER_CTX, Release> context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  return context.get();
}

// EVP takes lengths as int.
int CheckedLength(ConstBytes bytes) {
  CHECK(bytes.size() <= INT_MAX);
  return static_cast<int>(bytes.size());
}

}  // namespace

DerivedKey DeriveKey(const Key& data_key, ConstBytes salt, const char* purpose) {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  CHECK(kdf != nullptr);
  std::array<uint8_t, 64> derived;
  char digest[] = "SHA256";
  // OpenSSL takes an absent salt or purpose where RFC 5869 has an empty one, but not an empty octet string.
  OSSL_PARAM parameters[5];
  size_t count = 0;
  const auto add = [&](const char* name, ConstBytes value) {
    if (value.empty()) return;
    parameters[count++] =
        OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(value.data()), value.size());
  };
  parameters[count++] = OSSL_PARAM_construct_utf8_string("digest", digest, 0);
  add("key", data_key);
  add("salt", salt);
  add("info", ConstBytes(reinterpret_cast<const uint8_t*>(purpose), std::strlen(purpose)));
  parameters[count] = OSSL_PARAM_construct_end();
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  CHECK(context != nullptr);
  CHECK(EVP_KDF_derive(context, derived.data(), derived.size(), parameters) == 1);
  EVP_KDF_CTX_free(context);
  DerivedKey result;
  std::memcpy(result.key.data(), derived.data(), result.key.size());
  std::memcpy(result.commitment.data(), derived.data() + result.key.size(), result.commitment.size());
  WipeMemory(derived);
  return result;
}

bool EqualInConstantTime(ConstBytes a, ConstBytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void FillRandom(Bytes out) { CHECK(RAND_bytes(out.data(), CheckedLength(out)) == 1); }

void WipeMemory(Bytes bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

void Seal(const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional, ConstBytes plain,
          Bytes out) {
  CHECK(out.size() == plain.size() + kTagSize);
  const Nonce nonce = NonceOf(type, ordinal);
  EVP_CIPHER_CTX* context = ThreadContext();
  int written = 0;
  CHECK(EVP_EncryptInit_ex(context, Aes256Gcm(), nullptr, key.data(), nonce.data()) == 1);
  if (!additional.empty()) {
    CHECK(EVP_EncryptUpdate(context, nullptr, &written, additional.data(), CheckedLength(additional)) == 1);
  }
  if (!plain.empty()) {
    CHECK(EVP_EncryptUpdate(context, out.data(), &written, plain.data(), CheckedLength(plain)) == 1);
  }
  uint8_t* tag = out.data() + plain.size();
  CHECK(EVP_EncryptFinal_ex(context, tag, &written) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1);
}

Status Unseal(const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional, ConstBytes sealed,
              Bytes plain) {
  if (sealed.size() < kTagSize) return Status(Code::kCorrupt, "sealed text is shorter than its tag");
  CHECK(plain.size() == sealed.size() - kTagSize);
  const Nonce nonce = NonceOf(type, ordinal);
  EVP_CIPHER_CTX* context = ThreadContext();
  std::array<uint8_t, kTagSize> tag;
  std::memcpy(tag.data(), sealed.data() + plain.size(), kTagSize);
  int written = 0;
  CHECK(EVP_DecryptInit_ex(context, Aes256Gcm(), nullptr, key.data(), nonce.data()) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1);
  if (!additional.empty()) {
    CHECK(EVP_DecryptUpdate(context, nullptr, &written, additional.data(), CheckedLength(additional)) == 1);
  }
  if (!plain.empty()) {
    CHECK(EVP_DecryptUpdate(context, plain.data(), &written, sealed.data(), CheckedLength(plain)) == 1);
  }
  // Node reads this thread's error queue, too: leave nothing of ours in it.
  ERR_set_mark();
  uint8_t rest[kTagSize];
  const bool fits = EVP_DecryptFinal_ex(context, rest, &written) == 1;
  ERR_pop_to_mark();
  if (fits) return Status::Ok();
  WipeMemory(plain);
  return Status(Code::kCorrupt, "the tag does not fit the sealed text");
}

}  // namespace granary
