// How every sealed thing of this folder ends: body, then 16 bytes. In a sealed group they are the tag of
// AES-256-GCM over the encrypted body, in an unsealed one XXH3-128 (canonical, big-endian) over the
// additional data and the plain body.
#ifndef GRANARY_DATASTORE_BODY_TAG_H_
#define GRANARY_DATASTORE_BODY_TAG_H_

#include "seal/seal.h"

namespace granary {

struct BodyPlace {
  const Key* key;  // null: not sealed
  NonceType type;
  uint64_t ordinal;
  ConstBytes additional;  // bound, not stored here
};

// `body` holds the plain bytes and room for the tag behind them; it is sealed in place.
void CloseBody(const BodyPlace& place, Bytes body);
// `closed` is body and tag; `plain` takes closed.size() - kTagSize bytes. kCorrupt when the tag does not fit.
Status OpenBody(const BodyPlace& place, ConstBytes closed, Bytes plain);

}  // namespace granary

#endif  // GRANARY_DATASTORE_BODY_TAG_H_
