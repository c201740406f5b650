// A storage group on a simulated disk, with the ledger of what was acknowledged: the oracle of every fault
// test here.
#ifndef GRANARY_TEST_ENGINE_GROUP_HARNESS_H_
#define GRANARY_TEST_ENGINE_GROUP_HARNESS_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "engine/engine.h"
#include "io/simulated_file_system.h"

namespace granary {

// Repeatable bytes, half of them compressible.
inline Buffer MakeBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  Buffer bytes(size);
  for (size_t offset = 0; offset < size;) {
    const size_t run = std::min<size_t>(size - offset, 64 + random() % 512);
    const bool is_text = random() % 2 == 0;
    for (size_t end = offset + run; offset < end; ++offset) {
      bytes[offset] = is_text ? static_cast<uint8_t>('a' + random() % 4) : static_cast<uint8_t>(random());
    }
  }
  return bytes;
}

struct GroupOptions {
  bool is_encrypted = true;
  CompressionMode compression = CompressionMode::kFast;
  uint32_t chunk_size_average = 4096;
  uint64_t store_size_target = 1;  // closed behind each record
  uint64_t resident_bytes_max = 16 << 20;
  uint64_t table_bytes_max = 1 << 20;  // a dozen data stores
};

class Group {
 public:
  static constexpr const char* kDirectory = "/group";

  explicit Group(const GroupOptions& options = {})
      : options_(options), disk_(SimulatedFileSystem::Create()) {}
  ~Group() { engine_.reset(); }

  SimulatedFileSystem& disk() { return *disk_; }
  Engine& engine() { return *engine_; }

  Status Format() {
    RETURN_IF_ERROR(disk_->MakeDirectory(kDirectory));
    RETURN_IF_ERROR(disk_->SyncDirectory("/"));
    GroupFormat format;
    format.directory = kDirectory;
    format.store_id.bytes.fill(7);
    format.chunk_size_average = options_.chunk_size_average;
    format.is_encrypted = options_.is_encrypted;
    return FormatGroup(disk_.get(), format);
  }

  AttachParameters Parameters() const {
    AttachParameters parameters;
    parameters.directory = kDirectory;
    parameters.fingerprint_key.fill(1);
    parameters.chunker_key.fill(2);
    if (options_.is_encrypted) {
      parameters.log_key.emplace();
      parameters.log_key->fill(3);
      parameters.data_keys.keys[1].fill(4);
      parameters.data_keys.active_epoch = 1;
    }
    parameters.compression = options_.compression;
    parameters.resident_bytes_max = options_.resident_bytes_max;
    parameters.table_bytes_max = options_.table_bytes_max;
    parameters.store_size_target = options_.store_size_target;
    parameters.region_cache_bytes_max = 1 << 20;
    return parameters;
  }

  Status Attach() {
    RETURN_IF_ERROR(AttachCold());
    return Warm();
  }
  // The resident index is empty.
  Status AttachCold() {
    report_ = {};
    auto engine = Engine::Attach(disk_.get(), Parameters(), &report_);
    if (!engine.ok()) return engine.status();
    engine_ = std::move(*engine);
    return Status::Ok();
  }
  Status Warm() {
    while (true) {
      ASSIGN_OR_RETURN(const size_t left, engine_->stores().Warm(16));
      if (left == 0) return Status::Ok();
    }
  }
  const AttachReport& report() const { return report_; }
  // All data stores are closed afterwards.
  Status Restart() {
    RETURN_IF_ERROR(Detach());
    return Attach();
  }

  Status Detach() {
    const Status status = engine_->Detach();
    engine_.reset();
    return status;
  }

  // The disk dies and comes back; the engine's memory is gone.
  void Crash(uint64_t seed) {
    engine_.reset();
    disk_->Crash(seed);
    disk_->SetPlan({});
  }

  // Ingests in segments of 64 KiB and a bit, as the control plane does, with the tail carried on.
  Result<StreamReport> Ingest(const Buffer& content) {
    const uint32_t number = engine_->OpenStream(kDigestXxh3);
    auto report = IngestInto(*engine_->FindStream(number), content);
    if (report.ok())
      open_.push_back(number);
    else
      engine_->CloseStream(number);
    return report;
  }

  // Gives up, or ends, what Ingest has opened.
  void CloseStreams() {
    for (uint32_t number : open_) engine_->CloseStream(number);
    open_.clear();
  }

  // One file from its first byte to its acknowledgement.
  Status Put(const std::string& name, const Buffer& content) {
    attempted_[name].push_back(content);
    ASSIGN_OR_RETURN(const StreamReport report, Ingest(content));
    Status status = engine_->Sync();
    if (status.ok()) status = AppendCommit(name, report);
    CloseStreams();
    RETURN_IF_ERROR(status);
    acknowledged_[name] = content;
    attempted_.erase(name);
    return Status::Ok();
  }

  // Acknowledged when it returns ok.
  Status Delete(const std::string& name) {
    if (const auto found = acknowledged_.find(name); found != acknowledged_.end()) {
      attempted_[name].push_back(found->second);  // until the log says so it may be there or not
      acknowledged_.erase(found);
    }
    Buffer payload;
    PutName(&payload, name);
    RETURN_IF_ERROR(AppendLog(kDeleteType, payload));
    attempted_.erase(name);
    return Status::Ok();
  }

  static constexpr uint32_t kCommitType = 1;
  static constexpr uint32_t kDeleteType = 2;
  static void PutName(Buffer* payload, const std::string& name) {
    Writer writer(payload);
    writer.Put<uint8_t>(static_cast<uint8_t>(name.size()));
    writer.PutBytes({reinterpret_cast<const uint8_t*>(name.data()), name.size()});
  }

  Status AppendLog(uint32_t type, ConstBytes payload) {
    Buffer packed;
    Writer packer(&packed);
    packer.Put<uint32_t>(type);
    packer.Put<uint32_t>(static_cast<uint32_t>(payload.size()));
    packer.PutBytes(payload);
    return engine_->AppendLog(packed).status();
  }

  Status AppendCommit(const std::string& name, const StreamReport& report) {
    Buffer payload;
    PutName(&payload, name);
    Writer writer(&payload);
    writer.PutBytes(report.root.fingerprint.bytes);
    writer.Put<uint32_t>(report.root.size);
    writer.Put<uint32_t>(report.root.depth);
    writer.Put<uint64_t>(report.size);
    return AppendLog(kCommitType, payload);
  }

  struct Entry {
    BlockmapRoot root;
    uint64_t size;
  };
  // Calls `each` for every record of the log.
  Status ForEachLogRecord(const std::function<void(uint32_t type, BoundedReader payload)>& each) {
    Buffer out(256 * 1024);
    uint64_t from = std::max<uint64_t>(1, report_.first_sequence);
    while (true) {
      uint64_t next = 0;
      ASSIGN_OR_RETURN(const size_t used, engine_->ReadLog(from, out, &next));
      if (used == 0) return Status::Ok();
      BoundedReader reader(ConstBytes(out).first(used));
      while (reader.remaining() > 0) {
        reader.Take<uint64_t>();
        const uint32_t type = reader.Take<uint32_t>();
        const uint32_t size = reader.Take<uint32_t>();
        each(type, BoundedReader(reader.TakeBytes(size)));
      }
      from = next;
    }
  }

  // The catalog as the log tells it.
  Result<std::map<std::string, Entry>> ReadCatalog() {
    std::map<std::string, Entry> catalog;
    RETURN_IF_ERROR(ForEachLogRecord([&](uint32_t type, BoundedReader payload) {
      if (type != kCommitType && type != kDeleteType) return;
      const ConstBytes bytes = payload.TakeBytes(payload.Take<uint8_t>());
      const std::string name(bytes.begin(), bytes.end());
      if (type == kDeleteType) {
        catalog.erase(name);
        return;
      }
      Entry& entry = catalog[name];
      const ConstBytes root = payload.TakeBytes(32);
      std::copy(root.begin(), root.end(), entry.root.fingerprint.bytes.begin());
      entry.root.size = payload.Take<uint32_t>();
      entry.root.depth = payload.Take<uint32_t>();
      entry.size = payload.Take<uint64_t>();
    }));
    return catalog;
  }

  Result<Buffer> Read(const Entry& entry) {
    Buffer content;
    while (content.size() < entry.size) {
      std::vector<NodeRow> nodes;
      Fingerprint unresolved;
      ASSIGN_OR_RETURN(const BlockmapReader::Range range,
                       engine_->reader().ReadRows(entry.root, content.size(), entry.size - content.size(), 64,
                                                  UINT64_MAX, &nodes, &unresolved));
      std::vector<Row> rows;
      for (const NodeRow& node : nodes) rows.push_back({node.fingerprint, node.size, RowState::kKnown});
      Buffer bytes(range.covered);
      ASSIGN_OR_RETURN(const RecordReader::ReadReport read,
                       engine_->reader().ReadChunks(rows.data(), rows.size(), bytes));
      if (read.unresolved_count > 0) return Status(Code::kCorrupt, "a chunk is in no data store");
      content.insert(content.end(), bytes.begin() + range.skip, bytes.end());
    }
    return content;
  }

  // What was acknowledged reads back the same; what was not is absent or complete, never partial.
  void ExpectLedgerHolds(const std::string& where) {
    auto catalog = ReadCatalog();
    ASSERT_TRUE(catalog.ok()) << where << ": " << catalog.status().message();
    for (const auto& [name, content] : acknowledged_) {
      ASSERT_TRUE(catalog->contains(name)) << where << ": lost " << name;
    }
    for (const auto& [name, entry] : *catalog) {
      const auto content = Read(entry);
      ASSERT_TRUE(content.ok()) << where << ": " << name << ": " << content.status().message();
      const auto acknowledged = acknowledged_.find(name);
      bool is_known = acknowledged != acknowledged_.end() && acknowledged->second == content.value();
      for (const Buffer& attempt : attempted_[name]) is_known = is_known || attempt == content.value();
      ASSERT_TRUE(is_known) << where << ": " << name << " holds what was never put";
    }
  }

 private:
  Result<StreamReport> IngestInto(Stream& stream, const Buffer& content) {
    std::vector<Row> rows(4096);
    size_t position = 0;  // start of the next chunk
    size_t seen = 0;      // digests have taken so much
    do {
      const size_t end = std::min(content.size(), seen + 65537);
      const ConstBytes segment = ConstBytes(content).subspan(position, end - position);
      ASSIGN_OR_RETURN(
          const SegmentReport cut,
          stream.Prepare(segment, seen - position, end == content.size(), rows.data(), rows.size()));
      if (cut.unknown_count > 0) {
        const std::vector<DataStoreId> places(cut.row_count);
        RETURN_IF_ERROR(stream.Admit(rows.data(), cut.row_count, places.data()).status());
      }
      RETURN_IF_ERROR(stream.Store(segment, rows.data(), cut.row_count).status());
      position += cut.consumed;
      seen = end;
    } while (seen < content.size());
    return stream.Finish();
  }

  const GroupOptions options_;
  std::shared_ptr<SimulatedFileSystem> disk_;
  std::unique_ptr<Engine> engine_;
  AttachReport report_;
  std::vector<uint32_t> open_;
  std::map<std::string, Buffer> acknowledged_;
  std::map<std::string, std::vector<Buffer>> attempted_;
};

}  // namespace granary

#endif  // GRANARY_TEST_ENGINE_GROUP_HARNESS_H_
