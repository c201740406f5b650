// Keyed BLAKE3 of many chunks, transposed: BLAKE3 splits a chunk into leaves of 1 KiB, and here the j-th
// leaves of all chunks are hashed side by side, then all parents of one level. So a lane idles only where no
// chunk has a leaf left, while a hasher that takes one chunk at a time leaves most lanes empty at the ragged
// end of each.
#include "fingerprint/fingerprint.h"

#include <algorithm>
#include <memory>

#ifdef __x86_64__
#include <immintrin.h>  // here, so that the header below does not take it in as C
#endif

extern "C" {
#include "blake3.h"
#include "blake3_impl.h"
}

namespace granary {
namespace {

constexpr size_t kLeafSize = BLAKE3_CHUNK_LEN;
constexpr size_t kBlockSize = BLAKE3_BLOCK_LEN;
constexpr size_t kNodeSize = BLAKE3_OUT_LEN;
// Bounds of a batch, and with them the scratch memory of a thread. 2 MiB of 16 KiB chunks are enough to keep
// all lanes busy: 5.0 GB/s, where 1 MiB gives 4.6 and one chunk at a time 3.6.
constexpr size_t kBatchLeaves = 2048;
constexpr size_t kBatchChunks = 256;

struct ChunkTree {
  const uint8_t* bytes;
  size_t size;
  uint32_t nodes;     // of the level that is being hashed; leaves at first
  uint32_t position;  // of its first node in the level's array
  Fingerprint* out;
  size_t WholeLeaves() const { return size / kLeafSize; }
  bool HasRaggedLeaf() const { return size % kLeafSize != 0; }
};

struct Scratch {
  std::array<uint8_t, kBatchLeaves * kNodeSize> level[2];
  std::array<const uint8_t*, kBatchLeaves> input;
  std::array<uint8_t, kBatchLeaves * kNodeSize> output;
};

class Batch {
 public:
  Batch(const Key& key, Scratch* scratch) : scratch_(*scratch) { load_key_words(key.data(), key_words_); }

  bool Fits(size_t leaves) const { return count_ < kBatchChunks && leaves_ + leaves <= kBatchLeaves; }
  void Add(ConstBytes chunk, size_t leaves, Fingerprint* out) {
    trees_[count_++] = {chunk.data(), chunk.size(), static_cast<uint32_t>(leaves), 0, out};
    leaves_ += leaves;
  }
  void Flush() {
    if (count_ == 0) return;
    // Longest first: those that have a j-th leaf are then the first so many.
    std::sort(trees_, trees_ + count_,
              [](const ChunkTree& a, const ChunkTree& b) { return a.size > b.size; });
    uint32_t position = 0;
    for (size_t index = 0; index < count_; ++index) {
      trees_[index].position = position;
      position += trees_[index].nodes;
    }
    HashWholeLeaves();
    for (size_t index = 0; index < count_; ++index) {
      if (trees_[index].HasRaggedLeaf()) HashRaggedLeaf(trees_[index]);
    }
    while (trees_[0].nodes > 2) HashLevel();
    HashRoots();
    count_ = leaves_ = 0;
  }

 private:
  uint8_t* Node(const ChunkTree& tree, size_t index) {
    return scratch_.level[current_].data() + (tree.position + index) * kNodeSize;
  }

  void HashWholeLeaves() {
    size_t active = count_;
    for (size_t leaf = 0;; ++leaf) {
      while (active > 0 && trees_[active - 1].WholeLeaves() <= leaf) --active;
      if (active == 0) return;
      for (size_t index = 0; index < active; ++index) {
        scratch_.input[index] = trees_[index].bytes + leaf * kLeafSize;
      }
      blake3_hash_many(scratch_.input.data(), active, kLeafSize / kBlockSize, key_words_, leaf, false,
                       KEYED_HASH, CHUNK_START, CHUNK_END, scratch_.output.data());
      for (size_t index = 0; index < active; ++index) {
        std::memcpy(Node(trees_[index], leaf), scratch_.output.data() + index * kNodeSize, kNodeSize);
      }
    }
  }

  void HashRaggedLeaf(const ChunkTree& tree) {
    const size_t leaf = tree.WholeLeaves();
    const uint8_t* block = tree.bytes + leaf * kLeafSize;
    size_t left = tree.size - leaf * kLeafSize;
    uint32_t value[8];
    std::memcpy(value, key_words_, sizeof value);
    uint8_t flags = KEYED_HASH | CHUNK_START;
    for (; left > kBlockSize; block += kBlockSize, left -= kBlockSize) {
      blake3_compress_in_place(value, block, kBlockSize, leaf, flags);
      flags = KEYED_HASH;
    }
    uint8_t padded[kBlockSize] = {};
    std::memcpy(padded, block, left);
    blake3_compress_in_place(value, padded, static_cast<uint8_t>(left), leaf, flags | CHUNK_END);
    store_cv_words(Node(tree, leaf), value);
  }

  // Pairs of neighbours become parents; a node without a neighbour rises as it is.
  void HashLevel() {
    uint8_t* const from = scratch_.level[current_].data();
    uint8_t* const to = scratch_.level[1 - current_].data();
    size_t parents = 0;
    for (size_t index = 0; index < count_ && trees_[index].nodes > 2; ++index) {
      for (uint32_t pair = 0; pair < trees_[index].nodes / 2; ++pair) {
        scratch_.input[parents++] = from + (trees_[index].position + 2 * pair) * kNodeSize;
      }
    }
    HashParents(parents, 0);
    const uint8_t* parent = scratch_.output.data();
    uint32_t position = 0;
    for (size_t index = 0; index < count_; ++index) {
      ChunkTree& tree = trees_[index];
      const uint8_t* nodes = from + tree.position * kNodeSize;
      const uint32_t pairs = tree.nodes > 2 ? tree.nodes / 2 : 0;
      const uint32_t single = tree.nodes - 2 * pairs;
      uint8_t* node = to + position * kNodeSize;
      std::memcpy(node, parent, pairs * kNodeSize);
      std::memcpy(node + pairs * kNodeSize, nodes + 2 * pairs * kNodeSize, single * kNodeSize);
      parent += pairs * kNodeSize;
      tree.position = position;
      tree.nodes = pairs + single;
      position += tree.nodes;
    }
    current_ = 1 - current_;
  }

  void HashRoots() {
    for (size_t index = 0; index < count_; ++index) scratch_.input[index] = Node(trees_[index], 0);
    HashParents(count_, ROOT);
    for (size_t index = 0; index < count_; ++index) {
      std::memcpy(trees_[index].out->bytes.data(), scratch_.output.data() + index * kNodeSize, kNodeSize);
    }
  }

  void HashParents(size_t count, uint8_t flags) {
    blake3_hash_many(scratch_.input.data(), count, 1, key_words_, 0, false, KEYED_HASH | PARENT | flags, 0, 0,
                     scratch_.output.data());
  }

  Scratch& scratch_;
  uint32_t key_words_[8];
  ChunkTree trees_[kBatchChunks];
  size_t count_ = 0;
  size_t leaves_ = 0;
  int current_ = 0;
};

}  // namespace

void Fingerprinter::HashChunks(ConstBytes data, std::span<const uint32_t> cuts,
                               std::span<Fingerprint> out) const {
  CHECK(out.size() == cuts.size());
  thread_local const std::unique_ptr<Scratch> scratch(new Scratch);
  Batch batch(key_, scratch.get());
  size_t start = 0;
  for (size_t index = 0; index < cuts.size(); ++index) {
    CHECK(cuts[index] >= start && cuts[index] <= data.size());
    const ConstBytes chunk = data.subspan(start, cuts[index] - start);
    start = cuts[index];
    const size_t leaves = (chunk.size() + kLeafSize - 1) / kLeafSize;
    // A single leaf is its own root, and a chunk that fills a batch fills the lanes as well.
    if (leaves < 2 || leaves > kBatchLeaves / 2) {
      out[index] = Hash(chunk);
      continue;
    }
    if (!batch.Fits(leaves)) batch.Flush();
    batch.Add(chunk, leaves, &out[index]);
  }
  batch.Flush();
}

Fingerprint Fingerprinter::Hash(ConstBytes chunk) const {
  blake3_hasher hasher;
  blake3_hasher_init_keyed(&hasher, key_.data());
  blake3_hasher_update(&hasher, chunk.data(), chunk.size());
  Fingerprint fingerprint;
  blake3_hasher_finalize(&hasher, fingerprint.bytes.data(), fingerprint.bytes.size());
  return fingerprint;
}

}  // namespace granary
