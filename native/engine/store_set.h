// The data stores of a group, by number: which there are, which are being appended to, who has pinned them,
// and the resident index over their chunks. LookUpAndPin is the one function that answers "present"
// (invariant I4).
//
// Threads: all methods may be called by all threads. A slot, once made, lives as long as the set.
#ifndef GRANARY_ENGINE_STORE_SET_H_
#define GRANARY_ENGINE_STORE_SET_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "datastore/data_store.h"
#include "index/resident_index.h"

namespace granary {

// A data store's place in the set. Numbers start at 1 and are not kept over a restart.
struct StoreSlot {
  uint32_t number = 0;
  std::shared_ptr<DataStore> store;
  std::string path;
  std::atomic<uint32_t> pin_count{0};
  std::atomic<bool> is_in_view{false};   // the view has its fingerprints: the resident index may forget them
  std::atomic<bool> is_resident{false};  // the resident index has all its fingerprints
  std::atomic<bool> is_dirty{false};     // appended to since the last Sync
  std::atomic<uint64_t> last_hit{0};     // for choosing what to forget
};

// The data stores one stream relies on. Owned by the stream, used under its lock.
using PinSet = std::unordered_set<uint32_t>;

class StoreSet {
 public:
  struct Parameters {
    FileSystem* files;
    std::string directory;  // of the group
    StoreId store_id;
    uint64_t incarnation = 0;
    uint64_t resident_bytes_max = 0;
    uint64_t size_target = 0;
    bool is_read_only = false;
  };
  struct DataKeys {
    std::map<uint32_t, Key> keys;
    uint32_t active_epoch = 0;
  };
  struct DamagedStore {
    std::string name;
    std::string reason;
  };
  struct Report {
    uint64_t recovered_count = 0;
    std::vector<DamagedStore> damaged;
  };

  StoreSet(const Parameters& parameters, DataKeys keys);
  ~StoreSet();

  // Opens every data store of the directory; closes unfinished ones by scanning. kDenied: a key is missing or
  // wrong.
  Status Open(Report* report);
  // Closes what is being appended to. No appender may be out. After a failure the rest is left for recovery.
  Status Close();

  void SetDataKeys(const DataKeys& keys);

  // --- look-up ---
  // out[i]: number of the data store that holds fingerprints[i], now pinned in `pins`, or kAbsent.
  void LookUpAndPin(std::span<const Fingerprint> fingerprints, PinSet* pins, std::span<uint32_t> out);
  // Pins a data store by id; kAbsent when it is not there.
  uint32_t PinById(const DataStoreId& id, PinSet* pins);
  void Unpin(const PinSet& pins);
  // The data store that holds the chunk, for reading: resident index first, then the data stores that the
  // view does not know yet. Null: the view has to be asked.
  StoreSlot* Locate(const Fingerprint& fingerprint);
  // True when a fingerprint that the resident index lacks is in no data store.
  bool IsComplete() const { return is_complete_.load(std::memory_order_acquire); }

  // --- appending ---
  // A data store for one thread to append to; give it back. One that is full is closed in the background.
  Result<StoreSlot*> TakeAppender();
  void ReturnAppender(StoreSlot* slot);
  // The same behind a failed Append: anything but kNoSpace stops the group's writing.
  void ReturnAppenderAfter(StoreSlot* slot, const Status& failure);
  // Makes the chunk known. Called behind a successful Append of its record.
  void AddChunk(const Fingerprint& fingerprint, StoreSlot* slot);
  // Makes durable all that was appended before the call.
  Status Sync();

  // --- resident index ---
  // Loads up to `count` further data stores, newest first; returns how many are left (0, too, when memory is
  // full).
  Result<size_t> Warm(size_t count);
  Status MakeResident(StoreSlot* slot);
  void MarkInView(const DataStoreId& id);

  StoreSlot* FindSlot(const DataStoreId& id) const;
  StoreSlot* slot(uint32_t number) const;
  std::vector<StoreSlot*> AllSlots() const;
  uint64_t resident_entries() const { return index_.size(); }
  uint64_t resident_bytes() const { return index_.bytes(); }
  // The first failed write: from then on nothing is appended (invariant I10).
  Status failure() const;
  const Key* KeyOfEpoch(uint32_t epoch) const;

 private:
  Status OpenOne(const std::string& path, const std::string& name, Report* report);
  StoreSlot* AddSlot(std::shared_ptr<DataStore> store, const std::string& path);
  Result<StoreSlot*> CreateStore();
  Status EnsureDirectory(const std::string& path);
  bool ForgetOneStore(const StoreSlot* except);
  void CloseInBackground(StoreSlot* slot);
  void CloseWaiting();
  void CloseNow(StoreSlot* slot);
  void CloserLoop();
  Status Fail(const Status& status);

  const Parameters parameters_;
  ResidentIndex index_;
  std::atomic<bool> is_complete_{true};
  std::atomic<uint64_t> hit_clock_{0};

  mutable std::shared_mutex slots_mutex_;
  std::vector<std::unique_ptr<StoreSlot>> slots_;  // number - 1
  std::unordered_map<DataStoreId, uint32_t, DataStoreIdHash> numbers_;

  mutable std::shared_mutex keys_mutex_;
  DataKeys keys_;

  mutable std::mutex appenders_mutex_;
  std::vector<StoreSlot*> idle_appenders_;
  std::vector<StoreSlot*> open_stores_;  // being appended to or waiting to be closed
  Status failure_;

  std::mutex forget_mutex_;  // one thread at a time makes room, or says that the index is complete
  std::mutex sync_mutex_;    // a second Sync must not return before the first has made its stores durable

  // The closer: trailers are written off the path of the workers.
  std::mutex closer_mutex_;
  std::condition_variable closer_wakes_;
  std::deque<StoreSlot*> closing_;
  bool closer_stops_ = false;
  std::thread closer_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_STORE_SET_H_
