#include "datastore/table_budget.h"

#include <algorithm>
#include <vector>

namespace granary {

void TableBudget::Take(Holder* holder, uint64_t table_bytes) {
  std::lock_guard lock(mutex_);
  // Behind all uses before it, before all that come.
  holder->last_use.store(clock_.fetch_add(2) + 1, std::memory_order_relaxed);
  const uint64_t charge = table_bytes + kOpenFileCharge;
  if (holders_.emplace(holder, charge).second) bytes_ += charge;
  if (bytes_ <= bytes_max_) return;
  std::vector<std::pair<uint64_t, Holder*>> others;
  for (const auto& [other, ignored] : holders_) {
    if (other != holder) others.emplace_back(other->last_use.load(std::memory_order_relaxed), other);
  }
  std::sort(others.begin(), others.end());
  for (const auto& [ignored, other] : others) {
    if (bytes_ <= bytes_max_) return;
    if (!other->TryDropMemory()) continue;
    bytes_ -= holders_.at(other);
    holders_.erase(other);
  }
}

void TableBudget::GiveBack(Holder* holder) {
  std::lock_guard lock(mutex_);
  const auto found = holders_.find(holder);
  if (found == holders_.end()) return;
  bytes_ -= found->second;
  holders_.erase(found);
}

uint64_t TableBudget::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace granary
