// A set of fingerprints by their first 16 bytes (keyed hashes: two of 2^32 meet with a chance of 2^-65). Open
// addressing, at most two thirds full: 24 bytes a fingerprint and, while it grows, as much again. Not
// thread-safe.
#ifndef GRANARY_ENGINE_PREFIX_SET_H_
#define GRANARY_ENGINE_PREFIX_SET_H_

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace granary {

class PrefixSet {
 public:
  bool Contains(const Fingerprint& fingerprint) const {
    if (slots_.empty()) return false;
    const Prefix prefix = PrefixOf(fingerprint);
    return slots_[SlotOf(prefix)] == prefix;
  }
  // False: it was there.
  bool Insert(const Fingerprint& fingerprint) {
    if ((count_ + 1) * 3 > slots_.size() * 2) Grow();
    const Prefix prefix = PrefixOf(fingerprint);
    Prefix& slot = slots_[SlotOf(prefix)];
    if (slot == prefix) return false;
    slot = prefix;
    ++count_;
    return true;
  }
  size_t size() const { return count_; }

 private:
  struct Prefix {
    uint64_t low = 0, high = 0;  // both zero: empty
    bool operator==(const Prefix&) const = default;
  };
  static Prefix PrefixOf(const Fingerprint& fingerprint) {
    const Prefix prefix{LoadLittle<uint64_t>(fingerprint.bytes.data()),
                        LoadLittle<uint64_t>(fingerprint.bytes.data() + 8)};
    return prefix == Prefix{} ? Prefix{1, 0} : prefix;
  }
  size_t SlotOf(const Prefix& prefix) const {
    auto slot = static_cast<size_t>(static_cast<unsigned __int128>(prefix.low) * slots_.size() >> 64);
    while (slots_[slot] != Prefix{} && slots_[slot] != prefix)
      slot = slot + 1 == slots_.size() ? 0 : slot + 1;
    return slot;
  }
  void Grow() {
    std::vector<Prefix> before(std::max<size_t>(64, slots_.size() * 3 / 2));
    before.swap(slots_);
    for (const Prefix& prefix : before) {
      if (prefix != Prefix{}) slots_[SlotOf(prefix)] = prefix;
    }
  }

  std::vector<Prefix> slots_;
  size_t count_ = 0;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_PREFIX_SET_H_
