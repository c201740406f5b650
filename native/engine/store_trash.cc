// Data stores that leave: data/ -> trash/ -> unlinked, and back. A rename is atomic, so a file is in one of
// the two places. Found in both (put there by hand), the one in data/ counts; the other is left alone until
// this one is trashed, which replaces it.
#include <algorithm>

#include "engine/store_set.h"

namespace granary {

std::string StoreSet::TrashPath(const DataStoreId& id) const {
  return parameters_.directory + "/trash/" + ToHex(id.bytes) + DataStore::kFileSuffix;
}

// Only their names and sizes: nothing in there may keep the group from opening.
Status StoreSet::ListTrashFiles() {
  const std::string directory = parameters_.directory + "/trash";
  ASSIGN_OR_RETURN(const bool exists, parameters_.files->Exists(directory));
  if (!exists) return Status::Ok();  // a copy of a group need not have empty directories
  ASSIGN_OR_RETURN(const std::vector<std::string> names, parameters_.files->List(directory));
  const std::string suffix = DataStore::kFileSuffix;
  for (const std::string& name : names) {
    DataStoreId id;
    if (!name.ends_with(suffix) || !FromHex(name.substr(0, name.size() - suffix.size()), id.bytes)) continue;
    Trashed trashed;
    if (auto file = parameters_.files->Open(directory + "/" + name, OpenMode::kRead); file.ok()) {
      if (auto size = (*file)->Size(); size.ok()) trashed.file_bytes = *size;
    }
    std::unique_lock lock(slots_mutex_);
    trash_[id] = trashed;
  }
  return Status::Ok();
}

std::vector<DataStoreId> StoreSet::ListTrash() const {
  std::shared_lock lock(slots_mutex_);
  std::vector<DataStoreId> ids;
  for (const auto& [id, trashed] : trash_) ids.push_back(id);
  return ids;
}

uint64_t StoreSet::trash_bytes() const {
  std::shared_lock lock(slots_mutex_);
  uint64_t total = 0;
  for (const auto& [id, trashed] : trash_) total += trashed.file_bytes;
  return total;
}

// With the cleaner's lock held.
Result<StoreSlot*> StoreSet::OpenTrashed(const DataStoreId& id) {
  {
    std::shared_lock lock(slots_mutex_);
    const auto found = trash_.find(id);
    if (found == trash_.end())
      return Status(Code::kNotFound, "no data store " + ToHex(id.bytes) + " in trash/");
    if (found->second.number != 0) return slots_[found->second.number - 1].get();
  }
  const auto keys = [this](uint32_t epoch) { return KeyOfEpoch(epoch); };
  ASSIGN_OR_RETURN(std::shared_ptr<DataStore> store,
                   DataStore::Open(parameters_.files, TrashPath(id), parameters_.store_id, keys));
  StoreSlot* slot = AddSlot(std::move(store), StoreState::kTrash);
  std::unique_lock lock(slots_mutex_);
  trash_[id].number = slot->number;
  return slot;
}

Result<StoreSlot*> StoreSet::FindAnySlot(const DataStoreId& id) {
  if (StoreSlot* slot = FindSlot(id); slot != nullptr) return slot;
  auto trashed = OpenTrashed(id);
  if (trashed.status().code() == Code::kNotFound)
    return Status(Code::kNotFound, "no data store " + ToHex(id.bytes));
  return trashed;
}

Result<StoreSlot*> StoreSet::FindStored(const DataStoreId& id) {
  std::lock_guard cleaner(cleaner_mutex_);
  return FindAnySlot(id);
}

// Every chunk that is not dead has to be in another data store's own table: neither index nor view is
// believed.
Status StoreSet::CheckCopies(StoreSlot* slot, std::vector<Fingerprint>* chunks,
                             std::vector<uint32_t>* copies) {
  std::vector<uint8_t> is_dead;
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    chunks->push_back(fingerprint);
    is_dead.push_back(IsHidden(slot, HiddenReason::kDead, place.chunk) ? 1 : 0);
  }));
  std::vector<Fingerprint> needed;
  for (size_t chunk = 0; chunk < chunks->size(); ++chunk) {
    if (is_dead[chunk] == 0) needed.push_back((*chunks)[chunk]);
  }
  std::vector<uint32_t> found(needed.size());
  FindCopies(needed, slot, found);
  copies->assign(chunks->size(), ResidentIndex::kAbsent);
  for (size_t chunk = 0, next = 0; chunk < chunks->size(); ++chunk) {
    if (is_dead[chunk] != 0) continue;
    (*copies)[chunk] = found[next++];
    if ((*copies)[chunk] != ResidentIndex::kAbsent) continue;
    return Status(Code::kInvalid, "chunk " + ToHex((*chunks)[chunk].bytes).substr(0, 16) + " of data store " +
                                      ToHex(slot->store->identity().id.bytes) + " has no other copy");
  }
  return Status::Ok();
}

// With the condemn lock held alone.
void StoreSet::TakeOut(StoreSlot* slot, std::span<const Fingerprint> chunks,
                       std::span<const uint32_t> copies) {
  for (size_t chunk = 0; chunk < chunks.size(); ++chunk) {
    hidden_index_.Remove(chunks[chunk], slot->number);
    if (!index_.Remove(chunks[chunk], slot->number) || copies[chunk] == ResidentIndex::kAbsent) continue;
    (void)index_.Insert(chunks[chunk], copies[chunk]);  // into the place that has just become free
  }
  std::unique_lock lock(slots_mutex_);
  numbers_.erase(slot->store->identity().id);
}

// A failure leaves the file in one of the two places, and the group stops: a start looks where it is.
Status StoreSet::MoveDurably(StoreSlot* slot, const std::string& to) {
  const std::string from = DirectoryOf(slot->store->path());
  RETURN_IF_ERROR(Fail(slot->store->MoveFile(to)));
  RETURN_IF_ERROR(Fail(parameters_.files->SyncDirectory(DirectoryOf(to))));
  return Fail(parameters_.files->SyncDirectory(from));
}

Status StoreSet::PutBack(StoreSlot* slot) {
  std::vector<std::pair<Fingerprint, uint32_t>> chunks;
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    chunks.emplace_back(fingerprint, place.chunk);
  }));
  {
    std::lock_guard lock(forget_mutex_);
    is_complete_ = false;
  }
  {
    std::unique_lock lock(condemn_mutex_);
    slot->state = StoreState::kLive;
    for (const auto& [fingerprint, chunk] : chunks) {
      if (slot->hidden.IsHidden(chunk)) (void)hidden_index_.Insert(fingerprint, slot->number);
    }
    std::erase_if(rescued_, [&](const auto& entry) { return entry.second == slot->number; });
    std::unique_lock slots(slots_mutex_);
    numbers_[slot->store->identity().id] = slot->number;
    trash_.erase(slot->store->identity().id);
  }
  RETURN_IF_ERROR(MakeResidentAgain(slot));
  UpdateComplete();
  return Status::Ok();
}

Status StoreSet::TrashStore(const DataStoreId& id) {
  RETURN_IF_ERROR(CanChange());
  RETURN_IF_ERROR(Sync());  // copies that a power cut could take are none
  std::lock_guard cleaner(cleaner_mutex_);
  StoreSlot* slot = FindSlot(id);
  if (slot == nullptr) {
    {
      std::shared_lock lock(slots_mutex_);
      if (!trash_.contains(id)) return Status(Code::kNotFound, "no data store " + ToHex(id.bytes));
    }
    // Done before, perhaps by a process that died before it was durable.
    RETURN_IF_ERROR(Fail(parameters_.files->SyncDirectory(parameters_.directory + "/trash")));
    return Fail(parameters_.files->SyncDirectory(DirectoryOf(DataPath(id))));
  }
  if (!slot->store->is_closed()) return Status(Code::kBusy, "the data store is not closed");
  if (slot->pin_count > 0) return Status(Code::kBusy, "a stream relies on the data store");
  RETURN_IF_ERROR(Fail(EnsureDirectory(parameters_.directory + "/trash")));
  std::vector<Fingerprint> chunks;
  std::vector<uint32_t> copies;
  RETURN_IF_ERROR(CheckCopies(slot, &chunks, &copies));
  {
    std::unique_lock lock(condemn_mutex_);
    if (slot->pin_count > 0) return Status(Code::kBusy, "a stream relies on the data store");
    slot->state = StoreState::kTrash;
    slot->is_resident = false;
    slot->is_in_view = false;
    TakeOut(slot, chunks, copies);
  }
  {
    std::unique_lock lock(slots_mutex_);
    trash_[id] = {slot->store->counts().file_bytes, slot->number};
  }
  const Status moved = MoveDurably(slot, TrashPath(id));
  if (!moved.ok() && slot->store->path() != TrashPath(id)) RETURN_IF_ERROR(PutBack(slot));
  slot->store->DropMemory();
  return moved;
}

Status StoreSet::UntrashStore(const DataStoreId& id) {
  RETURN_IF_ERROR(CanChange());
  std::lock_guard cleaner(cleaner_mutex_);
  ASSIGN_OR_RETURN(StoreSlot * slot, OpenTrashed(id));
  if (FindSlot(id) != nullptr)
    return Status(Code::kExists, "data store " + ToHex(id.bytes) + " is in data/, too");
  RETURN_IF_ERROR(Fail(EnsureDirectory(DirectoryOf(DataPath(id)))));
  RETURN_IF_ERROR(MoveDurably(slot, DataPath(id)));
  return PutBack(slot);
}

Status StoreSet::ReclaimStore(const DataStoreId& id) {
  RETURN_IF_ERROR(CanChange());
  std::lock_guard cleaner(cleaner_mutex_);
  if (FindSlot(id) != nullptr) {
    return Status(Code::kInvalid, "data store " + ToHex(id.bytes) + " is not in the trash");
  }
  StoreSlot* gone = nullptr;
  {
    std::unique_lock lock(condemn_mutex_);
    std::shared_lock slots(slots_mutex_);
    const auto found = trash_.find(id);
    if (found != trash_.end() && found->second.number != 0) {
      gone = slots_[found->second.number - 1].get();
      gone->state = StoreState::kGone;
      gone->hidden = {};
      std::erase_if(rescued_, [&](const auto& entry) { return entry.second == gone->number; });
    }
  }
  const Status unlinked = parameters_.files->Unlink(TrashPath(id));
  if (unlinked.code() != Code::kNotFound) RETURN_IF_ERROR(Fail(unlinked));
  RETURN_IF_ERROR(Fail(parameters_.files->SyncDirectory(parameters_.directory + "/trash")));
  if (gone != nullptr) gone->store->DropMemory();
  std::unique_lock lock(slots_mutex_);
  trash_.erase(id);
  return Status::Ok();
}

size_t StoreSet::Rescue(std::span<const Fingerprint> fingerprints) {
  std::lock_guard cleaner(cleaner_mutex_);
  // An index that has lost sight of a copy is no reason for an alarm.
  std::vector<uint32_t> copies(fingerprints.size());
  FindCopies(fingerprints, nullptr, copies);
  const std::vector<StoreSlot*> live = AllSlots();
  std::vector<StoreSlot*> trashed;
  for (const DataStoreId& id : ListTrash()) {
    if (auto slot = OpenTrashed(id); slot.ok()) trashed.push_back(*slot);
  }
  size_t count = 0;
  for (size_t index = 0; index < fingerprints.size(); ++index) {
    if (copies[index] != ResidentIndex::kAbsent) ++count;
  }
  const auto search = [&](const std::vector<StoreSlot*>& slots, bool is_damaged) {
    for (StoreSlot* slot : slots) {
      const bool was_in_memory = slot->store->is_in_memory();
      for (size_t index = 0; index < fingerprints.size(); ++index) {
        if (copies[index] != ResidentIndex::kAbsent) continue;
        const auto found = FindWhole(slot, fingerprints[index]);
        if (!found.ok() || !found.value().has_value()) continue;
        if (IsHidden(slot, HiddenReason::kDamaged, found.value()->chunk) != is_damaged) continue;
        copies[index] = slot->number;
        ++count;
        if (slot->state == StoreState::kTrash) trash_reads_.fetch_add(1);
      }
      if (!was_in_memory) slot->store->DropMemory();
    }
  };
  // A condemned copy before one in the trash, and one that is damaged only when there is no other.
  for (const bool is_damaged : {false, true}) {
    search(live, is_damaged);
    search(trashed, is_damaged);
  }
  std::unique_lock lock(condemn_mutex_);
  for (size_t index = 0; index < fingerprints.size(); ++index) {
    if (copies[index] != ResidentIndex::kAbsent) rescued_[fingerprints[index]] = copies[index];
  }
  return count;
}

}  // namespace granary
