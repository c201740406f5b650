// Sealing: AES-256-GCM under a key of one data store, nonce = type (4 bytes) || ordinal (8 bytes), the
// deterministic construction of NIST SP 800-38D 8.2.1: no random nonce, no birthday limit, no counter to
// lose. Pure; thread-safe.
#ifndef GRANARY_SEAL_SEAL_H_
#define GRANARY_SEAL_SEAL_H_

#include <array>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/status.h"

namespace granary {

inline constexpr size_t kTagSize = 16;

// The first four bytes of a nonce: what kind of thing is sealed. Values are at rest: never renumber.
enum class NonceType : uint32_t { kRecord = 1, kTrailer = 2, kLogRecord = 3 };

// HKDF-SHA-256 (RFC 5869): 64 bytes from a data key and a public salt (a data store id, a log segment id).
// The first half is the key, the second a commitment to it that is stored in the clear and compared before
// anything is unsealed, since GCM by itself does not commit to its key.
struct DerivedKey {
  Key key{};
  std::array<uint8_t, 32> commitment{};
};
DerivedKey DeriveKey(const Key& data_key, ConstBytes salt, const char* purpose);

// Compares in constant time.
bool EqualInConstantTime(ConstBytes a, ConstBytes b);
void FillRandom(Bytes out);  // from the system's generator
void WipeMemory(Bytes bytes);

// out.size() == plain.size() + kTagSize; `out` may begin at `plain` (in place). One (key, type, ordinal)
// seals one text.
void Seal(const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional, ConstBytes plain,
          Bytes out);

// plain.size() == sealed.size() - kTagSize; in place allowed. kCorrupt when the tag does not fit; `plain` is
// then wiped.
Status Unseal(const Key& key, NonceType type, uint64_t ordinal, ConstBytes additional, ConstBytes sealed,
              Bytes plain);

// CRC-32C (Castagnoli), hardware-assisted where there is any: guards headers that are read before any key is
// known.
uint32_t Crc32c(ConstBytes bytes, uint32_t seed = 0);

}  // namespace granary

#endif  // GRANARY_SEAL_SEAL_H_
