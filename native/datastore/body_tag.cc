#include "datastore/body_tag.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace granary {

static std::array<uint8_t, kTagSize> PlainTag(ConstBytes additional, ConstBytes body) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, additional.data(), additional.size());
  XXH3_128bits_update(&state, body.data(), body.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
  std::array<uint8_t, kTagSize> tag;
  std::memcpy(tag.data(), canonical.digest, kTagSize);
  return tag;
}

void CloseBody(const BodyPlace& place, Bytes body) {
  CHECK(body.size() >= kTagSize);
  const Bytes plain = body.first(body.size() - kTagSize);
  if (place.key != nullptr) {
    Seal(*place.key, place.type, place.ordinal, place.additional, plain, body);
    return;
  }
  const auto tag = PlainTag(place.additional, plain);
  std::memcpy(body.data() + plain.size(), tag.data(), kTagSize);
}

Status OpenBody(const BodyPlace& place, ConstBytes closed, Bytes plain) {
  if (closed.size() < kTagSize) return Status(Code::kCorrupt, "shorter than its tag");
  CHECK(plain.size() == closed.size() - kTagSize);
  if (place.key != nullptr) {
    return Unseal(*place.key, place.type, place.ordinal, place.additional, closed, plain);
  }
  const ConstBytes body = closed.first(plain.size());
  const auto tag = PlainTag(place.additional, body);
  if (std::memcmp(tag.data(), closed.data() + plain.size(), kTagSize) != 0) {
    return Status(Code::kCorrupt, "the digest does not fit the bytes");
  }
  if (!body.empty() && plain.data() != body.data()) std::memcpy(plain.data(), body.data(), body.size());
  return Status::Ok();
}

}  // namespace granary
