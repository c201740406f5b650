// The blockmap: a file's list of chunks as a tree. Nodes are cut by content, so that stretches that two
// generations have in common share nodes; a node is stored like a chunk and named by its fingerprint.
// FORMAT.md, section "Blockmap". Pure: where nodes go to and come from is the caller's. One object, one
// thread.
#ifndef GRANARY_BLOCKMAP_BLOCKMAP_H_
#define GRANARY_BLOCKMAP_BLOCKMAP_H_

#include <functional>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/status.h"

namespace granary {

inline constexpr uint32_t kNodeHeaderSize = 16;
inline constexpr uint32_t kLeafRowSize = 36;  // fingerprint, length
inline constexpr uint32_t kInnerRowSize =
    44;  // fingerprint, size of the child node, bytes of the file it covers
inline constexpr uint32_t kNodeRowCountMin = 16;   // below it no cut
inline constexpr uint32_t kNodeRowCountMax = 512;  // at it a cut in any case
inline constexpr uint32_t kNodeCutMask = 63;       // a cut behind one row in 64
inline constexpr uint32_t kNodeSizeMax = kNodeHeaderSize + kNodeRowCountMax * kInnerRowSize;
inline constexpr uint32_t kBlockmapDepthMax = 12;  // 16^12 rows at the very least

// A row of a node: a chunk (in leaves) or a child node.
struct NodeRow {
  Fingerprint fingerprint;
  uint32_t size = 0;     // of the chunk, or of the child node's bytes
  uint64_t covered = 0;  // bytes of the file below it; in leaves the same as `size`
};

// Names the tree: the root node, and how many levels of nodes there are (1: the root is a leaf).
struct BlockmapRoot {
  Fingerprint fingerprint;
  uint32_t size = 0;
  uint32_t depth = 0;
};

void EncodeNode(uint32_t level, const std::vector<NodeRow>& rows, Buffer* out);
// `level`: what the node must be (0: leaf). kCorrupt for anything that EncodeNode would not have written.
Status DecodeNode(ConstBytes in, uint32_t level, std::vector<NodeRow>* rows);

class BlockmapBuilder {
 public:
  // Takes a node's bytes for storing and returns its fingerprint.
  using NodeSink = std::function<Fingerprint(ConstBytes node)>;
  void AddChunk(const Fingerprint& fingerprint, uint32_t length, const NodeSink& sink);
  // Once. A file without chunks has one leaf without rows.
  BlockmapRoot Finish(const NodeSink& sink);
  uint64_t covered() const { return covered_; }

 private:
  struct Level {
    std::vector<NodeRow> rows;
    bool has_emitted = false;
  };
  void AddRow(uint32_t level, const NodeRow& row, const NodeSink& sink);
  void Emit(uint32_t level, const NodeSink& sink);

  std::vector<Level> levels_;
  uint64_t covered_ = 0;
};

// Walks the leaves from a file offset on.
class BlockmapReader {
 public:
  // Fetches a node's bytes. The pointer is good until the next call.
  using NodeSource = std::function<Result<Buffer>(const NodeRow& node)>;

  struct Range {
    uint64_t skip = 0;     // bytes of the first row's chunk before the asked offset
    uint64_t covered = 0;  // of all rows returned
  };
  // Appends the rows of the chunks that hold [offset, offset + length), `row_count_max` and `covered_max` at
  // the most (at least one row). kInvalid when `offset` is behind the file's end; kCorrupt.
  static Result<Range> Read(const BlockmapRoot& root, uint64_t offset, uint64_t length, size_t row_count_max,
                            uint64_t covered_max, const NodeSource& source, std::vector<NodeRow>* rows);
};

}  // namespace granary

#endif  // GRANARY_BLOCKMAP_BLOCKMAP_H_
