#include "engine/reference_probe.h"

#include <algorithm>

namespace granary {

ReferenceProbe::Prefix ReferenceProbe::PrefixOf(const Fingerprint& fingerprint) {
  Prefix prefix;
  std::copy_n(fingerprint.bytes.begin(), prefix.size(), prefix.begin());
  return prefix;
}

Status ReferenceProbe::AddDead(StoreSlot* slot) {
  std::lock_guard lock(mutex_);
  is_sorted_ = false;
  const bool was_in_memory = slot->store->is_in_memory();
  const Status status =
      slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
        if (stores_->IsHidden(slot, HiddenReason::kDead, place.chunk)) dead_.push_back(PrefixOf(fingerprint));
      });
  if (!was_in_memory) slot->store->DropMemory();
  return status;
}

void ReferenceProbe::Test(const Fingerprint& fingerprint) {
  if (std::binary_search(dead_.begin(), dead_.end(), PrefixOf(fingerprint))) referenced_.insert(fingerprint);
}

void ReferenceProbe::Want(const Fingerprint& fingerprint, uint32_t level) {
  Test(fingerprint);
  if (!met_.Contains(fingerprint)) missing_.emplace(fingerprint, level);
}

Status ReferenceProbe::AddRoots(std::span<const BlockmapRoot> roots) {
  std::lock_guard lock(mutex_);
  if (!is_sorted_) std::sort(dead_.begin(), dead_.end());
  is_sorted_ = true;
  for (const BlockmapRoot& root : roots) {
    if (root.depth == 0 || root.depth > kBlockmapDepthMax) {
      return Status(Code::kCorrupt, "a blockmap of " + std::to_string(root.depth) + " levels");
    }
    Want(root.fingerprint, root.depth - 1);
  }
  return Status::Ok();
}

Status ReferenceProbe::Scan(StoreSlot* slot) {
  std::lock_guard lock(mutex_);
  // What was appended and is still in the writer's buffers is found like the rest.
  if (!slot->store->is_closed()) RETURN_IF_ERROR(slot->store->Sync());
  const bool was_in_memory = slot->store->is_in_memory();
  // Children mostly lie before their parents in the same data store: once round for each level.
  uint64_t found_count = 0;
  Status status;
  do {
    found_count = 0;
    status = ScanOnce(slot, &found_count);
  } while (status.ok() && found_count > 0 && !missing_.empty());
  if (!was_in_memory) slot->store->DropMemory();
  return status;
}

Status ReferenceProbe::ScanOnce(StoreSlot* slot, uint64_t* found_count) {
  Status status;
  RETURN_IF_ERROR(slot->store->ForEachRecord(0, [&](const RecordRows& record) {
    // Mostly records of blockmaps; a node whose bytes a file happens to hold as a chunk lies among the
    // others.
    const bool has_missing = std::any_of(record.rows.begin(), record.rows.end(), [&](const TableRow& row) {
      return missing_.contains(row.fingerprint);
    });
    if (!has_missing) return !missing_.empty();
    auto taken = TakeNodes(slot, record);
    if (taken.ok()) *found_count += *taken;
    // A record that is damaged may have another copy of its nodes: they stay missing.
    if (!taken.ok() && taken.status().code() != Code::kCorrupt) status = taken.status();
    return status.ok();
  }));
  return status;
}

Result<uint64_t> ReferenceProbe::TakeNodes(StoreSlot* slot, const RecordRows& record) {
  BlockBuffer memory;
  Buffer scratch;
  ASSIGN_OR_RETURN(const ConstBytes bytes, slot->store->Read(record.offset, record.size, &memory));
  DecodedRecord decoded;
  RETURN_IF_ERROR(DecodeRecord(slot->store->place(), bytes, &scratch, &decoded));
  Buffer plain(decoded.header.plain_size);
  RETURN_IF_ERROR(Decompress(decoded.header.codec, decoded.payload, plain));
  uint64_t count = 0;
  uint64_t position = 0;
  for (const TableRow& row : decoded.table) {
    if (position + row.length > plain.size()) return Status(Code::kCorrupt, "a table longer than its record");
    if (TakeNode(row.fingerprint, ConstBytes(plain).subspan(position, row.length))) ++count;
    position += row.length;
  }
  return count;
}

bool ReferenceProbe::TakeNode(const Fingerprint& fingerprint, ConstBytes bytes) {
  const auto wanted = missing_.find(fingerprint);
  if (wanted == missing_.end() || fingerprinter_->Hash(bytes) != fingerprint) return false;
  const uint32_t level = wanted->second;
  std::vector<NodeRow> rows;
  if (!DecodeNode(bytes, level, &rows).ok()) return false;  // stays missing, and stops the cleaner
  missing_.erase(wanted);
  met_.Insert(fingerprint);
  for (const NodeRow& row : rows) {
    if (level > 0)
      Want(row.fingerprint, level - 1);
    else
      Test(row.fingerprint);
  }
  return true;
}

ReferenceProbe::Report ReferenceProbe::MakeReport() {
  std::lock_guard lock(mutex_);
  std::vector<Fingerprint> open;
  for (const Fingerprint& fingerprint : referenced_) {
    if (!copied_.contains(fingerprint)) open.push_back(fingerprint);
  }
  std::vector<uint32_t> copies(open.size());
  stores_->FindCopies(open, nullptr, copies);
  Report report;
  for (size_t index = 0; index < open.size(); ++index) {
    if (copies[index] != ResidentIndex::kAbsent) {
      copied_.insert(open[index]);
      continue;
    }
    ++report.hit_count;
    if (report.hits.size() < kHitsReportedMax) report.hits.push_back(open[index]);
  }
  report.missing_count = missing_.size();
  report.node_count = met_.size();
  return report;
}

}  // namespace granary
