// Appends bytes to a file in whole, block-aligned buffers written past the page cache, so that no block is
// ever written twice. Full buffers go out on a thread of the object's own, which starts with the first one
// and ends when idle.
//
// Threads: one appends; Sync may be called by any. A failure is final for the object.
#ifndef GRANARY_DATASTORE_BLOCK_WRITER_H_
#define GRANARY_DATASTORE_BLOCK_WRITER_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "io/block_buffer.h"

namespace granary {

inline constexpr size_t kWriteBufferSize = 1 << 20;
inline constexpr size_t kWriteBufferCount = 3;          // one filling, one being written, one waiting
// A file grows by so much at a time: the sixteenth part of the volume's free space within these bounds.
inline constexpr uint64_t kAllocateStepMin = 1ull << 20;
inline constexpr uint64_t kAllocateStepMax = 16ull << 20;
// What data stores leave of their volume to the log, the view, deletions and the cleaner.
inline constexpr uint64_t kVolumeReserve = 8ull << 20;
inline constexpr int kWriterIdleSeconds = 2;            // after which the thread ends

class BlockWriter {
 public:
  // `offset`: block-aligned end of what is in the file; `allocated`: the file's size.
  BlockWriter(std::shared_ptr<File> file, uint64_t offset, uint64_t allocated);
  ~BlockWriter();  // what was not synced may be lost

  // Makes sure that the file has space for `size` more bytes: kNoSpace then, with nothing changed, and never
  // later for bytes that were accepted. A full disk is thus no failure of the object.
  Status Reserve(uint64_t size);
  // Copies `bytes` behind what was appended before; returns where they begin in the file. Waits for a free
  // buffer.
  Result<uint64_t> Append(ConstBytes bytes);
  // Fills up to the next block with zeros; returns where the next bytes will begin.
  Result<uint64_t> PadToBlock();
  // Pads, writes, makes durable all that was appended before the call. Calls that meet share one fdatasync.
  Status Sync();
  // Of the file: what it takes on the device.
  uint64_t allocated() const;

 private:
  struct WriteBuffer {
    BlockBuffer memory;
    uint64_t offset = 0;
    size_t size = 0;
  };
  using Guard = std::unique_lock<std::mutex>;

  void EnqueueCurrent(Guard* guard);
  void PadCurrent(Guard* guard);
  void WaitForBuffer(Guard* guard);
  void WaitUntilWritten(Guard* guard, uint64_t end);
  void WriteFront(Guard* guard);
  Status AllocateUpTo(uint64_t end, Guard* guard);
  Result<uint64_t> AllocateAboveReserve(uint64_t end, uint64_t allocated);
  void StartThread();
  void Run();

  const std::shared_ptr<File> file_;
  mutable std::mutex mutex_;
  std::condition_variable work_;  // the queue has something for the thread
  std::condition_variable done_;  // a write or a sync ended
  std::optional<WriteBuffer> current_;
  std::deque<WriteBuffer> queue_;
  std::vector<WriteBuffer> free_;
  uint64_t end_;      // of what was appended
  uint64_t written_;  // up to here the file has it
  uint64_t synced_;   // up to here it is durable
  uint64_t allocated_;
  bool is_allocating_ = false;
  bool is_writing_ = false;
  bool is_syncing_ = false;
  Status failure_;  // the first; sticks
  std::thread thread_;
  bool is_running_ = false;
  bool must_stop_ = false;
};

}  // namespace granary

#endif  // GRANARY_DATASTORE_BLOCK_WRITER_H_
