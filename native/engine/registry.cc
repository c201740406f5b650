#include "engine/registry.h"

namespace granary {

Registry& Registry::Get() {
  static Registry* registry = new Registry;  // never destroyed: worker threads may outlive static destruction
  return *registry;
}

Result<FileSystem*> Registry::Files(uint32_t disk) {
  if (disk == 0) return PosixFileSystem();
  ASSIGN_OR_RETURN(std::shared_ptr<SimulatedFileSystem> simulated, disks.Get(disk));
  return static_cast<FileSystem*>(simulated.get());
}

Result<uint32_t> Registry::Attach(uint32_t disk, const AttachParameters& parameters, AttachReport* report) {
  std::lock_guard lock(attach_mutex_);
  const std::string name =
      std::to_string(disk) + ":" + parameters.directory + (parameters.is_read_only ? ":ro" : "");
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    ASSIGN_OR_RETURN(std::shared_ptr<Attached> attached, engines_.Get(found->second));
    ++attached->count;
    *report = attached->report;
    return found->second;
  }
  ASSIGN_OR_RETURN(FileSystem * files, Files(disk));
  auto attached = std::make_shared<Attached>();
  if (disk != 0) {
    ASSIGN_OR_RETURN(attached->disk, disks.Get(disk));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, Engine::Attach(files, parameters, report));
  attached->name = name;
  attached->engine = std::move(engine);
  attached->report = *report;
  const uint32_t handle = engines_.Add(attached);
  by_name_[name] = handle;
  return handle;
}

Status Registry::Detach(uint32_t engine) {
  std::lock_guard lock(attach_mutex_);
  ASSIGN_OR_RETURN(std::shared_ptr<Attached> attached, engines_.Get(engine));
  if (attached->count == 1 && attached->engine->streams_open() > 0)
    return Status(Code::kBusy, "streams of the storage group are open");
  if (--attached->count > 0) return Status::Ok();
  by_name_.erase(attached->name);
  engines_.Remove(engine);
  return attached->engine->Detach();
}

}  // namespace granary
