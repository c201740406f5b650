// Compression of regions: lz4 (fast) or zstd (best), and a refusal of what does not shrink.
// A Compressor owns scratch memory and codec contexts: one per thread.
#ifndef GRANARY_COMPRESS_COMPRESSOR_H_
#define GRANARY_COMPRESS_COMPRESSOR_H_

#include <memory>

#include "base/bytes.h"
#include "base/status.h"

namespace granary {

enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };  // values are at rest: never renumber
enum class CompressionMode : uint8_t { kNone = 0, kFast = 1, kBest = 2 };

class Compressor {
 public:
  Compressor();
  ~Compressor();

  struct Encoded {
    Codec codec;
    ConstBytes
        bytes;  // either in scratch memory of this object (valid until the next call) or `plain` itself
  };
  // Never fails: what does not shrink by at least 1/16 comes back as kNone over `plain`. A cheap probe of the
  // entropy skips the codec for data that would be refused anyway.
  Encoded Compress(CompressionMode mode, ConstBytes plain);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Fills `plain` exactly or returns kCorrupt; never writes past it, whatever `stored` says. Thread-safe
// (contexts are thread-local).
Status Decompress(Codec codec, ConstBytes stored, Bytes plain);

}  // namespace granary

#endif  // GRANARY_COMPRESS_COMPRESSOR_H_
