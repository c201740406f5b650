// The only door to durable storage. Everything the engine reads or writes goes through a FileSystem: the
// POSIX one, or the simulated one that fails, tears, drops unsynced data and dies at its N-th operation.
// Paths are absolute. Errors: kNotFound, kExists, kNoSpace (ENOSPC, EDQUOT), kIo (all else). Short transfers
// and EINTR are handled inside. Thread-safe: a File may be used by several threads on disjoint ranges.
#ifndef GRANARY_IO_FILE_H_
#define GRANARY_IO_FILE_H_

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace granary {

inline constexpr size_t kBlockSize = 4096;  // alignment of direct transfers: offset, size and memory

enum class OpenMode {
  kRead,
  kCreate,  // read and write; the file must not exist
  kWrite,   // read and write; the file must exist
};

class File {
 public:
  virtual ~File() = default;
  // Reads up to out.size() bytes; fewer only at the end of the file. Returns the count.
  virtual Result<size_t> ReadAt(uint64_t offset, Bytes out) = 0;
  virtual Status WriteAt(uint64_t offset, ConstBytes bytes) = 0;
  // Makes all completed writes durable (fdatasync). A failure is final (I10): every later WriteAt and Sync of
  // this object is kIo, since the kernel may have marked the lost pages clean.
  virtual Status Sync() = 0;
  // Extends the file to `size` with zeros and reserves the space, so that later writes change no metadata.
  virtual Status Allocate(uint64_t size) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual Result<uint64_t> Size() = 0;
  // Of the volume that the file is on.
  virtual Result<uint64_t> FreeSpace() = 0;
  // Drops what the page cache holds of this file, so that the next read comes from the device. Best effort.
  virtual void DropCache() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // `direct`: bypass the page cache where the file system can. WriteAt then takes block-aligned ranges only;
  // of reads those go past it that are block-aligned (ReadThroughBlocks), since data that is read once, and
  // from few data stores in no order, gains nothing from the page cache, its read-ahead and its evictions.
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode, bool direct = false) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Unlink(
      const std::string& path) = 0;  // file or empty directory; kNotFound when it is gone already
  virtual Status MakeDirectory(const std::string& path) = 0;  // kExists when it is there; parents must exist
  virtual Status SyncDirectory(
      const std::string& path) = 0;  // makes creations, renames, unlinks in it durable
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;  // names, sorted
  virtual Result<bool> Exists(const std::string& path) = 0;
  virtual Result<uint64_t> FreeSpace(const std::string& path) = 0;
  // Takes an exclusive lock for this process and object; kBusy when someone holds it. Released when
  // destroyed.
  virtual Result<std::unique_ptr<File>> Lock(const std::string& path) = 0;
  // Has the order of operations to follow from the order of calls? Then nothing is done on threads beside the
  // caller's: of a simulated disk whose runs are repeated.
  virtual bool IsInOrder() const { return false; }
};

// The one for real disks. Static storage.
FileSystem* PosixFileSystem();

// The directory a path lies in ("/a/b" -> "/a").
std::string DirectoryOf(const std::string& path);

// Unlinks a directory with all that is in it. What is gone already is no failure.
Status RemoveTree(FileSystem* files, const std::string& path);

// Whole small files. Replace: temporary name, write, sync, rename, sync of the directory.
Result<Buffer> ReadWholeFile(FileSystem* files, const std::string& path, size_t size_max);
Status ReplaceFile(FileSystem* files, const std::string& path, ConstBytes content);

}  // namespace granary

#endif  // GRANARY_IO_FILE_H_
