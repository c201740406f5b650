// The numbers a cut depends on (FORMAT.md, Chunking). They follow from the group's key and average size
// alone.
#ifndef GRANARY_CHUNK_CUT_RULE_H_
#define GRANARY_CHUNK_CUT_RULE_H_

#include <cstddef>
#include <cstdint>

namespace granary {

// What the rule looks at lies before a cut; the smallest chunk is larger, so it never reaches past the
// chunk's start.
inline constexpr size_t kCutWindow = 32;

// Follows from the key and the average size.
struct CutRule {
  uint32_t filter_multiplier[3];  // odd
  int32_t filter_threshold;       // a position passes when its filter value, taken as signed, is not below it
  uint64_t strong_seed[6];
  uint64_t strong_threshold_early;  // below the average: stricter, so that fewer chunks are small
  uint64_t strong_threshold_late;   // from the average on: laxer, so that few reach the maximum
};

}  // namespace granary

#endif  // GRANARY_CHUNK_CUT_RULE_H_
