// A disk in memory, for tests: it knows what was synced and what was not, and fails as a plan says. A crash
// keeps what was durable and, by seed, any subset of the unsynced writes, torn at 512-byte steps or at any
// byte; directory entries that were not synced may vanish or stay. Deterministic: same calls, same plan, same
// seed, same disk.
#ifndef GRANARY_IO_SIMULATED_FILE_SYSTEM_H_
#define GRANARY_IO_SIMULATED_FILE_SYSTEM_H_

#include <functional>
#include <memory>
#include <vector>

#include "io/file.h"

namespace granary {

struct FaultPlan {
  enum class Kind : uint32_t {
    kNone = 0,
    kDie = 1,         // at the operation: it and all later ones fail with kIo, as if the process were dead
    kIoError = 2,     // kIo
    kNoSpace = 3,     // kNoSpace, for operations that take space
    kShortWrite = 4,  // half of the bytes are written, then kIo
    kTornDie = 5,     // half of the bytes of a write reach the device, then as kDie
    kReadError = 6,   // kIo on a read; for this kind the reads are counted instead
    kCopies = 7,      // no fault: a copy of the disk is kept before each operation
  };
  Kind kind = Kind::kNone;
  uint64_t operation = 0;  // counted from 1 since the plan was set; only mutating operations (write, sync,
                           // allocate, truncate, create, rename, unlink, mkdir, directory sync) count
  bool for_ever = false;  // from then on, or once
};

class SimulatedFileSystem : public FileSystem {
 public:
  static std::shared_ptr<SimulatedFileSystem> Create();
  virtual void SetPlan(const FaultPlan& plan) = 0;  // also revives a dead disk and resets the operation count
  virtual uint64_t operation_count() const = 0;     // mutating operations since the plan was set
  virtual bool plan_was_hit() const = 0;
  // Power cut: open files become unusable, locks are released, unsynced state is kept, dropped or torn by
  // `seed` (seed 0: everything unsynced is lost; seed 1: everything is kept).
  virtual void Crash(uint64_t seed) = 0;
  virtual void SetInOrder() = 0;                    // IsInOrder from now on, and of copies
  virtual void SetCapacity(uint64_t size_max) = 0;  // kNoSpace beyond it
  // Changes bytes of a file behind the back of the engine. kNotFound, kInvalid.
  virtual Status Damage(const std::string& path, uint64_t offset, ConstBytes bytes) = 0;
  // A disk of its own in the same state, synced and not, without plan, locks and open files.
  virtual std::shared_ptr<SimulatedFileSystem> Copy() const = 0;
  // Gives up the copies that a plan of kCopies has kept since it was set: [n] is the disk before operation
  // n + 1.
  virtual std::vector<std::shared_ptr<SimulatedFileSystem>> TakeCopies() = 0;
};

}  // namespace granary

#endif  // GRANARY_IO_SIMULATED_FILE_SYSTEM_H_
