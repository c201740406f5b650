// What streams have relied on, by epoch of the cleaner: every fingerprint that a look-up answered "known"
// for, or that was stored. Filters of epochs before the oldest open stream's are dropped when an epoch
// begins: what those streams relied on is in the log by then, or was given up.
//
// Threads: the caller's lock keeps BeginEpoch apart from everything else; Touch and IsTouched may run beside
// each other.
#ifndef GRANARY_ENGINE_TOUCH_FILTERS_H_
#define GRANARY_ENGINE_TOUCH_FILTERS_H_

#include <deque>
#include <span>

#include "engine/fingerprint_filter.h"

namespace granary {

class TouchFilters {
 public:
  // More epochs than these share the oldest filter.
  static constexpr size_t kFilterCountMax = 4;
  static constexpr uint32_t kBitsEach = 8;

  // `chunk_count`: about so many chunks there are.
  TouchFilters(uint64_t epoch, uint64_t chunk_count);

  void Touch(const Fingerprint& fingerprint) { filters_.back().bits.Add(fingerprint); }
  void Prefetch(const Fingerprint& fingerprint) const { filters_.back().bits.Prefetch(fingerprint); }
  // In any epoch that is kept. May say yes for what was not touched, never no for what was.
  bool IsTouched(const Fingerprint& fingerprint) const;

  // `oldest`: the epoch in which the oldest stream that is open was opened; `epoch` when there is none.
  void BeginEpoch(uint64_t epoch, uint64_t oldest, uint64_t chunk_count);

  uint64_t epoch() const { return filters_.back().last_epoch; }
  size_t filter_count() const { return filters_.size(); }

 private:
  struct Filter {
    uint64_t last_epoch;
    FingerprintFilter bits;
  };
  FingerprintFilter MakeFilter(uint64_t chunk_count) const;

  FingerprintFilter::Salt salt_;
  std::deque<Filter> filters_;  // oldest first
};

}  // namespace granary

#endif  // GRANARY_ENGINE_TOUCH_FILTERS_H_
