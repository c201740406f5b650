// Finds records in a data store file without its trailer: forward, resynchronising at the next valid header
// behind damage. Bounded memory. For recovery and inspect.
#ifndef GRANARY_DATASTORE_RECORD_SCANNER_H_
#define GRANARY_DATASTORE_RECORD_SCANNER_H_

#include "datastore/data_store.h"
#include "io/read_window.h"

namespace granary {

class RecordScanner {
 public:
  enum class Depth { kHeaders, kRecords };  // kHeaders: clear headers only, bodies are jumped over unread
  RecordScanner(File* file, uint64_t begin, uint64_t end, const RecordPlace& place, Depth depth)
      : window_(file), at_(begin), end_(end), place_(place), depth_(depth) {}

  // The next place where a valid header stands; false at the end. With kRecords `found->status` tells whether
  // the whole record is valid; then decoded() and encoded() hold it until the next call. Behind an invalid
  // one the search goes on inside of what its header claims: the header may be the only thing of it that is
  // true.
  Result<bool> Next(ScannedRecord* found);
  const DecodedRecord& decoded() const { return decoded_; }
  ConstBytes encoded() const { return encoded_; }
  uint64_t skipped_bytes() const { return skipped_bytes_; }  // neither zero nor part of a valid record

 private:
  Result<bool> FindHeader(RecordHeader* header);

  ReadWindow window_;
  uint64_t at_;
  const uint64_t end_;
  const RecordPlace place_;
  const Depth depth_;
  Buffer scratch_;
  DecodedRecord decoded_;
  ConstBytes encoded_;
  uint64_t skipped_bytes_ = 0;
};

// Behind the last byte of a file that is not zero; 0 when there is none.
Result<uint64_t> EndOfContent(File* file);

}  // namespace granary

#endif  // GRANARY_DATASTORE_RECORD_SCANNER_H_
