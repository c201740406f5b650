// Inputs that both languages can make from a few words: the vectors in test/vectors name them by kind, seed
// and size.
#ifndef GRANARY_TEST_BASE_GENERATED_INPUT_H_
#define GRANARY_TEST_BASE_GENERATED_INPUT_H_

#include <string>

#include "base/bytes.h"
#include "base/ids.h"

namespace granary {

// SplitMix64: one 64-bit number after the other, as little-endian bytes when a stream is made of it.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t value = (state_ += 0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }
  // Below `bound`, evenly enough for a test.
  size_t Below(size_t bound) { return static_cast<size_t>(Next() % bound); }

 private:
  uint64_t state_;
};

inline Buffer RandomBytes(uint64_t seed, size_t size) {
  SplitMix64 random(seed);
  Buffer bytes(RoundUp(size, 8));
  for (size_t index = 0; index < bytes.size(); index += 8) StoreLittle(bytes.data() + index, random.Next());
  bytes.resize(size);
  return bytes;
}

// 'a' or 'b' by the bits of a random stream, the lowest first.
inline Buffer TwoLetterText(uint64_t seed, size_t size) {
  const Buffer bits = RandomBytes(seed, size / 8 + 1);
  Buffer text(size);
  for (size_t index = 0; index < size; ++index) {
    text[index] = static_cast<uint8_t>('a' + (bits[index / 8] >> (index % 8) & 1));
  }
  return text;
}

// Byte i is i mod 251, the cycle of BLAKE3's own vectors: prime, so that exchanged blocks show.
inline Buffer Cycle251(size_t size) {
  Buffer bytes(size);
  for (size_t index = 0; index < size; ++index) bytes[index] = static_cast<uint8_t>(index % 251);
  return bytes;
}

// `seed` is the byte itself for "constant".
inline Buffer GeneratedInput(const std::string& kind, uint64_t seed, size_t size) {
  if (kind == "splitmix64") return RandomBytes(seed, size);
  if (kind == "two-letter") return TwoLetterText(seed, size);
  if (kind == "cycle251") return Cycle251(size);
  CHECK(kind == "constant");
  return Buffer(size, static_cast<uint8_t>(seed));
}

inline Key KeyOf(uint64_t seed) {
  Key key;
  const Buffer bytes = RandomBytes(seed, key.size());
  std::memcpy(key.data(), bytes.data(), key.size());
  return key;
}

}  // namespace granary

#endif  // GRANARY_TEST_BASE_GENERATED_INPUT_H_
