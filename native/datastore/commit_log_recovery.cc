// Recovery of the commit log: both copies are read together, torn tails cut, each copy repaired from the
// other. Doing it twice changes nothing; a crash at any point of it leaves a state from which it comes to the
// same end.
#include <algorithm>
#include <set>

#include "datastore/commit_log_files.h"

namespace granary {
namespace {

constexpr const char* kTemporarySuffix = ".tmp";

class LogRecovery {
 public:
  LogRecovery(FileSystem* files, const std::string& directory, const CommitLog::Parameters& parameters,
              bool read_only, CommitLog::Report* report)
      : files_(files),
        directory_(directory),
        directories_(directory),
        parameters_(parameters),
        read_only_(read_only),
        report_(report) {}

  Result<RecoveredLog> Run();

 private:
  Status CheckDirectories();
  Status RemoveTemporaries();
  Result<std::vector<uint64_t>> FindSegments();
  Status SettleLast(uint64_t first_sequence);
  Status RecoverSegment(uint64_t first_sequence, bool is_last);
  Status CheckChain(const LogSegmentReader& reader);
  Status RecoverHeaderless(LogSegmentReader* reader, const Status& status, uint64_t first_sequence,
                           bool is_last);
  Status CheckTail(LogSegmentReader* reader, bool is_last);
  Status RepairCopy(LogSegmentReader* reader, int copy);
  Status RewriteCopy(uint64_t first_sequence, uint64_t end, int copy);
  Status RemoveSegment(uint64_t first_sequence);
  std::string PathOf(int copy, uint64_t first_sequence) const {
    return directories_.copies[copy] + "/" + LogSegmentName(first_sequence);
  }

  FileSystem* const files_;
  const std::string directory_;
  const LogDirectories directories_;
  const CommitLog::Parameters& parameters_;
  const bool read_only_;
  CommitLog::Report* const report_;
  RecoveredLog log_;
};

// A missing copy's directory is remade; without both there is no log here, and none is begun.
Status LogRecovery::CheckDirectories() {
  bool exists[kLogCopyCount];
  for (int copy = 0; copy < kLogCopyCount; ++copy) {
    ASSIGN_OR_RETURN(exists[copy], files_->Exists(directories_.copies[copy]));
  }
  if (!exists[0] && !exists[1]) return Status(Code::kNotFound, directory_ + ": no commit log");
  for (int copy = 0; copy < kLogCopyCount && !read_only_; ++copy) {
    if (exists[copy]) continue;
    RETURN_IF_ERROR(files_->MakeDirectory(directories_.copies[copy]));
    RETURN_IF_ERROR(files_->SyncDirectory(directory_));
  }
  return Status::Ok();
}

// What a crash left of a RewriteCopy.
Status LogRecovery::RemoveTemporaries() {
  for (const std::string& copy_directory : directories_.copies) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(copy_directory));
    for (const std::string& name : names) {
      if (name.ends_with(kTemporarySuffix)) RETURN_IF_ERROR(files_->Unlink(copy_directory + "/" + name));
    }
  }
  return Status::Ok();
}

// From the segment that holds from_sequence on; what lies before was dropped, or will be.
Result<std::vector<uint64_t>> LogRecovery::FindSegments() {
  std::set<uint64_t> found;
  for (const std::string& copy_directory : directories_.copies) {
    auto names = ListLogSegments(files_, copy_directory);
    if (names.status().code() == Code::kNotFound) continue;  // a copy that is not there, read-only
    RETURN_IF_ERROR(names.status());
    found.insert(names->begin(), names->end());
  }
  std::vector<uint64_t> segments(found.begin(), found.end());
  const auto behind =
      std::upper_bound(segments.begin(), segments.end(), std::max<uint64_t>(parameters_.from_sequence, 1));
  if (behind != segments.begin()) segments.erase(segments.begin(), behind - 1);
  return segments;
}

// What an earlier process wrote to the last segment and did not sync must be durable before anything is built
// on it; and what a failed sync left in the page cache must not be believed.
Status LogRecovery::SettleLast(uint64_t first_sequence) {
  for (int copy = 0; copy < kLogCopyCount; ++copy) {
    auto file = files_->Open(PathOf(copy, first_sequence), OpenMode::kWrite);
    if (file.status().code() == Code::kNotFound) continue;
    RETURN_IF_ERROR(file.status());
    RETURN_IF_ERROR((*file)->Sync());
    (*file)->DropCache();
    RETURN_IF_ERROR(files_->SyncDirectory(directories_.copies[copy]));
  }
  return Status::Ok();
}

Status LogRecovery::CheckChain(const LogSegmentReader& reader) {
  if (log_.segments.empty()) return Status::Ok();
  const uint64_t expected = log_.segments.back().last_sequence + 1;
  if (reader.header().first_sequence != expected || reader.header().previous_hash != log_.last_hash) {
    return Status(Code::kCorrupt, directory_ + ": record " + std::to_string(expected) +
                                      " is damaged in both copies, or a segment is missing");
  }
  return Status::Ok();
}

// A header is durable in both copies before the first record is written behind it.
Status LogRecovery::RecoverHeaderless(LogSegmentReader* reader, const Status& status, uint64_t first_sequence,
                                      bool is_last) {
  if (status.code() != Code::kCorrupt) return status;
  ASSIGN_OR_RETURN(const bool has_records, reader->HasAnyRecord());
  if (has_records || !is_last) return status;
  for (int copy = 0; copy < kLogCopyCount; ++copy) report_->bytes_cut += reader->state(copy).size;
  return RemoveSegment(first_sequence);
}

Status LogRecovery::CheckTail(LogSegmentReader* reader, bool is_last) {
  ASSIGN_OR_RETURN(const bool has_later, reader->HasLaterAppend());
  if (has_later) {
    return Status(Code::kCorrupt, directory_ + ": record " + std::to_string(reader->next_sequence()) +
                                      " is damaged in both copies, and valid ones follow");
  }
  for (int copy = 0; copy < kLogCopyCount && is_last; ++copy) {
    ASSIGN_OR_RETURN(const uint64_t torn, reader->TornBytes(copy));
    report_->bytes_cut += torn;
  }
  return Status::Ok();
}

Status LogRecovery::RecoverSegment(uint64_t first_sequence, bool is_last) {
  LogSegmentReader reader(files_, directories_.copies, first_sequence, true);
  const Status status = reader.Begin(parameters_.store_id, parameters_.log_key, parameters_.sealed_from);
  if (!status.ok()) {
    return RecoverHeaderless(&reader, status, first_sequence, is_last);
  }
  RETURN_IF_ERROR(CheckChain(reader));
  for (;;) {
    ASSIGN_OR_RETURN(const bool is_found, reader.Next());
    if (!is_found) break;
  }
  RETURN_IF_ERROR(CheckTail(&reader, is_last));
  if (reader.next_sequence() == first_sequence) {
    if (!is_last) return Status(Code::kCorrupt, directory_ + ": a segment in the middle is empty");
    return RemoveSegment(first_sequence);  // the next incarnation begins one of the same name
  }
  log_.last_hash = reader.last_hash();
  log_.segments.push_back({first_sequence, reader.next_sequence() - 1, reader.end()});
  for (int copy = 0; copy < kLogCopyCount; ++copy) RETURN_IF_ERROR(RepairCopy(&reader, copy));
  return Status::Ok();
}

Status LogRecovery::RepairCopy(LogSegmentReader* reader, int copy) {
  const LogSegmentReader::CopyState& state = reader->state(copy);
  report_->records_repaired += state.records_missing + (state.exists && !state.header_is_valid ? 1 : 0);
  if (read_only_) return Status::Ok();
  const LogSegment& segment = log_.segments.back();
  if (!state.header_is_valid || state.records_missing > 0)
    return RewriteCopy(segment.first_sequence, segment.end, copy);
  if (state.size == segment.end) return Status::Ok();
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   files_->Open(PathOf(copy, segment.first_sequence), OpenMode::kWrite));
  RETURN_IF_ERROR(file->Truncate(segment.end));
  return file->Sync();
}

// A whole new file under the same name: the damaged bytes are never overwritten before their replacement is
// durable.
Status LogRecovery::RewriteCopy(uint64_t first_sequence, uint64_t end, int copy) {
  const std::string path = PathOf(copy, first_sequence), temporary = path + kTemporarySuffix;
  LogSegmentReader reader(files_, directories_.copies, first_sequence, false);
  RETURN_IF_ERROR(reader.Begin(parameters_.store_id, parameters_.log_key, parameters_.sealed_from));
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_->Open(temporary, OpenMode::kCreate));
  Buffer pending(kLogSegmentHeaderSize);
  EncodeLogSegmentHeader(reader.header(), pending);
  for (uint64_t written = 0; written < end;) {
    bool is_found = reader.end() < end;
    if (is_found) {
      ASSIGN_OR_RETURN(is_found, reader.Next());
      if (!is_found) return Status(Code::kIo, path + ": changed while it was repaired");
      pending.insert(pending.end(), reader.encoded().begin(), reader.encoded().end());
    }
    if (is_found && pending.size() < ReadWindow::kSize && reader.end() < end) continue;
    RETURN_IF_ERROR(file->WriteAt(written, pending));
    written += pending.size();
    pending.clear();
  }
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(files_->Rename(temporary, path));
  return files_->SyncDirectory(directories_.copies[copy]);
}

Status LogRecovery::RemoveSegment(uint64_t first_sequence) {
  for (int copy = 0; copy < kLogCopyCount && !read_only_; ++copy) {
    const Status status = files_->Unlink(PathOf(copy, first_sequence));
    if (!status.ok() && status.code() != Code::kNotFound) return status;
    RETURN_IF_ERROR(files_->SyncDirectory(directories_.copies[copy]));
  }
  return Status::Ok();
}

Result<RecoveredLog> LogRecovery::Run() {
  RETURN_IF_ERROR(CheckDirectories());
  if (!read_only_) RETURN_IF_ERROR(RemoveTemporaries());
  ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, FindSegments());
  if (!segments.empty() && !read_only_) RETURN_IF_ERROR(SettleLast(segments.back()));
  for (const uint64_t first_sequence : segments) {
    RETURN_IF_ERROR(RecoverSegment(first_sequence, first_sequence == segments.back()));
  }
  const uint64_t first = log_.segments.empty() ? 1 : log_.segments.front().first_sequence;
  const uint64_t last = log_.segments.empty() ? 0 : log_.segments.back().last_sequence;
  if (first > std::max<uint64_t>(parameters_.from_sequence, 1) || last + 1 < parameters_.from_sequence) {
    return Status(Code::kCorrupt, directory_ + ": ends before record " +
                                      std::to_string(parameters_.from_sequence) + ", or begins behind it");
  }
  return log_;
}

}  // namespace

Result<std::vector<uint64_t>> ListLogSegments(FileSystem* files, const std::string& copy_directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(copy_directory));
  std::vector<uint64_t> segments;
  for (const std::string& name : names) {
    if (uint64_t first_sequence; ParseLogSegmentName(name, &first_sequence))
      segments.push_back(first_sequence);
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

Result<RecoveredLog> RecoverLog(FileSystem* files, const std::string& directory,
                                const CommitLog::Parameters& parameters, bool read_only,
                                CommitLog::Report* report) {
  return LogRecovery(files, directory, parameters, read_only, report).Run();
}

}  // namespace granary
