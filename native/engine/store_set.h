// The data stores of a group, by number: which there are, which are being appended to, who has pinned them,
// and the resident index over their chunks. LookUpAndPin is the one function that answers "present"
// (invariant I4).
//
// The cleaner hides chunks, and takes whole data stores away, under the lock that every look-up shares: a
// chunk is either answered "known", pinned and touched before, or not answered "known" from then on.
//
// store_set.cc: which data stores there are, and appending. store_lookup.cc: look-ups and the resident index.
// store_hiding.cc: hidden chunks. store_trash.cc: data stores that leave.
//
// Threads: all methods may be called by all threads. A slot, once made, lives as long as the set.
// Order of locks: cleaner, condemn, all others.
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
#include "engine/hidden_chunks.h"
#include "engine/touch_filters.h"
#include "index/resident_index.h"

namespace granary {

// A data store is closed behind a hundredth of the volume, but not before the first, if that is less than its
// bound.
inline constexpr uint64_t kStoreSizeTargetMin = 4ull << 20;
inline constexpr uint64_t kStoresOfVolume = 100;

// Where a data store's file is: in data/, in trash/, or unlinked.
enum class StoreState { kLive, kTrash, kGone };

// A data store's place in the set. Numbers start at 1 and are not kept over a restart.
struct StoreSlot {
  uint32_t number = 0;
  std::shared_ptr<DataStore> store;
  uint64_t size_target = 0;  // closed behind it; set before anything is appended
  std::atomic<StoreState> state{StoreState::kLive};
  std::atomic<uint32_t> pin_count{0};
  HiddenChunks hidden;                   // under the set's condemn lock
  std::atomic<bool> is_damaged{false};   // some chunks are hidden as damaged
  std::atomic<bool> is_in_view{false};   // the view has its fingerprints: the resident index may forget them
  std::atomic<bool> is_resident{false};  // the resident index has all its fingerprints
  std::atomic<bool> is_dirty{false};     // appended to since the last Sync
  std::atomic<uint64_t> last_hit{0};     // for choosing what to forget
};

// A data store as the cleaner sees it under a mark.
struct StoreSurvey {
  bool is_closed = false;
  uint32_t pin_count = 0;
  uint32_t key_epoch = 0;
  uint64_t chunk_count = 0;
  uint64_t dead_count = 0;  // neither marked nor touched, and not hidden as dead before
  uint64_t dead_plain_bytes = 0;
  uint64_t plain_bytes = 0;
  uint64_t file_bytes = 0;
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
    uint64_t table_bytes_max = 0;  // of closed data stores, loaded to find a chunk's place
    uint64_t size_target = 0;  // less on a small volume
    uint64_t epoch = 0;  // of the cleaner
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
  // out[i]: number of the data store that holds fingerprints[i], now pinned in `pins` and touched, or
  // kAbsent.
  void LookUpAndPin(std::span<const Fingerprint> fingerprints, PinSet* pins, std::span<uint32_t> out);
  // The same for a chunk that the resident index lacks. `place`: the data store that the view names, or all
  // zero; it is believed when its own table has the chunk. Then data stores are asked that the view may lack.
  uint32_t LookUpPlaceAndPin(const Fingerprint& fingerprint, const DataStoreId& place, PinSet* pins);
  void Unpin(const PinSet& pins);
  // The data store that holds the chunk, for reading: resident index first, then the data stores that the
  // view does not know yet, then hidden copies, then what was rescued from the trash. Null: the view has to
  // be asked.
  StoreSlot* Locate(const Fingerprint& fingerprint);
  // out[i]: a live data store but `except` whose own table has the chunk, not hidden, or kAbsent. The
  // resident index says where to look first, then every table is searched.
  void FindCopies(std::span<const Fingerprint> fingerprints, const StoreSlot* except,
                  std::span<uint32_t> out);
  // What the resident index says; null: nothing.
  StoreSlot* FindIndexed(const Fingerprint& fingerprint) const;
  // Where the data store has the chunk, preferably where it is not damaged; nullopt: it does not.
  Result<std::optional<ChunkPlace>> FindWhole(StoreSlot* slot, const Fingerprint& fingerprint);
  // Does this live data store's own table have the chunk, not hidden?
  bool HasVisible(StoreSlot* slot, const Fingerprint& fingerprint);
  // True when a fingerprint that the resident index lacks is in no data store (or hidden, or was hidden in
  // one that had other copies: then it is stored once more).
  bool IsComplete() const { return is_complete_.load(std::memory_order_acquire); }

  // --- appending ---
  // A data store for one thread to append to; give it back. One that is full is closed in the background.
  Result<StoreSlot*> TakeAppender();
  void ReturnAppender(StoreSlot* slot);
  // The same behind a failed Append: anything but kNoSpace stops the group's writing.
  void ReturnAppenderAfter(StoreSlot* slot, const Status& failure);
  // Makes the chunk known. Called behind a successful Append of its record, before the appender is given
  // back. kReplace: look-ups go to this copy from now on, unless it has been hidden since.
  void AddChunk(const Fingerprint& fingerprint, StoreSlot* slot, ResidentIndex::Mode mode);
  // Makes durable all that was appended before the call.
  Status Sync();
  // Closes a data store that waits for more to be appended; what comes goes into another one. Closed already:
  // nothing. kBusy: it is being appended to. kNotFound.
  Status CloseStore(const DataStoreId& id);

  // --- resident index ---
  // Loads up to `count` further data stores, newest first; returns how many are left (0, too, when memory is
  // full).
  Result<size_t> Warm(size_t count);
  Status MakeResident(StoreSlot* slot);
  // As MakeResident, though it is resident already: a chunk of it was not found.
  Status MakeResidentAgain(StoreSlot* slot);
  void MarkInView(const DataStoreId& id);

  // --- touches and hidden chunks: store_hiding.cc ---
  // `oldest`: epoch of the oldest open stream, or `epoch`.
  void BeginEpoch(uint64_t epoch, uint64_t oldest);
  uint64_t epoch() const;
  // kNotFound: there is no such data store. kInvalid: it has fewer chunks.
  Status HideChunks(const DataStoreId& id, HiddenReason reason, uint32_t first, ConstBytes bits);
  Status RevealChunks(const DataStoreId& id, HiddenReason reason);
  bool IsHidden(const StoreSlot* slot, HiddenReason reason, uint32_t chunk) const;
  // What Condemn would find. `live`: the mark's filter.
  Result<StoreSurvey> Survey(const DataStoreId& id, const FingerprintFilter& live);
  // Hides as dead what is neither live nor touched; `bits` gets every chunk that is hidden as dead then.
  // kBusy: not closed. kInvalid: `bits` is too small, or the mark (of epoch `mark_epoch`) is not of this
  // epoch.
  Result<StoreSurvey> Condemn(const DataStoreId& id, const FingerprintFilter& live, uint64_t mark_epoch,
                              Bytes bits);
  // Reads of chunks that are hidden as dead.
  uint64_t dead_reads() const { return dead_reads_.load(); }

  // --- data stores that leave: store_trash.cc ---
  // Contracts in src/native/binding.ts, verbs of the same names.
  Status TrashStore(const DataStoreId& id);
  Status UntrashStore(const DataStoreId& id);
  Status ReclaimStore(const DataStoreId& id);
  std::vector<DataStoreId> ListTrash() const;
  // In data/ or in trash/.
  Result<StoreSlot*> FindStored(const DataStoreId& id);
  uint64_t trash_bytes() const;
  // Makes chunks readable that are in no place where Locate looks; returns how many.
  size_t Rescue(std::span<const Fingerprint> fingerprints);
  uint64_t trash_reads() const { return trash_reads_.load(); }

  // Of live data stores; null, and none, for those in the trash.
  StoreSlot* FindSlot(const DataStoreId& id) const;
  std::vector<StoreSlot*> AllSlots() const;
  StoreSlot* slot(uint32_t number) const;
  uint64_t resident_entries() const { return index_.size(); }
  uint64_t resident_bytes() const { return index_.bytes(); }
  uint64_t table_bytes() const { return tables_->bytes(); }
  // Of a data store that is begun now, on a volume of which the group may use so many bytes.
  uint64_t SizeTarget(uint64_t volume_bytes) const;
  // The first failed write: from then on nothing is appended (invariant I10).
  Status failure() const;
  const Key* KeyOfEpoch(uint32_t epoch) const;

 private:
  Status OpenOne(const std::string& path, const std::string& name, Report* report);
  Status ListTrashFiles();
  StoreSlot* AddSlot(std::shared_ptr<DataStore> store, StoreState state);
  Result<StoreSlot*> CreateStore();
  Status EnsureDirectory(const std::string& path);
  uint64_t VolumeBytes() const;  // free and ours
  // Inserts unless the chunk is hidden or the data store has left; false: the index is full.
  bool InsertVisible(const Fingerprint& fingerprint, StoreSlot* slot, uint32_t chunk);
  bool PinAndTouch(const Fingerprint& fingerprint, StoreSlot* slot, uint32_t chunk, PinSet* pins);
  StoreSlot* LocateVisible(const Fingerprint& fingerprint);
  StoreSlot* LocateHidden(const Fingerprint& fingerprint);
  void UpdateComplete();
  bool ForgetOneStore(const StoreSlot* except);
  void CloseInBackground(StoreSlot* slot);
  void CloseWaiting();
  Status CloseNow(StoreSlot* slot);
  void CloserLoop();
  Status Fail(const Status& status);

  // kInvalid when attached for reading, or the failure that has stopped the writing.
  Status CanChange() const;
  // With the condemn lock held alone.
  void Hide(StoreSlot* slot, HiddenReason reason, uint32_t chunk, const Fingerprint& fingerprint);
  struct Candidate {
    Fingerprint fingerprint;
    uint32_t chunk;
    uint32_t length;
  };
  Result<StoreSurvey> Candidates(StoreSlot* slot, const FingerprintFilter& live,
                                 std::vector<Candidate>* candidates);
  // A slot in any state but gone; opens one from the trash.
  Result<StoreSlot*> FindAnySlot(const DataStoreId& id);
  Result<StoreSlot*> OpenTrashed(const DataStoreId& id);
  std::string DataPath(const DataStoreId& id) const;
  std::string TrashPath(const DataStoreId& id) const;
  // Takes its chunks out of all look-ups; `copies[i]`: where chunk i is found from now on.
  void TakeOut(StoreSlot* slot, std::span<const Fingerprint> chunks, std::span<const uint32_t> copies);
  Status CheckCopies(StoreSlot* slot, std::vector<Fingerprint>* chunks, std::vector<uint32_t>* copies);
  Status MoveDurably(StoreSlot* slot, const std::string& to);
  // Its file is in data/: found again.
  Status PutBack(StoreSlot* slot);

  const Parameters parameters_;
  const std::shared_ptr<TableBudget> tables_;
  ResidentIndex index_;
  std::atomic<bool> is_complete_{true};
  std::atomic<uint64_t> hit_clock_{0};

  // Shared by whoever answers "known" or makes a chunk known; held alone by whoever takes that back.
  mutable std::shared_mutex condemn_mutex_;
  TouchFilters touches_;
  ResidentIndex hidden_index_;  // where hidden chunks lie; full: they are found by Rescue only
  std::unordered_map<Fingerprint, uint32_t, FingerprintHash> rescued_;
  std::atomic<uint64_t> dead_reads_{0};
  std::atomic<uint64_t> trash_reads_{0};
  std::mutex cleaner_mutex_;  // one data store at a time is condemned, or leaves

  mutable std::shared_mutex slots_mutex_;
  std::vector<std::unique_ptr<StoreSlot>> slots_;  // number - 1
  std::unordered_map<DataStoreId, uint32_t, DataStoreIdHash> numbers_;
  struct Trashed {
    uint64_t file_bytes = 0;
    uint32_t number = 0;  // of its slot; 0: not opened yet
  };
  std::map<DataStoreId, Trashed> trash_;  // files in trash/

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
