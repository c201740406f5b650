#include "engine/record_reader.h"

#include <algorithm>

namespace granary {

// --- region cache ---

RegionCache::Region RegionCache::Get(uint32_t store, uint64_t offset) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find({store, offset});
  if (found == entries_.end()) return {};
  order_.splice(order_.begin(), order_, found->second);
  return found->second->second;
}

void RegionCache::Put(uint32_t store, uint64_t offset, Region region) {
  std::lock_guard lock(mutex_);
  const Key key{store, offset};
  if (entries_.contains(key) || region.size > bytes_max_) return;
  bytes_ += region.size;
  order_.emplace_front(key, std::move(region));
  entries_[key] = order_.begin();
  while (bytes_ > bytes_max_) {
    bytes_ -= order_.back().second.size;
    entries_.erase(order_.back().first);
    order_.pop_back();
  }
}

void RegionCache::DropStore(uint32_t store) {
  std::lock_guard lock(mutex_);
  for (auto entry = order_.begin(); entry != order_.end();) {
    if (entry->first.store != store) {
      ++entry;
      continue;
    }
    bytes_ -= entry->second.size;
    entries_.erase(entry->first);
    entry = order_.erase(entry);
  }
}

// --- reading ---

namespace {

// Records that lie this close together are fetched by one read.
constexpr uint64_t kReadGapMax = 64 * 1024;
constexpr uint64_t kReadSizeMax = 4 * 1024 * 1024;

Status CorruptChunk(const Fingerprint& fingerprint, const std::string& what) {
  return Status(Code::kCorrupt, "chunk " + ToHex(fingerprint.bytes).substr(0, 16) + ": " + what);
}

}  // namespace

struct RecordReader::Wanted {
  StoreSlot* slot = nullptr;
  ChunkPlace place;
  uint64_t out_offset = 0;
  Fingerprint fingerprint;
};

Result<bool> RecordReader::Place(Row* row, Wanted* wanted) {
  wanted->slot = stores_->Locate(row->fingerprint);
  if (wanted->slot == nullptr) return false;
  auto found = stores_->FindWhole(wanted->slot, row->fingerprint);
  if (!found.ok()) return found.status().Within("data store " + wanted->slot->store->path());
  if (!found->has_value()) return false;
  wanted->place = **found;
  wanted->fingerprint = row->fingerprint;
  if (wanted->place.length != row->length) {
    return CorruptChunk(row->fingerprint, "the blockmap says " + std::to_string(row->length) +
                                              " bytes, its record " + std::to_string(wanted->place.length));
  }
  return true;
}

Result<RecordReader::ReadReport> RecordReader::ReadChunks(Row* rows, size_t row_count, Bytes out) {
  std::vector<Wanted> wanted(row_count);
  auto report = ReadPlaced(rows, row_count, out, &wanted);
  if (report.ok()) return report;
  // A data store that was reclaimed meanwhile: its chunks have other places since long.
  const bool has_gone = std::any_of(wanted.begin(), wanted.end(), [](const Wanted& want) {
    return want.slot != nullptr && want.slot->state == StoreState::kGone;
  });
  return has_gone ? ReadPlaced(rows, row_count, out, &wanted) : report;
}

Result<RecordReader::ReadReport> RecordReader::ReadPlaced(Row* rows, size_t row_count, Bytes out,
                                                          std::vector<Wanted>* placed) {
  std::vector<Wanted>& wanted = *placed;
  ReadReport report;
  for (size_t index = 0; index < row_count; ++index) {
    CHECK(report.bytes + rows[index].length <= out.size());
    ASSIGN_OR_RETURN(const bool is_placed, Place(&rows[index], &wanted[index]));
    if (!is_placed) {
      rows[index].state = RowState::kUnknown;
      ++report.unresolved_count;
    }
    wanted[index].out_offset = report.bytes;
    report.bytes += rows[index].length;
  }
  if (report.unresolved_count > 0) return report;
  std::stable_sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return a.slot != b.slot ? a.slot->number < b.slot->number : a.place.record_offset < b.place.record_offset;
  });
  for (size_t first = 0; first < wanted.size();) {
    const uint64_t start = wanted[first].place.record_offset;
    uint64_t end = start + wanted[first].place.record_size;
    size_t last = first + 1;
    while (last < wanted.size() && wanted[last].slot == wanted[first].slot) {
      const ChunkPlace& next = wanted[last].place;
      if (next.record_offset > end + kReadGapMax ||
          next.record_offset + next.record_size > start + kReadSizeMax)
        break;
      end = std::max(end, next.record_offset + next.record_size);
      ++last;
    }
    RETURN_IF_ERROR(ReadGroup({wanted.data() + first, last - first}, out));
    first = last;
  }
  RETURN_IF_ERROR(VerifyChunks(rows, row_count, out.first(report.bytes)));
  return report;
}

// All of one data store, sorted by record. Reads the span of records that are not in the cache, then takes
// each apart.
Status RecordReader::ReadGroup(std::span<Wanted> group, Bytes out) {
  thread_local BlockBuffer memory;
  ConstBytes bytes;
  const uint64_t start = group.front().place.record_offset;
  const uint64_t end = group.back().place.record_offset + group.back().place.record_size;
  for (size_t first = 0; first < group.size();) {
    size_t last = first + 1;
    const ChunkPlace& place = group[first].place;
    while (last < group.size() && group[last].place.record_offset == place.record_offset) ++last;
    const std::span<Wanted> same = group.subspan(first, last - first);
    first = last;
    if (const auto region = cache_.Get(same[0].slot->number, place.record_offset); region.memory != nullptr) {
      for (const Wanted& want : same) {
        std::memcpy(out.data() + want.out_offset, region.memory.get() + want.place.plain_offset,
                    want.place.length);
      }
      continue;
    }
    if (bytes.empty()) {
      DataStore* store = same[0].slot->store.get();
      auto read = store->Read(start, end - start, &memory);
      if (!read.ok()) return read.status().Within("data store " + store->path());
      bytes = *read;
    }
    RETURN_IF_ERROR(DecodeInto(same, bytes.subspan(place.record_offset - start, place.record_size), out));
  }
  return Status::Ok();
}

Status RecordReader::DecodeInto(std::span<Wanted> wanted, ConstBytes record_bytes, Bytes out) {
  thread_local Buffer scratch;
  StoreSlot* slot = wanted[0].slot;
  DecodedRecord record;
  const Status status = DecodeRecord(slot->store->place(), record_bytes, &scratch, &record);
  if (!status.ok())
    return CorruptChunk(wanted[0].fingerprint, status.message() + " in " + slot->store->path());
  // The usual case of a restore: the whole region is wanted, in its own order. Then it is decompressed where
  // it belongs.
  uint64_t wanted_size = 0;
  bool is_in_order = true;
  for (const Wanted& want : wanted) {
    is_in_order = is_in_order && want.place.plain_offset == wanted_size &&
                  want.out_offset == wanted[0].out_offset + wanted_size;
    wanted_size += want.place.length;
  }
  if (is_in_order && wanted_size == record.header.plain_size) {
    const Status plain =
        Decompress(record.header.codec, record.payload, out.subspan(wanted[0].out_offset, wanted_size));
    return plain.ok() ? plain
                      : CorruptChunk(wanted[0].fingerprint, plain.message() + " in " + slot->store->path());
  }
  const size_t size = record.header.plain_size;
  RegionCache::Region region{std::make_shared_for_overwrite<uint8_t[]>(size), size};
  const Status plain = Decompress(record.header.codec, record.payload, region.bytes());
  if (!plain.ok()) return CorruptChunk(wanted[0].fingerprint, plain.message() + " in " + slot->store->path());
  for (const Wanted& want : wanted) {
    if (static_cast<uint64_t>(want.place.plain_offset) + want.place.length > size) {
      return CorruptChunk(want.fingerprint,
                          "the trailer's place is outside of the record in " + slot->store->path());
    }
    std::memcpy(out.data() + want.out_offset, region.memory.get() + want.place.plain_offset,
                want.place.length);
  }
  cache_.Put(slot->number, wanted[0].place.record_offset, std::move(region));
  return Status::Ok();
}

Status RecordReader::VerifyChunks(const Row* rows, size_t row_count, ConstBytes bytes) {
  thread_local std::vector<uint32_t> cuts;
  thread_local std::vector<Fingerprint> found;
  cuts.clear();
  uint32_t end = 0;
  for (size_t index = 0; index < row_count; ++index) cuts.push_back(end += rows[index].length);
  found.resize(row_count);
  fingerprinter_->HashChunks(bytes, cuts, found);
  for (size_t index = 0; index < row_count; ++index) {
    if (found[index] != rows[index].fingerprint) {
      return CorruptChunk(rows[index].fingerprint, "the stored bytes have another fingerprint");
    }
  }
  return Status::Ok();
}

Result<Buffer> RecordReader::ReadNode(const NodeRow& node, Fingerprint* unresolved) {
  if (node.size > kNodeSizeMax) return CorruptChunk(node.fingerprint, "a blockmap node cannot be so long");
  Buffer bytes(node.size);
  Row row{node.fingerprint, node.size, RowState::kKnown};
  ASSIGN_OR_RETURN(const ReadReport report, ReadChunks(&row, 1, bytes));
  if (report.unresolved_count > 0) {
    *unresolved = node.fingerprint;
    return Status(Code::kUnavailable, "a blockmap node's place is not resident");
  }
  return bytes;
}

Result<BlockmapReader::Range> RecordReader::ReadRows(const BlockmapRoot& root, uint64_t offset,
                                                     uint64_t length, size_t row_count_max,
                                                     uint64_t covered_max, std::vector<NodeRow>* rows,
                                                     Fingerprint* unresolved) {
  const auto source = [&](const NodeRow& node) { return ReadNode(node, unresolved); };
  return BlockmapReader::Read(root, offset, length, row_count_max, covered_max, source, rows);
}

}  // namespace granary
