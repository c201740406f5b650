#include "index/resident_index.h"

#include <algorithm>

namespace granary {
namespace {

// Filled beyond 7/8 a shard grows by a third: the load moves between 0.66 and 0.88, 18 to 24 bytes a chunk.
constexpr uint64_t kEntryCountMin = 64;

bool IsFull(uint64_t count, uint64_t capacity) { return (count + 1) * 8 > capacity * 7; }
uint64_t NextCapacity(uint64_t capacity) { return std::max(kEntryCountMin, capacity + capacity / 3); }

// A tag is the fingerprint's bytes [0, 12); its last four give the home position, so that an entry which is
// moved knows its home without keeping it. Byte 16 gives the shard. All are independent, because a
// fingerprint is a hash.
uint64_t HomeOfTag(const uint8_t* tag, uint64_t capacity) {
  return (static_cast<uint64_t>(LoadLittle<uint32_t>(tag + 8)) * capacity) >> 32;
}

}  // namespace

ResidentIndex::ResidentIndex(uint64_t bytes_max)
    : bytes_max_(bytes_max), shards_(std::make_unique<Shard[]>(kShardCount)) {}

ResidentIndex::Shard& ResidentIndex::ShardOf(const Fingerprint& fingerprint) const {
  return shards_[fingerprint.bytes[16] % kShardCount];
}

uint32_t ResidentIndex::Find(const Fingerprint& fingerprint) const {
  const Shard& shard = ShardOf(fingerprint);
  std::shared_lock lock(shard.mutex);
  const uint64_t capacity = shard.entries.size();
  if (capacity == 0) return kAbsent;
  const uint8_t* tag = fingerprint.bytes.data();
  for (uint64_t slot = HomeOfTag(tag, capacity);; slot = slot + 1 == capacity ? 0 : slot + 1) {
    const Entry& entry = shard.entries[slot];
    if (entry.data_store == kAbsent) return kAbsent;
    if (std::memcmp(entry.tag, tag, sizeof entry.tag) == 0) return entry.data_store;
  }
}

void ResidentIndex::FindMany(std::span<const Fingerprint> fingerprints, std::span<uint32_t> out) const {
  CHECK(fingerprints.size() == out.size());
  // Sixteen misses of the cache under way at once instead of one after another.
  constexpr size_t kAhead = 16;
  for (size_t index = 0; index < fingerprints.size(); ++index) {
    if (index + kAhead < fingerprints.size()) {
      const Fingerprint& next = fingerprints[index + kAhead];
      const Shard& shard = ShardOf(next);
      // Reading the vector's header without its lock would be a race; the lock is cheap beside the miss it
      // hides.
      std::shared_lock lock(shard.mutex);
      if (const uint64_t capacity = shard.entries.size(); capacity != 0) {
        __builtin_prefetch(&shard.entries[HomeOfTag(next.bytes.data(), capacity)]);
      }
    }
    out[index] = Find(fingerprints[index]);
  }
}

bool ResidentIndex::Grow(Shard* shard) {
  const uint64_t capacity = NextCapacity(shard->entries.size());
  if (capacity * kEntrySize > bytes_max_ / kShardCount) return false;
  std::vector<Entry> entries(capacity, Entry{});
  for (const Entry& entry : shard->entries) {
    if (entry.data_store == kAbsent) continue;
    uint64_t slot = HomeOfTag(entry.tag, capacity);
    while (entries[slot].data_store != kAbsent) slot = slot + 1 == capacity ? 0 : slot + 1;
    entries[slot] = entry;
  }
  shard->entries = std::move(entries);
  return true;
}

uint64_t ResidentIndex::SlotOf(const Shard& shard, const uint8_t* tag) {
  const uint64_t capacity = shard.entries.size();
  uint64_t slot = HomeOfTag(tag, capacity);
  while (shard.entries[slot].data_store != kAbsent &&
         std::memcmp(shard.entries[slot].tag, tag, sizeof Entry::tag) != 0) {
    slot = slot + 1 == capacity ? 0 : slot + 1;
  }
  return slot;
}

bool ResidentIndex::Insert(const Fingerprint& fingerprint, uint32_t data_store, Mode mode) {
  CHECK(data_store != kAbsent);
  Shard& shard = ShardOf(fingerprint);
  std::unique_lock lock(shard.mutex);
  const uint8_t* tag = fingerprint.bytes.data();
  if (shard.entries.empty() && !Grow(&shard)) return false;
  uint64_t slot = SlotOf(shard, tag);
  if (shard.entries[slot].data_store == kAbsent) {
    if (IsFull(shard.count, shard.entries.size())) {
      if (!Grow(&shard)) return false;
      slot = SlotOf(shard, tag);
    }
    ++shard.count;
  } else if (mode == Mode::kKeep) {
    return true;
  }
  std::memcpy(shard.entries[slot].tag, tag, sizeof Entry::tag);
  shard.entries[slot].data_store = data_store;
  return true;
}

bool ResidentIndex::Remove(const Fingerprint& fingerprint, uint32_t data_store) {
  Shard& shard = ShardOf(fingerprint);
  std::unique_lock lock(shard.mutex);
  const uint64_t capacity = shard.entries.size();
  if (capacity == 0) return false;
  const uint8_t* tag = fingerprint.bytes.data();
  uint64_t slot = HomeOfTag(tag, capacity);
  while (true) {
    const Entry& entry = shard.entries[slot];
    if (entry.data_store == kAbsent) return false;
    if (std::memcmp(entry.tag, tag, sizeof entry.tag) == 0) break;
    slot = slot + 1 == capacity ? 0 : slot + 1;
  }
  if (shard.entries[slot].data_store != data_store) return false;
  // Backward-shift deletion (Knuth, TAOCP vol. 3, 6.4, algorithm R): no tombstones, and a probe never stops
  // early, the table's wrap-around included.
  uint64_t hole = slot;
  for (uint64_t next = hole + 1 == capacity ? 0 : hole + 1; shard.entries[next].data_store != kAbsent;
       next = next + 1 == capacity ? 0 : next + 1) {
    const uint64_t home = HomeOfTag(shard.entries[next].tag, capacity);
    const bool stays = hole <= next ? (hole < home && home <= next) : (hole < home || home <= next);
    if (stays) continue;
    shard.entries[hole] = shard.entries[next];
    hole = next;
  }
  shard.entries[hole] = Entry{};
  --shard.count;
  return true;
}

uint64_t ResidentIndex::size() const {
  uint64_t total = 0;
  for (size_t index = 0; index < kShardCount; ++index) {
    std::shared_lock lock(shards_[index].mutex);
    total += shards_[index].count;
  }
  return total;
}

uint64_t ResidentIndex::bytes() const {
  uint64_t total = 0;
  for (size_t index = 0; index < kShardCount; ++index) {
    std::shared_lock lock(shards_[index].mutex);
    total += shards_[index].entries.size() * kEntrySize;
  }
  return total;
}

}  // namespace granary
