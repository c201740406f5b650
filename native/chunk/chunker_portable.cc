// The cut rule as it is written: the reference the vector backends are held against.
#include "chunk/chunker_scan.h"

namespace granary {

size_t ScanPortable(const uint8_t* data, size_t from, size_t to, const CutRule& rule, uint64_t threshold) {
  return ScanOneByOne(data, from, to, rule, threshold);
}

}  // namespace granary
