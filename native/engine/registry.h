// Process-wide handles: engines (one per directory, counted), simulated disks, digests, file locks. A handle
// is a number, valid on every thread; a number that is not (or no longer) there is kInvalid.
#ifndef GRANARY_ENGINE_REGISTRY_H_
#define GRANARY_ENGINE_REGISTRY_H_

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "engine/engine.h"
#include "io/simulated_file_system.h"

namespace granary {

// Numbers for shared things of one kind. Thread-safe.
template <typename T>
class HandleTable {
 public:
  explicit HandleTable(const char* kind) : kind_(kind) {}
  uint32_t Add(std::shared_ptr<T> thing) {
    std::lock_guard lock(mutex_);
    things_[next_] = std::move(thing);
    return next_++;
  }
  Result<std::shared_ptr<T>> Get(uint32_t handle) {
    std::lock_guard lock(mutex_);
    const auto found = things_.find(handle);
    if (found != things_.end()) return found->second;
    return Status(Code::kInvalid, std::string(kind_) + " " + std::to_string(handle) + " is not open");
  }
  std::shared_ptr<T> Remove(uint32_t handle) {
    std::lock_guard lock(mutex_);
    const auto found = things_.find(handle);
    if (found == things_.end()) return nullptr;
    std::shared_ptr<T> thing = std::move(found->second);
    things_.erase(found);
    return thing;
  }

 private:
  const char* kind_;
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<T>> things_;
  uint32_t next_ = 1;
};

class Registry {
 public:
  static Registry& Get();

  HandleTable<SimulatedFileSystem> disks{"simulated disk"};
  HandleTable<DigestStream> digests{"digest"};
  HandleTable<File> locks{"file lock"};

  // 0 is the real disk.
  Result<FileSystem*> Files(uint32_t disk);

  // Attaching a directory that this process has attached already counts it up and returns the same engine.
  Result<uint32_t> Attach(uint32_t disk, const AttachParameters& parameters, AttachReport* report);
  Result<std::shared_ptr<Engine>> Find(uint32_t engine) {
    ASSIGN_OR_RETURN(std::shared_ptr<Attached> attached, engines_.Get(engine));
    return attached->engine;
  }
  Status Detach(uint32_t engine);

 private:
  struct Attached {
    std::string name;
    std::shared_ptr<Engine> engine;
    std::shared_ptr<SimulatedFileSystem> disk;  // kept alive as long as its engine
    AttachReport report;
    uint32_t count = 1;
  };

  std::mutex attach_mutex_;
  std::unordered_map<std::string, uint32_t> by_name_;
  HandleTable<Attached> engines_{"storage group"};
};

}  // namespace granary

#endif  // GRANARY_ENGINE_REGISTRY_H_
