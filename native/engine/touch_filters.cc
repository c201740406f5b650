#include "engine/touch_filters.h"

#include <algorithm>
#include <bit>

#include "seal/seal.h"

namespace granary {

// A young group is about to grow.
static constexpr uint64_t kChunkCountMin = 1 << 16;

TouchFilters::TouchFilters(uint64_t epoch, uint64_t chunk_count) {
  FillRandom({reinterpret_cast<uint8_t*>(salt_.data()), sizeof salt_});
  filters_.push_back({epoch, MakeFilter(chunk_count)});
}

FingerprintFilter TouchFilters::MakeFilter(uint64_t chunk_count) const {
  const uint64_t words = FingerprintFilter::WordCount(std::max(chunk_count, kChunkCountMin), kBitsEach);
  return FingerprintFilter(std::bit_ceil(words), salt_);
}

bool TouchFilters::IsTouched(const Fingerprint& fingerprint) const {
  return std::any_of(filters_.begin(), filters_.end(),
                     [&](const Filter& filter) { return filter.bits.Contains(fingerprint); });
}

void TouchFilters::BeginEpoch(uint64_t epoch, uint64_t oldest, uint64_t chunk_count) {
  CHECK(epoch > this->epoch() && oldest <= epoch);
  while (!filters_.empty() && filters_.front().last_epoch < oldest) filters_.pop_front();
  if (filters_.size() == kFilterCountMax) {
    filters_[1].bits.Merge(&filters_[0].bits);
    filters_.pop_front();
  }
  filters_.push_back({epoch, MakeFilter(chunk_count)});
}

}  // namespace granary
