// The cut rule over 16 positions at a time.
#ifdef __x86_64__
#include <immintrin.h>

#include "chunk/chunker_scan.h"

namespace granary {
namespace {

struct VectorSse41 {
  using Lanes = __m128i;
  static constexpr size_t kPositions = 16;

  VectorSse41(const CutRule& rule, const uint8_t*)
      : below_threshold(_mm_set1_epi32(rule.filter_threshold - 1)) {
    for (int word = 0; word < 3; ++word) {
      multiplier[word] = _mm_set1_epi32(static_cast<int>(rule.filter_multiplier[word]));
    }
  }
  static Lanes Load(const uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
  static Lanes Add(Lanes a, Lanes b) { return _mm_add_epi32(a, b); }
  static Lanes Subtract(Lanes a, Lanes b) { return _mm_sub_epi32(a, b); }
  static Lanes Multiply(Lanes a, Lanes b) { return _mm_mullo_epi32(a, b); }
  Lanes FilterPhase(const uint8_t* end, size_t phase) const {
    end += phase;
    return CombineWords(*this, Load(end - 16), Load(end - 12), Load(end - 8), Load(end - 4));
  }
  bool AnyPasses(Lanes a, Lanes b, Lanes c, Lanes d) const {
    const Lanes largest = _mm_max_epi32(_mm_max_epi32(a, b), _mm_max_epi32(c, d));
    return _mm_movemask_epi8(_mm_cmpgt_epi32(largest, below_threshold)) != 0;
  }
  uint64_t PassMask(Lanes a, Lanes b, Lanes c, Lanes d) const {
    const Lanes ab = _mm_or_si128(Marked(a, 0x000000ff), Marked(b, 0x0000ff00));
    const Lanes cd = _mm_or_si128(Marked(c, 0x00ff0000), Marked(d, static_cast<int>(0xff000000)));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(ab, cd)));
  }
  Lanes Marked(Lanes phase, int byte) const {
    return _mm_and_si128(_mm_cmpgt_epi32(phase, below_threshold), _mm_set1_epi32(byte));
  }

  Lanes multiplier[3];
  Lanes below_threshold;
};

}  // namespace

size_t ScanSse41(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold) {
  return ScanVectors<VectorSse41>(data, from, to, rule, threshold);
}

}  // namespace granary
#endif
