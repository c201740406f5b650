#include "engine/engine.h"

#include <algorithm>

namespace granary {
namespace {

constexpr size_t kLogRowHeaderSize = 16;  // sequence u64, type u8, 3 zero bytes, payload size u32
constexpr const char* kDirectories[] = {"log", "log/a", "log/b", "data", "trash"};

ChunkerParameters ChunkerOf(const Superblock& superblock, const Key& key) {
  ChunkerParameters parameters;
  parameters.size_average = superblock.chunk_size_average;
  parameters.key = key;
  return parameters;
}

Status UnpackEntries(ConstBytes packed, std::vector<LogEntry>* entries) {
  BoundedReader reader(packed);
  while (reader.remaining() > 0) {
    LogEntry entry;
    entry.type = reader.Take<uint8_t>();
    const ConstBytes padding = reader.TakeBytes(3);
    const uint32_t size = reader.Take<uint32_t>();
    entry.payload = reader.TakeBytes(size);
    const bool is_padding_zero =
        std::all_of(padding.begin(), padding.end(), [](uint8_t byte) { return byte == 0; });
    if (!reader.ok() || entry.type == 0 || size > kLogPayloadSizeMax || !is_padding_zero) {
      return Status(Code::kInvalid,
                    "packed log entries: entry " + std::to_string(entries->size()) + " does not fit");
    }
    entries->push_back(entry);
  }
  return Status::Ok();
}

}  // namespace

Status FormatGroup(FileSystem* files, const GroupFormat& format) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(format.directory));
  // The keyring is written before the superblock, which makes the directory a group.
  for (const std::string& name : names) {
    if (name.rfind("keyring.", 0) != 0) {
      return Status(Code::kExists, "directory " + format.directory + " is not empty: it holds " + name);
    }
  }
  for (const char* name : kDirectories) RETURN_IF_ERROR(files->MakeDirectory(format.directory + "/" + name));
  RETURN_IF_ERROR(files->SyncDirectory(format.directory + "/log"));
  RETURN_IF_ERROR(files->SyncDirectory(format.directory));
  Superblock superblock;
  superblock.store_id = format.store_id;
  superblock.realm_id = format.realm_id;
  superblock.chunk_size_average = format.chunk_size_average;
  superblock.is_encrypted = format.is_encrypted;
  return CreateSuperblock(files, format.directory, superblock);
}

Engine::Engine(FileSystem* files, const AttachParameters& parameters, const Superblock& superblock)
    : files_(files),
      directory_(parameters.directory),
      is_read_only_(parameters.is_read_only),
      superblock_(superblock),
      chunker_(ChunkerOf(superblock, parameters.chunker_key)),
      fingerprinter_(parameters.fingerprint_key),
      log_key_(parameters.log_key) {}

Result<std::unique_ptr<Engine>> Engine::Attach(FileSystem* files, const AttachParameters& parameters,
                                               AttachReport* report) {
  SuperblockReport ignored;
  // Looked at before the lock is taken: a directory that is no group must not get a lock file.
  RETURN_IF_ERROR(ReadSuperblock(files, parameters.directory, &ignored).status());
  std::unique_ptr<File> lock;
  if (!parameters.is_read_only) {
    auto taken = files->Lock(parameters.directory + "/lock");
    if (!taken.ok()) return taken.status().Within("storage group " + parameters.directory + " is in use");
    lock = std::move(*taken);
  }
  ASSIGN_OR_RETURN(Superblock superblock, ReadSuperblock(files, parameters.directory, &ignored));
  // A keyring with secrets over a superblock without: the group is being encrypted (BeginSealing).
  const bool has_keys = parameters.data_keys.active_epoch != 0;
  if (superblock.is_encrypted ? !has_keys : has_keys && parameters.is_read_only) {
    return Status(Code::kDenied, "storage group " + parameters.directory + ": its keys are not at hand");
  }
  std::unique_ptr<Engine> engine(new Engine(files, parameters, superblock));
  engine->lock_ = std::move(lock);
  RETURN_IF_ERROR(engine->OpenAll(parameters, report));
  return engine;
}

Status Engine::OpenAll(const AttachParameters& parameters, AttachReport* report) {
  if (!is_read_only_) {
    // Durable before anything is written: nonces and data store ids of two lives never meet.
    ++superblock_.incarnation;
    RETURN_IF_ERROR(WriteSuperblock(files_, directory_, &superblock_));
  }
  CommitLog::Parameters log;
  log.store_id = superblock_.store_id;
  log.incarnation = superblock_.incarnation;
  log.from_sequence = superblock_.checkpoint_sequence;
  if (log_key_ && !superblock_.is_encrypted) RETURN_IF_ERROR(BeginSealing(log, &report->log));
  log.log_key = log_key_ ? &*log_key_ : nullptr;
  log.sealed_from = superblock_.sealed_from;
  ASSIGN_OR_RETURN(log_, CommitLog::Open(files_, directory_ + "/log", log, is_read_only_, &report->log));

  StoreSet::Parameters stores;
  stores.files = files_;
  stores.directory = directory_;
  stores.store_id = superblock_.store_id;
  stores.incarnation = superblock_.incarnation;
  stores.resident_bytes_max = parameters.resident_bytes_max;
  stores.table_bytes_max = parameters.table_bytes_max;
  stores.size_target = parameters.store_size_target;
  stores.epoch = superblock_.epoch;
  stores.is_read_only = is_read_only_;
  stores_ = std::make_unique<StoreSet>(stores, parameters.data_keys);
  RETURN_IF_ERROR(stores_->Open(&report->stores));
  writer_ = std::make_unique<RecordWriter>(stores_.get(), parameters.compression);
  reader_ = std::make_unique<RecordReader>(stores_.get(), &fingerprinter_, parameters.region_cache_bytes_max);
  cleaner_ = std::make_unique<Cleaner>(
      Cleaner::Stages{stores_.get(), reader_.get(), writer_.get(), &fingerprinter_}, is_read_only_);
  report->incarnation = superblock_.incarnation;
  report->sealed_from = superblock_.sealed_from;
  report->first_sequence = log_->first_sequence();
  report->last_sequence = log_->last_sequence();
  report->store_count = stores_->AllSlots().size();
  return Status::Ok();
}

// Everything so far is clear, and closed for good by this incarnation: what it writes is sealed. The clear
// log is recovered first, so that the record from which on nothing may be clear is known; what the recovery
// cuts is gone before the superblock says so.
Status Engine::BeginSealing(CommitLog::Parameters log, CommitLog::Report* report) {
  log.log_key = nullptr;
  ASSIGN_OR_RETURN(const std::unique_ptr<CommitLog> clear,
                   CommitLog::Open(files_, directory_ + "/log", log, false, report));
  superblock_.is_encrypted = true;
  superblock_.sealed_from = clear->last_sequence() + 1;
  return WriteSuperblock(files_, directory_, &superblock_);
}

Status Engine::Detach() {
  {
    std::lock_guard lock(streams_mutex_);
    CHECK(streams_.empty());
  }
  const Status closed = is_read_only_ ? Status::Ok() : stores_->Close();
  std::lock_guard lock(log_mutex_);
  log_.reset();
  lock_.reset();
  return closed;
}

uint32_t Engine::OpenStream(uint32_t digest_kinds) {
  auto stream = std::make_shared<Stream>(
      Stream::Stages{&chunker_, &fingerprinter_, stores_.get(), writer_.get()}, digest_kinds);
  std::lock_guard lock(streams_mutex_);
  while (next_stream_ == 0 || streams_.contains(next_stream_)) ++next_stream_;
  // Read under the lock that an epoch begins under: either it counts this stream, or the stream is of it.
  streams_[next_stream_] = {std::move(stream), stores_->epoch()};
  return next_stream_++;
}

uint64_t Engine::streams_open() {
  std::lock_guard lock(streams_mutex_);
  return streams_.size();
}

std::shared_ptr<Stream> Engine::FindStream(uint32_t number) {
  std::lock_guard lock(streams_mutex_);
  const auto found = streams_.find(number);
  return found == streams_.end() ? nullptr : found->second.stream;
}

void Engine::CloseStream(uint32_t number) {
  std::shared_ptr<Stream> ended;  // destroyed outside of the lock
  std::lock_guard lock(streams_mutex_);
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  ended = std::move(found->second.stream);
  streams_.erase(found);
}

Status Engine::Sync() { return stores_->Sync(); }

Result<uint64_t> Engine::AppendLog(ConstBytes packed) {
  std::vector<LogEntry> entries;
  RETURN_IF_ERROR(UnpackEntries(packed, &entries));
  if (entries.empty()) return Status(Code::kInvalid, "no log entry to append");
  // A group that has lost a data store's writes takes no further commit (I2, I10).
  RETURN_IF_ERROR(stores_->failure());
  std::lock_guard lock(log_mutex_);
  RETURN_IF_ERROR(log_failure_);
  auto first = log_->Append(entries);
  if (!first.ok() && first.status().code() != Code::kNoSpace) {
    log_failure_ = first.status().Within("the storage group has stopped writing");
  }
  return first;
}

Result<size_t> Engine::ReadLog(uint64_t from, Bytes out, uint64_t* next) {
  size_t used = 0;
  *next = from;
  RETURN_IF_ERROR(log_->Read(from, [&](uint64_t sequence, const LogEntry& entry) {
    const size_t size = kLogRowHeaderSize + entry.payload.size();
    if (used + size > out.size()) return false;
    uint8_t* row = out.data() + used;
    std::memset(row, 0, kLogRowHeaderSize);
    StoreLittle<uint64_t>(row, sequence);
    row[8] = entry.type;
    StoreLittle<uint32_t>(row + 12, static_cast<uint32_t>(entry.payload.size()));
    if (!entry.payload.empty())
      std::memcpy(row + kLogRowHeaderSize, entry.payload.data(), entry.payload.size());
    used += size;
    *next = sequence + 1;
    return true;
  }));
  return used;
}

Result<uint64_t> Engine::SetCheckpoint(uint64_t sequence, uint64_t drop_before) {
  std::lock_guard lock(log_mutex_);
  RETURN_IF_ERROR(log_failure_);
  superblock_.checkpoint_sequence = sequence;
  RETURN_IF_ERROR(WriteSuperblock(files_, directory_, &superblock_));
  if (drop_before > 0) RETURN_IF_ERROR(log_->DropBefore(drop_before));
  return log_->first_sequence();
}

Result<uint64_t> Engine::BeginEpoch() {
  if (is_read_only_) return Status(Code::kInvalid, "the storage group is attached for reading only");
  RETURN_IF_ERROR(stores_->failure());
  std::lock_guard lock(log_mutex_);
  RETURN_IF_ERROR(log_failure_);
  Superblock next = superblock_;
  ++next.epoch;
  RETURN_IF_ERROR(WriteSuperblock(files_, directory_, &next));
  superblock_ = next;
  std::lock_guard streams_lock(streams_mutex_);
  uint64_t oldest = superblock_.epoch;
  for (const auto& [number, opened] : streams_) oldest = std::min(oldest, opened.epoch);
  stores_->BeginEpoch(superblock_.epoch, oldest);
  return superblock_.epoch;
}

EngineCounters Engine::Counters() {
  EngineCounters counters;
  for (StoreSlot* slot : stores_->AllSlots()) {
    const DataStoreCounts counts = slot->store->counts();
    counters.stored.chunk_count += counts.chunk_count;
    counters.stored.record_count += counts.record_count;
    counters.stored.plain_bytes += counts.plain_bytes;
    counters.stored.stored_bytes += counts.stored_bytes;
    counters.stored.blockmap_plain_bytes += counts.blockmap_plain_bytes;
    counters.stored.blockmap_stored_bytes += counts.blockmap_stored_bytes;
    counters.stored.file_bytes += counts.file_bytes;
    ++counters.store_count;
  }
  counters.resident_entries = stores_->resident_entries();
  counters.resident_bytes = stores_->resident_bytes();
  counters.table_bytes = stores_->table_bytes();
  counters.resident_is_complete = stores_->IsComplete();
  if (auto free = files_->FreeSpace(directory_); free.ok()) counters.free_bytes = *free;
  counters.epoch = stores_->epoch();
  counters.trash_bytes = stores_->trash_bytes();
  counters.store_size_target =
      stores_->SizeTarget(counters.free_bytes + counters.trash_bytes + counters.stored.file_bytes);
  counters.trash_reads = stores_->trash_reads();
  counters.dead_reads = stores_->dead_reads();
  counters.streams_open = streams_open();
  const Status failure = stores_->failure();
  std::lock_guard lock(log_mutex_);
  counters.last_sequence = log_->last_sequence();
  counters.log_bytes = log_->file_bytes();
  counters.stopped = !failure.ok() ? failure.message() : log_failure_.message();
  return counters;
}

}  // namespace granary
