// Appending to and reading the commit log; recovery is in commit_log_recovery.cc.
#include "datastore/commit_log.h"

#include <algorithm>

#include "datastore/commit_log_files.h"
#include "seal/seal.h"

namespace granary {

PairSync::~PairSync() {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    must_stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Status PairSync::Sync(File* a, File* b) {
  if (is_in_order_) {
    const Status first = a->Sync();
    const Status second = b->Sync();
    return first.ok() ? second : first;
  }
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
    pending_ = b;
    changed_.notify_all();
  }
  const Status status = a->Sync();
  std::unique_lock<std::mutex> guard(mutex_);
  changed_.wait(guard, [this] { return pending_ == nullptr; });
  return status.ok() ? result_ : status;
}

void PairSync::Run() {
  std::unique_lock<std::mutex> guard(mutex_);
  for (;;) {
    changed_.wait(guard, [this] { return must_stop_ || pending_ != nullptr; });
    if (must_stop_) return;
    File* const file = pending_;
    guard.unlock();
    Status status = file->Sync();
    guard.lock();
    result_ = std::move(status);
    pending_ = nullptr;
    changed_.notify_all();
  }
}

CommitLogFiles::CommitLogFiles(FileSystem* files, const std::string& directory, const Parameters& parameters,
                               bool read_only, RecoveredLog recovered)
    : files_(files),
      directories_(directory),
      parameters_(parameters),
      read_only_(read_only),
      segments_(std::move(recovered.segments)),
      last_hash_(recovered.last_hash),
      pair_sync_(files->IsInOrder()) {
  if (parameters.log_key != nullptr) log_key_ = *parameters.log_key;
  if (!segments_.empty()) last_sequence_ = segments_.back().last_sequence;
}

CommitLogFiles::~CommitLogFiles() {
  if (log_key_) WipeMemory(*log_key_);
  WipeMemory(segment_key_);
}

uint64_t CommitLogFiles::last_sequence() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return last_sequence_;
}

uint64_t CommitLogFiles::first_sequence() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return segments_.empty() ? 1 : segments_.front().first_sequence;
}

uint64_t CommitLogFiles::file_bytes() const {
  std::lock_guard<std::mutex> guard(mutex_);
  uint64_t bytes = 0;
  for (const LogSegment& segment : segments_) bytes += segment.end * kLogCopyCount;
  return bytes;
}

uint64_t CommitLogFiles::AllocateStep() const {
  return RoundUp(std::min(kLogAllocateStep, parameters_.segment_size_target), kBlockSize);
}

Status CommitLogFiles::Fail(const Status& status) {
  failure_ =
      Status(status.code() == Code::kNoSpace ? Code::kIo : status.code(), "commit log: " + status.message());
  return failure_;
}

Status CommitLogFiles::CheckEntries(const std::vector<LogEntry>& entries) const {
  if (read_only_) return Status(Code::kInvalid, "commit log: opened for reading");
  RETURN_IF_ERROR(failure_);
  if (entries.empty()) return Status(Code::kInvalid, "commit log: nothing to append");
  for (const LogEntry& entry : entries) {
    if (entry.type == 0) return Status(Code::kInvalid, "commit log: type 0");
    if (entry.payload.size() > kLogPayloadSizeMax)
      return Status(Code::kInvalid, "commit log: the payload is too long");
  }
  return Status::Ok();
}

Status CommitLogFiles::CreateSegmentFiles(const LogSegmentHeader& header, Active* active) {
  Buffer bytes(kLogSegmentHeaderSize);
  EncodeLogSegmentHeader(header, bytes);
  LogSegmentHeader decoded;
  CHECK(DecodeLogSegmentHeader(bytes, &decoded).ok() && decoded.segment_id == header.segment_id);
  for (int copy = 0; copy < kLogCopyCount; ++copy) {
    const std::string path = directories_.copies[copy] + "/" + LogSegmentName(header.first_sequence);
    ASSIGN_OR_RETURN(active->files[copy], files_->Open(path, OpenMode::kCreate));
    RETURN_IF_ERROR(active->files[copy]->Allocate(AllocateStep()));
    RETURN_IF_ERROR(active->files[copy]->WriteAt(0, bytes));
  }
  RETURN_IF_ERROR(pair_sync_.Sync(active->files[0].get(), active->files[1].get()));
  for (const std::string& directory : directories_.copies) RETURN_IF_ERROR(files_->SyncDirectory(directory));
  return Status::Ok();
}

// The header is durable in both copies before any record follows it: recovery relies on that.
Status CommitLogFiles::StartSegment() {
  LogSegmentHeader header;
  header.store_id = parameters_.store_id;
  header.incarnation = parameters_.incarnation;
  header.first_sequence = last_sequence_ + 1;
  header.previous_hash = last_hash_;
  header.is_sealed = log_key_.has_value();
  FillRandom(header.segment_id);
  if (log_key_) {
    const DerivedKey derived = DeriveKey(*log_key_, header.segment_id, "log segment");
    segment_key_ = derived.key;
    header.key_commitment = derived.commitment;
  }
  Active active;
  if (Status status = CreateSegmentFiles(header, &active); !status.ok()) {
    if (status.code() != Code::kNoSpace) return Fail(status);
    for (const std::string& directory : directories_.copies) {  // an attempt that is to be made again
      const Status removed = files_->Unlink(directory + "/" + LogSegmentName(header.first_sequence));
      if (!removed.ok() && removed.code() != Code::kNotFound) return Fail(removed);
    }
    return status;
  }
  active.place = {header.store_id, header.segment_id, header.is_sealed ? &segment_key_ : nullptr};
  active.end = kLogSegmentHeaderSize;
  active.allocated = AllocateStep();
  active_ = std::move(active);
  return Status::Ok();
}

// A segment that takes `size` bytes more, allocated in both copies. kNoSpace before anything of them is
// written.
Status CommitLogFiles::MakeRoom(uint64_t size) {
  const bool is_full =
      active_ && active_->record_count > 0 && active_->end + size > parameters_.segment_size_target;
  if (is_full) active_.reset();
  if (!active_) RETURN_IF_ERROR(StartSegment());
  const uint64_t wanted = RoundUp(active_->end + size, AllocateStep());
  if (wanted <= active_->allocated) return Status::Ok();
  for (const std::unique_ptr<File>& file : active_->files) {
    const Status status = file->Allocate(wanted);
    if (status.code() == Code::kNoSpace) return status;
    if (!status.ok()) return Fail(status);
  }
  active_->allocated = wanted;
  return Status::Ok();
}

Status CommitLogFiles::WriteBatch(ConstBytes bytes) {
  for (const std::unique_ptr<File>& file : active_->files)
    RETURN_IF_ERROR(file->WriteAt(active_->end, bytes));
  return pair_sync_.Sync(active_->files[0].get(), active_->files[1].get());
}

Result<uint64_t> CommitLogFiles::Append(const std::vector<LogEntry>& entries) {
  RETURN_IF_ERROR(CheckEntries(entries));
  LogRecordHeader header;
  uint64_t size = 0;
  for (const LogEntry& entry : entries) {
    header.payload_size = static_cast<uint32_t>(entry.payload.size());
    size += header.RecordSize();
  }
  RETURN_IF_ERROR(MakeRoom(size));
  const uint64_t first = last_sequence_ + 1;
  Buffer bytes;
  bytes.reserve(size);
  LogHash hash = last_hash_;
  for (const LogEntry& entry : entries) {
    header = {entry.type,
              active_->place.key != nullptr,
              header.batch_index,
              first + header.batch_index,
              static_cast<uint32_t>(entry.payload.size()),
              hash};
    hash = EncodeLogRecord(active_->place, header, entry.payload, &bytes);
    ++header.batch_index;
  }
  if (Status status = WriteBatch(bytes); !status.ok()) return Fail(status);
  active_->end += bytes.size();
  last_hash_ = hash;
  std::lock_guard<std::mutex> guard(mutex_);
  if (active_->record_count == 0) segments_.push_back({first, 0, 0});
  active_->record_count += entries.size();
  last_sequence_ += entries.size();
  segments_.back().last_sequence = last_sequence_;
  segments_.back().end = active_->end;
  return first;
}

Status CommitLogFiles::ReadSegment(const LogSegment& segment, uint64_t from, uint64_t last, const Each& each,
                                   bool* must_stop) const {
  LogSegmentReader reader(files_, directories_.copies, segment.first_sequence, false);
  RETURN_IF_ERROR(
      reader.Begin(parameters_.store_id, log_key_ ? &*log_key_ : nullptr, parameters_.sealed_from));
  while (!*must_stop && reader.next_sequence() <= last) {
    const uint64_t sequence = reader.next_sequence();
    ASSIGN_OR_RETURN(const bool is_found, sequence < from ? reader.Skip() : reader.Next());
    if (!is_found) {
      return Status(Code::kCorrupt,
                    "commit log: record " + std::to_string(sequence) + " is damaged in both copies");
    }
    if (sequence >= from)
      *must_stop = !each(sequence, {reader.record().header.type, reader.record().payload});
  }
  return Status::Ok();
}

Status CommitLogFiles::Read(uint64_t from, const Each& each) {
  std::vector<LogSegment> segments;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    segments = segments_;
  }
  from = std::max<uint64_t>(from, 1);
  if (!segments.empty() && from < segments.front().first_sequence) {
    return Status(Code::kNotFound, "commit log: record " + std::to_string(from) + " was dropped");
  }
  bool must_stop = false;
  for (const LogSegment& segment : segments) {
    if (segment.last_sequence < from) continue;
    RETURN_IF_ERROR(ReadSegment(segment, from, segment.last_sequence, each, &must_stop));
    if (must_stop) break;
  }
  return Status::Ok();
}

Status CommitLogFiles::DropBefore(uint64_t sequence) {
  if (read_only_) return Status(Code::kInvalid, "commit log: opened for reading");
  uint64_t bound = 0;  // segments that begin before it go
  {
    std::lock_guard<std::mutex> guard(mutex_);
    while (segments_.size() > 1 && segments_.front().last_sequence < sequence)
      segments_.erase(segments_.begin());
    if (!segments_.empty()) bound = segments_.front().first_sequence;
  }
  for (const std::string& directory : directories_.copies) {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> present, ListLogSegments(files_, directory));
    for (const uint64_t first_sequence : present) {
      if (first_sequence >= bound) continue;
      const Status status = files_->Unlink(directory + "/" + LogSegmentName(first_sequence));
      if (!status.ok() && status.code() != Code::kNotFound) return status;
    }
    RETURN_IF_ERROR(files_->SyncDirectory(directory));
  }
  return Status::Ok();
}

Status CommitLog::Create(FileSystem* files, const std::string& directory) {
  const LogDirectories directories(directory);
  for (const std::string& path : {directory, directories.copies[0], directories.copies[1]}) {
    const Status status = files->MakeDirectory(path);
    if (!status.ok() && status.code() != Code::kExists) return status;
    RETURN_IF_ERROR(files->SyncDirectory(DirectoryOf(path)));
  }
  return Status::Ok();
}

Result<std::unique_ptr<CommitLog>> CommitLog::Open(FileSystem* files, const std::string& directory,
                                                   const Parameters& parameters, bool read_only,
                                                   Report* report) {
  Report ignored;
  ASSIGN_OR_RETURN(RecoveredLog recovered, RecoverLog(files, directory, parameters, read_only,
                                                      report != nullptr ? report : &ignored));
  return std::unique_ptr<CommitLog>(
      new CommitLogFiles(files, directory, parameters, read_only, std::move(recovered)));
}

}  // namespace granary
