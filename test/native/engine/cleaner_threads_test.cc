// Streams on their threads beside a cleaner on its own: what is answered "known" is there when it is
// committed. For ThreadSanitizer as much as for the rule.
#include <gtest/gtest.h>

#include <thread>

#include "engine/cleaner_harness.h"

namespace granary {
namespace {

constexpr size_t kStreamCount = 3;
constexpr size_t kFileSize = 40000;
constexpr size_t kContentCount = 5;  // few, so that dead chunks come again all the time

struct Committed {
  Group::Entry entry;
  uint64_t seed;
};

class CleanerThreads : public ::testing::Test {
 protected:
  static GroupOptions Options() {
    GroupOptions options;
    options.store_size_target = 1;  // closed behind each record: everything may be condemned at once
    return options;
  }
  void SetUp() override { ASSERT_TRUE(group_.Start().ok()); }
  Engine& engine() { return group_.engine(); }

  // One stream from its first byte to its commit, and its deletion of the file before.
  void Put(uint64_t seed, size_t place) {
    const Buffer content = MakeBytes(kFileSize, seed);
    const uint32_t number = engine().OpenStream(kDigestXxh3);
    auto stream = engine().FindStream(number);
    std::vector<Row> rows(1024);
    auto cut = stream->Prepare(content, 0, true, rows.data(), rows.size());
    ASSERT_TRUE(cut.ok());
    if (cut->unknown_count > 0) {
      const std::vector<DataStoreId> places(cut->row_count);
      ASSERT_TRUE(stream->Admit(rows.data(), cut->row_count, places.data()).ok());
    }
    ASSERT_TRUE(stream->Store(content, rows.data(), cut->row_count).ok());
    auto report = stream->Finish();
    ASSERT_TRUE(report.ok());
    ASSERT_TRUE(engine().Sync().ok());
    {
      std::lock_guard lock(mutex_);
      files_[place] = Committed{{report->root, report->size}, seed};
    }
    engine().CloseStream(number);
  }
  std::optional<Committed> FileAt(size_t place) {
    std::lock_guard lock(mutex_);
    return files_[place];
  }
  void ExpectReads(size_t place) {
    const std::optional<Committed> before = FileAt(place);
    if (!before) return;
    auto content = group_.Read(before->entry);
    std::lock_guard lock(mutex_);
    // Deleted while it was read: it may be gone.
    const bool is_same = files_[place] && files_[place]->seed == before->seed;
    if (!is_same) return;
    ASSERT_TRUE(content.ok()) << content.status().message();
    ASSERT_TRUE(*content == MakeBytes(kFileSize, before->seed));
  }

  // A whole run, with roots from the model instead of the log.
  void RunCleaner() {
    ASSERT_TRUE(engine().BeginEpoch().ok());
    const uint32_t mark = engine().cleaner().OpenMark();
    for (size_t place = 0; place < kStreamCount; ++place) {
      const std::optional<Committed> file = FileAt(place);
      if (!file) continue;
      auto report = engine().cleaner().MarkRoots(mark, {&file->entry.root, 1});
      const std::optional<Committed> now = FileAt(place);
      const bool is_same = now && now->entry.root.fingerprint == file->entry.root.fingerprint;
      // A file that was replaced meanwhile was no root any more: its successor's stream was open, or touches.
      if (is_same) ASSERT_TRUE(report.ok() && report->done == 1) << report.status().message();
    }
    Buffer bits(4096);
    std::vector<DataStoreId> victims;
    for (const DataStoreId& id : IdsOf(engine())) {
      auto condemned = engine().cleaner().Condemn(mark, id, bits);
      if (condemned.ok() && condemned->dead_count > 0) victims.push_back(id);
    }
    engine().cleaner().CloseMark(mark);
    for (const DataStoreId& id : victims) ASSERT_TRUE(group_.CopyAll(id).ok());
    ASSERT_TRUE(engine().Sync().ok());
    for (const DataStoreId& id : victims) {
      const Status trashed = engine().cleaner().Trash(id);
      if (trashed.ok()) ASSERT_TRUE(engine().stores().ReclaimStore(id).ok());
      if (!trashed.ok()) ASSERT_EQ(trashed.code(), Code::kBusy) << trashed.message();
    }
  }

  CleanedGroup group_{Options()};
  std::mutex mutex_;
  std::array<std::optional<Committed>, kStreamCount> files_;
};

TEST_F(CleanerThreads, FilesThatAreCommittedBesideARunningCleanerReadBack) {
  std::atomic<size_t> running = kStreamCount;
  std::vector<std::thread> threads;
  for (size_t place = 0; place < kStreamCount; ++place) {
    threads.emplace_back([this, place, &running] {
      std::mt19937_64 random(place);
      for (int round = 0; round < 40 && !HasFatalFailure(); ++round) {
        Put(random() % kContentCount, place);
        ExpectReads(place);
      }
      --running;
    });
  }
  int runs = 0;
  while (running > 0 && !HasFatalFailure()) {
    RunCleaner();
    for (size_t place = 0; place < kStreamCount; ++place) ExpectReads(place);
    ++runs;
  }
  for (std::thread& thread : threads) thread.join();
  RunCleaner();
  for (size_t place = 0; place < kStreamCount; ++place) ExpectReads(place);
  EXPECT_EQ(engine().Counters().trash_reads, 0u);
  RecordProperty("runs", runs);
}

TEST_F(CleanerThreads, ALookUpBesideACondemnationIsAnsweredBeforeItOrNotAtAll) {
  for (uint64_t round = 0; round < 30; ++round) {
    const Buffer content = MakeBytes(kFileSize, 1000 + round);
    ASSERT_TRUE(group_.Ingest(content).ok());
    group_.CloseStreams();
    for (const StoreSlot* slot : engine().stores().AllSlots()) {
      while (!slot->store->is_closed()) std::this_thread::yield();
    }
    ASSERT_TRUE(engine().BeginEpoch().ok());
    const uint32_t mark = engine().cleaner().OpenMark();
    std::vector<Fingerprint> names;
    const std::vector<DataStoreId> ids = IdsOf(engine());
    for (const DataStoreId& id : ids) {
      ASSERT_TRUE(
          engine()
              .stores()
              .FindSlot(id)
              ->store
              ->ForEachChunk([&](const Fingerprint& name, const ChunkPlace&) { names.push_back(name); })
              .ok());
    }
    std::vector<uint32_t> numbers(names.size());
    PinSet pins;
    const uint32_t stream = engine().OpenStream(kDigestXxh3);
    std::thread looker([&] { engine().stores().LookUpAndPin(names, &pins, numbers); });
    Buffer bits(4096);
    for (const DataStoreId& id : ids) ASSERT_TRUE(engine().cleaner().Condemn(mark, id, bits).ok());
    looker.join();
    for (size_t index = 0; index < names.size(); ++index) {
      const bool is_known = numbers[index] != ResidentIndex::kAbsent;
      ASSERT_EQ(is_known, engine().stores().FindIndexed(names[index]) != nullptr) << round;
    }
    engine().stores().Unpin(pins);
    engine().CloseStream(stream);
    engine().cleaner().CloseMark(mark);
    for (const DataStoreId& id : ids) {
      if (engine().cleaner().Trash(id).ok()) ASSERT_TRUE(engine().stores().ReclaimStore(id).ok());
    }
  }
}

}  // namespace
}  // namespace granary
