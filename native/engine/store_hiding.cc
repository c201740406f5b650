// Touches, hidden chunks, and the decision that a chunk is dead.
#include <algorithm>

#include "engine/store_set.h"

namespace granary {
namespace {

bool BitOf(ConstBytes bits, uint64_t index) { return (bits[index / 8] >> (index % 8) & 1) != 0; }

Status NoStore(const DataStoreId& id) { return Status(Code::kNotFound, "no data store " + ToHex(id.bytes)); }

}  // namespace

void StoreSet::BeginEpoch(uint64_t epoch, uint64_t oldest) {
  uint64_t chunk_count = 0;
  for (const StoreSlot* slot : AllSlots()) chunk_count += slot->store->counts().chunk_count;
  std::unique_lock lock(condemn_mutex_);
  touches_.BeginEpoch(epoch, oldest, chunk_count);
}

uint64_t StoreSet::epoch() const {
  std::shared_lock lock(condemn_mutex_);
  return touches_.epoch();
}

bool StoreSet::IsHidden(const StoreSlot* slot, HiddenReason reason, uint32_t chunk) const {
  std::shared_lock lock(condemn_mutex_);
  return slot->hidden.Has(reason, chunk);
}

void StoreSet::Hide(StoreSlot* slot, HiddenReason reason, uint32_t chunk, const Fingerprint& fingerprint) {
  slot->hidden.Add(reason, chunk);
  index_.Remove(fingerprint, slot->number);
  if (reason == HiddenReason::kDamaged) slot->is_damaged = true;
  // Full: a read of the chunk finds it by Rescue.
  if (slot->state == StoreState::kLive) (void)hidden_index_.Insert(fingerprint, slot->number);
}

Status StoreSet::HideChunks(const DataStoreId& id, HiddenReason reason, uint32_t first, ConstBytes bits) {
  std::lock_guard cleaner(cleaner_mutex_);
  ASSIGN_OR_RETURN(StoreSlot * slot, FindAnySlot(id));
  std::vector<std::pair<Fingerprint, uint32_t>> chunks;
  uint64_t chunk_count = 0;
  const bool was_in_memory = slot->store->is_in_memory();
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    ++chunk_count;
    if (place.chunk < first || place.chunk - first >= bits.size() * 8) return;
    if (BitOf(bits, place.chunk - first)) chunks.emplace_back(fingerprint, place.chunk);
  }));
  for (uint64_t bit = chunk_count < first ? 0 : chunk_count - first; bit < bits.size() * 8; ++bit) {
    if (BitOf(bits, bit))
      return Status(Code::kInvalid, "data store " + ToHex(id.bytes) + " has fewer chunks");
  }
  {
    std::unique_lock lock(condemn_mutex_);
    for (const auto& [fingerprint, chunk] : chunks) Hide(slot, reason, chunk, fingerprint);
  }
  if (reason == HiddenReason::kDamaged) {
    // A copy elsewhere takes over: reads have to find it before they find the damage.
    std::vector<Fingerprint> names;
    for (const auto& chunk : chunks) names.push_back(chunk.first);
    std::vector<uint32_t> copies(names.size());
    FindCopies(names, slot, copies);
    for (size_t index = 0; index < names.size(); ++index) {
      if (copies[index] == ResidentIndex::kAbsent) continue;
      std::shared_lock lock(condemn_mutex_);
      if (this->slot(copies[index])->state == StoreState::kLive) {
        (void)index_.Insert(names[index], copies[index]);  // full: the view knows of it
      }
    }
  }
  if (!was_in_memory) slot->store->DropMemory();
  return Status::Ok();
}

Status StoreSet::RevealChunks(const DataStoreId& id, HiddenReason reason) {
  std::lock_guard cleaner(cleaner_mutex_);
  ASSIGN_OR_RETURN(StoreSlot * slot, FindAnySlot(id));
  {
    std::unique_lock lock(condemn_mutex_);
    slot->hidden.Clear(reason);
    if (reason == HiddenReason::kDamaged) slot->is_damaged = false;
    slot->is_resident = false;
  }
  if (slot->state != StoreState::kLive) return Status::Ok();
  {
    std::lock_guard lock(forget_mutex_);
    is_complete_ = false;
  }
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    std::unique_lock lock(condemn_mutex_);
    if (!slot->hidden.IsHidden(place.chunk)) hidden_index_.Remove(fingerprint, slot->number);
  }));
  RETURN_IF_ERROR(MakeResident(slot));
  UpdateComplete();
  return Status::Ok();
}

// What the mark leaves, with what can be said of the data store without the lock.
Result<StoreSurvey> StoreSet::Candidates(StoreSlot* slot, const FingerprintFilter& live,
                                         std::vector<Candidate>* candidates) {
  StoreSurvey survey;
  const DataStoreCounts counts = slot->store->counts();
  survey.is_closed = slot->store->is_closed();
  survey.pin_count = slot->pin_count;
  survey.key_epoch = slot->store->identity().key_epoch;
  survey.plain_bytes = counts.plain_bytes + counts.blockmap_plain_bytes;
  survey.file_bytes = counts.file_bytes;
  const bool was_in_memory = slot->store->is_in_memory();
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    ++survey.chunk_count;
    if (!live.Contains(fingerprint)) candidates->push_back({fingerprint, place.chunk, place.length});
  }));
  if (!was_in_memory) slot->store->DropMemory();
  return survey;
}

Result<StoreSurvey> StoreSet::Survey(const DataStoreId& id, const FingerprintFilter& live) {
  StoreSlot* slot = FindSlot(id);
  if (slot == nullptr) return NoStore(id);
  std::vector<Candidate> candidates;
  ASSIGN_OR_RETURN(StoreSurvey survey, Candidates(slot, live, &candidates));
  std::shared_lock lock(condemn_mutex_);
  for (const Candidate& candidate : candidates) {
    if (slot->hidden.Has(HiddenReason::kDead, candidate.chunk)) continue;
    if (touches_.IsTouched(candidate.fingerprint)) continue;
    ++survey.dead_count;
    survey.dead_plain_bytes += candidate.length;
  }
  return survey;
}

Result<StoreSurvey> StoreSet::Condemn(const DataStoreId& id, const FingerprintFilter& live,
                                      uint64_t mark_epoch, Bytes bits) {
  RETURN_IF_ERROR(CanChange());
  std::lock_guard cleaner(cleaner_mutex_);
  StoreSlot* slot = FindSlot(id);
  if (slot == nullptr) return NoStore(id);
  if (!slot->store->is_closed()) return Status(Code::kBusy, "the data store is not closed");
  std::vector<Candidate> candidates;
  ASSIGN_OR_RETURN(StoreSurvey survey, Candidates(slot, live, &candidates));
  if (bits.size() * 8 < survey.chunk_count) return Status(Code::kInvalid, "too few bits for the data store");
  std::fill(bits.begin(), bits.end(), uint8_t{0});
  // From here to the end of the lock nobody is answered "known" for anything. Before it, whoever was answered
  // has touched; behind it, the chunk is not found.
  std::unique_lock lock(condemn_mutex_);
  // Touches of streams that ended before the last epoch began are forgotten: only a mark that was begun
  // behind it has seen what they committed.
  if (mark_epoch != touches_.epoch()) return Status(Code::kInvalid, "the mark is of an earlier epoch");
  for (const Candidate& candidate : candidates) {
    if (slot->hidden.Has(HiddenReason::kDead, candidate.chunk)) continue;
    if (touches_.IsTouched(candidate.fingerprint)) continue;
    Hide(slot, HiddenReason::kDead, candidate.chunk, candidate.fingerprint);
    ++survey.dead_count;
    survey.dead_plain_bytes += candidate.length;
  }
  for (uint32_t chunk = 0; chunk < survey.chunk_count; ++chunk) {
    if (slot->hidden.Has(HiddenReason::kDead, chunk)) bits[chunk / 8] |= static_cast<uint8_t>(1 << chunk % 8);
  }
  return survey;
}

}  // namespace granary
