// The plan's faults and the FileSystem interface over a SimulatedDisk. One mutex for the whole disk: what is
// tested here is order and loss, not speed.
#include "io/simulated_file_system.h"

#include <mutex>
#include <utility>

#include "io/simulated_disk.h"

namespace granary {
namespace {

Status Fault(const std::string& what) { return Status(Code::kIo, what + ": simulated fault"); }

class Simulator : public SimulatedFileSystem, public std::enable_shared_from_this<Simulator> {
 public:
  // What the plan makes of one mutating operation.
  enum class Verdict { kProceed, kFail, kFull, kHalf, kHalfDurable };

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode, bool direct) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Unlink(const std::string& path) override;
  Status MakeDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<bool> Exists(const std::string& path) override;
  Result<uint64_t> FreeSpace(const std::string& path) override;
  Result<std::unique_ptr<File>> Lock(const std::string& path) override;

  void SetPlan(const FaultPlan& plan) override {
    std::lock_guard<std::mutex> guard(mutex_);
    plan_ = plan;
    operations_ = reads_ = 0;
    was_hit_ = is_dead_ = false;
    copies_.clear();
  }
  uint64_t operation_count() const override {
    std::lock_guard<std::mutex> guard(mutex_);
    return operations_;
  }
  bool plan_was_hit() const override {
    std::lock_guard<std::mutex> guard(mutex_);
    return was_hit_;
  }
  void Crash(uint64_t seed) override {
    std::lock_guard<std::mutex> guard(mutex_);
    disk_->Crash(seed);
    ++power_cycle_;
  }
  void SetInOrder() override { is_in_order_ = true; }
  bool IsInOrder() const override { return is_in_order_; }
  void SetCapacity(uint64_t size_max) override {
    std::lock_guard<std::mutex> guard(mutex_);
    capacity_ = size_max;
  }
  Status Damage(const std::string& path, uint64_t offset, ConstBytes bytes) override;
  std::shared_ptr<SimulatedFileSystem> Copy() const override {
    std::lock_guard<std::mutex> guard(mutex_);
    return CopyLocked();
  }
  std::vector<std::shared_ptr<SimulatedFileSystem>> TakeCopies() override {
    std::lock_guard<std::mutex> guard(mutex_);
    return std::exchange(copies_, {});
  }

 private:
  friend class SimulatedFile;
  friend class SimulatedLock;

  bool IsHit(uint64_t count) const {
    return plan_.for_ever ? count >= plan_.operation : count == plan_.operation && !was_hit_;
  }
  std::shared_ptr<Simulator> CopyLocked() const {
    auto copy = std::make_shared<Simulator>();
    copy->disk_ = disk_->Copy();
    copy->capacity_ = capacity_;
    copy->is_in_order_ = is_in_order_;
    return copy;
  }
  Verdict Mutate(bool takes_space);
  Status ReadGate(const std::string& what);
  Status Gate(const std::string& what, bool takes_space);
  bool HasSpace(uint64_t more) const { return disk_->UsedBytes() + more <= capacity_; }
  uint64_t FreeBytes() const {
    const uint64_t used = disk_->UsedBytes();
    return used < capacity_ ? capacity_ - used : 0;
  }
  Result<DiskNodePtr> Parent(const std::string& path);

  mutable std::mutex mutex_;
  std::unique_ptr<SimulatedDisk> disk_ = std::make_unique<SimulatedDisk>();
  FaultPlan plan_;
  uint64_t operations_ = 0;
  uint64_t reads_ = 0;
  uint64_t power_cycle_ = 0;
  uint64_t capacity_ = uint64_t{1} << 50;
  bool was_hit_ = false;
  bool is_dead_ = false;
  bool is_in_order_ = false;  // set before the disk is used
  std::vector<std::shared_ptr<SimulatedFileSystem>> copies_;
};

Simulator::Verdict Simulator::Mutate(bool takes_space) {
  if (is_dead_) return Verdict::kFail;
  ++operations_;
  using Kind = FaultPlan::Kind;
  if (plan_.kind == Kind::kCopies) {
    copies_.push_back(CopyLocked());
    return Verdict::kProceed;
  }
  if (plan_.kind == Kind::kNone || plan_.kind == Kind::kReadError) return Verdict::kProceed;
  if (plan_.kind == Kind::kNoSpace) {  // once: the first operation from there on that takes space
    if (!takes_space || operations_ < plan_.operation || (was_hit_ && !plan_.for_ever))
      return Verdict::kProceed;
    was_hit_ = true;
    return Verdict::kFull;
  }
  if (!IsHit(operations_)) return Verdict::kProceed;
  was_hit_ = true;
  is_dead_ = plan_.kind == Kind::kDie || plan_.kind == Kind::kTornDie;
  if (plan_.kind == Kind::kTornDie) return Verdict::kHalfDurable;
  return plan_.kind == Kind::kShortWrite ? Verdict::kHalf : Verdict::kFail;
}

Status Simulator::Gate(const std::string& what, bool takes_space) {
  const Verdict verdict = Mutate(takes_space);
  if (verdict == Verdict::kProceed) return Status::Ok();
  return verdict == Verdict::kFull ? Status(Code::kNoSpace, what + ": simulated disk is full") : Fault(what);
}

Status Simulator::ReadGate(const std::string& what) {
  if (is_dead_) return Fault(what);
  ++reads_;
  if (plan_.kind != FaultPlan::Kind::kReadError || !IsHit(reads_)) return Status::Ok();
  was_hit_ = true;
  return Fault(what);
}

Result<DiskNodePtr> Simulator::Parent(const std::string& path) {
  DiskNodePtr parent = disk_->Find(DirectoryOf(path));
  if (parent == nullptr || !parent->is_directory)
    return Status(Code::kNotFound, path + ": no such directory");
  return parent;
}

class SimulatedFile : public File {
 public:
  SimulatedFile(std::shared_ptr<Simulator> disk, DiskNodePtr node, std::string path, bool writable,
                bool direct)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        direct_(direct),
        power_cycle_(disk_->power_cycle_) {}

  Result<size_t> ReadAt(uint64_t offset, Bytes out) override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    RETURN_IF_ERROR(Usable("read"));
    RETURN_IF_ERROR(disk_->ReadGate("read " + path_));
    return node_->live.Read(offset, out);
  }

  Status WriteAt(uint64_t offset, ConstBytes bytes) override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    RETURN_IF_ERROR(Usable("write"));
    RETURN_IF_ERROR(Writable("write"));
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    if (direct_ && (offset | bytes.size() | address) % kBlockSize != 0) {
      return Status(Code::kInvalid, "write " + path_ + ": not aligned to blocks");
    }
    const Simulator::Verdict verdict = disk_->Mutate(true);
    const uint64_t end = offset + bytes.size();
    if (verdict == Simulator::Verdict::kFull ||
        (end > node_->live.size() && !disk_->HasSpace(end - node_->live.size()))) {
      return Status(Code::kNoSpace, "write " + path_ + ": simulated disk is full");
    }
    if (verdict == Simulator::Verdict::kFail) return Fault("write " + path_);
    const bool is_half = verdict != Simulator::Verdict::kProceed;
    const ConstBytes part = is_half ? bytes.first(bytes.size() / 2) : bytes;
    node_->Change({DiskChange::Kind::kWrite, offset, Buffer(part.begin(), part.end())});
    if (verdict == Simulator::Verdict::kHalfDurable) node_->durable.Write(offset, part);
    return is_half ? Fault("write " + path_) : Status::Ok();
  }

  Status Sync() override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    RETURN_IF_ERROR(Usable("sync"));
    if (is_poisoned_) return Status(Code::kIo, "sync " + path_ + ": an earlier sync failed");
    if (Status status = disk_->Gate("sync " + path_, false); !status.ok()) {
      is_poisoned_ = true;
      if (!disk_->is_dead_) node_->LoseUnsynced();
      return status;
    }
    node_->MakeDurable();
    return Status::Ok();
  }

  Status Allocate(uint64_t size) override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    return Resize("allocate ", DiskChange::Kind::kGrow, size);
  }
  Status Truncate(uint64_t size) override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    return Resize("truncate ", DiskChange::Kind::kTruncate, size);
  }

  Result<uint64_t> Size() override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    RETURN_IF_ERROR(Usable("stat"));
    return node_->live.size();
  }

  Result<uint64_t> FreeSpace() override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    RETURN_IF_ERROR(Usable("statvfs"));
    return disk_->FreeBytes();
  }

  void DropCache() override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    node_->ForgetLost();
  }

 protected:
  Status Usable(const char* what) const {
    if (disk_->is_dead_ || power_cycle_ != disk_->power_cycle_) return Fault(what + (" " + path_));
    return Status::Ok();
  }
  Status Writable(const char* what) const {
    if (is_poisoned_) return Status(Code::kIo, what + (" " + path_) + ": an earlier sync failed");
    if (!writable_) return Status(Code::kIo, what + (" " + path_) + ": opened for reading");
    return Status::Ok();
  }
  Status Resize(const char* what, DiskChange::Kind kind, uint64_t size) {
    RETURN_IF_ERROR(Usable(what));
    RETURN_IF_ERROR(Writable(what));
    const bool is_growing = size > node_->live.size();
    RETURN_IF_ERROR(disk_->Gate(what + path_, is_growing));
    if (is_growing && !disk_->HasSpace(size - node_->live.size())) {
      return Status(Code::kNoSpace, what + path_ + ": simulated disk is full");
    }
    node_->Change({kind, size, {}});
    return Status::Ok();
  }

  std::shared_ptr<Simulator> disk_;
  DiskNodePtr node_;
  std::string path_;
  bool writable_;
  bool direct_;
  uint64_t power_cycle_;
  bool is_poisoned_ = false;
};

class SimulatedLock : public SimulatedFile {
 public:
  using SimulatedFile::SimulatedFile;
  ~SimulatedLock() override {
    std::lock_guard<std::mutex> guard(disk_->mutex_);
    if (power_cycle_ == disk_->power_cycle_) node_->is_locked = false;
  }
};

Result<std::unique_ptr<File>> Simulator::Open(const std::string& path, OpenMode mode, bool direct) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (is_dead_) return Fault("open " + path);
  RETURN_IF_ERROR(Parent(path).status());
  DiskNodePtr node = disk_->Find(path);
  if (mode == OpenMode::kCreate) {
    if (node != nullptr) return Status(Code::kExists, "open " + path + ": exists");
    RETURN_IF_ERROR(Gate("create " + path, true));
    node = std::make_shared<DiskNode>(false);
    disk_->ChangeEntry("", path, node);
  }
  if (node == nullptr) return Status(Code::kNotFound, "open " + path + ": not there");
  if (node->is_directory) return Status(Code::kIo, "open " + path + ": a directory");
  const bool writable = mode != OpenMode::kRead;
  return std::unique_ptr<File>(
      new SimulatedFile(shared_from_this(), node, path, writable, direct && writable));
}

Status Simulator::Rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> guard(mutex_);
  RETURN_IF_ERROR(Gate("rename " + from, true));
  const DiskNodePtr node = disk_->Find(from);
  if (node == nullptr) return Status(Code::kNotFound, "rename " + from + ": not there");
  RETURN_IF_ERROR(Parent(to).status());
  disk_->ChangeEntry(from, to, node);
  return Status::Ok();
}

Status Simulator::Unlink(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  RETURN_IF_ERROR(Gate("unlink " + path, false));
  const DiskNodePtr node = disk_->Find(path);
  if (node == nullptr) return Status(Code::kNotFound, "unlink " + path + ": not there");
  if (node->is_directory && !node->entries.empty())
    return Status(Code::kIo, "unlink " + path + ": not empty");
  disk_->ChangeEntry(path, "", node);
  return Status::Ok();
}

Status Simulator::MakeDirectory(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  RETURN_IF_ERROR(Gate("make directory " + path, true));
  RETURN_IF_ERROR(Parent(path).status());
  if (disk_->Find(path) != nullptr) return Status(Code::kExists, "make directory " + path + ": exists");
  disk_->ChangeEntry("", path, std::make_shared<DiskNode>(true));
  return Status::Ok();
}

Status Simulator::SyncDirectory(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  RETURN_IF_ERROR(Gate("sync directory " + path, false));
  const DiskNodePtr node = disk_->Find(path);
  if (node == nullptr) return Status(Code::kNotFound, "sync directory " + path + ": not there");
  disk_->SyncDirectory(node);
  return Status::Ok();
}

Result<std::vector<std::string>> Simulator::List(const std::string& directory) {
  std::lock_guard<std::mutex> guard(mutex_);
  RETURN_IF_ERROR(ReadGate("list " + directory));
  const DiskNodePtr node = disk_->Find(directory);
  if (node == nullptr || !node->is_directory)
    return Status(Code::kNotFound, "list " + directory + ": not there");
  std::vector<std::string> names;
  for (const auto& [name, entry] : node->entries) names.push_back(name);
  return names;
}

Result<bool> Simulator::Exists(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (is_dead_) return Fault("stat " + path);
  return disk_->Find(path) != nullptr;
}

Result<uint64_t> Simulator::FreeSpace(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (is_dead_) return Fault("statvfs " + path);
  if (disk_->Find(path) == nullptr) return Status(Code::kNotFound, "statvfs " + path + ": not there");
  return FreeBytes();
}

Result<std::unique_ptr<File>> Simulator::Lock(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (is_dead_) return Fault("lock " + path);
  RETURN_IF_ERROR(Parent(path).status());
  DiskNodePtr node = disk_->Find(path);
  if (node == nullptr) {
    RETURN_IF_ERROR(Gate("create " + path, true));
    node = std::make_shared<DiskNode>(false);
    disk_->ChangeEntry("", path, node);
  }
  if (node->is_locked) return Status(Code::kBusy, "lock " + path + ": held");
  node->is_locked = true;
  return std::unique_ptr<File>(new SimulatedLock(shared_from_this(), node, path, true, false));
}

Status Simulator::Damage(const std::string& path, uint64_t offset, ConstBytes bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  const DiskNodePtr node = disk_->Find(path);
  if (node == nullptr) return Status(Code::kNotFound, path + ": not there");
  if (offset + bytes.size() > node->live.size()) return Status(Code::kInvalid, path + ": behind the end");
  node->live.Write(offset, bytes);
  if (offset + bytes.size() <= node->durable.size()) node->durable.Write(offset, bytes);
  return Status::Ok();
}

}  // namespace

std::shared_ptr<SimulatedFileSystem> SimulatedFileSystem::Create() { return std::make_shared<Simulator>(); }

}  // namespace granary
