// What the simulated file system keeps: for every file the image that readers see, the image that is durable,
// and the unsynced changes between them; for every directory likewise. No faults and no locking here; see
// simulated_file_system.cc.
#ifndef GRANARY_IO_SIMULATED_DISK_H_
#define GRANARY_IO_SIMULATED_DISK_H_

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file.h"

namespace granary {

// A sparse sequence of bytes; what was never written is zero. Copies share pages until one is written.
class DiskImage {
 public:
  uint64_t size() const { return size_; }
  size_t Read(uint64_t offset, Bytes out) const;
  void Write(uint64_t offset, ConstBytes bytes);  // extends
  void Resize(uint64_t size);

 private:
  using Page = std::array<uint8_t, kBlockSize>;
  Page& WritablePage(uint64_t number);

  std::map<uint64_t, std::shared_ptr<Page>> pages_;
  uint64_t size_ = 0;
};

struct DiskChange {
  enum class Kind { kWrite, kGrow, kTruncate };
  Kind kind;
  uint64_t offset;  // of a write; else the new size
  Buffer bytes;
  bool is_lost = false;  // a sync failed: readers may still see it, no later sync makes it durable
  void ApplyTo(DiskImage* image) const;
};

struct DiskNode {
  explicit DiskNode(bool is_directory) : is_directory(is_directory) {}
  const bool is_directory;
  DiskImage live, durable;
  std::vector<DiskChange> unsynced;
  std::map<std::string, std::shared_ptr<DiskNode>> entries, durable_entries;
  bool is_locked = false;

  void Change(DiskChange change);
  void MakeDurable();
  void LoseUnsynced();  // what a failed sync does
  void ForgetLost();    // what dropping the page cache shows
};
using DiskNodePtr = std::shared_ptr<DiskNode>;

// The seed's decisions. Small and fixed, so that a seed means the same everywhere.
class DiskRandom {
 public:
  explicit DiskRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

class SimulatedDisk {
 public:
  SimulatedDisk() : root_(std::make_shared<DiskNode>(true)) {}
  DiskNodePtr Find(const std::string& path) const;  // null: not there
  // `to` empty: unlink; `from` empty: creation of `node`; else rename. Parents exist.
  void ChangeEntry(const std::string& from, const std::string& to, DiskNodePtr node);
  void SyncDirectory(const DiskNodePtr& directory);
  void Crash(uint64_t seed);
  uint64_t UsedBytes() const;
  // The same files and the same unsynced changes; locks are free.
  std::unique_ptr<SimulatedDisk> Copy() const;

 private:
  // A creation, removal or rename that no directory sync has made durable yet. A rename is atomic.
  struct EntryChange {
    DiskNodePtr from_directory, to_directory, node;
    std::string from, to;
    void ApplyToDurable() const;
  };
  void CrashTree(DiskNode* directory, uint64_t seed, DiskRandom* random);
  static DiskNodePtr CopyNode(const DiskNodePtr& node, std::map<DiskNodePtr, DiskNodePtr>* copies);

  DiskNodePtr root_;
  std::vector<EntryChange> unsynced_;
};

// "/a/b" -> "b".
std::string NameOf(const std::string& path);

}  // namespace granary

#endif  // GRANARY_IO_SIMULATED_DISK_H_
