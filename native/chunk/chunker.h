// Content-defined chunking: cuts a stream where its content says so, with a two-level value of the bytes
// before and a normalised cut probability. A cut depends on the bytes since the chunk's start and on the
// group's key alone, never on how the stream was sliced on its way here. Pure: no I/O, no clock, no mutable
// state; one Chunker may serve all threads.
#ifndef GRANARY_CHUNK_CHUNKER_H_
#define GRANARY_CHUNK_CHUNKER_H_

#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "chunk/cut_rule.h"

namespace granary {

// Bounds of the average size.
inline constexpr uint32_t kChunkAverageMin = 4096;
inline constexpr uint32_t kChunkAverageMax = 1u << 20;

struct ChunkerParameters {
  uint32_t size_average = 16384;  // power of two; minimum is a quarter of it, maximum four times
  Key key{};                      // one key, one set of cut points: lengths do not reveal content
  uint32_t size_min() const { return size_average / 4; }
  uint32_t size_max() const { return size_average * 4; }
};

// The instruction sets a chunker can run on. All give the same cuts.
enum class ChunkerBackend { kPortable, kSse41, kAvx2, kAvx512 };
const char* ChunkerBackendName(ChunkerBackend backend);
bool ChunkerBackendIsAvailable(ChunkerBackend backend);
ChunkerBackend BestChunkerBackend();

class Chunker {
 public:
  explicit Chunker(const ChunkerParameters& parameters, ChunkerBackend backend = BestChunkerBackend());

  // Appends to `cuts` the end offset of every chunk of `data` that no further byte could change, and returns
  // the last of them (0 when none). data[0] must be the start of a chunk. With `is_last` the rest is a chunk
  // too, however short. The bytes behind the returned offset (less than size_max) have to be put in front of
  // the stream's next bytes.
  size_t Cut(ConstBytes data, bool is_last, std::vector<uint32_t>* cuts) const;

  const ChunkerParameters& parameters() const { return parameters_; }
  const CutRule& rule() const { return rule_; }

 private:
  static constexpr size_t kNoCut = SIZE_MAX;
  // The end of the chunk that begins at `start`, or kNoCut when `data` ends before it is known.
  size_t EndOfChunk(ConstBytes data, size_t start) const;

  ChunkerParameters parameters_;
  ChunkerBackend backend_;
  CutRule rule_;
};

}  // namespace granary

#endif  // GRANARY_CHUNK_CHUNKER_H_
