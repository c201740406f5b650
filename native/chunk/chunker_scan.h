// The cut rule, shared by all backends (FORMAT.md, Chunking): a cheap filter over 16 bytes, then a strong
// value over 32. Everything here has internal linkage and uses nothing of the standard library's inline code:
// each backend is compiled with its own instruction set, and the linker must never pick one backend's copy of
// a function for another.
#ifndef GRANARY_CHUNK_CHUNKER_SCAN_H_
#define GRANARY_CHUNK_CHUNKER_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "chunk/cut_rule.h"

namespace granary {

// How far before `from` a backend may read; the smallest chunk is larger than this as well.
inline constexpr size_t kScanReadsBefore = 68;

// The first position in [from, to) at which a chunk of `data` ends under `threshold`, or `to`. A position p
// looks at data[p - kCutWindow, p) and at nothing behind it; from >= kScanReadsBefore when from < to.
using CutScan = size_t (*)(const uint8_t* data, size_t from, size_t to, const CutRule& rule,
                           uint64_t threshold);
size_t ScanPortable(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold);
size_t ScanSse41(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold);
size_t ScanAvx2(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold);
size_t ScanAvx512(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold);

namespace {

template <typename Word>
inline Word LoadWord(const uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// Zero when the four words before `end` are equal, so runs of one byte (and all of period 2 or 4) never pass.
inline int32_t FilterValue(const uint8_t* end, const CutRule& rule) {
  const uint32_t last = LoadWord<uint32_t>(end - 4);
  uint32_t value = 0;
  for (int word = 0; word < 3; ++word) {
    value += rule.filter_multiplier[word] * (last - LoadWord<uint32_t>(end - 16 + 4 * word));
  }
  return static_cast<int32_t>(value);
}

inline uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t StrongValue(const uint8_t* end, const CutRule& rule) {
  const uint64_t* seed = rule.strong_seed;
  const uint64_t older =
      MultiplyFold(LoadWord<uint64_t>(end - 32) ^ seed[0], LoadWord<uint64_t>(end - 24) ^ seed[1]);
  const uint64_t newer =
      MultiplyFold(LoadWord<uint64_t>(end - 16) ^ seed[2], LoadWord<uint64_t>(end - 8) ^ seed[3]);
  return MultiplyFold(older ^ seed[4], newer ^ seed[5]);
}

inline size_t ScanOneByOne(const uint8_t* data, size_t from, size_t to, const CutRule& rule,
                           uint64_t threshold) {
  for (size_t position = from; position < to; ++position) {
    if (FilterValue(data + position, rule) < rule.filter_threshold) continue;
    if (StrongValue(data + position, rule) < threshold) return position;
  }
  return to;
}

// Vector is a backend's pack of kPositions / 4 32-bit lanes. Lane j of phase r holds position p + 4j + r, so
// the words of a phase are plain unaligned loads, four bytes apart, and byte 4j + r of the passing mask is
// its position.
template <typename Vector>
inline typename Vector::Lanes CombineWords(const Vector& vector, typename Vector::Lanes oldest,
                                           typename Vector::Lanes older, typename Vector::Lanes old,
                                           typename Vector::Lanes last) {
  const auto first = Vector::Multiply(Vector::Subtract(last, oldest), vector.multiplier[0]);
  const auto second = Vector::Multiply(Vector::Subtract(last, older), vector.multiplier[1]);
  const auto third = Vector::Multiply(Vector::Subtract(last, old), vector.multiplier[2]);
  return Vector::Add(Vector::Add(first, second), third);
}

template <typename Vector>
inline size_t ScanVectors(const uint8_t* data, size_t from, size_t to, const CutRule& rule,
                          uint64_t threshold) {
  if (to - from < Vector::kPositions) return ScanOneByOne(data, from, to, rule, threshold);
  Vector vector(rule, data + from);
  size_t position = from;
  for (; position + Vector::kPositions <= to; position += Vector::kPositions) {
    const uint8_t* end = data + position;
    const auto phase0 = vector.FilterPhase(end, 0);
    const auto phase1 = vector.FilterPhase(end, 1);
    const auto phase2 = vector.FilterPhase(end, 2);
    const auto phase3 = vector.FilterPhase(end, 3);
    if (!vector.AnyPasses(phase0, phase1, phase2, phase3)) [[likely]]
      continue;
    for (uint64_t mask = vector.PassMask(phase0, phase1, phase2, phase3); mask != 0; mask &= mask - 1) {
      const size_t candidate = position + static_cast<size_t>(__builtin_ctzll(mask));
      if (StrongValue(data + candidate, rule) < threshold) return candidate;
    }
  }
  return ScanOneByOne(data, position, to, rule, threshold);
}

}  // namespace
}  // namespace granary

#endif  // GRANARY_CHUNK_CHUNKER_SCAN_H_
