// Byte ranges and little-endian fields. Readers are bounded: hostile input ends in ok() == false,
// never past the end.
#ifndef GRANARY_BASE_BYTES_H_
#define GRANARY_BASE_BYTES_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"

namespace granary {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

using Bytes = std::span<uint8_t>;
using ConstBytes = std::span<const uint8_t>;
using Buffer = std::vector<uint8_t>;

template <typename T>
T LoadLittle(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void StoreLittle(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

inline uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

std::string ToHex(ConstBytes bytes);
// False when `text` is not exactly 2 * out.size() hex digits.
bool FromHex(const std::string& text, Bytes out);

// Takes fields off the front. After the first short read ok() is false and every further field is zero.
class BoundedReader {
 public:
  explicit BoundedReader(ConstBytes bytes) : rest_(bytes) {}
  template <typename T>
  T Take() {
    T value{};
    if (ConstBytes field = TakeBytes(sizeof(T)); field.size() == sizeof(T)) {
      std::memcpy(&value, field.data(), sizeof(T));
    }
    return value;
  }
  // The next `size` bytes, borrowed; empty and !ok() when fewer are left.
  ConstBytes TakeBytes(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    ConstBytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  bool ok() const { return ok_; }
  size_t remaining() const { return ok_ ? rest_.size() : 0; }

 private:
  ConstBytes rest_;
  bool ok_ = true;
};

// Appends fields to a buffer it borrows.
class Writer {
 public:
  explicit Writer(Buffer* out) : out_(out) {}
  template <typename T>
  void Put(T value) {
    PutBytes({reinterpret_cast<const uint8_t*>(&value), sizeof value});
  }
  void PutBytes(ConstBytes bytes) {
    const size_t at = out_->size();
    out_->resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(out_->data() + at, bytes.data(), bytes.size());
  }

 private:
  Buffer* out_;
};

}  // namespace granary

#endif  // GRANARY_BASE_BYTES_H_
