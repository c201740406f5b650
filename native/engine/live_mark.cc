#include "engine/live_mark.h"

#include <algorithm>

#include "seal/seal.h"

namespace granary {
namespace {

// Below it memory is no matter, and fewer errors are welcome.
constexpr uint64_t kChunkCountMin = 1 << 16;

FingerprintFilter::Salt FreshSalt() {
  FingerprintFilter::Salt salt;
  FillRandom({reinterpret_cast<uint8_t*>(salt.data()), sizeof salt});
  return salt;
}

}  // namespace

LiveMark::LiveMark(uint64_t chunk_count, uint64_t epoch)
    : epoch_(epoch),
      live_(FingerprintFilter::WordCount(std::max(chunk_count, kChunkCountMin), kBitsEach), FreshSalt()) {}

Result<LiveMark::Report> LiveMark::MarkRoots(RecordReader* reader, std::span<const BlockmapRoot> roots) {
  std::lock_guard lock(mutex_);
  Report report;
  Status status;
  for (const BlockmapRoot& root : roots) {
    if (root.depth == 0 || root.depth > kBlockmapDepthMax) {
      status = Status(Code::kCorrupt, "a blockmap of " + std::to_string(root.depth) + " levels");
      break;
    }
    Fingerprint unresolved;
    status = Walk(reader, {root.fingerprint, root.size, 0}, root.depth - 1, &unresolved);
    if (status.code() == Code::kUnavailable) report.unresolved = unresolved;
    if (!status.ok()) break;
    ++report.done;
  }
  if (!status.ok() && !report.unresolved) return status;
  report.node_count = node_count_;
  report.chunk_count = chunk_count_;
  return report;
}

// As deep as the blockmap's levels: a child is of the level below, or else it is damaged.
Status LiveMark::Walk(RecordReader* reader, const NodeRow& node, uint32_t level, Fingerprint* unresolved) {
  if (walked_.Contains(node.fingerprint)) return Status::Ok();
  ASSIGN_OR_RETURN(const Buffer bytes, reader->ReadNode(node, unresolved));
  std::vector<NodeRow> rows;
  RETURN_IF_ERROR(DecodeNode(bytes, level, &rows));
  for (const NodeRow& row : rows) {
    if (level > 0)
      RETURN_IF_ERROR(Walk(reader, row, level - 1, unresolved));
    else
      live_.Add(row.fingerprint);
  }
  live_.Add(node.fingerprint);
  walked_.Insert(node.fingerprint);  // last: a walk that was cut off goes into it again
  ++node_count_;
  if (level == 0) chunk_count_ += rows.size();
  return Status::Ok();
}

}  // namespace granary
