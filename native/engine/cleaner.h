// The cleaner's and the scrubber's acts on one storage group, each short; the order in which they are done is
// the control plane's (src/cleaner, FLOWS.md "Cleaner"). Contracts in src/native/binding.ts, verbs of the
// same names.
//
// Threads: all methods may be called by all threads. Marks and probes are numbers, as streams are.
#ifndef GRANARY_ENGINE_CLEANER_H_
#define GRANARY_ENGINE_CLEANER_H_

#include <memory>
#include <mutex>
#include <unordered_map>

#include "engine/copy_forward.h"
#include "engine/live_mark.h"
#include "engine/reference_probe.h"
#include "engine/verify.h"

namespace granary {

class Cleaner {
 public:
  struct Stages {
    StoreSet* stores;
    RecordReader* reader;
    RecordWriter* writer;
    const Fingerprinter* fingerprinter;
  };
  Cleaner(const Stages& stages, bool is_read_only) : stages_(stages), is_read_only_(is_read_only) {}

  uint32_t OpenMark();
  Result<LiveMark::Report> MarkRoots(uint32_t mark, std::span<const BlockmapRoot> roots);
  Result<StoreSurvey> Survey(uint32_t mark, const DataStoreId& id);
  Result<StoreSurvey> Condemn(uint32_t mark, const DataStoreId& id, Bytes bits);
  void CloseMark(uint32_t mark);

  Result<uint32_t> OpenProbe(std::span<const DataStoreId> ids);
  Status ProbeRoots(uint32_t probe, std::span<const BlockmapRoot> roots);
  Result<ReferenceProbe::Report> ProbeStore(uint32_t probe, const DataStoreId& id);
  Result<ReferenceProbe::Report> ReportProbe(uint32_t probe);
  void CloseProbe(uint32_t probe);

  Result<CopyReport> Copy(const DataStoreId& id, uint64_t from, uint64_t bytes_max);
  Status Trash(const DataStoreId& id);

  // `bytes_max` UINT64_MAX: to the end.
  Result<VerifyReport> Scrub(const DataStoreId& id, uint64_t from, uint64_t bytes_max);
  Result<uint64_t> Admit(std::span<const Row> rows, ConstBytes bytes);

 private:
  Result<std::shared_ptr<LiveMark>> FindMark(uint32_t number);
  Result<std::shared_ptr<ReferenceProbe>> FindProbe(uint32_t number);
  Result<StoreSlot*> FindSlot(const DataStoreId& id) const;
  Status CanWrite() const;

  const Stages stages_;
  const bool is_read_only_;
  std::mutex mutex_;
  uint32_t next_ = 1;
  std::unordered_map<uint32_t, std::shared_ptr<LiveMark>> marks_;
  std::unordered_map<uint32_t, std::shared_ptr<ReferenceProbe>> probes_;
};

}  // namespace granary

#endif  // GRANARY_ENGINE_CLEANER_H_
