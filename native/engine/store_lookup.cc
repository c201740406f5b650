// Look-ups and the resident index. The only functions that answer "known" to a stream are the two that end in
// AndPin.
#include <algorithm>

#include "engine/store_set.h"

namespace granary {

// --- for streams ---

void StoreSet::LookUpAndPin(std::span<const Fingerprint> fingerprints, PinSet* pins,
                            std::span<uint32_t> out) {
  constexpr size_t kAhead = 16;
  // What is hidden or has left is not in the index: one lock over the whole segment is all it takes.
  std::shared_lock lock(condemn_mutex_);
  index_.FindMany(fingerprints, out);
  uint32_t last = ResidentIndex::kAbsent;
  for (size_t index = 0; index < out.size(); ++index) {
    if (index + kAhead < out.size()) touches_.Prefetch(fingerprints[index + kAhead]);
    const uint32_t number = out[index];
    if (number == ResidentIndex::kAbsent) continue;
    touches_.Touch(fingerprints[index]);
    // Neighbours mostly lie in one data store: the set is asked only when the number changes.
    if (number == last) continue;
    last = number;
    StoreSlot* hit = slot(number);
    hit->last_hit.store(hit_clock_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
    if (pins->insert(number).second) hit->pin_count.fetch_add(1);
  }
}

bool StoreSet::PinAndTouch(const Fingerprint& fingerprint, StoreSlot* slot, uint32_t chunk, PinSet* pins) {
  std::shared_lock lock(condemn_mutex_);
  if (slot->state != StoreState::kLive || slot->hidden.IsHidden(chunk)) return false;
  touches_.Touch(fingerprint);
  if (pins->insert(slot->number).second) slot->pin_count.fetch_add(1);
  return true;
}

uint32_t StoreSet::LookUpPlaceAndPin(const Fingerprint& fingerprint, const DataStoreId& place, PinSet* pins) {
  const auto ask = [&](StoreSlot* candidate) {
    if (candidate == nullptr) return false;
    const auto found = FindWhole(candidate, fingerprint);
    return found.ok() && found.value().has_value() &&
           PinAndTouch(fingerprint, candidate, found.value()->chunk, pins);
  };
  StoreSlot* named = place == DataStoreId{} ? nullptr : FindSlot(place);
  if (ask(named)) return named->number;
  // Not in the view, or no longer there: it may lie in a data store that the view has not been told of.
  StoreSlot* found = LocateVisible(fingerprint);
  return ask(found) ? found->number : ResidentIndex::kAbsent;
}

void StoreSet::Unpin(const PinSet& pins) {
  for (uint32_t number : pins) {
    const uint32_t before = slot(number)->pin_count.fetch_sub(1);
    CHECK(before > 0);
  }
}

// --- for reading ---

StoreSlot* StoreSet::FindIndexed(const Fingerprint& fingerprint) const {
  const uint32_t number = index_.Find(fingerprint);
  return number == ResidentIndex::kAbsent ? nullptr : slot(number);
}

Result<std::optional<ChunkPlace>> StoreSet::FindWhole(StoreSlot* slot, const Fingerprint& fingerprint) {
  ASSIGN_OR_RETURN(const std::optional<ChunkPlace> last, slot->store->Find(fingerprint));
  std::optional<ChunkPlace> place = last;
  while (place && slot->is_damaged && IsHidden(slot, HiddenReason::kDamaged, place->chunk)) {
    ASSIGN_OR_RETURN(place, slot->store->FindEarlier(place->chunk));
  }
  return place ? place : last;
}

bool StoreSet::HasVisible(StoreSlot* slot, const Fingerprint& fingerprint) {
  const auto found = FindWhole(slot, fingerprint);
  if (!found.ok() || !found.value().has_value()) return false;
  std::shared_lock lock(condemn_mutex_);
  return slot->state == StoreState::kLive && !slot->hidden.IsHidden(found.value()->chunk);
}

StoreSlot* StoreSet::LocateVisible(const Fingerprint& fingerprint) {
  if (StoreSlot* indexed = FindIndexed(fingerprint); indexed != nullptr) return indexed;
  if (IsComplete()) return nullptr;
  for (StoreSlot* candidate : AllSlots()) {
    if (candidate->is_in_view || candidate->is_resident) continue;
    // Into the index with it, once: else its table would come from its trailer for every chunk that is asked
    // for. One that is still appended to has its table in memory.
    if (candidate->store->is_closed() && MakeResident(candidate).ok() && candidate->is_resident) {
      if (StoreSlot* indexed = FindIndexed(fingerprint); indexed != nullptr) return indexed;
    } else if (HasVisible(candidate, fingerprint)) {
      return candidate;
    }
  }
  return nullptr;
}

StoreSlot* StoreSet::LocateHidden(const Fingerprint& fingerprint) {
  std::shared_lock lock(condemn_mutex_);
  if (const auto rescued = rescued_.find(fingerprint); rescued != rescued_.end())
    return slot(rescued->second);
  const uint32_t number = hidden_index_.Find(fingerprint);
  return number == ResidentIndex::kAbsent ? nullptr : slot(number);
}

StoreSlot* StoreSet::Locate(const Fingerprint& fingerprint) {
  if (StoreSlot* visible = LocateVisible(fingerprint); visible != nullptr) return visible;
  StoreSlot* hidden = LocateHidden(fingerprint);
  if (hidden == nullptr) return nullptr;
  const auto found = FindWhole(hidden, fingerprint);
  if (found.ok() && found.value().has_value() &&
      IsHidden(hidden, HiddenReason::kDead, found.value()->chunk)) {
    dead_reads_.fetch_add(1);
  }
  return hidden;
}

void StoreSet::FindCopies(std::span<const Fingerprint> fingerprints, const StoreSlot* except,
                          std::span<uint32_t> out) {
  CHECK(fingerprints.size() == out.size());
  // Asks one data store for all that `wanted` names, and lets go of its table unless it was there before.
  std::vector<size_t> missing;
  const auto ask = [&](StoreSlot* slot, std::span<const size_t> wanted) {
    const bool was_in_memory = slot->store->is_in_memory();
    for (size_t index : wanted) {
      if (out[index] == ResidentIndex::kAbsent && HasVisible(slot, fingerprints[index]))
        out[index] = slot->number;
    }
    if (!was_in_memory) slot->store->DropMemory();
  };
  std::vector<uint32_t> hints(out.size());
  index_.FindMany(fingerprints, hints);
  std::map<uint32_t, std::vector<size_t>> by_hint;
  for (size_t index = 0; index < out.size(); ++index) {
    out[index] = ResidentIndex::kAbsent;
    by_hint[hints[index]].push_back(index);
  }
  for (const auto& [number, wanted] : by_hint) {
    if (number == ResidentIndex::kAbsent || (except != nullptr && number == except->number)) continue;
    ask(slot(number), wanted);
  }
  std::vector<StoreSlot*> all = AllSlots();
  for (auto candidate = all.rbegin();; ++candidate) {
    missing.clear();
    for (size_t index = 0; index < out.size(); ++index) {
      if (out[index] == ResidentIndex::kAbsent) missing.push_back(index);
    }
    if (missing.empty() || candidate == all.rend()) return;
    if (*candidate != except) ask(*candidate, missing);
  }
}

// --- resident index ---

bool StoreSet::ForgetOneStore(const StoreSlot* except) {
  std::lock_guard lock(forget_mutex_);
  StoreSlot* oldest = nullptr;
  for (StoreSlot* slot : AllSlots()) {
    if (slot == except || !slot->is_in_view || !slot->is_resident) continue;
    if (oldest == nullptr || slot->last_hit < oldest->last_hit) oldest = slot;
  }
  if (oldest == nullptr) return false;
  is_complete_ = false;
  oldest->is_resident = false;
  const Status status = oldest->store->ForEachChunk(
      [&](const Fingerprint& fingerprint, const ChunkPlace&) { index_.Remove(fingerprint, oldest->number); });
  oldest->store->DropMemory();
  return status.ok();
}

bool StoreSet::InsertVisible(const Fingerprint& fingerprint, StoreSlot* slot, uint32_t chunk) {
  std::shared_lock lock(condemn_mutex_);
  if (slot->state != StoreState::kLive || slot->hidden.IsHidden(chunk)) return true;
  return index_.Insert(fingerprint, slot->number);
}

Status StoreSet::MakeResident(StoreSlot* slot) {
  return slot->is_resident ? Status::Ok() : MakeResidentAgain(slot);
}

Status StoreSet::MakeResidentAgain(StoreSlot* slot) {
  bool is_full = false;
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    while (!is_full && !InsertVisible(fingerprint, slot, place.chunk)) is_full = !ForgetOneStore(slot);
  }));
  std::lock_guard lock(forget_mutex_);
  slot->is_resident = !is_full;
  if (is_full) is_complete_ = false;
  return Status::Ok();
}

Result<size_t> StoreSet::Warm(size_t count) {
  std::vector<StoreSlot*> all = AllSlots();
  std::vector<StoreSlot*> missing;
  std::copy_if(all.rbegin(), all.rend(), std::back_inserter(missing),
               [](const StoreSlot* slot) { return !slot->is_resident; });
  size_t left = missing.size();
  for (StoreSlot* slot : missing) {
    if (count-- == 0) return left;
    // Forgetting one data store for another would be work without end.
    if (index_.bytes() * 8 > index_.bytes_max() * 7) return size_t{0};
    RETURN_IF_ERROR(MakeResident(slot));
    if (!slot->is_resident) return size_t{0};
    slot->store->DropMemory();
    --left;
  }
  UpdateComplete();
  return left;
}

void StoreSet::UpdateComplete() {
  std::lock_guard lock(forget_mutex_);
  const std::vector<StoreSlot*> all = AllSlots();
  if (std::all_of(all.begin(), all.end(), [](const StoreSlot* slot) { return slot->is_resident.load(); })) {
    is_complete_ = true;
  }
}

void StoreSet::MarkInView(const DataStoreId& id) {
  if (StoreSlot* slot = FindSlot(id); slot != nullptr && slot->store->is_closed()) slot->is_in_view = true;
}

}  // namespace granary
