// A FUSE file system with one file, disk.img: a disk in memory that records what a file system above it
// (through a loop device) writes and when it flushes, in the order in which a disk would see it.
//
//   block_recorder SIZE RECORD MOUNTPOINT [FUSE option ...]
//
// RECORD is appended to, one write() an entry and before the request is answered: its size is the position
// that a program above may note. An entry is 24 bytes {uint32 kind (1 write, 2 flush), uint32 length, uint64
// offset, uint64 number}, little-endian, and the bytes written. One thread, so that the order is total. Runs
// in the foreground until it is unmounted.
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr const char* kImagePath = "/disk.img";
constexpr unsigned kWriteSizeMax = 1 << 20;
enum EntryKind : uint32_t { kWrite = 1, kFlush = 2 };

struct EntryHeader {
  uint32_t kind;
  uint32_t length;
  uint64_t offset;
  uint64_t number;
};
static_assert(sizeof(EntryHeader) == 24);

struct Disk {
  uint8_t* bytes = nullptr;
  uint64_t size = 0;
  int record = -1;
  uint64_t count = 0;
};
Disk disk;

// 0, or -EIO: what is not recorded must not seem to be written.
int Record(EntryKind kind, const void* bytes, size_t length, uint64_t offset) {
  EntryHeader header{kind, static_cast<uint32_t>(length), offset, disk.count++};
  iovec parts[] = {{&header, sizeof header}, {const_cast<void*>(bytes), length}};
  const auto written = writev(disk.record, parts, length == 0 ? 1 : 2);
  return written == static_cast<ssize_t>(sizeof header + length) ? 0 : -EIO;
}

bool IsImage(const char* path) { return std::strcmp(path, kImagePath) == 0; }

int GetAttributes(const char* path, struct stat* out, fuse_file_info*) {
  std::memset(out, 0, sizeof *out);
  if (std::strcmp(path, "/") == 0) {
    out->st_mode = S_IFDIR | 0700;
    out->st_nlink = 2;
    return 0;
  }
  if (!IsImage(path)) return -ENOENT;
  out->st_mode = S_IFREG | 0600;
  out->st_nlink = 1;
  out->st_size = static_cast<off_t>(disk.size);
  return 0;
}

int ReadDirectory(const char*, void* out, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
  fill(out, kImagePath + 1, nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  return 0;
}

int Open(const char* path, fuse_file_info* info) {
  if (!IsImage(path)) return -ENOENT;
  info->direct_io = 1;  // no second cache between the loop device and the record
  return 0;
}

int Read(const char*, char* out, size_t size, off_t offset, fuse_file_info*) {
  const auto from = static_cast<uint64_t>(offset);
  if (from >= disk.size) return 0;
  const size_t count = std::min<uint64_t>(size, disk.size - from);
  std::memcpy(out, disk.bytes + from, count);
  return static_cast<int>(count);
}

int Write(const char*, const char* bytes, size_t size, off_t offset, fuse_file_info*) {
  const auto from = static_cast<uint64_t>(offset);
  if (from + size > disk.size) return -ENOSPC;
  if (const int failure = Record(kWrite, bytes, size, from)) return failure;
  std::memcpy(disk.bytes + from, bytes, size);
  return static_cast<int>(size);
}

int Flush(const char*, int, fuse_file_info*) { return Record(kFlush, nullptr, 0, 0); }

void* Begin(fuse_conn_info* connection, fuse_config*) {
  connection->max_write = kWriteSizeMax;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "block_recorder SIZE RECORD MOUNTPOINT [FUSE option ...]\n");
    return 2;
  }
  disk.size = std::strtoull(argv[1], nullptr, 10);
  disk.record = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* bytes = mmap(nullptr, disk.size, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (disk.record < 0 || bytes == MAP_FAILED) {
    std::perror("block_recorder");
    return 1;
  }
  disk.bytes = static_cast<uint8_t*>(bytes);
  fuse_operations operations{};
  operations.getattr = GetAttributes;
  operations.readdir = ReadDirectory;
  operations.open = Open;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Flush;
  operations.init = Begin;
  argv[2] = argv[0];
  char foreground[] = "-f", single[] = "-s";
  char* arguments[32] = {argv[0]};
  int count = 1;
  for (int at = 3; at < argc && count < 28; ++at) arguments[count++] = argv[at];
  arguments[count++] = foreground;
  arguments[count++] = single;
  return fuse_main(count, arguments, &operations, nullptr);
}
