#include "datastore/block_writer.h"

#include <algorithm>
#include <chrono>

namespace granary {

BlockWriter::BlockWriter(std::shared_ptr<File> file, uint64_t offset, uint64_t allocated)
    : file_(std::move(file)), end_(offset), written_(offset), synced_(offset), allocated_(allocated) {
  CHECK(offset % kBlockSize == 0);
  for (size_t index = 0; index < kWriteBufferCount; ++index) free_.emplace_back();
}

BlockWriter::~BlockWriter() {
  {
    Guard guard(mutex_);
    must_stop_ = true;
    work_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Status BlockWriter::Reserve(uint64_t size) {
  Guard guard(mutex_);
  // Twice a block of padding: behind what is there, and behind what will be.
  return AllocateUpTo(RoundUp(end_, kBlockSize) + RoundUp(size, kBlockSize) + kBlockSize, &guard);
}

Result<uint64_t> BlockWriter::Append(ConstBytes bytes) {
  Guard guard(mutex_);
  RETURN_IF_ERROR(AllocateUpTo(RoundUp(end_ + bytes.size(), kBlockSize), &guard));
  const uint64_t start = end_;
  while (!bytes.empty()) {
    WaitForBuffer(&guard);
    if (!failure_.ok()) return failure_;
    const size_t part = std::min(bytes.size(), kWriteBufferSize - current_->size);
    std::memcpy(current_->memory.data() + current_->size, bytes.data(), part);
    current_->size += part;
    end_ += part;
    bytes = bytes.subspan(part);
    if (current_->size == kWriteBufferSize) EnqueueCurrent(&guard);
  }
  if (!failure_.ok()) return failure_;
  return start;
}

Result<uint64_t> BlockWriter::PadToBlock() {
  Guard guard(mutex_);
  PadCurrent(&guard);
  if (!failure_.ok()) return failure_;
  return end_;
}

Status BlockWriter::Sync() {
  Guard guard(mutex_);
  PadCurrent(&guard);
  if (current_) EnqueueCurrent(&guard);
  const uint64_t end = end_;
  WaitUntilWritten(&guard, end);
  while (failure_.ok() && synced_ < end) {
    if (is_syncing_) {  // it may have begun before our bytes were written: look again when it is done
      done_.wait(guard);
      continue;
    }
    is_syncing_ = true;
    const uint64_t covered = written_;
    guard.unlock();
    const Status status = file_->Sync();
    guard.lock();
    is_syncing_ = false;
    if (status.ok()) {
      synced_ = covered;
    } else if (failure_.ok()) {
      failure_ = status;
    }
    done_.notify_all();
  }
  return failure_;
}

uint64_t BlockWriter::allocated() const {
  Guard guard(mutex_);
  return allocated_;
}

// While an appender waits here in mid-record no buffer is current, so a Sync beside it pads nothing.
void BlockWriter::WaitForBuffer(Guard* guard) {
  if (current_) return;
  done_.wait(*guard, [this] { return !free_.empty() || !failure_.ok(); });
  if (!failure_.ok()) return;
  current_ = std::move(free_.back());
  free_.pop_back();
  current_->memory.Take(kWriteBufferSize);
  current_->offset = end_;
  current_->size = 0;
}

void BlockWriter::PadCurrent(Guard* guard) {
  if (!current_) return;
  const size_t padded = RoundUp(current_->size, kBlockSize);
  std::memset(current_->memory.data() + current_->size, 0, padded - current_->size);
  end_ += padded - current_->size;
  current_->size = padded;
  if (current_->size == kWriteBufferSize) EnqueueCurrent(guard);
}

void BlockWriter::EnqueueCurrent(Guard*) {
  const bool is_full = current_->size == kWriteBufferSize;
  if (current_->size > 0) {
    queue_.push_back(std::move(*current_));
  } else {
    free_.push_back(std::move(*current_));
  }
  current_.reset();
  if (is_full) StartThread();  // a partial one is written by the Sync that asked for it
}

void BlockWriter::WaitUntilWritten(Guard* guard, uint64_t end) {
  while (failure_.ok() && written_ < end) {
    if (!is_writing_ && !queue_.empty()) {
      WriteFront(guard);
    } else {
      done_.wait(*guard);
    }
  }
}

// One write at a time, in the file's order: what is written is a prefix.
void BlockWriter::WriteFront(Guard* guard) {
  WriteBuffer buffer = std::move(queue_.front());
  queue_.pop_front();
  is_writing_ = true;
  Status status = failure_;
  if (status.ok()) {
    guard->unlock();
    status = file_->WriteAt(buffer.offset, {buffer.memory.data(), buffer.size});
    guard->lock();
  }
  is_writing_ = false;
  if (status.ok()) written_ = buffer.offset + buffer.size;
  if (failure_.ok()) failure_ = status;
  free_.push_back(std::move(buffer));
  done_.notify_all();
  if (!queue_.empty()) work_.notify_one();  // a Sync may have taken the thread's turn
}

// Answers what is allocated now: more than was asked for while there is plenty.
Result<uint64_t> BlockWriter::AllocateAboveReserve(uint64_t end, uint64_t allocated) {
  ASSIGN_OR_RETURN(const uint64_t free, file_->FreeSpace());
  const uint64_t share = free / 16 / kAllocateStepMin * kAllocateStepMin;
  const uint64_t wanted = RoundUp(end, std::clamp(share, kAllocateStepMin, kAllocateStepMax));
  if (free < wanted - allocated + kVolumeReserve) {
    return Status(Code::kNoSpace, "the volume has " + std::to_string(free >> 20) + " MiB left, of which " +
                                      std::to_string(kVolumeReserve >> 20) + " MiB are kept");
  }
  RETURN_IF_ERROR(file_->Allocate(wanted));
  return wanted;
}

// Outside of the lock, so that a writer thread goes on; one at a time.
Status BlockWriter::AllocateUpTo(uint64_t end, Guard* guard) {
  done_.wait(*guard, [this] { return !is_allocating_; });
  if (!failure_.ok() || end <= allocated_) return failure_;
  is_allocating_ = true;
  const uint64_t before = allocated_;
  guard->unlock();
  Result<uint64_t> allocated = AllocateAboveReserve(end, before);
  guard->lock();
  is_allocating_ = false;
  done_.notify_all();
  if (allocated.ok()) {
    allocated_ = *allocated;
  } else if (allocated.status().code() != Code::kNoSpace && failure_.ok()) {
    failure_ = allocated.status();
  }
  return allocated.status();
}

void BlockWriter::StartThread() {
  if (is_running_) {
    work_.notify_one();
    return;
  }
  if (thread_.joinable()) thread_.join();  // it ended when it was idle
  is_running_ = true;
  thread_ = std::thread([this] { Run(); });
}

void BlockWriter::Run() {
  Guard guard(mutex_);
  const auto has_work = [this] { return must_stop_ || (!queue_.empty() && !is_writing_); };
  while (work_.wait_for(guard, std::chrono::seconds(kWriterIdleSeconds), has_work) && !must_stop_)
    WriteFront(&guard);
  is_running_ = false;
}

}  // namespace granary
