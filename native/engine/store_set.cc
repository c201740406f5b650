#include "engine/store_set.h"

#include <algorithm>

namespace granary {

StoreSet::StoreSet(const Parameters& parameters, DataKeys keys)
    : parameters_(parameters), index_(parameters.resident_bytes_max), keys_(std::move(keys)) {}

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
  AddSlot(std::move(*opened), path);
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
      return status.Within("closing " + slot->path);
    }
  }
  open_stores_.clear();
  idle_appenders_.clear();
  return Status::Ok();
}

StoreSlot* StoreSet::AddSlot(std::shared_ptr<DataStore> store, const std::string& path) {
  auto slot = std::make_unique<StoreSlot>();
  slot->store = std::move(store);
  slot->path = path;
  std::unique_lock lock(slots_mutex_);
  slots_.push_back(std::move(slot));
  StoreSlot* added = slots_.back().get();
  added->number = static_cast<uint32_t>(slots_.size());
  numbers_[added->store->identity().id] = added->number;
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
  all.reserve(slots_.size());
  for (const auto& slot : slots_) all.push_back(slot.get());
  return all;
}

// --- look-up ---

void StoreSet::LookUpAndPin(std::span<const Fingerprint> fingerprints, PinSet* pins,
                            std::span<uint32_t> out) {
  index_.FindMany(fingerprints, out);
  uint32_t last = ResidentIndex::kAbsent;
  for (uint32_t number : out) {
    // Neighbours mostly lie in one data store: the set is asked only when the number changes.
    if (number == ResidentIndex::kAbsent || number == last) continue;
    last = number;
    StoreSlot* hit = slot(number);
    hit->last_hit.store(hit_clock_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
    if (pins->insert(number).second) hit->pin_count.fetch_add(1);
  }
}

uint32_t StoreSet::PinById(const DataStoreId& id, PinSet* pins) {
  StoreSlot* hit = FindSlot(id);
  if (hit == nullptr) return ResidentIndex::kAbsent;
  if (pins->insert(hit->number).second) hit->pin_count.fetch_add(1);
  return hit->number;
}

void StoreSet::Unpin(const PinSet& pins) {
  for (uint32_t number : pins) {
    const uint32_t before = slot(number)->pin_count.fetch_sub(1);
    CHECK(before > 0);
  }
}

StoreSlot* StoreSet::Locate(const Fingerprint& fingerprint) {
  if (const uint32_t number = index_.Find(fingerprint); number != ResidentIndex::kAbsent) return slot(number);
  if (IsComplete()) return nullptr;
  for (StoreSlot* candidate : AllSlots()) {
    if (candidate->is_in_view || candidate->is_resident) continue;
    auto found = candidate->store->Find(fingerprint);
    if (found.ok() && found->has_value()) return candidate;
  }
  return nullptr;
}

// --- appending ---

Status StoreSet::failure() const {
  std::lock_guard lock(appenders_mutex_);
  return failure_;
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
  std::vector<StoreSlot*> outdated;
  StoreSlot* taken = nullptr;
  {
    std::lock_guard lock(appenders_mutex_);
    RETURN_IF_ERROR(failure_);
    while (!idle_appenders_.empty() && taken == nullptr) {
      StoreSlot* candidate = idle_appenders_.back();
      idle_appenders_.pop_back();
      (candidate->store->identity().key_epoch == epoch ? taken : outdated.emplace_back()) = candidate;
    }
  }
  for (StoreSlot* slot : outdated) CloseInBackground(slot);
  if (taken != nullptr) return taken;
  return CreateStore();
}

Status StoreSet::EnsureDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, parameters_.files->Exists(path));
  if (exists) return Status::Ok();
  Status made = parameters_.files->MakeDirectory(path);
  if (!made.ok() && made.code() != Code::kExists) return made;
  return parameters_.files->SyncDirectory(parameters_.directory + "/data");
}

Result<StoreSlot*> StoreSet::CreateStore() {
  DataStoreIdentity identity;
  identity.store_id = parameters_.store_id;
  identity.incarnation = parameters_.incarnation;
  FillRandom(identity.id.bytes);
  {
    std::shared_lock lock(keys_mutex_);
    identity.key_epoch = keys_.active_epoch;
  }
  const std::string name = ToHex(identity.id.bytes);
  const std::string shelf = parameters_.directory + "/data/" + name.substr(0, 2);
  RETURN_IF_ERROR(Fail(EnsureDirectory(shelf)));
  const std::string path = shelf + "/" + name + DataStore::kFileSuffix;
  const Key* key = identity.key_epoch == 0 ? nullptr : KeyOfEpoch(identity.key_epoch);
  auto created = DataStore::Create(parameters_.files, path, identity, key);
  if (!created.ok()) return Fail(created.status());
  StoreSlot* slot = AddSlot(std::move(*created), path);
  slot->is_resident = true;
  std::lock_guard lock(appenders_mutex_);
  open_stores_.push_back(slot);
  return slot;
}

void StoreSet::ReturnAppender(StoreSlot* slot) {
  if (slot->store->counts().file_bytes >= parameters_.size_target) {
    CloseInBackground(slot);
    return;
  }
  std::lock_guard lock(appenders_mutex_);
  idle_appenders_.push_back(slot);
}

void StoreSet::ReturnAppenderAfter(StoreSlot* slot, const Status& failure) {
  if (Fail(failure).code() == Code::kNoSpace) ReturnAppender(slot);
}

void StoreSet::AddChunk(const Fingerprint& fingerprint, StoreSlot* slot) {
  slot->is_dirty.store(true, std::memory_order_release);
  while (!index_.Insert(fingerprint, slot->number)) {
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
    CloseNow(slot);
  }
}

void StoreSet::CloseWaiting() {
  for (; !closing_.empty(); closing_.pop_front()) CloseNow(closing_.front());
}

void StoreSet::CloseNow(StoreSlot* slot) {
  const Status status = slot->store->Close();
  std::lock_guard lock(appenders_mutex_);
  if (status.ok()) {
    std::erase(open_stores_, slot);
  } else if (status.code() != Code::kNoSpace && failure_.ok()) {
    failure_ = status.Within("the storage group has stopped writing");
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

Status StoreSet::MakeResident(StoreSlot* slot) {
  if (slot->is_resident) return Status::Ok();
  bool is_full = false;
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace&) {
    while (!is_full && !index_.Insert(fingerprint, slot->number)) is_full = !ForgetOneStore(slot);
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
  std::lock_guard lock(forget_mutex_);
  all = AllSlots();
  if (std::all_of(all.begin(), all.end(), [](const StoreSlot* slot) { return slot->is_resident.load(); })) {
    is_complete_ = true;
  }
  return left;
}

void StoreSet::MarkInView(const DataStoreId& id) {
  if (StoreSlot* slot = FindSlot(id); slot != nullptr && slot->store->is_closed()) slot->is_in_view = true;
}

}  // namespace granary
