#include "io/block_buffer.h"

#include <algorithm>

#include "base/check.h"

namespace granary {

Bytes BlockBuffer::Take(size_t size) {
  if (size > capacity_) {
    capacity_ = RoundUp(size, kBlockSize);
    memory_.reset();  // before the larger one is there: never both
    memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(kBlockSize, capacity_)));
    CHECK(memory_ != nullptr);
  }
  return {memory_.get(), size};
}

Result<ConstBytes> ReadThroughBlocks(File* file, uint64_t offset, size_t size, BlockBuffer* memory) {
  const uint64_t start = offset / kBlockSize * kBlockSize;
  const size_t skipped = offset - start;
  const Bytes blocks = memory->Take(RoundUp(skipped + size, kBlockSize));
  ASSIGN_OR_RETURN(const size_t count, file->ReadAt(start, blocks));
  const size_t end = std::min(count, skipped + size);
  return ConstBytes(blocks).subspan(std::min(skipped, end), end - std::min(skipped, end));
}

}  // namespace granary
