// Empties a condemned data store: what is not dead and has no other copy is read past its seal, checked, and
// written anew, under the active key and as if a stream had brought it. And the other way in: bytes of a
// chunk that a copy elsewhere has given.
#ifndef GRANARY_ENGINE_COPY_FORWARD_H_
#define GRANARY_ENGINE_COPY_FORWARD_H_

#include <unordered_set>
#include <vector>

#include "engine/record_writer.h"
#include "engine/store_set.h"
#include "engine/stream.h"
#include "fingerprint/fingerprint.h"

namespace granary {

struct CopyReport {
  uint64_t next = 0;  // chunk to go on from
  uint64_t copied_count = 0;
  uint64_t copied_plain_bytes = 0;
  uint64_t copied_stored_bytes = 0;
  uint64_t duplicate_plain_bytes = 0;  // not copied: another data store has them
  std::vector<Fingerprint> damaged;    // cannot be read
};

// One call of copyForward. One object, one thread.
class CopyForward {
 public:
  CopyForward(StoreSet* stores, RecordWriter* writer, const Fingerprinter* fingerprinter, StoreSlot* slot)
      : stores_(stores), writer_(writer), fingerprinter_(fingerprinter), slot_(slot) {}

  // From chunk `from` on until records of about `bytes_max` plain bytes have been read. A failure leaves
  // copies that are harmless: they are found, or they are duplicates.
  Result<CopyReport> Run(uint64_t from, uint64_t bytes_max);

 private:
  bool IsWanted(const TableRow& row, uint32_t chunk);
  bool HasCopy(const Fingerprint& fingerprint);
  void LetGo();
  Status CopyRecord(const RecordRows& record);
  Status Flush();

  StoreSet* const stores_;
  RecordWriter* const writer_;
  const Fingerprinter* const fingerprinter_;
  StoreSlot* const slot_;
  CopyReport report_;
  uint64_t read_bytes_ = 0;
  std::unordered_set<StoreSlot*> asked_;  // data stores whose tables came to memory for this
  // Chunks of one record type, waiting to fill a few regions, and the records they lie in.
  RecordType type_ = RecordType::kRegion;
  std::vector<WriteChunk> waiting_;
  // Of this call; look-ups find them when it ends.
  std::unordered_set<Fingerprint, FingerprintHash> copied_names_;
  RecordWriter::Placed placed_;
  std::vector<Buffer> plains_;
  size_t waiting_size_ = 0;
};

// Stores the rows' chunks, which lie one after another in `bytes`; look-ups and reads go to these copies.
// Returns how many. kCorrupt: a fingerprint does not fit, and nothing was stored.
Result<uint64_t> AdmitChunks(RecordWriter* writer, const Fingerprinter& fingerprinter,
                             std::span<const Row> rows, ConstBytes bytes);

}  // namespace granary

#endif  // GRANARY_ENGINE_COPY_FORWARD_H_
