// A set of fingerprints that never forgets one and is sometimes wrong the other way: bits in 64-bit words,
// all bits of a fingerprint in one word, so that a test costs one miss of the cache. At 10 bits a fingerprint
// one in 60 that is not in the set is taken for one that is; the salt makes it another one next time.
//
// Threads: Add and Contains may be called by all threads; an Add that happened before is seen.
#ifndef GRANARY_ENGINE_FINGERPRINT_FILTER_H_
#define GRANARY_ENGINE_FINGERPRINT_FILTER_H_

#include <array>
#include <atomic>
#include <memory>

#include "base/ids.h"

namespace granary {

class FingerprintFilter {
 public:
  using Salt = std::array<uint64_t, 2>;
  // `word_count`: at least 1.
  FingerprintFilter(uint64_t word_count, const Salt& salt);
  static uint64_t WordCount(uint64_t fingerprint_count, uint32_t bits_each) {
    return fingerprint_count * bits_each / 64 + 1;
  }

  void Add(const Fingerprint& fingerprint);
  bool Contains(const Fingerprint& fingerprint) const;
  // Brings the word to the cache that the next Add or Contains of this fingerprint will ask for.
  void Prefetch(const Fingerprint& fingerprint) const;
  // Afterwards this one holds what either held. Both have the same salt and a power of two of words.
  void Merge(FingerprintFilter* other);

  uint64_t word_count() const { return word_count_; }

 private:
  std::atomic<uint64_t>& WordOf(const Fingerprint& fingerprint) const;
  uint64_t BitsOf(const Fingerprint& fingerprint) const;

  uint64_t word_count_;
  Salt salt_;
  std::unique_ptr<std::atomic<uint64_t>[]> words_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_FINGERPRINT_FILTER_H_
