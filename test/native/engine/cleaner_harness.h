// A storage group with the control plane's part of a cleaning: roots from the log, and the log's word on
// condemned and moved data stores, obeyed again after a crash.
#ifndef GRANARY_TEST_ENGINE_CLEANER_HARNESS_H_
#define GRANARY_TEST_ENGINE_CLEANER_HARNESS_H_

#include <set>

#include "engine/group_harness.h"

namespace granary {

inline std::vector<DataStoreId> IdsOf(Engine& engine) {
  std::vector<DataStoreId> ids;
  for (const StoreSlot* slot : engine.stores().AllSlots()) ids.push_back(slot->store->identity().id);
  return ids;
}

inline size_t CountBits(ConstBytes bits) {
  size_t count = 0;
  for (uint8_t byte : bits) count += static_cast<size_t>(std::popcount(byte));
  return count;
}

class CleanedGroup : public Group {
 public:
  explicit CleanedGroup(const GroupOptions& options = {}) : Group(options) {}

  Status Start() {
    RETURN_IF_ERROR(Format());
    return Attach();
  }

  // Everything that a start has to do before the first stream; the resident index is loaded behind it.
  Status Recover() {
    RETURN_IF_ERROR(AttachCold());
    ASSIGN_OR_RETURN(const States states, ReadStates());
    for (const auto& [id, bits] : states.condemned) {
      const Status hidden = engine().stores().HideChunks(id, HiddenReason::kDead, 0, bits);
      if (!hidden.ok() && hidden.code() != Code::kNotFound) return hidden;
    }
    for (const DataStoreId& id : states.moved) {
      const Status trashed = engine().cleaner().Trash(id);
      if (!trashed.ok() && trashed.code() != Code::kNotFound) return trashed;
    }
    return Warm();
  }

  Result<std::vector<BlockmapRoot>> Roots() {
    ASSIGN_OR_RETURN(const auto catalog, ReadCatalog());
    std::vector<BlockmapRoot> roots;
    for (const auto& [name, entry] : catalog) roots.push_back(entry.root);
    return roots;
  }

  // A mark of all files; the caller closes it.
  Result<uint32_t> Mark() {
    ASSIGN_OR_RETURN(const auto roots, Roots());
    const uint32_t mark = engine().cleaner().OpenMark();
    ASSIGN_OR_RETURN(const LiveMark::Report report, engine().cleaner().MarkRoots(mark, roots));
    if (report.done != roots.size()) return Status(Code::kUnavailable, "a node is not resident");
    return mark;
  }

  // Condemns what the mark leaves of one data store, and logs it. Returns how many chunks.
  Result<uint64_t> Condemn(uint32_t mark, const DataStoreId& id) {
    const StoreSlot* slot = engine().stores().FindSlot(id);
    if (slot == nullptr) return Status(Code::kNotFound, "gone");
    Buffer bits(slot->store->counts().chunk_count / 8 + 1);
    ASSIGN_OR_RETURN(const StoreSurvey survey, engine().cleaner().Condemn(mark, id, bits));
    if (survey.dead_count == 0) return uint64_t{0};
    if (Status logged = LogState(kCondemnType, id, bits); !logged.ok()) return logged;
    return survey.dead_count;
  }

  // Mark 2: hits, after all nodes were found.
  Result<uint64_t> Probe(const std::vector<DataStoreId>& condemned) {
    ASSIGN_OR_RETURN(const auto roots, Roots());
    ASSIGN_OR_RETURN(const uint32_t probe, engine().cleaner().OpenProbe(condemned));
    RETURN_IF_ERROR(engine().cleaner().ProbeRoots(probe, roots));
    ReferenceProbe::Report report;
    for (uint64_t before = UINT64_MAX, missing = UINT64_MAX - 1; missing > 0 && missing < before;) {
      before = missing;
      for (const DataStoreId& id : IdsOf(engine())) {
        ASSIGN_OR_RETURN(report, engine().cleaner().ProbeStore(probe, id));
      }
      missing = report.missing_count;
    }
    ASSIGN_OR_RETURN(report, engine().cleaner().ReportProbe(probe));
    engine().cleaner().CloseProbe(probe);
    if (report.missing_count > 0) return Status(Code::kCorrupt, "a blockmap node is in no data store");
    return report.hit_count;
  }

  Result<CopyReport> CopyAll(const DataStoreId& id, uint64_t bytes_max = 64 * 1024) {
    CopyReport all;
    const StoreSlot* slot = engine().stores().FindSlot(id);
    if (slot == nullptr) return Status(Code::kNotFound, "gone");
    while (all.next < slot->store->counts().chunk_count) {
      ASSIGN_OR_RETURN(const CopyReport part, engine().cleaner().Copy(id, all.next, bytes_max));
      if (part.next <= all.next) return Status(Code::kInvalid, "the copy stands still");
      all.next = part.next;
      all.copied_count += part.copied_count;
      all.copied_plain_bytes += part.copied_plain_bytes;
      all.copied_stored_bytes += part.copied_stored_bytes;
      all.duplicate_plain_bytes += part.duplicate_plain_bytes;
      all.damaged.insert(all.damaged.end(), part.damaged.begin(), part.damaged.end());
    }
    return all;
  }

  // Copies, makes that durable, says so in the log, and only then takes the file away.
  Status Empty(const DataStoreId& id) {
    ASSIGN_OR_RETURN(const CopyReport copied, CopyAll(id));
    if (!copied.damaged.empty()) return Status(Code::kCorrupt, "a live chunk is damaged");
    RETURN_IF_ERROR(engine().Sync());
    RETURN_IF_ERROR(LogState(kMoveType, id, {}));
    return engine().cleaner().Trash(id);
  }

  Status Reclaim(const DataStoreId& id) {
    RETURN_IF_ERROR(engine().stores().ReclaimStore(id));
    return LogState(kReclaimType, id, {});
  }

  // One run of the cleaner, in the order of the control plane's.
  Status RunCycle() {
    for (const DataStoreId& id : engine().stores().ListTrash()) RETURN_IF_ERROR(Reclaim(id));
    RETURN_IF_ERROR(engine().BeginEpoch().status());
    ASSIGN_OR_RETURN(const States states, ReadStates());
    std::vector<DataStoreId> victims;
    for (const auto& [id, bits] : states.condemned) {
      if (engine().stores().FindSlot(id) != nullptr) victims.push_back(id);
    }
    if (!victims.empty()) {
      ASSIGN_OR_RETURN(const uint64_t hits, Probe(victims));
      if (hits > 0) return Status(Code::kCorrupt, "the marks disagree");
    }
    for (const DataStoreId& id : victims) {
      const Status emptied = Empty(id);
      if (!emptied.ok() && emptied.code() != Code::kBusy) return emptied;
    }
    RETURN_IF_ERROR(engine().BeginEpoch().status());
    ASSIGN_OR_RETURN(const uint32_t mark, Mark());
    for (const DataStoreId& id : IdsOf(engine())) {
      auto condemned = Condemn(mark, id);
      if (!condemned.ok() && condemned.status().code() != Code::kBusy) return condemned.status();
    }
    engine().cleaner().CloseMark(mark);
    for (const DataStoreId& id : engine().stores().ListTrash()) RETURN_IF_ERROR(Reclaim(id));
    return Status::Ok();
  }

  struct States {
    std::map<DataStoreId, Buffer> condemned;  // of data stores that have not been reclaimed
    std::set<DataStoreId> moved;
  };
  Result<States> ReadStates() {
    States states;
    RETURN_IF_ERROR(ForEachLogRecord([&](uint32_t type, BoundedReader payload) {
      if (type < kCondemnType) return;
      DataStoreId id;
      const ConstBytes name = payload.TakeBytes(id.bytes.size());
      std::copy(name.begin(), name.end(), id.bytes.begin());
      if (type == kCondemnType) {
        const ConstBytes bits = payload.TakeBytes(payload.remaining());
        states.condemned[id] = Buffer(bits.begin(), bits.end());
      } else if (type == kMoveType) {
        states.moved.insert(id);
      } else {
        states.condemned.erase(id);
        states.moved.erase(id);
      }
    }));
    return states;
  }

  static constexpr uint32_t kCondemnType = 3;
  static constexpr uint32_t kMoveType = 4;
  static constexpr uint32_t kReclaimType = 5;  // or pardoned

  Status LogState(uint32_t type, const DataStoreId& id, ConstBytes bits) {
    Buffer payload(id.bytes.begin(), id.bytes.end());
    payload.insert(payload.end(), bits.begin(), bits.end());
    return AppendLog(type, payload);
  }
};

}  // namespace granary

#endif  // GRANARY_TEST_ENGINE_CLEANER_HARNESS_H_
