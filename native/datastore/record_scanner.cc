#include "datastore/record_scanner.h"

#include <algorithm>

namespace granary {

// Moves at_ to the next valid header. Records lie at multiples of kRecordAlignment, which is a word's size.
Result<bool> RecordScanner::FindHeader(RecordHeader* header) {
  static_assert(kRecordAlignment == sizeof(uint64_t));
  while (at_ + kRecordHeaderSize <= end_) {
    ASSIGN_OR_RETURN(const ConstBytes window, window_.At(at_, kRecordHeaderSize));
    if (window.size() < kRecordHeaderSize) break;
    size_t offset = 0;
    for (; offset + kRecordHeaderSize <= window.size() && at_ + offset + kRecordHeaderSize <= end_;
         offset += kRecordAlignment) {
      const auto word = LoadLittle<uint64_t>(window.data() + offset);
      if (word == 0) continue;
      if (DecodeRecordHeader(place_.data_store_id, window.subspan(offset), header).ok()) {
        at_ += offset;
        return true;
      }
      skipped_bytes_ += kRecordAlignment;
    }
    at_ += offset;
  }
  return false;
}

Result<bool> RecordScanner::Next(ScannedRecord* found) {
  RecordHeader header;
  ASSIGN_OR_RETURN(const bool is_found, FindHeader(&header));
  if (!is_found) return false;
  *found = {at_, header, Status::Ok()};
  if (depth_ == Depth::kRecords) {
    const uint64_t size = std::min(header.RecordSize(), end_ - at_);
    ASSIGN_OR_RETURN(encoded_, window_.At(at_, size));
    encoded_ = encoded_.first(std::min<uint64_t>(size, encoded_.size()));
    found->status = DecodeRecord(place_, encoded_, &scratch_, &decoded_);
  }
  if (found->status.ok()) {
    at_ += header.RecordSize();
  } else {
    skipped_bytes_ += kRecordAlignment;
    at_ += kRecordAlignment;
  }
  return true;
}

// Behind the last byte that is not zero; 0 when all are.
static size_t EndOfNonZero(ConstBytes bytes) {
  size_t end = bytes.size();
  while (end % sizeof(uint64_t) != 0 && bytes[end - 1] == 0) --end;
  if (end % sizeof(uint64_t) != 0) return end;
  while (end > 0 && LoadLittle<uint64_t>(bytes.data() + end - sizeof(uint64_t)) == 0) end -= sizeof(uint64_t);
  while (end > 0 && bytes[end - 1] == 0) --end;
  return end;
}

Result<uint64_t> EndOfContent(File* file) {
  ASSIGN_OR_RETURN(uint64_t end, file->Size());
  Buffer buffer;
  while (end > 0) {
    const uint64_t start = end > ReadWindow::kSize ? end - ReadWindow::kSize : 0;
    buffer.resize(end - start);
    ASSIGN_OR_RETURN(const size_t count, file->ReadAt(start, buffer));
    if (count != buffer.size()) return Status(Code::kIo, "the file changed while it was read");
    if (const size_t last = EndOfNonZero(buffer); last > 0) return start + last;
    end = start;
  }
  return uint64_t{0};
}

}  // namespace granary
