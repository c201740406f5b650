// The way back. `stored` may be anything: each path proves that it fills `plain` exactly before it says Ok.
#include <lz4.h>
#include <zstd.h>

#include <climits>

#include "compress/compressor.h"

namespace granary {
namespace {

Status Corrupt(const char* what) { return Status(Code::kCorrupt, what); }

Status DecompressNone(ConstBytes stored, Bytes plain) {
  if (stored.size() != plain.size()) return Corrupt("uncompressed region differs in length from its table");
  if (!plain.empty()) std::memmove(plain.data(), stored.data(), plain.size());
  return Status::Ok();
}

Status DecompressLz4(ConstBytes stored, Bytes plain) {
  if (stored.empty() || stored.size() > INT_MAX || plain.size() > LZ4_MAX_INPUT_SIZE) {
    return Corrupt("lz4 region of impossible length");
  }
  const int size =
      LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data()), reinterpret_cast<char*>(plain.data()),
                          static_cast<int>(stored.size()), static_cast<int>(plain.size()));
  if (size < 0 || static_cast<size_t>(size) != plain.size()) return Corrupt("lz4 region is damaged");
  return Status::Ok();
}

// One frame that names its content's size. It is decoded in one call straight into `plain`, which is its only
// window: no frame, whatever window it asks for, makes zstd allocate one.
Status DecompressZstd(ConstBytes stored, Bytes plain) {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  CHECK(context != nullptr);
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != plain.size() ||
      ZSTD_findFrameCompressedSize(stored.data(), stored.size()) != stored.size()) {
    return Corrupt("zstd region is not one frame of the length in its table");
  }
  const size_t size =
      ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) || size != plain.size()) return Corrupt("zstd region is damaged");
  return Status::Ok();
}

}  // namespace

Status Decompress(Codec codec, ConstBytes stored, Bytes plain) {
  switch (codec) {
    case Codec::kNone:
      return DecompressNone(stored, plain);
    case Codec::kLz4:
      return DecompressLz4(stored, plain);
    case Codec::kZstd:
      return DecompressZstd(stored, plain);
  }
  return Corrupt("unknown codec");
}

}  // namespace granary
