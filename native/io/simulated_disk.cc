#include "io/simulated_disk.h"

#include <algorithm>
#include <set>

namespace granary {

static constexpr size_t kSectorSize = 512;

size_t DiskImage::Read(uint64_t offset, Bytes out) const {
  if (offset >= size_) return 0;
  const size_t count = std::min<uint64_t>(out.size(), size_ - offset);
  for (size_t done = 0; done < count;) {
    const uint64_t page = (offset + done) / kBlockSize;
    const size_t start = (offset + done) % kBlockSize;
    const size_t part = std::min(kBlockSize - start, count - done);
    const auto found = pages_.find(page);
    if (found == pages_.end()) {
      std::memset(out.data() + done, 0, part);
    } else {
      std::memcpy(out.data() + done, found->second->data() + start, part);
    }
    done += part;
  }
  return count;
}

DiskImage::Page& DiskImage::WritablePage(uint64_t number) {
  std::shared_ptr<Page>& page = pages_[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
    page->fill(0);
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void DiskImage::Write(uint64_t offset, ConstBytes bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t page = (offset + done) / kBlockSize;
    const size_t start = (offset + done) % kBlockSize;
    const size_t part = std::min(kBlockSize - start, bytes.size() - done);
    std::memcpy(WritablePage(page).data() + start, bytes.data() + done, part);
    done += part;
  }
  if (!bytes.empty()) size_ = std::max(size_, offset + bytes.size());
}

void DiskImage::Resize(uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound((size + kBlockSize - 1) / kBlockSize), pages_.end());
    if (pages_.contains(size / kBlockSize)) {
      Page& last = WritablePage(size / kBlockSize);
      std::fill(last.begin() + static_cast<ptrdiff_t>(size % kBlockSize), last.end(), 0);
    }
  }
  size_ = size;
}

void DiskChange::ApplyTo(DiskImage* image) const {
  if (kind == Kind::kWrite) {
    image->Write(offset, bytes);
  } else if (kind == Kind::kTruncate || offset > image->size()) {
    image->Resize(offset);
  }
}

void DiskNode::Change(DiskChange change) {
  change.ApplyTo(&live);
  unsynced.push_back(std::move(change));
}

void DiskNode::MakeDurable() {
  for (const DiskChange& change : unsynced) {
    if (!change.is_lost) change.ApplyTo(&durable);
  }
  std::erase_if(unsynced, [](const DiskChange& change) { return !change.is_lost; });
}

void DiskNode::LoseUnsynced() {
  for (DiskChange& change : unsynced) change.is_lost = true;
}

void DiskNode::ForgetLost() {
  if (std::none_of(unsynced.begin(), unsynced.end(), [](const DiskChange& change) { return change.is_lost; }))
    return;
  std::erase_if(unsynced, [](const DiskChange& change) { return change.is_lost; });
  live = durable;
  for (const DiskChange& change : unsynced) change.ApplyTo(&live);
}

uint64_t DiskRandom::Next() {  // splitmix64
  state_ += 0x9e3779b97f4a7c15ull;
  uint64_t value = state_;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

DiskNodePtr SimulatedDisk::Find(const std::string& path) const {
  DiskNodePtr node = root_;
  for (size_t begin = 0; node != nullptr && begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (const std::string name = path.substr(begin, end - begin); !name.empty()) {
      const auto found = node->entries.find(name);
      node = found == node->entries.end() ? nullptr : found->second;
    }
    begin = end + 1;
  }
  return node;
}

void SimulatedDisk::ChangeEntry(const std::string& from, const std::string& to, DiskNodePtr node) {
  EntryChange change;
  change.node = std::move(node);
  if (!from.empty()) {
    change.from_directory = Find(DirectoryOf(from));
    change.from = NameOf(from);
    change.from_directory->entries.erase(change.from);
  }
  if (!to.empty()) {
    change.to_directory = Find(DirectoryOf(to));
    change.to = NameOf(to);
    change.to_directory->entries[change.to] = change.node;
  }
  unsynced_.push_back(std::move(change));
}

void SimulatedDisk::EntryChange::ApplyToDurable() const {
  if (from_directory != nullptr) {
    const auto found = from_directory->durable_entries.find(from);
    if (found != from_directory->durable_entries.end() && found->second == node) {
      from_directory->durable_entries.erase(found);
    }
  }
  if (to_directory != nullptr) to_directory->durable_entries[to] = node;
}

// A change becomes durable with all earlier ones of the directories it touches: what came before it in either
// cannot come back behind it.
void SimulatedDisk::SyncDirectory(const DiskNodePtr& directory) {
  std::set<const DiskNode*> touched{directory.get()};
  std::vector<EntryChange> synced, rest;
  for (auto change = unsynced_.rbegin(); change != unsynced_.rend(); ++change) {
    const bool is_in =
        touched.contains(change->from_directory.get()) || touched.contains(change->to_directory.get());
    if (is_in) {
      if (change->from_directory != nullptr) touched.insert(change->from_directory.get());
      if (change->to_directory != nullptr) touched.insert(change->to_directory.get());
    }
    (is_in ? synced : rest).push_back(std::move(*change));
  }
  std::reverse(rest.begin(), rest.end());
  unsynced_ = std::move(rest);
  for (auto change = synced.rbegin(); change != synced.rend(); ++change) change->ApplyToDurable();
}

// What reaches the device of one unsynced change: nothing, all, some sectors, or the bytes up to any point.
static void TearInto(const DiskChange& change, uint64_t seed, DiskRandom* random, DiskImage* durable) {
  if (seed == 0) return;
  if (seed == 1) return change.ApplyTo(durable);
  const uint64_t choice = random->Below(4);
  if (choice == 0) return;
  if (choice == 1 || change.kind != DiskChange::Kind::kWrite || change.bytes.empty())
    return change.ApplyTo(durable);
  const ConstBytes bytes = change.bytes;
  if (choice == 2) return durable->Write(change.offset, bytes.first(random->Below(bytes.size() + 1)));
  for (size_t at = 0; at < bytes.size();) {  // sectors lie at multiples of their size in the file
    const size_t part = std::min(kSectorSize - (change.offset + at) % kSectorSize, bytes.size() - at);
    if (random->Below(2) == 0) durable->Write(change.offset + at, bytes.subspan(at, part));
    at += part;
  }
}

void SimulatedDisk::CrashTree(DiskNode* directory, uint64_t seed, DiskRandom* random) {
  directory->entries = directory->durable_entries;
  for (const auto& [name, node] : directory->entries) {
    node->is_locked = false;
    if (node->is_directory) {
      CrashTree(node.get(), seed, random);
      continue;
    }
    for (const DiskChange& change : node->unsynced) TearInto(change, seed, random, &node->durable);
    node->unsynced.clear();
    node->live = node->durable;
  }
}

void SimulatedDisk::Crash(uint64_t seed) {
  DiskRandom random(seed);
  for (const EntryChange& change : unsynced_) {
    if (seed == 1 || (seed != 0 && random.Below(2) == 0)) change.ApplyToDurable();
  }
  unsynced_.clear();
  CrashTree(root_.get(), seed, &random);
}

DiskNodePtr SimulatedDisk::CopyNode(const DiskNodePtr& node, std::map<DiskNodePtr, DiskNodePtr>* copies) {
  if (node == nullptr) return nullptr;
  DiskNodePtr& copy = (*copies)[node];
  if (copy != nullptr) return copy;
  copy = std::make_shared<DiskNode>(node->is_directory);
  const DiskNodePtr made = copy;  // the map may move what `copy` refers to
  made->live = node->live;
  made->durable = node->durable;
  made->unsynced = node->unsynced;
  for (const auto& [name, entry] : node->entries) made->entries[name] = CopyNode(entry, copies);
  for (const auto& [name, entry] : node->durable_entries) {
    made->durable_entries[name] = CopyNode(entry, copies);
  }
  return made;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::Copy() const {
  auto copy = std::make_unique<SimulatedDisk>();
  std::map<DiskNodePtr, DiskNodePtr> copies;
  copy->root_ = CopyNode(root_, &copies);
  for (EntryChange change : unsynced_) {
    change.node = CopyNode(change.node, &copies);
    change.from_directory = CopyNode(change.from_directory, &copies);
    change.to_directory = CopyNode(change.to_directory, &copies);
    copy->unsynced_.push_back(std::move(change));
  }
  return copy;
}

static uint64_t UsedBelow(const DiskNode& directory) {
  uint64_t used = 0;
  for (const auto& [name, node] : directory.entries) {
    used += node->is_directory ? UsedBelow(*node) : node->live.size();
  }
  return used;
}

uint64_t SimulatedDisk::UsedBytes() const { return UsedBelow(*root_); }

}  // namespace granary
