// Names chunks: keyed BLAKE3-256. Many chunks at a time, because one chunk of odd length leaves SIMD lanes
// empty. Pure; one Fingerprinter may serve all threads.
#ifndef GRANARY_FINGERPRINT_FINGERPRINT_H_
#define GRANARY_FINGERPRINT_FINGERPRINT_H_

#include <span>

#include "base/bytes.h"
#include "base/ids.h"

namespace granary {

class Fingerprinter {
 public:
  explicit Fingerprinter(const Key& key) : key_(key) {}

  // out[i] is the fingerprint of data[cuts[i-1], cuts[i]) (cuts[-1] = 0). Cuts ascend and end within data;
  // out.size() == cuts.size(). Equal to BLAKE3 in keyed mode over each chunk by itself.
  void HashChunks(ConstBytes data, std::span<const uint32_t> cuts, std::span<Fingerprint> out) const;
  Fingerprint Hash(ConstBytes chunk) const;

 private:
  Key key_;
};

}  // namespace granary

#endif  // GRANARY_FINGERPRINT_FINGERPRINT_H_
