#include "engine/verify.h"

namespace granary {
namespace {

// Empty: the record is sound. Else what is wrong with it.
std::string CheckRecord(StoreSlot* slot, const Fingerprinter& fingerprinter, const RecordRows& expected,
                        Buffer* scratch) {
  BlockBuffer memory;
  auto bytes = slot->store->Read(expected.offset, expected.size, &memory);
  if (!bytes.ok()) return bytes.status().message();
  DecodedRecord record;
  if (Status status = DecodeRecord(slot->store->place(), *bytes, scratch, &record); !status.ok())
    return status.message();
  Buffer plain(record.header.plain_size);
  if (Status status = Decompress(record.header.codec, record.payload, plain); !status.ok())
    return status.message();
  if (record.table.size() != expected.rows.size()) return "the trailer names another number of chunks";
  uint64_t position = 0;
  for (size_t index = 0; index < record.table.size(); ++index) {
    const TableRow& row = record.table[index];
    if (row.fingerprint != expected.rows[index].fingerprint || row.length != expected.rows[index].length) {
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

Result<VerifyReport> VerifyStore(StoreSlot* slot, const Fingerprinter& fingerprinter, uint64_t from,
                                 uint64_t bytes_max) {
  VerifyReport report;
  report.next = slot->store->counts().chunk_count;
  // What is still in the writer's buffers is not damage: it has to be in the file before it is looked for
  // there.
  RETURN_IF_ERROR(slot->store->Sync());
  slot->store->DropCache();
  Buffer scratch;
  RETURN_IF_ERROR(slot->store->ForEachRecord(from, [&](const RecordRows& record) {
    if (record.first_chunk >= report.next) return false;  // appended since
    if (report.record_count > 0 && report.bytes >= bytes_max) {
      report.next = record.first_chunk;
      return false;
    }
    ++report.record_count;
    report.chunk_count += record.rows.size();
    report.bytes += record.size;
    const std::string reason = CheckRecord(slot, fingerprinter, record, &scratch);
    if (reason.empty()) return true;
    StoreDamage damage{record.offset, record.first_chunk, record.rows.size(), reason, {}};
    for (const TableRow& row : record.rows) damage.fingerprints.push_back(row.fingerprint);
    report.damages.push_back(std::move(damage));
    return true;
  }));
  return report;
}

}  // namespace granary
