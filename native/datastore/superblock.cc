#include "datastore/superblock.h"

#include <array>
#include <optional>

#include "datastore/superblock_format.h"

namespace granary {
namespace {

constexpr int kCopyCount = 4;
constexpr int kQuorum = 2;

using Block = std::array<uint8_t, kSuperblockSize>;

struct Copy {
  Status status;  // kNotFound, kCorrupt, kUnsupported, kIo
  Block block{};
  Superblock superblock;
};
using Copies = std::array<Copy, kCopyCount>;

std::string CopyPath(const std::string& directory, int slot) {
  return directory + "/superblock." + std::to_string(slot);
}

Status ReadCopy(FileSystem* files, const std::string& path, Copy* copy) {
  ASSIGN_OR_RETURN(const Buffer content, ReadWholeFile(files, path, kSuperblockSize));
  RETURN_IF_ERROR(DecodeSuperblock(content, &copy->superblock));
  std::memcpy(copy->block.data(), content.data(), content.size());
  return Status::Ok();
}

Copies ReadCopies(FileSystem* files, const std::string& directory) {
  Copies copies;
  for (int slot = 0; slot < kCopyCount; ++slot) {
    copies[slot].status = ReadCopy(files, CopyPath(directory, slot), &copies[slot]);
  }
  return copies;
}

int CountEqual(const Copies& copies, int slot) {
  int count = 0;
  for (const Copy& copy : copies) count += copy.status.ok() && copy.block == copies[slot].block ? 1 : 0;
  return count;
}

// The slot of a copy that the quorum holds; -1: none.
int FindQuorum(const Copies& copies) {
  int best = -1;
  for (int slot = 0; slot < kCopyCount; ++slot) {
    if (!copies[slot].status.ok() || CountEqual(copies, slot) < kQuorum) continue;
    if (best < 0 || copies[slot].superblock.generation > copies[best].superblock.generation) best = slot;
  }
  return best;
}

int CountCode(const Copies& copies, Code code) {
  int count = 0;
  for (const Copy& copy : copies) count += copy.status.code() == code ? 1 : 0;
  return count;
}

// Why there is no quorum, or why it must not be used.
Status Refusal(const Copies& copies, const std::string& directory, int quorum) {
  // Two copies of a newer format: a newer program has completed its switch.
  const int newer = CountCode(copies, Code::kUnsupported);
  for (const Copy& copy : copies) {
    if (copy.status.code() == Code::kUnsupported && (newer >= kQuorum || quorum < 0))
      return copy.status.Within(directory);
  }
  if (quorum >= 0) return Status::Ok();
  if (CountCode(copies, Code::kNotFound) == kCopyCount) {
    return Status(Code::kNotFound,
                  directory + ": no superblock; not a storage group, or its volume is not mounted");
  }
  for (const Copy& copy : copies) {
    if (copy.status.code() == Code::kIo) return copy.status;
  }
  return Status(Code::kCorrupt, directory + ": no two copies of the superblock agree");
}

Status WriteCopy(FileSystem* files, const std::string& path, const Block& block, bool* is_new) {
  auto file = files->Open(path, OpenMode::kWrite);
  if (file.status().code() == Code::kNotFound) {
    *is_new = true;
    file = files->Open(path, OpenMode::kCreate);
  }
  RETURN_IF_ERROR(file.status());
  RETURN_IF_ERROR((*file)->WriteAt(0, block));
  RETURN_IF_ERROR((*file)->Truncate(block.size()));
  return (*file)->Sync();
}

// What an earlier process wrote and did not sync may be all that holds the quorum.
Status SyncCopy(FileSystem* files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files->Open(path, OpenMode::kWrite));
  return file->Sync();
}

// The two slots that hold the present quorum come last, so that until the first two are durable it stands,
// and from then on the new one does.
std::array<int, kCopyCount> WriteOrder(const Copies& copies, int quorum) {
  std::array<int, kCopyCount> order{};
  int front = 0, back = kCopyCount;
  for (int slot = kCopyCount - 1; slot >= 0; --slot) {
    const bool holds = copies[slot].status.ok() && copies[slot].block == copies[quorum].block;
    order[holds && back > kCopyCount - kQuorum ? --back : front++] = slot;
  }
  return order;
}

}  // namespace

Result<Superblock> ReadSuperblock(FileSystem* files, const std::string& directory, SuperblockReport* report) {
  const Copies copies = ReadCopies(files, directory);
  const int quorum = FindQuorum(copies);
  if (report != nullptr) {
    *report = {};
    for (const Copy& copy : copies) {
      if (!copy.status.ok()) continue;
      ++report->valid_count;
      if (quorum >= 0 && copy.superblock.generation < copies[quorum].superblock.generation)
        ++report->stale_count;
    }
  }
  RETURN_IF_ERROR(Refusal(copies, directory, quorum));
  return copies[quorum].superblock;
}

Status CreateSuperblock(FileSystem* files, const std::string& directory, const Superblock& superblock) {
  for (int slot = 0; slot < kCopyCount; ++slot) {
    ASSIGN_OR_RETURN(const bool exists, files->Exists(CopyPath(directory, slot)));
    if (exists) return Status(Code::kExists, CopyPath(directory, slot) + ": exists");
  }
  Block block;
  EncodeSuperblock(superblock, block);
  for (int slot = 0; slot < kCopyCount; ++slot) {
    RETURN_IF_ERROR(ReplaceFile(files, CopyPath(directory, slot), block));
  }
  return Status::Ok();
}

Status WriteSuperblock(FileSystem* files, const std::string& directory, Superblock* superblock) {
  const Copies copies = ReadCopies(files, directory);
  const int quorum = FindQuorum(copies);
  RETURN_IF_ERROR(Refusal(copies, directory, quorum));
  Superblock next = *superblock;
  // A write that failed may have left its generation behind; that number is spent.
  for (const Copy& copy : copies) {
    if (copy.status.ok()) next.generation = std::max(next.generation, copy.superblock.generation);
  }
  ++next.generation;
  Block block;
  EncodeSuperblock(next, block);
  Superblock decoded;
  RETURN_IF_ERROR(DecodeSuperblock(block, &decoded));
  const std::array<int, kCopyCount> order = WriteOrder(copies, quorum);
  for (int slot : {order[2], order[3]}) RETURN_IF_ERROR(SyncCopy(files, CopyPath(directory, slot)));
  bool is_new = false;
  for (int index = 0; index < kCopyCount; ++index) {
    RETURN_IF_ERROR(WriteCopy(files, CopyPath(directory, order[index]), block, &is_new));
    if (index == kQuorum - 1 && is_new) RETURN_IF_ERROR(files->SyncDirectory(directory));
  }
  superblock->generation = next.generation;
  return Status::Ok();
}

}  // namespace granary
