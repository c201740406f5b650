#include "io/read_window.h"

#include <algorithm>

namespace granary {

Result<ConstBytes> ReadWindow::At(uint64_t offset, size_t size) {
  if (offset < start_ || offset + size > start_ + buffer_.size()) {
    buffer_.resize(std::max(size, kSize));
    start_ = offset;
    auto count = file_->ReadAt(offset, buffer_);
    buffer_.resize(count.ok() ? *count : 0);
    RETURN_IF_ERROR(count.status());
  }
  return ConstBytes(buffer_).subspan(offset - start_);
}

}  // namespace granary
