#include "engine/stream.h"

#include <algorithm>

namespace granary {

Stream::Stream(const Stages& stages, uint32_t digest_kinds) : stages_(stages), digests_(digest_kinds) {}

Stream::~Stream() { stages_.stores->Unpin(pins_); }

Status Stream::Fail(const Status& status) {
  if (failure_.ok()) failure_ = status;
  return failure_;
}

Result<SegmentReport> Stream::Prepare(ConstBytes segment, size_t fresh, bool is_last, Row* rows,
                                      size_t rows_max) {
  thread_local std::vector<uint32_t> cuts;
  thread_local std::vector<Fingerprint> fingerprints;
  thread_local std::vector<uint32_t> numbers;
  CHECK(fresh <= segment.size());
  cuts.clear();
  SegmentReport report;
  report.consumed = static_cast<uint32_t>(stages_.chunker->Cut(segment, is_last, &cuts));
  report.row_count = static_cast<uint32_t>(cuts.size());
  CHECK(cuts.size() <= rows_max);
  fingerprints.resize(cuts.size());
  numbers.resize(cuts.size());
  stages_.fingerprinter->HashChunks(segment.first(report.consumed), cuts, fingerprints);

  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(failure_);
  digests_.Update(segment.subspan(fresh));
  fresh_bytes_ += segment.size() - fresh;
  // Asked before the look-up: an index that becomes complete meanwhile had all answers already.
  const bool is_complete = stages_.stores->IsComplete();
  stages_.stores->LookUpAndPin(fingerprints, &pins_, numbers);
  const auto sink = [this](ConstBytes node) { return TakeNode(node); };
  for (size_t index = 0; index < cuts.size(); ++index) {
    Row& row = rows[index];
    row.fingerprint = fingerprints[index];
    row.length = cuts[index] - (index == 0 ? 0 : cuts[index - 1]);
    row.state = RowState::kKnown;
    if (numbers[index] == ResidentIndex::kAbsent && !pending_.contains(row.fingerprint)) {
      row.state = is_complete ? RowState::kNew : RowState::kUnknown;
      if (is_complete) pending_.insert(row.fingerprint);
      ++(is_complete ? report.new_count : report.unknown_count);
    }
    blockmap_.AddChunk(row.fingerprint, row.length, sink);
  }
  chunk_count_ += cuts.size();
  unsettled_ += report.new_count + report.unknown_count;
  return report;
}

Result<uint32_t> Stream::Admit(Row* rows, size_t row_count, const DataStoreId* places) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(failure_);
  uint32_t new_count = 0;
  for (size_t index = 0; index < row_count; ++index) {
    Row& row = rows[index];
    if (row.state == RowState::kNew) ++new_count;
    if (row.state != RowState::kUnknown) continue;
    const uint32_t number = stages_.stores->LookUpPlaceAndPin(row.fingerprint, places[index], &pins_);
    if (number != ResidentIndex::kAbsent) {
      // Backups have locality: the hit's neighbours will be asked for next.
      RETURN_IF_ERROR(stages_.stores->MakeResident(stages_.stores->slot(number)));
      row.state = RowState::kKnown;
      --unsettled_;
    } else if (pending_.insert(row.fingerprint).second) {
      row.state = RowState::kNew;
      ++new_count;
    } else {
      row.state = RowState::kKnown;
      --unsettled_;
    }
  }
  return new_count;
}

Result<StoreReport> Stream::Store(ConstBytes chunks, const Row* rows, size_t row_count) {
  std::vector<WriteChunk> batch;
  size_t offset = 0;
  for (size_t index = 0; index < row_count; ++index) {
    const Row& row = rows[index];
    CHECK(row.state != RowState::kUnknown && offset + row.length <= chunks.size());
    if (row.state == RowState::kNew) batch.push_back({row.fingerprint, chunks.subspan(offset, row.length)});
    offset += row.length;
  }
  StoreReport report;
  RETURN_IF_ERROR(StoreBatch(RecordType::kRegion, batch, &report));
  bool has_nodes;
  {
    std::lock_guard lock(mutex_);
    has_nodes = nodes_size_ >= kRegionSizeTarget;
  }
  if (has_nodes) RETURN_IF_ERROR(StoreNodes());
  return report;
}

Status Stream::StoreBatch(RecordType type, const std::vector<WriteChunk>& chunks, StoreReport* report) {
  auto written = stages_.writer->Write(type, chunks);
  std::lock_guard lock(mutex_);
  if (!written.ok()) return Fail(written.status());
  if (type == RecordType::kRegion) {
    CHECK(unsettled_ >= chunks.size());
    unsettled_ -= static_cast<uint32_t>(chunks.size());
    report->new_bytes += written->plain_bytes;
    stored_.new_bytes += written->plain_bytes;
  }
  report->stored_bytes += written->stored_bytes;
  stored_.stored_bytes += written->stored_bytes;
  // They are in the resident index now, under a data store that this stream has to keep as well.
  std::vector<Fingerprint> names;
  names.reserve(chunks.size());
  for (const WriteChunk& chunk : chunks) {
    pending_.erase(chunk.fingerprint);
    names.push_back(chunk.fingerprint);
  }
  std::vector<uint32_t> numbers(names.size());
  stages_.stores->LookUpAndPin(names, &pins_, numbers);
  return Status::Ok();
}

// Called with mutex_ held, from within Prepare and Finish.
Fingerprint Stream::TakeNode(ConstBytes node) {
  const Fingerprint fingerprint = stages_.fingerprinter->Hash(node);
  uint32_t number;
  stages_.stores->LookUpAndPin({&fingerprint, 1}, &pins_, {&number, 1});
  // A node that only the view knows is stored once more: asking would stop the stream for a few KiB, and the
  // cleaner takes the second copy.
  if (number == ResidentIndex::kAbsent && pending_.insert(fingerprint).second) {
    nodes_.push_back({fingerprint, Buffer(node.begin(), node.end())});
    nodes_size_ += node.size();
  }
  return fingerprint;
}

Status Stream::StoreNodes() {
  std::vector<Node> nodes;
  {
    std::lock_guard lock(mutex_);
    nodes.swap(nodes_);
    nodes_size_ = 0;
  }
  std::vector<WriteChunk> batch;
  for (const Node& node : nodes) batch.push_back({node.fingerprint, node.bytes});
  StoreReport ignored;
  return batch.empty() ? Status::Ok() : StoreBatch(RecordType::kBlockmap, batch, &ignored);
}

Result<StreamReport> Stream::Finish() {
  StreamReport report;
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(failure_);
    CHECK(unsettled_ == 0);
    CHECK(blockmap_.covered() == fresh_bytes_);
    report.size = fresh_bytes_;
    report.chunk_count = chunk_count_;
    report.root = blockmap_.Finish([this](ConstBytes node) { return TakeNode(node); });
    report.digests = digests_.Finish();
  }
  RETURN_IF_ERROR(StoreNodes());
  std::lock_guard lock(mutex_);
  report.stored = stored_;
  return report;
}

}  // namespace granary
