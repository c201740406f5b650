// Hostile bytes as blockmap nodes: a single one at each level, and a tree whose nodes they are.
#include <cstdlib>

#include "base/generated_input.h"
#include "blockmap/blockmap.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

constexpr uint32_t kLevels = 3;

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (uint32_t level = 0; level < kLevels; ++level) {
    std::vector<NodeRow> rows(level * 20 + 3);
    for (NodeRow& row : rows) {
      row.fingerprint.bytes = KeyOf(level);
      row.size = 1000;
      row.covered = level == 0 ? row.size : 70000;
    }
    seeds.emplace_back();
    EncodeNode(level, rows, &seeds.back());
  }
  seeds.emplace_back();
  EncodeNode(0, {}, &seeds.back());
  return seeds;
}

static void DecodeAlone(ConstBytes bytes) {
  for (uint32_t level = 0; level < kLevels; ++level) {
    std::vector<NodeRow> rows;
    if (!DecodeNode(bytes, level, &rows).ok()) continue;
    Buffer again;
    EncodeNode(level, rows, &again);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  }
}

// Every node of the tree has these bytes, with the level that its place wants.
static void WalkTree(Buffer bytes) {
  if (bytes.size() < kNodeHeaderSize) return;
  uint32_t left = 64;
  uint32_t level = LoadLittle<uint32_t>(bytes.data() + 4) % kBlockmapDepthMax;
  const BlockmapRoot root{{}, static_cast<uint32_t>(bytes.size()), level + 1};
  const auto source = [&](const NodeRow&) -> Result<Buffer> {
    if (left-- == 0) return Status(Code::kCorrupt, "enough");
    StoreLittle(bytes.data() + 4, level);
    if (level > 0) --level;
    return bytes;
  };
  std::vector<NodeRow> rows;
  const uint64_t offset = bytes[0];
  (void)BlockmapReader::Read(root, offset, uint64_t{1} << 40, 100, uint64_t{1} << 40, source, &rows);
  if (rows.size() > 100) std::abort();
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  granary::DecodeAlone({data, size});
  granary::WalkTree(granary::Buffer(data, data + size));
  return 0;
}
