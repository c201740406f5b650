// Names of things at rest. All are plain values, compared by their bytes.
#ifndef GRANARY_BASE_IDS_H_
#define GRANARY_BASE_IDS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

namespace granary {

// A chunk's name: keyed BLAKE3-256 of its bytes.
struct Fingerprint {
  std::array<uint8_t, 32> bytes{};
  auto operator<=>(const Fingerprint&) const = default;
};

// A data store's name: 192 random bits, made once, never reused.
struct DataStoreId {
  std::array<uint8_t, 24> bytes{};
  auto operator<=>(const DataStoreId&) const = default;
};

// A storage group's name at rest: 128 random bits.
struct StoreId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const StoreId&) const = default;
};

using Key = std::array<uint8_t, 32>;

struct FingerprintHash {
  size_t operator()(const Fingerprint& fingerprint) const {
    size_t value;
    std::memcpy(&value, fingerprint.bytes.data(), sizeof value);
    return value;
  }
};
struct DataStoreIdHash {
  size_t operator()(const DataStoreId& id) const {
    size_t value;
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};

}  // namespace granary

#endif  // GRANARY_BASE_IDS_H_
