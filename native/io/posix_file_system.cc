// The FileSystem of real disks. A file opened `direct` has two descriptors: one that bypasses the page cache,
// for what is aligned to blocks, and an ordinary one for everything else (the kernel keeps the two coherent).
// Where a file system refuses direct transfers (tmpfs), the ordinary one takes them. Nothing is retried but
// EINTR and short transfers.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <set>
#include <system_error>

#include "io/file.h"

namespace granary {
namespace {

Code CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
      return Code::kExists;
    case ENOSPC:
    case EDQUOT:
      return Code::kNoSpace;
    default:
      return Code::kIo;
  }
}

Status Failure(const char* what, const std::string& path, int error = errno) {
  return Status(CodeOfErrno(error),
                std::string(what) + " " + path + ": " + std::generic_category().message(error));
}

template <typename Call>
auto RetryInterrupted(const Call& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor OpenDescriptor(const std::string& path, int flags, mode_t mode = 0) {
  return Descriptor(RetryInterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, mode); }));
}

class PosixFile : public File {
 public:
  PosixFile(std::string path, Descriptor descriptor, Descriptor direct, bool has_aligned_writes)
      : path_(std::move(path)),
        descriptor_(std::move(descriptor)),
        direct_(std::move(direct)),
        has_aligned_writes_(has_aligned_writes) {}

  Result<size_t> ReadAt(uint64_t offset, Bytes out) override {
    size_t count = 0;
    int error = EINVAL;
    if (direct_.is_open() && IsAligned(offset, out)) error = ReadPart(direct_.get(), offset, out, &count);
    // EINVAL: as for writes.
    if (error == EINVAL) error = ReadPart(descriptor_.get(), offset, out, &count);
    if (error != 0) return Failure("read", path_, error);
    return count;
  }

  Status WriteAt(uint64_t offset, ConstBytes bytes) override {
    if (poisoned_) return Status(Code::kIo, "write " + path_ + ": an earlier sync failed");
    if (has_aligned_writes_ && !IsAligned(offset, bytes)) {
      return Status(Code::kInvalid, "write " + path_ + ": not aligned to blocks");
    }
    size_t written = 0;
    int error = EINVAL;
    if (direct_.is_open()) error = WritePart(direct_.get(), offset, bytes, &written);
    // EINVAL: no direct transfers here, a device with larger blocks than ours, or an odd rest behind a short
    // one.
    if (error == EINVAL) error = WritePart(descriptor_.get(), offset, bytes, &written);
    return error == 0 ? Status::Ok() : Failure("write", path_, error);
  }

  Status Sync() override {
    if (poisoned_) return Status(Code::kIo, "sync " + path_ + ": an earlier sync failed");
    if (RetryInterrupted([&] { return fdatasync(descriptor_.get()); }) == 0) return Status::Ok();
    poisoned_ = true;
    // Whatever the cause: what the kernel could not write it may have forgotten, so the caller must not come
    // again.
    return Status(Code::kIo, "sync " + path_ + ": " + std::generic_category().message(errno));
  }

  Status Allocate(uint64_t size) override {
    const auto end = static_cast<off_t>(size);
    if (RetryInterrupted([&] { return fallocate(descriptor_.get(), 0, 0, end); }) == 0) return Status::Ok();
    if (errno != EOPNOTSUPP && errno != ENOSYS) return Failure("allocate", path_);
    ASSIGN_OR_RETURN(const uint64_t present, Size());
    return present >= size ? Status::Ok() : Truncate(size);
  }

  Status Truncate(uint64_t size) override {
    const auto end = static_cast<off_t>(size);
    if (RetryInterrupted([&] { return ftruncate(descriptor_.get(), end); }) == 0) return Status::Ok();
    return Failure("truncate", path_);
  }

  Result<uint64_t> Size() override {
    struct stat attributes;
    if (fstat(descriptor_.get(), &attributes) != 0) return Failure("stat", path_);
    return static_cast<uint64_t>(attributes.st_size);
  }

  Result<uint64_t> FreeSpace() override {
    struct statvfs volume;
    if (RetryInterrupted([&] { return fstatvfs(descriptor_.get(), &volume); }) != 0)
      return Failure("statvfs", path_);
    return static_cast<uint64_t>(volume.f_bavail) * volume.f_frsize;
  }

  void DropCache() override { (void)posix_fadvise(descriptor_.get(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  static bool IsAligned(uint64_t offset, ConstBytes bytes) {
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return (offset | bytes.size() | address) % kBlockSize == 0;
  }

  // 0 or the errno; `count` tells how far it came: less than all only at the end of the file.
  static int ReadPart(int fd, uint64_t offset, Bytes out, size_t* count) {
    while (*count < out.size()) {
      const ssize_t part = RetryInterrupted([&] {
        return pread(fd, out.data() + *count, out.size() - *count, static_cast<off_t>(offset + *count));
      });
      if (part < 0) return errno;
      if (part == 0) break;
      *count += static_cast<size_t>(part);
    }
    return 0;
  }

  // 0 or the errno; `written` tells how far it came.
  static int WritePart(int fd, uint64_t offset, ConstBytes bytes, size_t* written) {
    while (*written < bytes.size()) {
      const ssize_t part = RetryInterrupted([&] {
        return pwrite(fd, bytes.data() + *written, bytes.size() - *written,
                      static_cast<off_t>(offset + *written));
      });
      if (part <= 0) return part < 0 ? errno : EIO;
      *written += static_cast<size_t>(part);
    }
    return 0;
  }

  std::string path_;
  Descriptor descriptor_;
  Descriptor direct_;  // not open: not wanted, or the file system has no direct transfers
  bool has_aligned_writes_;
  std::atomic<bool> poisoned_{false};
};

// flock() alone guards processes and, on local disks, objects of one process; some network file systems give
// the second lock to the process that holds the first, so the held ones are listed, too.
std::mutex held_mutex;
std::set<std::pair<dev_t, ino_t>>& HeldLocks() {
  static std::set<std::pair<dev_t, ino_t>> held;
  return held;
}

class PosixLock : public PosixFile {
 public:
  PosixLock(std::string path, Descriptor descriptor, std::pair<dev_t, ino_t> identity)
      : PosixFile(std::move(path), std::move(descriptor), Descriptor(), false), identity_(identity) {}
  ~PosixLock() override {
    std::lock_guard<std::mutex> guard(held_mutex);
    HeldLocks().erase(identity_);
  }

 private:
  std::pair<dev_t, ino_t> identity_;
};

class PosixFiles : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode, bool direct) override {
    int flags = mode == OpenMode::kRead ? O_RDONLY : O_RDWR;
    if (mode == OpenMode::kCreate) flags |= O_CREAT | O_EXCL;
    Descriptor descriptor = OpenDescriptor(path, flags, 0600);
    if (!descriptor.is_open()) return Failure("open", path);
    const bool is_written = mode != OpenMode::kRead;
    Descriptor bypass =
        direct ? OpenDescriptor(path, (is_written ? O_RDWR : O_RDONLY) | O_DIRECT) : Descriptor();
    return std::unique_ptr<File>(
        new PosixFile(path, std::move(descriptor), std::move(bypass), direct && is_written));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    return rename(from.c_str(), to.c_str()) == 0 ? Status::Ok() : Failure("rename", from + " to " + to);
  }

  Status Unlink(const std::string& path) override {
    if (unlink(path.c_str()) == 0) return Status::Ok();
    const bool is_directory = errno == EISDIR;
    return is_directory && rmdir(path.c_str()) == 0 ? Status::Ok() : Failure("unlink", path);
  }

  Status MakeDirectory(const std::string& path) override {
    return mkdir(path.c_str(), 0700) == 0 ? Status::Ok() : Failure("make directory", path);
  }

  Status SyncDirectory(const std::string& path) override {
    const Descriptor directory = OpenDescriptor(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open()) return Failure("open directory", path);
    if (RetryInterrupted([&] { return fsync(directory.get()); }) == 0) return Status::Ok();
    return Failure("sync directory", path);
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    DIR* stream = opendir(directory.c_str());
    if (stream == nullptr) return Failure("list", directory);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    const int error = errno;  // a listing that broke off is a failure, never a shorter listing
    closedir(stream);
    if (error != 0) return Failure("list", directory, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat attributes;
    if (lstat(path.c_str(), &attributes) == 0) return true;
    if (errno == ENOENT) return false;
    return Failure("stat", path);
  }

  Result<uint64_t> FreeSpace(const std::string& path) override {
    struct statvfs volume;
    if (RetryInterrupted([&] { return statvfs(path.c_str(), &volume); }) != 0)
      return Failure("statvfs", path);
    return static_cast<uint64_t>(volume.f_bavail) * volume.f_frsize;
  }

  Result<std::unique_ptr<File>> Lock(const std::string& path) override {
    Descriptor descriptor = OpenDescriptor(path, O_RDWR | O_CREAT, 0600);
    if (!descriptor.is_open()) return Failure("open lock", path);
    struct stat attributes;
    if (fstat(descriptor.get(), &attributes) != 0) return Failure("stat lock", path);
    const std::pair<dev_t, ino_t> identity{attributes.st_dev, attributes.st_ino};
    std::lock_guard<std::mutex> guard(held_mutex);
    if (HeldLocks().contains(identity)) return Status(Code::kBusy, "lock " + path + ": held by this process");
    if (RetryInterrupted([&] { return flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return Status(Code::kBusy, "lock " + path + ": held by another process");
      return Failure("lock", path);
    }
    HeldLocks().insert(identity);
    return std::unique_ptr<File>(new PosixLock(path, std::move(descriptor), identity));
  }
};

}  // namespace

FileSystem* PosixFileSystem() {
  static PosixFiles files;
  return &files;
}

}  // namespace granary
