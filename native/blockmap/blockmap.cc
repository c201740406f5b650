#include "blockmap/blockmap.h"

namespace granary {
namespace {

// First four bytes of SHA-256 of "Granary blockmap node v1".
constexpr uint32_t kNodeMagic = 0xebd5d996;

bool IsCut(const std::vector<NodeRow>& rows) {
  if (rows.size() >= kNodeRowCountMax) return true;
  const uint32_t bits = LoadLittle<uint32_t>(rows.back().fingerprint.bytes.data() + 28);
  return rows.size() >= kNodeRowCountMin && (bits & kNodeCutMask) == 0;
}

}  // namespace

void EncodeNode(uint32_t level, const std::vector<NodeRow>& rows, Buffer* out) {
  CHECK(rows.size() <= kNodeRowCountMax && level < kBlockmapDepthMax);
  out->clear();
  Writer writer(out);
  writer.Put<uint32_t>(kNodeMagic);
  writer.Put<uint32_t>(level);
  writer.Put<uint32_t>(static_cast<uint32_t>(rows.size()));
  writer.Put<uint32_t>(0);
  for (const NodeRow& row : rows) {
    writer.PutBytes(row.fingerprint.bytes);
    writer.Put<uint32_t>(row.size);
    if (level > 0) writer.Put<uint64_t>(row.covered);
  }
}

Status DecodeNode(ConstBytes in, uint32_t level, std::vector<NodeRow>* rows) {
  BoundedReader reader(in);
  const uint32_t magic = reader.Take<uint32_t>();
  const uint32_t level_found = reader.Take<uint32_t>();
  const uint32_t row_count = reader.Take<uint32_t>();
  const uint32_t reserved = reader.Take<uint32_t>();
  const uint32_t row_size = level == 0 ? kLeafRowSize : kInnerRowSize;
  if (!reader.ok() || magic != kNodeMagic || level_found != level || reserved != 0 ||
      row_count > kNodeRowCountMax || reader.remaining() != static_cast<uint64_t>(row_count) * row_size) {
    return Status(Code::kCorrupt, "blockmap node: header does not fit (level " + std::to_string(level_found) +
                                      ", wanted " + std::to_string(level) + ")");
  }
  rows->clear();
  rows->reserve(row_count);
  for (uint32_t index = 0; index < row_count; ++index) {
    NodeRow row;
    ConstBytes name = reader.TakeBytes(row.fingerprint.bytes.size());
    std::copy(name.begin(), name.end(), row.fingerprint.bytes.begin());
    row.size = reader.Take<uint32_t>();
    row.covered = level == 0 ? row.size : reader.Take<uint64_t>();
    if (row.size == 0 || row.covered == 0 || row.covered > UINT64_MAX / kNodeRowCountMax) {
      return Status(Code::kCorrupt,
                    "blockmap node: row " + std::to_string(index) + " has an impossible size");
    }
    rows->push_back(row);
  }
  return Status::Ok();
}

void BlockmapBuilder::AddChunk(const Fingerprint& fingerprint, uint32_t length, const NodeSink& sink) {
  covered_ += length;
  AddRow(0, NodeRow{fingerprint, length, length}, sink);
}

void BlockmapBuilder::AddRow(uint32_t level, const NodeRow& row, const NodeSink& sink) {
  if (levels_.size() <= level) levels_.resize(level + 1);
  levels_[level].rows.push_back(row);
  if (IsCut(levels_[level].rows)) Emit(level, sink);
}

void BlockmapBuilder::Emit(uint32_t level, const NodeSink& sink) {
  Buffer node;
  EncodeNode(level, levels_[level].rows, &node);
  NodeRow parent{sink(node), static_cast<uint32_t>(node.size()), 0};
  for (const NodeRow& row : levels_[level].rows) parent.covered += row.covered;
  levels_[level].rows.clear();
  levels_[level].has_emitted = true;
  AddRow(level + 1, parent, sink);
}

BlockmapRoot BlockmapBuilder::Finish(const NodeSink& sink) {
  if (levels_.empty()) {
    Buffer node;
    EncodeNode(0, {}, &node);
    return {sink(node), static_cast<uint32_t>(node.size()), 1};
  }
  for (uint32_t level = 0;; ++level) {
    if (!levels_[level].rows.empty()) Emit(level, sink);
    const Level& above = levels_[level + 1];
    // A level with a single row that never had others needs no node of its own: its child is the root.
    if (!above.has_emitted && above.rows.size() == 1) {
      return {above.rows[0].fingerprint, above.rows[0].size, level + 1};
    }
  }
}

namespace {

struct Walk {
  uint64_t offset;  // still to be skipped
  uint64_t left;    // bytes wanted behind it
  size_t row_count_max;
  uint64_t covered_max;
  const BlockmapReader::NodeSource& source;
  std::vector<NodeRow>* rows;
  BlockmapReader::Range range;

  bool IsFull() const { return left == 0 || rows->size() >= row_count_max; }

  Status TakeLeafRow(const NodeRow& row) {
    if (!rows->empty() && range.covered + row.size > covered_max) {
      left = 0;
      return Status::Ok();
    }
    if (rows->empty()) range.skip = offset;
    const uint64_t useful = row.size - offset;
    offset = 0;
    left -= std::min(left, useful);
    range.covered += row.size;
    rows->push_back(row);
    return Status::Ok();
  }

  Status Visit(const NodeRow& node, uint32_t level) {
    ASSIGN_OR_RETURN(Buffer bytes, source(node));
    std::vector<NodeRow> children;
    RETURN_IF_ERROR(DecodeNode(bytes, level, &children));
    for (const NodeRow& child : children) {
      if (IsFull()) return Status::Ok();
      if (offset >= child.covered) {
        offset -= child.covered;
        continue;
      }
      RETURN_IF_ERROR(level == 0 ? TakeLeafRow(child) : Visit(child, level - 1));
    }
    return Status::Ok();
  }
};

}  // namespace

Result<BlockmapReader::Range> BlockmapReader::Read(const BlockmapRoot& root, uint64_t offset, uint64_t length,
                                                   size_t row_count_max, uint64_t covered_max,
                                                   const NodeSource& source, std::vector<NodeRow>* rows) {
  rows->clear();
  if (root.depth == 0 || root.depth > kBlockmapDepthMax) {
    return Status(Code::kCorrupt, "blockmap: impossible depth " + std::to_string(root.depth));
  }
  Walk walk{offset, length, row_count_max, covered_max, source, rows, {}};
  RETURN_IF_ERROR(walk.Visit(NodeRow{root.fingerprint, root.size, 0}, root.depth - 1));
  if (rows->empty() && length > 0) {
    return Status(Code::kInvalid, "offset " + std::to_string(offset) + " is behind the end of the file");
  }
  return walk.range;
}

}  // namespace granary
