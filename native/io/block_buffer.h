// Memory for whole blocks of a file: what goes past the page cache has to be aligned to them.
#ifndef GRANARY_IO_BLOCK_BUFFER_H_
#define GRANARY_IO_BLOCK_BUFFER_H_

#include <cstdlib>
#include <memory>

#include "io/file.h"

namespace granary {

// One thread at a time.
class BlockBuffer {
 public:
  // `size` bytes, aligned to blocks; what they hold is undefined. Valid until the next call. The memory grows
  // and is kept for the next call.
  Bytes Take(size_t size);
  uint8_t* data() const { return memory_.get(); }  // of what was taken last

 private:
  struct Release {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint8_t, Release> memory_;
  size_t capacity_ = 0;
};

// `size` bytes at `offset`, fewer only at the end of the file. Whole blocks around them are read, so that a
// file that was opened direct gives them past the page cache. Valid until the next use of `memory`.
Result<ConstBytes> ReadThroughBlocks(File* file, uint64_t offset, size_t size, BlockBuffer* memory);

}  // namespace granary

#endif  // GRANARY_IO_BLOCK_BUFFER_H_
