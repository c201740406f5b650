// Hostile bytes as a log segment's header, as a record, and as both copies of a segment that recovery is to
// judge.
#include "datastore/commit_log_format.h"
#include "io/simulated_file_system.h"
#include "seal/seal.h"

namespace granary {

static void Recover(ConstBytes a, ConstBytes b) {
  auto files = SimulatedFileSystem::Create();
  (void)CommitLog::Create(files.get(), "/log");
  for (const auto& [path, bytes] :
       {std::pair{"/log/a/0000000000000001.log", a}, {"/log/b/0000000000000001.log", b}}) {
    auto file = files->Open(path, OpenMode::kCreate);
    (void)(*file)->WriteAt(0, bytes);
  }
  auto log = CommitLog::Open(files.get(), "/log", {StoreId{}, 2, 0, nullptr, kBlockSize}, false, nullptr);
  if (!log.ok()) return;
  (void)(*log)->Read(1, [](uint64_t, const LogEntry&) { return true; });
  (void)(*log)->Append({{1, a.first(std::min<size_t>(a.size(), 100))}});
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  LogSegmentHeader header;
  (void)DecodeLogSegmentHeader({data, size}, &header);
  Buffer bytes(data, data + size);
  LogPlace place;
  if (bytes.size() >= kLogRecordHeaderSize) {  // past magic and checksum, to what lies behind them
    StoreLittle(bytes.data(), kLogRecordMagic);
    std::memcpy(place.segment_id.data(), bytes.data() + 48, 8);
    StoreLittle(bytes.data() + 60, Crc32c(ConstBytes(bytes).first(60)));
  }
  DecodedLogRecord record;
  (void)DecodeLogRecord(place, bytes, &record);
  const size_t half = size / 2;
  Buffer whole(kLogSegmentHeaderSize);
  header.first_sequence = 1;
  header.store_id = StoreId{};
  header.is_sealed = false;
  EncodeLogSegmentHeader(header, whole);
  Buffer other = whole;
  whole.insert(whole.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(half));
  other.insert(other.end(), bytes.begin() + static_cast<ptrdiff_t>(half), bytes.end());
  Recover(whole, other);
  return 0;
}
