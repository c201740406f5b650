// Reads a file forward through one buffer: bounded memory, few system calls.
#ifndef GRANARY_IO_READ_WINDOW_H_
#define GRANARY_IO_READ_WINDOW_H_

#include "io/file.h"

namespace granary {

class ReadWindow {
 public:
  static constexpr size_t kSize = 256 << 10;  // read at a time; more when a caller asks for more

  explicit ReadWindow(File* file) : file_(file) {}
  // All that is buffered from `offset` on, at least `size` bytes; fewer only at the end of the file. Valid
  // until the next call.
  Result<ConstBytes> At(uint64_t offset, size_t size);

 private:
  File* file_;
  Buffer buffer_;
  uint64_t start_ = 0;
};

}  // namespace granary

#endif  // GRANARY_IO_READ_WINDOW_H_
