// Which chunks of one data store are hidden from look-ups, and why. A bit a chunk and reason, once there is a
// hidden one. Not thread-safe by itself.
#ifndef GRANARY_ENGINE_HIDDEN_CHUNKS_H_
#define GRANARY_ENGINE_HIDDEN_CHUNKS_H_

#include <array>
#include <cstdint>
#include <vector>

namespace granary {

// The same numbers stand in src/native/binding.ts.
enum class HiddenReason : uint32_t { kDead = 1, kDamaged = 2 };

class HiddenChunks {
 public:
  void Add(HiddenReason reason, uint32_t chunk) {
    std::vector<bool>& bits = BitsOf(reason);
    if (bits.size() <= chunk) bits.resize(chunk + 1);
    bits[chunk] = true;
  }
  bool Has(HiddenReason reason, uint32_t chunk) const {
    const std::vector<bool>& bits = bits_[static_cast<uint32_t>(reason) - 1];
    return chunk < bits.size() && bits[chunk];
  }
  bool IsHidden(uint32_t chunk) const {
    return Has(HiddenReason::kDead, chunk) || Has(HiddenReason::kDamaged, chunk);
  }
  void Clear(HiddenReason reason) { std::vector<bool>().swap(BitsOf(reason)); }
  bool empty() const { return bits_[0].empty() && bits_[1].empty(); }

 private:
  std::vector<bool>& BitsOf(HiddenReason reason) { return bits_[static_cast<uint32_t>(reason) - 1]; }
  std::array<std::vector<bool>, 2> bits_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_HIDDEN_CHUNKS_H_
