// Every order in which two streams and the cleaner can take their steps: a small model says which chunks must
// be readable, and after each step they are. Short: three steps a stream, six of the cleaner, 18 480 orders.
// GRANARY_LONG=1: four and eight, 900 900 orders.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

constexpr char kStreamOne = '1';
constexpr char kStreamTwo = '2';
constexpr char kCleaner = 'c';

// A stream of two chunks, taken apart into its steps.
class SteppedStream {
 public:
  SteppedStream(Group* group, ConstBytes content) : group_(group), content_(content), rows_(64) {}

  void Open() { number_ = group_->engine().OpenStream(kDigestXxh3); }
  Status Prepare() {
    auto stream = group_->engine().FindStream(number_);
    ASSIGN_OR_RETURN(const SegmentReport cut, stream->Prepare(content_, 0, true, rows_.data(), rows_.size()));
    rows_.resize(cut.row_count);
    if (cut.unknown_count > 0) {
      const std::vector<DataStoreId> places(cut.row_count);
      RETURN_IF_ERROR(stream->Admit(rows_.data(), cut.row_count, places.data()).status());
    }
    for (const Row& row : rows_) {
      if (row.state == RowState::kKnown) relied_on_.push_back(row);
    }
    return Status::Ok();
  }
  Status Store() {
    auto stream = group_->engine().FindStream(number_);
    RETURN_IF_ERROR(stream->Store(content_, rows_.data(), rows_.size()).status());
    ASSIGN_OR_RETURN(const StreamReport report, stream->Finish());
    entry_ = {report.root, report.size};
    relied_on_ = rows_;
    relied_on_.push_back({report.root.fingerprint, report.root.size, RowState::kKnown});
    return Status::Ok();
  }
  // From here on the file is the model's.
  Status Commit() {
    RETURN_IF_ERROR(group_->engine().Sync());
    group_->engine().CloseStream(number_);
    relied_on_.clear();
    is_committed_ = true;
    return Status::Ok();
  }

  // What it was answered "known" for or has stored: it may commit a file of them at any time.
  const std::vector<Row>& relied_on() const { return relied_on_; }
  bool is_committed() const { return is_committed_; }
  const Group::Entry& entry() const { return entry_; }
  ConstBytes content() const { return content_; }

 private:
  Group* const group_;
  const ConstBytes content_;
  std::vector<Row> rows_;
  std::vector<Row> relied_on_;
  Group::Entry entry_{};
  uint32_t number_ = 0;
  bool is_committed_ = false;
};

// One order of the steps, over a group that has other orders behind it.
class Interleaving {
 public:
  Interleaving(CleanedGroup* group, ConstBytes content, const std::array<size_t, 3>& ends, bool is_long)
      : group_(group),
        streams_{SteppedStream(group, content.first(ends[1])),
                 SteppedStream(group, content.subspan(ends[0], ends[2] - ends[0]))},
        is_long_(is_long) {}

  Status Run(const std::string& order) {
    std::array<int, 3> taken{};
    for (char who : order) {
      const int actor = who == kStreamOne ? 0 : who == kStreamTwo ? 1 : 2;
      const int step = taken[actor]++;
      RETURN_IF_ERROR(actor == 2 ? CleanerStep(step) : StreamStep(&streams_[actor], step));
      WaitUntilClosed();
      RETURN_IF_ERROR(Check());
    }
    return Status::Ok();
  }

 private:
  Status StreamStep(SteppedStream* stream, int step) {
    const int position = is_long_ ? step : step + 1;  // short: opened and prepared in one step
    if (step == 0) stream->Open();
    if (position == 1) return stream->Prepare();
    if (position == 2) return stream->Store();
    return position == 3 ? stream->Commit() : Status::Ok();
  }

  Status CleanerStep(int step) {
    // Short: the second epoch, the probe and the copy are one step.
    if (!is_long_ && step == 3) {
      RETURN_IF_ERROR(Act(3));
      RETURN_IF_ERROR(Act(4));
      return Act(5);
    }
    return Act(is_long_ || step < 3 ? step : step + 2);
  }

  Status Act(int act) {
    Engine& engine = group_->engine();
    switch (act) {
      case 0:
      case 3:
        return engine.BeginEpoch().status();
      case 1:
        mark_ = engine.cleaner().OpenMark();
        return engine.cleaner().MarkRoots(mark_, Roots()).status();
      case 2:
        return CondemnAll();
      case 4:
        return ProbeAll();
      case 5:
        for (const DataStoreId& id : victims_) RETURN_IF_ERROR(group_->CopyAll(id).status());
        return engine.Sync();
      case 6:
        for (const DataStoreId& id : victims_) {
          const Status status = engine.cleaner().Trash(id);
          if (!status.ok() && status.code() != Code::kBusy) return status;
        }
        return Status::Ok();
      default:
        for (const DataStoreId& id : engine.stores().ListTrash()) {
          RETURN_IF_ERROR(engine.stores().ReclaimStore(id));
        }
        return Status::Ok();
    }
  }

  Status CondemnAll() {
    Buffer bits(256);
    for (const DataStoreId& id : IdsOf(group_->engine())) {
      auto condemned = group_->engine().cleaner().Condemn(mark_, id, bits);
      if (!condemned.ok() && condemned.status().code() != Code::kBusy) return condemned.status();
      if (condemned.ok() && condemned->dead_count > 0) victims_.push_back(id);
    }
    group_->engine().cleaner().CloseMark(mark_);
    return Status::Ok();
  }

  Status ProbeAll() {
    Cleaner& cleaner = group_->engine().cleaner();
    ASSIGN_OR_RETURN(const uint32_t probe, cleaner.OpenProbe(victims_));
    RETURN_IF_ERROR(cleaner.ProbeRoots(probe, Roots()));
    for (const DataStoreId& id : IdsOf(group_->engine())) {
      RETURN_IF_ERROR(cleaner.ProbeStore(probe, id).status());
    }
    ASSIGN_OR_RETURN(const ReferenceProbe::Report report, cleaner.ReportProbe(probe));
    cleaner.CloseProbe(probe);
    if (report.hit_count > 0) return Status(Code::kCorrupt, "the marks disagree");
    if (report.missing_count > 0) return Status(Code::kCorrupt, "a node is missing");
    return Status::Ok();
  }

  std::vector<BlockmapRoot> Roots() const {
    std::vector<BlockmapRoot> roots;
    for (const SteppedStream& stream : streams_) {
      if (stream.is_committed()) roots.push_back(stream.entry().root);
    }
    return roots;
  }

  // Data stores close behind each record, in the background: what the cleaner may condemn has to be the same
  // each time.
  void WaitUntilClosed() {
    for (const StoreSlot* slot : group_->engine().stores().AllSlots()) {
      while (!slot->store->is_closed()) std::this_thread::yield();
    }
  }

  Status Check() {
    for (const SteppedStream& stream : streams_) {
      if (stream.is_committed()) {
        ASSIGN_OR_RETURN(const Buffer content, group_->Read(stream.entry()));
        if (!std::equal(content.begin(), content.end(), stream.content().begin(), stream.content().end())) {
          return Status(Code::kCorrupt, "a committed file reads differently");
        }
      }
      for (const Row& row : stream.relied_on()) {
        if (group_->engine().stores().Locate(row.fingerprint) == nullptr) {
          return Status(Code::kCorrupt, "a chunk that a stream relies on is gone");
        }
      }
    }
    if (group_->engine().Counters().dead_reads > 0) return Status(Code::kCorrupt, "a needed chunk is hidden");
    if (group_->engine().Counters().trash_reads > 0) return Status(Code::kCorrupt, "read from the trash");
    return Status::Ok();
  }

  CleanedGroup* const group_;
  std::array<SteppedStream, 2> streams_;
  const bool is_long_;
  uint32_t mark_ = 0;
  std::vector<DataStoreId> victims_;
};

// Content that is cut into three chunks wherever a stream begins in it, and where they end.
Buffer ThreeChunks(const Chunker& chunker, uint64_t seed, std::array<size_t, 3>* ends) {
  Buffer content(64 * 1024);
  for (size_t offset = 0; offset < content.size(); offset += 8) {  // splitmix64
    uint64_t value = (seed << 20) + offset / 8 * 0x9e3779b97f4a7c15ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    StoreLittle<uint64_t>(&content[offset], value ^ (value >> 31));
  }
  std::vector<uint32_t> cuts;
  chunker.Cut(content, false, &cuts);
  CHECK(cuts.size() >= 3);
  std::copy_n(cuts.begin(), 3, ends->begin());
  return Buffer(content.begin(), content.begin() + cuts[2]);
}

TEST(CleanerInterleaving, InEveryOrderOfTheStepsEveryNeededChunkIsReadable) {
  constexpr int kOrdersEachGroup = 64;
  const bool is_long = std::getenv("GRANARY_LONG") != nullptr;
  std::string order = is_long ? "11112222cccccccc" : "111222cccccc";
  std::unique_ptr<CleanedGroup> group;
  uint64_t count = 0;
  do {
    if (count++ % kOrdersEachGroup == 0) {
      GroupOptions options;
      options.is_encrypted = count % 128 == 1;
      options.store_size_target = 1;  // closed behind each record
      group = std::make_unique<CleanedGroup>(options);
      ASSERT_TRUE(group->Start().ok());
    }
    ChunkerParameters parameters;
    parameters.size_average = 4096;
    parameters.key.fill(2);
    std::array<size_t, 3> ends;
    const Buffer content = ThreeChunks(Chunker(parameters), count, &ends);
    // A file of all three chunks, deleted before the first step: everything is known and nothing is live.
    ASSERT_TRUE(group->Ingest(content).ok());
    group->CloseStreams();
    Interleaving interleaving(group.get(), content, ends, is_long);
    const Status status = interleaving.Run(order);
    ASSERT_TRUE(status.ok()) << "order " << order << ": " << status.message();
  } while (std::next_permutation(order.begin(), order.end()));
  RecordProperty("interleavings", std::to_string(count));
  EXPECT_EQ(count, is_long ? 900900u : 18480u);
}

}  // namespace
}  // namespace granary
