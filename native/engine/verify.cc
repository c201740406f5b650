#include "engine/verify.h"

#include <map>

namespace granary {
namespace {

struct RecordExpected {
  uint32_t size = 0;
  std::vector<std::pair<Fingerprint, ChunkPlace>> chunks;
};

// Empty: the record is sound. Else what is wrong with it.
std::string CheckRecord(StoreSlot* slot, const Fingerprinter& fingerprinter, uint64_t offset,
                        const RecordExpected& expected, Buffer* scratch) {
  Buffer bytes(expected.size);
  if (Status status = slot->store->ReadAt(offset, bytes); !status.ok()) return status.message();
  DecodedRecord record;
  if (Status status = DecodeRecord(slot->store->place(), bytes, scratch, &record); !status.ok())
    return status.message();
  Buffer plain(record.header.plain_size);
  if (Status status = Decompress(record.header.codec, record.payload, plain); !status.ok())
    return status.message();
  if (record.table.size() != expected.chunks.size()) return "the trailer names another number of chunks";
  uint64_t position = 0;
  for (size_t index = 0; index < record.table.size(); ++index) {
    const auto& [fingerprint, place] = expected.chunks[index];
    const TableRow& row = record.table[index];
    if (row.fingerprint != fingerprint || row.length != place.length || place.plain_offset != position) {
      return "the trailer and the record's table differ";
    }
    if (fingerprinter.Hash(ConstBytes(plain).subspan(position, row.length)) != row.fingerprint) {
      return "a chunk has another fingerprint than its name";
    }
    position += row.length;
  }
  return "";
}

}  // namespace

Result<VerifyReport> VerifyStore(StoreSlot* slot, const Fingerprinter& fingerprinter) {
  // What is still in the writer's buffers is not damage: it has to be in the file before it is looked for
  // there.
  RETURN_IF_ERROR(slot->store->Sync());
  std::map<uint64_t, RecordExpected> records;
  RETURN_IF_ERROR(slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace& place) {
    RecordExpected& record = records[place.record_offset];
    record.size = place.record_size;
    record.chunks.emplace_back(fingerprint, place);
  }));
  slot->store->DropCache();
  VerifyReport report;
  Buffer scratch;
  for (const auto& [offset, expected] : records) {
    ++report.record_count;
    report.chunk_count += expected.chunks.size();
    report.bytes += expected.size;
    const std::string reason = CheckRecord(slot, fingerprinter, offset, expected, &scratch);
    if (reason.empty()) continue;
    StoreDamage damage{offset, reason, {}};
    for (const auto& chunk : expected.chunks) damage.fingerprints.push_back(chunk.first);
    report.damages.push_back(std::move(damage));
  }
  return report;
}

}  // namespace granary
