#include "engine/cleaner.h"

namespace granary {

Result<StoreSlot*> Cleaner::FindSlot(const DataStoreId& id) const {
  StoreSlot* slot = stages_.stores->FindSlot(id);
  if (slot == nullptr) return Status(Code::kNotFound, "no data store " + ToHex(id.bytes));
  return slot;
}

Status Cleaner::CanWrite() const {
  if (is_read_only_) return Status(Code::kInvalid, "the storage group is attached for reading only");
  return stages_.stores->failure();
}

// --- mark 1 ---

uint32_t Cleaner::OpenMark() {
  uint64_t chunk_count = 0;
  for (const StoreSlot* slot : stages_.stores->AllSlots()) chunk_count += slot->store->counts().chunk_count;
  auto mark = std::make_shared<LiveMark>(chunk_count, stages_.stores->epoch());
  std::lock_guard lock(mutex_);
  marks_[next_] = std::move(mark);
  return next_++;
}

Result<std::shared_ptr<LiveMark>> Cleaner::FindMark(uint32_t number) {
  std::lock_guard lock(mutex_);
  const auto found = marks_.find(number);
  if (found != marks_.end()) return found->second;
  return Status(Code::kInvalid, "mark " + std::to_string(number) + " is not open");
}

Result<LiveMark::Report> Cleaner::MarkRoots(uint32_t number, std::span<const BlockmapRoot> roots) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LiveMark> mark, FindMark(number));
  return mark->MarkRoots(stages_.reader, roots);
}

Result<StoreSurvey> Cleaner::Survey(uint32_t number, const DataStoreId& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LiveMark> mark, FindMark(number));
  return stages_.stores->Survey(id, mark->live());
}

Result<StoreSurvey> Cleaner::Condemn(uint32_t number, const DataStoreId& id, Bytes bits) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LiveMark> mark, FindMark(number));
  return stages_.stores->Condemn(id, mark->live(), mark->epoch(), bits);
}

void Cleaner::CloseMark(uint32_t mark) {
  std::lock_guard lock(mutex_);
  marks_.erase(mark);
}

// --- mark 2 ---

Result<uint32_t> Cleaner::OpenProbe(std::span<const DataStoreId> ids) {
  auto probe = std::make_shared<ReferenceProbe>(stages_.stores, stages_.fingerprinter);
  for (const DataStoreId& id : ids) {
    ASSIGN_OR_RETURN(StoreSlot * slot, FindSlot(id));
    RETURN_IF_ERROR(probe->AddDead(slot));
  }
  std::lock_guard lock(mutex_);
  probes_[next_] = std::move(probe);
  return next_++;
}

Result<std::shared_ptr<ReferenceProbe>> Cleaner::FindProbe(uint32_t number) {
  std::lock_guard lock(mutex_);
  const auto found = probes_.find(number);
  if (found != probes_.end()) return found->second;
  return Status(Code::kInvalid, "probe " + std::to_string(number) + " is not open");
}

Status Cleaner::ProbeRoots(uint32_t number, std::span<const BlockmapRoot> roots) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ReferenceProbe> probe, FindProbe(number));
  return probe->AddRoots(roots);
}

Result<ReferenceProbe::Report> Cleaner::ProbeStore(uint32_t number, const DataStoreId& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ReferenceProbe> probe, FindProbe(number));
  ASSIGN_OR_RETURN(StoreSlot * slot, FindSlot(id));
  RETURN_IF_ERROR(probe->Scan(slot));
  return probe->MakeReport();
}

Result<ReferenceProbe::Report> Cleaner::ReportProbe(uint32_t number) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ReferenceProbe> probe, FindProbe(number));
  return probe->MakeReport();
}

void Cleaner::CloseProbe(uint32_t probe) {
  std::lock_guard lock(mutex_);
  probes_.erase(probe);
}

// --- what is left of a data store ---

Result<CopyReport> Cleaner::Copy(const DataStoreId& id, uint64_t from, uint64_t bytes_max) {
  RETURN_IF_ERROR(CanWrite());
  ASSIGN_OR_RETURN(StoreSlot * slot, FindSlot(id));
  if (!slot->store->is_closed()) return Status(Code::kBusy, "the data store is not closed");
  return CopyForward(stages_.stores, stages_.writer, stages_.fingerprinter, slot).Run(from, bytes_max);
}

Status Cleaner::Trash(const DataStoreId& id) {
  const StoreSlot* slot = stages_.stores->FindSlot(id);
  RETURN_IF_ERROR(stages_.stores->TrashStore(id));
  if (slot != nullptr) stages_.reader->DropStore(slot->number);
  return Status::Ok();
}

// --- scrub ---

Result<VerifyReport> Cleaner::Scrub(const DataStoreId& id, uint64_t from, uint64_t bytes_max) {
  ASSIGN_OR_RETURN(StoreSlot * slot, FindSlot(id));
  return VerifyStore(slot, *stages_.fingerprinter, from, bytes_max);
}

Result<uint64_t> Cleaner::Admit(std::span<const Row> rows, ConstBytes bytes) {
  RETURN_IF_ERROR(CanWrite());
  return AdmitChunks(stages_.writer, *stages_.fingerprinter, rows, bytes);
}

}  // namespace granary
