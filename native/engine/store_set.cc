#include "engine/store_set.h"

#include <algorithm>

namespace granary {

StoreSet::StoreSet(const Parameters& parameters, DataKeys keys)
    : parameters_(parameters),
      tables_(std::make_shared<TableBudget>(parameters.table_bytes_max)),
      index_(parameters.resident_bytes_max),
      touches_(parameters.epoch, 0),
      hidden_index_(parameters.resident_bytes_max),
      keys_(std::move(keys)) {}

StoreSet::~StoreSet() {
  {
    std::lock_guard lock(closer_mutex_);
    closer_stops_ = true;
  }
  closer_wakes_.notify_all();
  if (closer_.joinable()) closer_.join();
}

const Key* StoreSet::KeyOfEpoch(uint32_t epoch) const {
  std::shared_lock lock(keys_mutex_);
  const auto found = keys_.keys.find(epoch);
  return found == keys_.keys.end() ? nullptr : &found->second;  // map nodes stay where they are
}

void StoreSet::SetDataKeys(const DataKeys& keys) {
  std::unique_lock lock(keys_mutex_);
  for (const auto& [epoch, key] : keys.keys) keys_.keys.emplace(epoch, key);
  keys_.active_epoch = keys.active_epoch;
}

// --- opening and closing ---

Status StoreSet::Open(Report* report) {
  const std::string data = parameters_.directory + "/data";
  ASSIGN_OR_RETURN(std::vector<std::string> shelves, parameters_.files->List(data));
  for (const std::string& shelf : shelves) {
    if (shelf.size() != 2) continue;
    ASSIGN_OR_RETURN(std::vector<std::string> names, parameters_.files->List(data + "/" + shelf));
    for (const std::string& name : names) {
      if (name.ends_with(DataStore::kFileSuffix)) {
        RETURN_IF_ERROR(OpenOne(data + "/" + shelf + "/" + name, name, report));
      }
    }
  }
  RETURN_IF_ERROR(ListTrashFiles());
  // Streams may open from now on; they touch what the data stores hold and what they bring.
  uint64_t chunk_count = 0;
  for (const StoreSlot* slot : AllSlots()) chunk_count += slot->store->counts().chunk_count;
  touches_ = TouchFilters(parameters_.epoch, chunk_count);
  std::shared_lock lock(slots_mutex_);
  is_complete_ = slots_.empty() && report->damaged.empty();
  return Status::Ok();
}

Status StoreSet::OpenOne(const std::string& path, const std::string& name, Report* report) {
  const auto keys = [this](uint32_t epoch) { return KeyOfEpoch(epoch); };
  auto opened = DataStore::Open(parameters_.files, path, parameters_.store_id, keys);
  const Code code = opened.status().code();
  if (code == Code::kInvalid || code == Code::kCorrupt) {
    // No trailer: an earlier process died, and the store gets the one it should have had. A damaged trailer
    // is not overwritten (I5): what a scan of the records finds goes behind it, and the damage is reported.
    const bool close = !parameters_.is_read_only;
    const Status reason = opened.status();
    DataStore::ScanReport scan;
    opened = DataStore::Recover(parameters_.files, path, parameters_.store_id, keys, parameters_.incarnation,
                                close, &scan);
    if (opened.status().code() == Code::kNoSpace) {
      // No room for the trailer: the scan serves from memory, and a later start closes the store.
      opened = DataStore::Recover(parameters_.files, path, parameters_.store_id, keys,
                                  parameters_.incarnation, false, &scan);
    }
    if (opened.status().code() == Code::kNotFound && !parameters_.is_read_only) {
      // Made, and died before its first block was durable (which may be there in part): there is nothing in
      // it, and nothing names it. Cut so short by somebody else, it is missed by the files that need it.
      return parameters_.files->Unlink(path);
    }
    if (code == Code::kCorrupt) report->damaged.push_back({name, reason.message()});
    if (opened.ok()) ++report->recovered_count;
  }
  if (opened.status().code() == Code::kDenied) return opened.status().Within(path);
  if (!opened.ok()) {
    report->damaged.push_back({name, opened.status().message()});
    return Status::Ok();
  }
  AddSlot(std::move(*opened), StoreState::kLive);
  return Status::Ok();
}

Status StoreSet::Close() {
  {
    std::lock_guard lock(closer_mutex_);
    closer_stops_ = true;
  }
  closer_wakes_.notify_all();
  if (closer_.joinable()) closer_.join();
  std::lock_guard lock(appenders_mutex_);
  RETURN_IF_ERROR(failure_);
  for (StoreSlot* slot : open_stores_) {
    if (Status status = slot->store->Close(); !status.ok()) {
      failure_ = status;
      return status.Within("closing " + slot->store->path());
    }
  }
  open_stores_.clear();
  idle_appenders_.clear();
  return Status::Ok();
}

StoreSlot* StoreSet::AddSlot(std::shared_ptr<DataStore> store, StoreState state) {
  store->UseBudget(tables_);
  auto slot = std::make_unique<StoreSlot>();
  slot->store = std::move(store);
  slot->state = state;
  std::unique_lock lock(slots_mutex_);
  slots_.push_back(std::move(slot));
  StoreSlot* added = slots_.back().get();
  added->number = static_cast<uint32_t>(slots_.size());
  if (state == StoreState::kLive) numbers_[added->store->identity().id] = added->number;
  return added;
}

StoreSlot* StoreSet::slot(uint32_t number) const {
  std::shared_lock lock(slots_mutex_);
  CHECK(number >= 1 && number <= slots_.size());
  return slots_[number - 1].get();
}

StoreSlot* StoreSet::FindSlot(const DataStoreId& id) const {
  std::shared_lock lock(slots_mutex_);
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? nullptr : slots_[found->second - 1].get();
}

std::vector<StoreSlot*> StoreSet::AllSlots() const {
  std::shared_lock lock(slots_mutex_);
  std::vector<StoreSlot*> all;
  all.reserve(numbers_.size());
  for (const auto& slot : slots_) {
    if (slot->state == StoreState::kLive) all.push_back(slot.get());
  }
  return all;
}

std::string StoreSet::DataPath(const DataStoreId& id) const {
  const std::string name = ToHex(id.bytes);
  return parameters_.directory + "/data/" + name.substr(0, 2) + "/" + name + DataStore::kFileSuffix;
}

// --- appending ---

Status StoreSet::failure() const {
  std::lock_guard lock(appenders_mutex_);
  return failure_;
}

Status StoreSet::CanChange() const {
  if (parameters_.is_read_only)
    return Status(Code::kInvalid, "the storage group is attached for reading only");
  return failure();
}

Status StoreSet::Fail(const Status& status) {
  // No space is not a broken device: the file had its space reserved before, nothing written is in doubt.
  if (!status.ok() && status.code() != Code::kNoSpace) {
    std::lock_guard lock(appenders_mutex_);
    if (failure_.ok()) failure_ = status.Within("the storage group has stopped writing");
  }
  return status;
}

Result<StoreSlot*> StoreSet::TakeAppender() {
  uint32_t epoch;
  {
    std::shared_lock lock(keys_mutex_);
    epoch = keys_.active_epoch;
  }
  std::vector<StoreSlot*> unusable;
  StoreSlot* taken = nullptr;
  {
    std::lock_guard lock(appenders_mutex_);
    RETURN_IF_ERROR(failure_);
    while (!idle_appenders_.empty() && taken == nullptr) {
      StoreSlot* candidate = idle_appenders_.back();
      idle_appenders_.pop_back();
      // A chunk that is stored anew because it is damaged there needs another place than that data store.
      const bool is_usable = candidate->store->identity().key_epoch == epoch && !candidate->is_damaged;
      (is_usable ? taken : unusable.emplace_back()) = candidate;
    }
  }
  for (StoreSlot* slot : unusable) CloseInBackground(slot);
  if (taken != nullptr) return taken;
  return CreateStore();
}

Status StoreSet::EnsureDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, parameters_.files->Exists(path));
  if (exists) return Status::Ok();
  Status made = parameters_.files->MakeDirectory(path);
  if (!made.ok() && made.code() != Code::kExists) return made;
  return parameters_.files->SyncDirectory(DirectoryOf(path));
}

// What is alive in a data store has to fit beside it when it is emptied, also when ingest has filled the
// volume up to its floor: 2 % of it, of which the cleaner's copies take half (src/base/limits.ts).
uint64_t StoreSet::SizeTarget(uint64_t volume_bytes) const {
  return std::min(parameters_.size_target, std::max(kStoreSizeTargetMin, volume_bytes / kStoresOfVolume));
}

uint64_t StoreSet::VolumeBytes() const {
  auto free = parameters_.files->FreeSpace(parameters_.directory);
  if (!free.ok()) return UINT64_MAX;
  uint64_t bytes = *free + trash_bytes();
  for (const StoreSlot* slot : AllSlots()) bytes += slot->store->counts().file_bytes;
  return bytes;
}

Result<StoreSlot*> StoreSet::CreateStore() {
  // Held until the data store is in the set: behind SetDataKeys none appears under an earlier key, so that
  // one which no data store uses then may go.
  std::shared_lock keys_lock(keys_mutex_);
  DataStoreIdentity identity;
  identity.store_id = parameters_.store_id;
  identity.incarnation = parameters_.incarnation;
  FillRandom(identity.id.bytes);
  identity.key_epoch = keys_.active_epoch;
  const auto key = keys_.keys.find(identity.key_epoch);
  const std::string path = DataPath(identity.id);
  RETURN_IF_ERROR(Fail(EnsureDirectory(DirectoryOf(path))));
  auto created =
      DataStore::Create(parameters_.files, path, identity, key == keys_.keys.end() ? nullptr : &key->second);
  if (!created.ok()) return Fail(created.status());
  StoreSlot* slot = AddSlot(std::move(*created), StoreState::kLive);
  slot->is_resident = true;
  slot->size_target = SizeTarget(VolumeBytes());
  std::lock_guard lock(appenders_mutex_);
  open_stores_.push_back(slot);
  return slot;
}

void StoreSet::ReturnAppender(StoreSlot* slot) {
  // What is in it, not what its file has reserved.
  const DataStoreCounts counts = slot->store->counts();
  if (counts.stored_bytes + counts.blockmap_stored_bytes >= slot->size_target) {
    CloseInBackground(slot);
    return;
  }
  std::lock_guard lock(appenders_mutex_);
  idle_appenders_.push_back(slot);
}

void StoreSet::ReturnAppenderAfter(StoreSlot* slot, const Status& failure) {
  if (Fail(failure).code() == Code::kNoSpace) ReturnAppender(slot);
}

void StoreSet::AddChunk(const Fingerprint& fingerprint, StoreSlot* slot, ResidentIndex::Mode mode) {
  std::optional<ChunkPlace> place;
  if (mode == ResidentIndex::Mode::kReplace) {
    auto found = FindWhole(slot, fingerprint);
    if (!found.ok() || !found->has_value()) return;
    place = **found;
  }
  while (true) {
    {
      // Touched before the data store can be closed, and so before it can be condemned.
      std::shared_lock lock(condemn_mutex_);
      // A copy that is made known when it is durable may have been condemned since it was appended.
      if (place && (slot->state != StoreState::kLive || slot->hidden.IsHidden(place->chunk))) return;
      touches_.Touch(fingerprint);
      if (index_.Insert(fingerprint, slot->number, mode)) return;
    }
    if (ForgetOneStore(slot)) continue;
    // Nothing may be forgotten yet: this data store is found by its own table until the view has it.
    std::lock_guard lock(forget_mutex_);
    is_complete_ = false;
    slot->is_resident = false;
    return;
  }
}

Status StoreSet::Sync() {
  std::lock_guard sync_lock(sync_mutex_);
  std::vector<StoreSlot*> dirty;
  {
    std::lock_guard lock(appenders_mutex_);
    RETURN_IF_ERROR(failure_);
    for (StoreSlot* slot : open_stores_) {
      if (slot->is_dirty.exchange(false)) dirty.push_back(slot);
    }
  }
  for (StoreSlot* slot : dirty) {
    if (Status status = slot->store->Sync(); !status.ok()) {
      slot->is_dirty = true;
      return Fail(status);
    }
  }
  if (parameters_.files->IsInOrder()) CloseWaiting();
  return failure();
}

Status StoreSet::CloseStore(const DataStoreId& id) {
  RETURN_IF_ERROR(CanChange());
  StoreSlot* slot = FindSlot(id);
  if (slot == nullptr) return Status(Code::kNotFound, "no data store " + ToHex(id.bytes));
  if (slot->store->is_closed()) return Status::Ok();
  {
    std::lock_guard lock(appenders_mutex_);
    RETURN_IF_ERROR(failure_);
    if (std::erase(idle_appenders_, slot) == 0) {
      return Status(Code::kBusy, "the data store is being appended to");
    }
  }
  return CloseNow(slot);
}

void StoreSet::CloseInBackground(StoreSlot* slot) {
  std::lock_guard lock(closer_mutex_);
  closing_.push_back(slot);
  if (parameters_.files->IsInOrder()) return;  // the next Sync does it
  if (!closer_.joinable()) closer_ = std::thread([this] { CloserLoop(); });
  closer_wakes_.notify_one();
}

void StoreSet::CloserLoop() {
  while (true) {
    StoreSlot* slot;
    {
      std::unique_lock lock(closer_mutex_);
      closer_wakes_.wait(lock, [this] { return closer_stops_ || !closing_.empty(); });
      if (closer_stops_) return;
      slot = closing_.front();
      closing_.pop_front();
    }
    (void)CloseNow(slot);  // what it means is noted there
  }
}

// Of a disk whose operations are in the order of the calls.
void StoreSet::CloseWaiting() {
  for (; !closing_.empty(); closing_.pop_front()) (void)CloseNow(closing_.front());
}

Status StoreSet::CloseNow(StoreSlot* slot) {
  const Status status = slot->store->Close();
  std::lock_guard lock(appenders_mutex_);
  if (status.ok()) {
    std::erase(open_stores_, slot);
  } else if (status.code() != Code::kNoSpace && failure_.ok()) {
    failure_ = status.Within("the storage group has stopped writing");
  }
  return status;
}

}  // namespace granary
