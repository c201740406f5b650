#include "blockmap/blockmap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace granary {
namespace {

// Nodes by name; a node's name is a cheap mix of its bytes, which is all the tree asks for.
struct NodeShelf {
  std::map<Fingerprint, Buffer> nodes;

  static Fingerprint NameOf(ConstBytes bytes) {
    uint64_t state = 0xcbf29ce484222325ull;
    for (uint8_t byte : bytes) state = (state ^ byte) * 0x100000001b3ull;
    std::mt19937_64 random(state);
    Fingerprint name;
    for (size_t offset = 0; offset < 32; offset += 8) StoreLittle<uint64_t>(&name.bytes[offset], random());
    return name;
  }
  BlockmapBuilder::NodeSink Sink() {
    return [this](ConstBytes bytes) {
      const Fingerprint name = NameOf(bytes);
      nodes[name] = Buffer(bytes.begin(), bytes.end());
      return name;
    };
  }
  BlockmapReader::NodeSource Source() {
    return [this](const NodeRow& node) -> Result<Buffer> {
      const auto found = nodes.find(node.fingerprint);
      if (found == nodes.end()) return Status(Code::kNotFound, "no such node");
      return found->second;
    };
  }
};

std::vector<NodeRow> MakeChunks(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<NodeRow> chunks(count);
  for (NodeRow& chunk : chunks) {
    for (size_t offset = 0; offset < 32; offset += 8)
      StoreLittle<uint64_t>(&chunk.fingerprint.bytes[offset], random());
    chunk.size = 1 + static_cast<uint32_t>(random() % 65536);
    chunk.covered = chunk.size;
  }
  return chunks;
}

BlockmapRoot Build(const std::vector<NodeRow>& chunks, NodeShelf* shelf) {
  BlockmapBuilder builder;
  for (const NodeRow& chunk : chunks) builder.AddChunk(chunk.fingerprint, chunk.size, shelf->Sink());
  return builder.Finish(shelf->Sink());
}

TEST(Blockmap, EveryChunkIsReadBackInOrderAtAnySize) {
  for (size_t count : {0, 1, 2, 15, 16, 17, 100, 511, 512, 513, 5000, 70000}) {
    NodeShelf shelf;
    const std::vector<NodeRow> chunks = MakeChunks(count, count);
    const BlockmapRoot root = Build(chunks, &shelf);
    std::vector<NodeRow> rows;
    const auto range = BlockmapReader::Read(root, 0, UINT64_MAX, SIZE_MAX, UINT64_MAX, shelf.Source(), &rows);
    if (count == 0) {
      EXPECT_EQ(root.depth, 1u);
      continue;
    }
    ASSERT_TRUE(range.ok()) << range.status().message();
    ASSERT_EQ(rows.size(), count);
    for (size_t index = 0; index < count; ++index) {
      ASSERT_EQ(rows[index].fingerprint, chunks[index].fingerprint);
      ASSERT_EQ(rows[index].size, chunks[index].size);
    }
  }
}

TEST(Blockmap, ARangeGivesTheChunksThatHoldItAndTheBytesBefore) {
  NodeShelf shelf;
  const std::vector<NodeRow> chunks = MakeChunks(3000, 11);
  const BlockmapRoot root = Build(chunks, &shelf);
  std::vector<uint64_t> starts{0};
  for (const NodeRow& chunk : chunks) starts.push_back(starts.back() + chunk.size);
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    const uint64_t offset = random() % starts.back();
    const uint64_t length = 1 + random() % std::min<uint64_t>(starts.back() - offset, 3000000);
    std::vector<NodeRow> rows;
    auto range = BlockmapReader::Read(root, offset, length, SIZE_MAX, UINT64_MAX, shelf.Source(), &rows);
    ASSERT_TRUE(range.ok());
    const size_t first = std::upper_bound(starts.begin(), starts.end(), offset) - starts.begin() - 1;
    ASSERT_EQ(rows[0].fingerprint, chunks[first].fingerprint);
    ASSERT_EQ(range->skip, offset - starts[first]);
    ASSERT_GE(range->covered - range->skip, length);
    ASSERT_LT(range->covered - range->skip - length, rows.back().size);
  }
}

TEST(Blockmap, RowsAndBytesOfOneAnswerAreBounded) {
  NodeShelf shelf;
  const BlockmapRoot root = Build(MakeChunks(3000, 12), &shelf);
  std::vector<NodeRow> rows;
  ASSERT_TRUE(BlockmapReader::Read(root, 0, UINT64_MAX, 10, UINT64_MAX, shelf.Source(), &rows).ok());
  EXPECT_EQ(rows.size(), 10u);
  auto range = BlockmapReader::Read(root, 0, UINT64_MAX, SIZE_MAX, 200000, shelf.Source(), &rows);
  ASSERT_TRUE(range.ok());
  EXPECT_LE(range->covered, 200000u);
}

TEST(Blockmap, AnOffsetBehindTheEndIsInvalid) {
  NodeShelf shelf;
  const BlockmapRoot root = Build(MakeChunks(100, 13), &shelf);
  std::vector<NodeRow> rows;
  EXPECT_EQ(BlockmapReader::Read(root, 1ull << 40, 1, 10, UINT64_MAX, shelf.Source(), &rows).status().code(),
            Code::kInvalid);
}

TEST(Blockmap, FiveTebibytesOfOneChunkTakeFewNodesAndAreFoundAtEveryOffset) {
  constexpr uint32_t kChunkSize = 1 << 20;
  constexpr uint64_t kChunkCount = 5ull << 20;
  constexpr uint64_t kSize = kChunkCount * kChunkSize;
  for (const uint64_t seed : {18, 19, 20}) {
    const Fingerprint zeros = MakeChunks(1, seed)[0].fingerprint;
    NodeShelf shelf;
    BlockmapBuilder builder;
    for (uint64_t chunk = 0; chunk < kChunkCount; ++chunk) builder.AddChunk(zeros, kChunkSize, shelf.Sink());
    EXPECT_EQ(builder.covered(), kSize);
    const BlockmapRoot root = builder.Finish(shelf.Sink());
    EXPECT_LT(shelf.nodes.size(), 100u);
    const std::vector<uint64_t> offsets = {0, (1ull << 32) - 1, 1ull << 32, (1ull << 42) + 5, kSize - 1};
    for (const uint64_t offset : offsets) {
      std::vector<NodeRow> rows;
      auto range = BlockmapReader::Read(root, offset, 1, SIZE_MAX, UINT64_MAX, shelf.Source(), &rows);
      ASSERT_TRUE(range.ok()) << range.status().message();
      EXPECT_EQ(range->skip, offset % kChunkSize);
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_EQ(rows[0].fingerprint, zeros);
    }
    std::vector<NodeRow> rows;
    auto behind = BlockmapReader::Read(root, kSize, 1, SIZE_MAX, UINT64_MAX, shelf.Source(), &rows);
    EXPECT_EQ(behind.status().code(), Code::kInvalid);
  }
}

TEST(Blockmap, GenerationsShareTheNodesOfUnchangedStretches) {
  NodeShelf first;
  std::vector<NodeRow> chunks = MakeChunks(20000, 14);
  Build(chunks, &first);
  NodeShelf second;
  const std::vector<NodeRow> inserted = MakeChunks(3, 15);
  chunks.insert(chunks.begin() + 5000, inserted.begin(), inserted.end());  // everything behind it moves
  Build(chunks, &second);
  size_t shared = 0;
  for (const auto& [name, bytes] : second.nodes) shared += first.nodes.contains(name) ? 1 : 0;
  EXPECT_GE(shared + 8, second.nodes.size());
}

TEST(Blockmap, ANodeDecodesOnlyAsWhatItIs) {
  const std::vector<NodeRow> rows = MakeChunks(20, 16);
  Buffer node;
  EncodeNode(0, rows, &node);
  std::vector<NodeRow> decoded;
  ASSERT_TRUE(DecodeNode(node, 0, &decoded).ok());
  EXPECT_FALSE(DecodeNode(node, 1, &decoded).ok());
  for (size_t size = 0; size < node.size(); ++size) {
    ASSERT_EQ(DecodeNode(ConstBytes(node).first(size), 0, &decoded).code(), Code::kCorrupt) << size;
  }
  node.push_back(0);
  EXPECT_EQ(DecodeNode(node, 0, &decoded).code(), Code::kCorrupt);
}

TEST(Blockmap, ADamagedNodeIsReportedNotGuessed) {
  NodeShelf shelf;
  const BlockmapRoot root = Build(MakeChunks(20000, 17), &shelf);
  ASSERT_GE(root.depth, 2u);
  for (auto& [name, bytes] : shelf.nodes) bytes.resize(bytes.size() - 1);
  std::vector<NodeRow> rows;
  EXPECT_EQ(BlockmapReader::Read(root, 0, 1, 10, UINT64_MAX, shelf.Source(), &rows).status().code(),
            Code::kCorrupt);
}

}  // namespace
}  // namespace granary
