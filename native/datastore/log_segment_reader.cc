#include "datastore/log_segment_reader.h"

#include <algorithm>

#include "datastore/record_scanner.h"
#include "seal/seal.h"

namespace granary {

LogSegmentReader::LogSegmentReader(FileSystem* files, const std::string (&directories)[kLogCopyCount],
                                   uint64_t first_sequence, bool compare_all)
    : files_(files),
      first_sequence_(first_sequence),
      compare_all_(compare_all),
      next_sequence_(first_sequence) {
  for (int copy = 0; copy < kLogCopyCount; ++copy) {
    copies_[copy].path = directories[copy] + "/" + LogSegmentName(first_sequence);
  }
}

LogSegmentReader::~LogSegmentReader() { WipeMemory(key_); }

Status LogSegmentReader::OpenCopy(Copy* copy) {
  auto file = files_->Open(copy->path, OpenMode::kRead);
  if (file.status().code() == Code::kNotFound) return Status::Ok();
  RETURN_IF_ERROR(file.status());
  copy->file = std::move(*file);
  copy->window.emplace(copy->file.get());
  copy->state.exists = true;
  ASSIGN_OR_RETURN(copy->state.size, copy->file->Size());
  return Status::Ok();
}

ConstBytes LogSegmentReader::ReadCopy(Copy* copy, uint64_t offset, size_t size) {
  if (!copy->window) return {};
  auto bytes = copy->window->At(offset, size);
  copy->failure = bytes.status();
  return bytes.ok() ? *bytes : ConstBytes();
}

Status LogSegmentReader::Begin(const StoreId& store_id, const Key* log_key, uint64_t sealed_from) {
  Status status(Code::kNotFound, copies_[0].path + ": not there");
  bool is_found = false;
  for (Copy& copy : copies_) {
    RETURN_IF_ERROR(OpenCopy(&copy));
    if (!copy.state.exists) continue;
    LogSegmentHeader header;
    Status valid = DecodeLogSegmentHeader(ReadCopy(&copy, 0, kLogSegmentHeaderSize), &header);
    RETURN_IF_ERROR(copy.failure);
    if (valid.ok() && (header.first_sequence != first_sequence_ || header.store_id != store_id)) {
      valid = Status(Code::kCorrupt, "log segment: of another place or group");
    }
    copy.state.header_is_valid = valid.ok();
    if (valid.ok() && !is_found) header_ = header;
    is_found = is_found || valid.ok();
    if (!valid.ok()) status = valid.Within(copy.path);
  }
  if (!is_found) return status;
  RETURN_IF_ERROR(OpenLogSegmentKey(header_, log_key, sealed_from, &key_).Within(copies_[0].path));
  last_hash_ = header_.previous_hash;
  return Status::Ok();
}

// The bytes at end_, enough for the record that the header there claims.
ConstBytes LogSegmentReader::ReadRecord(Copy* copy) {
  LogRecordHeader header;
  const ConstBytes head = ReadCopy(copy, end_, kLogRecordHeaderSize);
  if (!DecodeLogRecordHeader(header_.segment_id, head, &header).ok()) return {};
  const ConstBytes bytes = ReadCopy(copy, end_, header.RecordSize());
  return bytes.first(std::min<size_t>(bytes.size(), header.RecordSize()));
}

bool LogSegmentReader::IsNext(Copy* copy, DecodedLogRecord* record, ConstBytes* encoded) {
  *encoded = ReadRecord(copy);
  return DecodeLogRecord(place(), *encoded, record).ok() && record->header.sequence == next_sequence_ &&
         record->header.previous_hash == last_hash_;
}

Status LogSegmentReader::ReadFailure() const {
  for (const Copy& copy : copies_) RETURN_IF_ERROR(copy.failure);
  return Status::Ok();
}

Result<bool> LogSegmentReader::Next() {
  ConstBytes bytes_a, bytes_b;
  const bool has_a = IsNext(&copies_[0], &record_, &bytes_a);
  bool has_b = false;
  if (!has_a) {
    has_b = IsNext(&copies_[1], &record_, &bytes_b);
  } else if (compare_all_) {
    has_b = IsNext(&copies_[1], &other_, &bytes_b) &&
            std::equal(bytes_a.begin(), bytes_a.end(), bytes_b.begin(), bytes_b.end());
  }
  if (!has_a && !has_b) {
    RETURN_IF_ERROR(ReadFailure());
    return false;
  }
  copies_[0].state.records_missing += has_a ? 0 : 1;
  copies_[1].state.records_missing += has_b || !compare_all_ ? 0 : 1;
  encoded_ = has_a ? bytes_a : bytes_b;
  end_ += encoded_.size();
  last_hash_ = record_.hash;
  ++next_sequence_;
  return true;
}

Result<bool> LogSegmentReader::Skip() {
  for (Copy& copy : copies_) {
    encoded_ = ReadRecord(&copy);
    LogRecordHeader header;
    if (!DecodeLogRecordHeader(header_.segment_id, encoded_, &header).ok()) continue;
    if (header.sequence != next_sequence_ || encoded_.size() != header.RecordSize()) continue;
    const LogHash hash = HashLogRecord(header, encoded_);
    end_ += encoded_.size();
    last_hash_ = hash;
    ++next_sequence_;
    return true;
  }
  RETURN_IF_ERROR(ReadFailure());
  return false;
}

// Whether a record header lies at or behind `from`: of a later Append than the missing record's, or any at
// all.
Result<bool> LogSegmentReader::FindHeader(Copy* copy, uint64_t from, bool any_segment) {
  for (uint64_t at = from; at + kLogRecordHeaderSize <= copy->state.size;) {
    const ConstBytes bytes = ReadCopy(copy, at, kLogRecordHeaderSize);
    RETURN_IF_ERROR(copy->failure);
    if (bytes.size() < kLogRecordHeaderSize) break;
    size_t offset = 0;
    for (; offset + kLogRecordHeaderSize <= bytes.size(); offset += kLogRecordAlignment) {
      if (LoadLittle<uint64_t>(bytes.data() + offset) == 0) continue;
      LogSegmentId segment_id = header_.segment_id;
      // Without a valid segment header its id is not known: believe the record's own prefix.
      if (any_segment) std::memcpy(segment_id.data(), bytes.data() + offset + kLogRecordHeaderSize - 16, 8);
      LogRecordHeader header;
      if (!DecodeLogRecordHeader(segment_id, bytes.subspan(offset), &header).ok()) continue;
      if (any_segment || header.first_of_batch() > next_sequence_) return true;
    }
    at += offset;
  }
  return false;
}

Result<bool> LogSegmentReader::HasLaterAppend() {
  for (Copy& copy : copies_) {
    if (!copy.state.exists) continue;
    ASSIGN_OR_RETURN(const bool is_found, FindHeader(&copy, end_, false));
    if (is_found) return true;
  }
  return false;
}

Result<bool> LogSegmentReader::HasAnyRecord() {
  for (Copy& copy : copies_) {
    if (!copy.state.exists) continue;
    ASSIGN_OR_RETURN(const bool is_found, FindHeader(&copy, 0, true));
    if (is_found) return true;
  }
  return false;
}

Result<uint64_t> LogSegmentReader::TornBytes(int copy) {
  if (!copies_[copy].state.exists) return uint64_t{0};
  ASSIGN_OR_RETURN(const uint64_t content_end, EndOfContent(copies_[copy].file.get()));
  const uint64_t end = std::min(content_end, copies_[copy].state.size);
  return end > end_ ? end - end_ : uint64_t{0};
}

}  // namespace granary
