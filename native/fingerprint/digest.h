// Digests of whole files, end to end: XXH3-128 always, BLAKE3-256 (plain), SHA-256 and MD5 where a client
// asks. Incremental; an object belongs to one stream and one thread at a time.
#ifndef GRANARY_FINGERPRINT_DIGEST_H_
#define GRANARY_FINGERPRINT_DIGEST_H_

#include <array>
#include <memory>

#include "base/bytes.h"

namespace granary {

// Bits of a set of digests, the same on both sides of the door.
enum DigestKind : uint32_t { kDigestXxh3 = 1, kDigestBlake3 = 2, kDigestSha256 = 4, kDigestMd5 = 8 };

struct Digests {
  uint32_t kinds = 0;              // which of the fields below are filled
  std::array<uint8_t, 16> xxh3{};  // canonical (big-endian), as `xxhsum -H2` prints it
  std::array<uint8_t, 32> blake3{};
  std::array<uint8_t, 32> sha256{};
  std::array<uint8_t, 16> md5{};
};

class DigestStream {
 public:
  explicit DigestStream(uint32_t kinds);  // kDigestXxh3 is always taken
  ~DigestStream();
  DigestStream(DigestStream&&) noexcept;
  DigestStream& operator=(DigestStream&&) noexcept;
  void Update(ConstBytes bytes);
  Digests Finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace granary

#endif  // GRANARY_FINGERPRINT_DIGEST_H_
