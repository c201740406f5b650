// Hostile bytes as both copies of a log segment that recovery is to judge.
#include "base/generated_input.h"
#include "datastore/commit_log_format.h"
#include "fuzz/fuzz_seeds.h"
#include "io/simulated_file_system.h"

namespace granary {

static Buffer SegmentHeader() {
  LogSegmentHeader header;
  header.first_sequence = 1;
  Buffer bytes(kLogSegmentHeaderSize);
  EncodeLogSegmentHeader(header, bytes);
  return bytes;
}

// The records of copy A and, of the same size, those of copy B.
std::vector<Buffer> FuzzSeeds() {
  Buffer records;
  LogRecordHeader header;
  for (header.sequence = 1; header.sequence < 5; ++header.sequence) {
    header.type = 1;
    header.payload_size = static_cast<uint32_t>(header.sequence * 30);
    const Buffer payload = RandomBytes(header.sequence, header.payload_size);
    header.previous_hash = EncodeLogRecord({}, header, payload, &records);
  }
  Buffer both = records;
  both.insert(both.end(), records.begin(), records.end());
  return {both};
}

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
  Buffer a = SegmentHeader();
  Buffer b = a;
  a.insert(a.end(), data, data + size / 2);
  b.insert(b.end(), data + size / 2, data + size);
  Recover(a, b);
  return 0;
}
