#include "base/bytes.h"

namespace granary {

std::string ToHex(ConstBytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

static int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool FromHex(const std::string& text, Bytes out) {
  if (text.size() != out.size() * 2) return false;
  for (size_t index = 0; index < out.size(); ++index) {
    const int high = HexValue(text[2 * index]);
    const int low = HexValue(text[2 * index + 1]);
    if (high < 0 || low < 0) return false;
    out[index] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace granary
