// One engine per storage group per process: composes the stages over a group's directory. Opened by Attach,
// which recovers what an earlier process left; closed by Detach. FORMAT.md, section "Recovery".
//
// Threads: all methods may be called by all threads; AppendLog, Sync and the superblock serialise themselves.
#ifndef GRANARY_ENGINE_ENGINE_H_
#define GRANARY_ENGINE_ENGINE_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "datastore/commit_log.h"
#include "datastore/superblock.h"
#include "engine/cleaner.h"
#include "engine/record_reader.h"
#include "engine/record_writer.h"
#include "engine/store_set.h"
#include "engine/stream.h"

namespace granary {

struct GroupFormat {
  std::string directory;
  StoreId store_id;
  std::array<uint8_t, 16> realm_id{};
  uint32_t chunk_size_average = 0;
  bool is_encrypted = false;
};
// Makes an empty group in an empty directory. kExists when anything is in it.
Status FormatGroup(FileSystem* files, const GroupFormat& format);

struct AttachParameters {
  std::string directory;
  Key fingerprint_key{};
  Key chunker_key{};
  std::optional<Key> log_key;
  StoreSet::DataKeys data_keys;
  CompressionMode compression = CompressionMode::kFast;
  uint64_t resident_bytes_max = 0;
  uint64_t table_bytes_max = 0;
  uint64_t store_size_target = 0;
  uint64_t region_cache_bytes_max = 0;
  bool is_read_only = false;
};

struct AttachReport {
  uint64_t incarnation = 0;
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  uint64_t store_count = 0;
  uint64_t sealed_from = 0;  // superblock.h
  StoreSet::Report stores;
  CommitLog::Report log;
};

struct EngineCounters {
  DataStoreCounts stored;
  uint64_t store_count = 0;
  uint64_t log_bytes = 0;
  uint64_t resident_entries = 0;
  uint64_t resident_bytes = 0;
  uint64_t table_bytes = 0;
  bool resident_is_complete = false;
  uint64_t streams_open = 0;
  uint64_t last_sequence = 0;
  uint64_t free_bytes = 0;
  uint64_t store_size_target = 0;  // less than asked for on a small volume
  uint64_t epoch = 0;
  uint64_t trash_bytes = 0;
  uint64_t trash_reads = 0;
  uint64_t dead_reads = 0;
  std::string stopped;
};

class Engine {
 public:
  // `files` must outlive the engine. kNotFound, kUnsupported, kCorrupt (superblock, log), kBusy (locked),
  // kDenied (keys).
  static Result<std::unique_ptr<Engine>> Attach(FileSystem* files, const AttachParameters& parameters,
                                                AttachReport* report);
  // Closes data stores with their trailers. No stream may be open. Failures leave the rest to recovery.
  Status Detach();

  uint32_t OpenStream(uint32_t digest_kinds);
  // Null: there is none of that number.
  std::shared_ptr<Stream> FindStream(uint32_t number);
  void CloseStream(uint32_t number);
  uint64_t streams_open();

  Status Sync();
  // Entries as src/native/binding.ts packs them. Returns the first sequence number.
  Result<uint64_t> AppendLog(ConstBytes packed);
  // Packs records from `from` on into `out`. Returns bytes written; `next` is where to go on.
  Result<size_t> ReadLog(uint64_t from, Bytes out, uint64_t* next);
  // Returns the first sequence that the log still gives.
  Result<uint64_t> SetCheckpoint(uint64_t sequence, uint64_t drop_before);
  // +1 in the superblock, durable; then streams touch in the new epoch. kInvalid: attached for reading only.
  Result<uint64_t> BeginEpoch();

  RecordReader& reader() { return *reader_; }
  StoreSet& stores() { return *stores_; }
  RecordWriter& writer() { return *writer_; }
  const Fingerprinter& fingerprinter() const { return fingerprinter_; }
  Cleaner& cleaner() { return *cleaner_; }
  EngineCounters Counters();

 private:
  Engine(FileSystem* files, const AttachParameters& parameters, const Superblock& superblock);
  Status OpenAll(const AttachParameters& parameters, AttachReport* report);
  Status BeginSealing(CommitLog::Parameters log, CommitLog::Report* report);

  FileSystem* const files_;
  const std::string directory_;
  const bool is_read_only_;
  Superblock superblock_;
  const Chunker chunker_;
  const Fingerprinter fingerprinter_;
  std::optional<Key> log_key_;
  std::unique_ptr<File> lock_;
  std::unique_ptr<StoreSet> stores_;
  std::unique_ptr<RecordWriter> writer_;
  std::unique_ptr<RecordReader> reader_;
  std::unique_ptr<Cleaner> cleaner_;

  std::mutex log_mutex_;
  std::unique_ptr<CommitLog> log_;
  Status log_failure_;

  std::mutex streams_mutex_;
  struct OpenedStream {
    std::shared_ptr<Stream> stream;
    uint64_t epoch;  // of the cleaner, in which it was opened
  };
  std::unordered_map<uint32_t, OpenedStream> streams_;
  uint32_t next_stream_ = 1;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_ENGINE_H_
