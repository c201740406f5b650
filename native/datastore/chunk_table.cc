#include "datastore/chunk_table.h"

#include <algorithm>

namespace granary {

static constexpr size_t kSlotCountMin = 64;

void ChunkTable::Reserve(size_t record_count, size_t chunk_count) {
  records_.reserve(record_count);
  chunks_.reserve(chunk_count);
  Rehash(chunk_count * 5 / 4 + 1);
}

void ChunkTable::Add(uint64_t offset, const RecordHeader& header, std::span<const TableRow> rows) {
  Add({offset, header.ordinal, static_cast<uint32_t>(header.RecordSize()), header.plain_size, 0, 0,
       header.type},
      rows);
}

void ChunkTable::Add(Record record, std::span<const TableRow> rows) {
  record.first_chunk = static_cast<uint32_t>(chunks_.size());
  record.chunk_count = static_cast<uint32_t>(rows.size());
  records_.push_back(record);
  if ((chunks_.size() + rows.size()) * 5 > slots_.size() * 4) {
    Rehash(std::max(kSlotCountMin, (chunks_.size() + rows.size()) * 5 / 2));
  }
  for (const TableRow& row : rows) {
    chunks_.push_back(row);
    uint32_t& slot = slots_[SlotOf(row.fingerprint)];
    if (slot != 0) earlier_[static_cast<uint32_t>(chunks_.size()) - 1] = slot - 1;
    slot = static_cast<uint32_t>(chunks_.size());
  }
  ++counts_.record_count;
  counts_.chunk_count += rows.size();
  const bool is_region = record.type == RecordType::kRegion;
  (is_region ? counts_.plain_bytes : counts_.blockmap_plain_bytes) += record.plain_size;
  (is_region ? counts_.stored_bytes : counts_.blockmap_stored_bytes) += record.size;
}

std::optional<ChunkPlace> ChunkTable::Find(const Fingerprint& fingerprint) const {
  if (slots_.empty()) return std::nullopt;
  const uint32_t slot = slots_[SlotOf(fingerprint)];
  if (slot == 0) return std::nullopt;
  return PlaceOf(slot - 1);
}

std::optional<ChunkPlace> ChunkTable::FindEarlier(uint32_t chunk) const {
  const auto found = earlier_.find(chunk);
  if (found == earlier_.end()) return std::nullopt;
  return PlaceOf(found->second);
}

size_t ChunkTable::RecordOf(size_t chunk) const {
  if (chunk >= chunks_.size()) return records_.size();
  const auto behind =
      std::upper_bound(records_.begin(), records_.end(), chunk,
                       [](size_t wanted, const Record& record) { return wanted < record.first_chunk; });
  return static_cast<size_t>(behind - records_.begin()) - 1;
}

ChunkPlace ChunkTable::PlaceOf(size_t chunk) const {
  const Record& record = records_[RecordOf(chunk)];
  uint32_t plain_offset = 0;
  for (size_t before = record.first_chunk; before < chunk; ++before) plain_offset += chunks_[before].length;
  return {record.offset,         record.size, plain_offset,
          chunks_[chunk].length, record.type, static_cast<uint32_t>(chunk)};
}

size_t ChunkTable::SlotOf(const Fingerprint& fingerprint) const {
  // A fingerprint is uniform already; its top bits choose the slot without a division.
  const auto hash = static_cast<unsigned __int128>(FingerprintHash()(fingerprint));
  auto slot = static_cast<size_t>(hash * slots_.size() >> 64);
  while (slots_[slot] != 0 && chunks_[slots_[slot] - 1].fingerprint != fingerprint) {
    if (++slot == slots_.size()) slot = 0;
  }
  return slot;
}

void ChunkTable::Rehash(size_t slot_count) {
  slots_.assign(slot_count, 0);
  for (size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    uint32_t& slot = slots_[SlotOf(chunks_[chunk].fingerprint)];
    slot = static_cast<uint32_t>(chunk + 1);
  }
}

uint64_t ChunkTable::memory_bytes() const {
  return records_.capacity() * sizeof(Record) + chunks_.capacity() * sizeof(TableRow) +
         slots_.capacity() * sizeof(uint32_t);
}

}  // namespace granary
