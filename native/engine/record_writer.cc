#include "engine/record_writer.h"

#include <algorithm>

namespace granary {
namespace {

// Per thread: codec contexts and buffers of a region's size.
struct Scratch {
  Compressor compressor;
  Buffer plain;    // a region whose chunks do not lie side by side
  Buffer decoded;  // for the comparison
  Buffer encoded;
  Buffer unsealed;
  std::vector<TableRow> table;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

// The region's bytes: in place when the chunks lie one behind the other, else gathered.
ConstBytes RegionBytes(std::span<const WriteChunk> chunks, Buffer* gathered) {
  size_t size = 0;
  bool is_contiguous = true;
  for (const WriteChunk& chunk : chunks) {
    is_contiguous = is_contiguous && chunk.bytes.data() == chunks[0].bytes.data() + size;
    size += chunk.bytes.size();
  }
  if (is_contiguous) return ConstBytes(chunks[0].bytes.data(), size);
  gathered->clear();
  for (const WriteChunk& chunk : chunks)
    gathered->insert(gathered->end(), chunk.bytes.begin(), chunk.bytes.end());
  return *gathered;
}

bool SameTable(const std::vector<TableRow>& a, const std::vector<TableRow>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TableRow& x, const TableRow& y) {
    return x.fingerprint == y.fingerprint && x.length == y.length;
  });
}

// Encodes the region with what the compressor made of it, and reads the record back as a restore would.
bool EncodeAndCompare(const RecordPlace& place, RecordHeader* header, const Compressor::Encoded& payload,
                      ConstBytes plain, Scratch* scratch) {
  header->codec = payload.codec;
  header->stored_size = static_cast<uint32_t>(payload.bytes.size());
  EncodeRecord(place, *header, scratch->table, payload.bytes, &scratch->encoded);
  DecodedRecord record;
  if (!DecodeRecord(place, scratch->encoded, &scratch->unsealed, &record).ok()) return false;
  if (!SameTable(record.table, scratch->table)) return false;
  scratch->decoded.resize(plain.size());
  if (!Decompress(record.header.codec, record.payload, scratch->decoded).ok()) return false;
  return std::memcmp(scratch->decoded.data(), plain.data(), plain.size()) == 0;
}

size_t RegionLength(std::span<const WriteChunk> chunks) {
  size_t count = 0;
  size_t size = 0;
  while (count < chunks.size() && count < kRecordChunkCountMax) {
    size += chunks[count].bytes.size();
    if (count > 0 && size > kRegionSizeTarget) break;
    ++count;
  }
  return count;
}

}  // namespace

Result<uint64_t> RecordWriter::WriteRegion(StoreSlot* slot, RecordType type,
                                           std::span<const WriteChunk> chunks, Placed* placed) {
  Scratch& scratch = ThreadScratch();
  const ConstBytes plain = RegionBytes(chunks, &scratch.plain);
  scratch.table.clear();
  for (const WriteChunk& chunk : chunks) {
    scratch.table.push_back({chunk.fingerprint, static_cast<uint32_t>(chunk.bytes.size())});
  }
  const RecordPlace place = slot->store->place();
  RecordHeader header;
  header.type = type;
  header.is_sealed = place.key != nullptr;
  header.key_epoch = slot->store->identity().key_epoch;
  header.chunk_count = static_cast<uint32_t>(chunks.size());
  header.plain_size = static_cast<uint32_t>(plain.size());
  header.ordinal = slot->store->TakeOrdinal();
  if (!EncodeAndCompare(place, &header, scratch.compressor.Compress(mode_, plain), plain, &scratch)) {
    // A codec that does not give back what it was given (it has happened to others): the bytes go in as they
    // are, under an ordinal of their own, since one nonce seals one text.
    mismatch_count_.fetch_add(1);
    header.ordinal = slot->store->TakeOrdinal();
    if (!EncodeAndCompare(place, &header, {Codec::kNone, plain}, plain, &scratch)) {
      return Status(Code::kIo,
                    "an encoded record does not decode to what was encoded: memory or processor at fault");
    }
  }
  RETURN_IF_ERROR(slot->store->Append(header, scratch.table, scratch.encoded));
  slot->is_dirty.store(true, std::memory_order_release);
  for (const WriteChunk& chunk : chunks) {
    if (placed != nullptr) {
      placed->emplace_back(chunk.fingerprint, slot);
    } else {
      stores_->AddChunk(chunk.fingerprint, slot, ResidentIndex::Mode::kKeep);
    }
  }
  return static_cast<uint64_t>(scratch.encoded.size());
}

Result<RecordWriter::Written> RecordWriter::Write(RecordType type, std::span<const WriteChunk> chunks,
                                                  Placed* placed) {
  Written written;
  while (!chunks.empty()) {
    ASSIGN_OR_RETURN(StoreSlot * slot, stores_->TakeAppender());
    // A few regions at a time, so that a full data store is left within a few megabytes of its target.
    for (int count = 0; count < 8 && !chunks.empty(); ++count) {
      const size_t length = RegionLength(chunks);
      auto stored = WriteRegion(slot, type, chunks.first(length), placed);
      if (!stored.ok()) {
        stores_->ReturnAppenderAfter(slot, stored.status());
        return stored.status();
      }
      for (const WriteChunk& chunk : chunks.first(length)) written.plain_bytes += chunk.bytes.size();
      written.stored_bytes += *stored;
      chunks = chunks.subspan(length);
    }
    stores_->ReturnAppender(slot);
  }
  return written;
}

Status RecordWriter::Publish(const Placed& placed) {
  if (placed.empty()) return Status::Ok();
  RETURN_IF_ERROR(stores_->Sync());
  for (const auto& [fingerprint, slot] : placed) {
    stores_->AddChunk(fingerprint, slot, ResidentIndex::Mode::kReplace);
  }
  return Status::Ok();
}

}  // namespace granary
