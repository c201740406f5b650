// The cut rule over 64 positions at a time. A load of 64 bytes at an odd address touches two cache lines, so
// each phase loads its last words only; the earlier ones are these and those of the vector before, shifted by
// whole words.
#ifdef __x86_64__
#include <immintrin.h>

#include "chunk/chunker_scan.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own intrinsics start from a register that is undefined by intent.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace granary {
namespace {

struct VectorAvx512 {
  using Lanes = __m512i;
  static constexpr size_t kPositions = 64;

  VectorAvx512(const CutRule& rule, const uint8_t* first)
      : below_threshold(_mm512_set1_epi32(rule.filter_threshold - 1)) {
    for (size_t phase = 0; phase < 4; ++phase) before[phase] = Load(first + phase - 4 - kPositions);
    for (int word = 0; word < 3; ++word) {
      multiplier[word] = _mm512_set1_epi32(static_cast<int>(rule.filter_multiplier[word]));
    }
  }
  static Lanes Load(const uint8_t* from) { return _mm512_loadu_si512(from); }
  static Lanes Add(Lanes a, Lanes b) { return _mm512_add_epi32(a, b); }
  static Lanes Subtract(Lanes a, Lanes b) { return _mm512_sub_epi32(a, b); }
  static Lanes Multiply(Lanes a, Lanes b) { return _mm512_mullo_epi32(a, b); }
  Lanes FilterPhase(const uint8_t* end, size_t phase) {
    const Lanes last = Load(end + phase - 4);
    const Lanes earlier = before[phase];
    before[phase] = last;
    return CombineWords(*this, _mm512_alignr_epi32(last, earlier, 13), _mm512_alignr_epi32(last, earlier, 14),
                        _mm512_alignr_epi32(last, earlier, 15), last);
  }
  bool AnyPasses(Lanes a, Lanes b, Lanes c, Lanes d) const {
    const Lanes largest = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
    return _mm512_cmpgt_epi32_mask(largest, below_threshold) != 0;
  }
  uint64_t PassMask(Lanes a, Lanes b, Lanes c, Lanes d) const {
    const Lanes ab = _mm512_or_si512(Marked(a, 0x00000080), Marked(b, 0x00008000));
    const Lanes cd = _mm512_or_si512(Marked(c, 0x00800000), Marked(d, static_cast<int>(0x80000000)));
    return _mm512_movepi8_mask(_mm512_or_si512(ab, cd));
  }
  Lanes Marked(Lanes phase, int byte) const {
    return _mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(phase, below_threshold), byte);
  }

  Lanes multiplier[3];
  Lanes below_threshold;
  Lanes before[4];  // the last words of each phase, one vector back
};

}  // namespace

size_t ScanAvx512(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold) {
  return ScanVectors<VectorAvx512>(data, from, to, rule, threshold);
}

}  // namespace granary
#endif
