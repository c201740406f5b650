// Bounds what closed data stores keep in memory: their tables of chunks, and with each an open file. What was
// used longest ago is let go of when another one is loaded; it comes back on its next use.
//
// Threads: any. Locks: a data store calls in with its table locked; of other data stores only try-locks are
// taken from here.
#ifndef GRANARY_DATASTORE_TABLE_BUDGET_H_
#define GRANARY_DATASTORE_TABLE_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace granary {

// What is counted for an open file, whether it is open or not: 64 MiB of budget hold at most a thousand of
// them (two descriptors each), small tables or not.
inline constexpr uint64_t kOpenFileCharge = 64 << 10;

class TableBudget {
 public:
  class Holder {
   public:
    virtual ~Holder() = default;
    // Lets go of its table and file. False: they are in use at this moment.
    virtual bool TryDropMemory() = 0;
    std::atomic<uint64_t> last_use{0};  // on the budget's clock
  };

  explicit TableBudget(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  // Goes on with every table that is loaded.
  uint64_t now() const { return clock_.load(std::memory_order_relaxed); }
  // The holder has loaded a table of so many bytes, or has closed with it. Others are let go of until all is
  // within the bound again, or none is left that can be. A holder that is there already stays as it is.
  void Take(Holder* holder, uint64_t table_bytes);
  // It has let go by itself, or is going.
  void GiveBack(Holder* holder);
  uint64_t bytes() const;

 private:
  const uint64_t bytes_max_;
  std::atomic<uint64_t> clock_{0};
  mutable std::mutex mutex_;
  std::unordered_map<Holder*, uint64_t> holders_;  // and what is counted for them
  uint64_t bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_TABLE_BUDGET_H_
