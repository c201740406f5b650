// CRC-32C. Where the CPU has an instruction for it, three lanes run side by side, because the instruction
// takes three cycles but one may start in each; the lanes are joined by tables that shift a checksum over a
// lane's length of zeros.
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include <array>

#include "seal/seal.h"

namespace granary {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bits reversed

constexpr uint32_t ShiftByte(uint32_t crc) {
  for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
  return crc;
}

constexpr std::array<uint32_t, 256> MakeByteTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) table[byte] = ShiftByte(byte);
  return table;
}
constexpr std::array<uint32_t, 256> kByteTable = MakeByteTable();

uint32_t UpdatePortable(uint32_t crc, const uint8_t* bytes, size_t size) {
  for (size_t index = 0; index < size; ++index) crc = (crc >> 8) ^ kByteTable[(crc ^ bytes[index]) & 255];
  return crc;
}

#ifdef __x86_64__

constexpr size_t kLaneSize = 1024;

// table[i][b]: the checksum whose i-th byte is b, shifted over kLaneSize zeros.
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

ShiftTable MakeShiftTable() {
  ShiftTable table;
  for (uint32_t place = 0; place < 4; ++place) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = byte << (8 * place);
      for (size_t zero = 0; zero < kLaneSize; ++zero) crc = (crc >> 8) ^ kByteTable[crc & 255];
      table[place][byte] = crc;
    }
  }
  return table;
}

uint32_t ShiftOverLane(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 255] ^ table[1][(crc >> 8) & 255] ^ table[2][(crc >> 16) & 255] ^ table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) uint32_t UpdateSse42(uint32_t crc, const uint8_t* bytes, size_t size) {
  static const ShiftTable shift = MakeShiftTable();
  for (; size >= 3 * kLaneSize; bytes += 3 * kLaneSize, size -= 3 * kLaneSize) {
    uint64_t first = crc, second = 0, third = 0;
    for (size_t at = 0; at < kLaneSize; at += 8) {
      first = _mm_crc32_u64(first, LoadLittle<uint64_t>(bytes + at));
      second = _mm_crc32_u64(second, LoadLittle<uint64_t>(bytes + kLaneSize + at));
      third = _mm_crc32_u64(third, LoadLittle<uint64_t>(bytes + 2 * kLaneSize + at));
    }
    crc = ShiftOverLane(shift, static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second);
    crc = ShiftOverLane(shift, crc) ^ static_cast<uint32_t>(third);
  }
  uint64_t rest = crc;
  for (; size >= 8; bytes += 8, size -= 8) rest = _mm_crc32_u64(rest, LoadLittle<uint64_t>(bytes));
  crc = static_cast<uint32_t>(rest);
  for (; size > 0; ++bytes, --size) crc = _mm_crc32_u8(crc, *bytes);
  return crc;
}

#endif

}  // namespace

uint32_t Crc32c(ConstBytes bytes, uint32_t seed) {
#ifdef __x86_64__
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~UpdateSse42(~seed, bytes.data(), bytes.size());
#endif
  return ~UpdatePortable(~seed, bytes.data(), bytes.size());
}

}  // namespace granary
