// Whole small files over any FileSystem.
#include "io/file.h"

namespace granary {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<Buffer> ReadWholeFile(FileSystem* files, const std::string& path, size_t size_max) {
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files->Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > size_max) {
    return Status(Code::kCorrupt, path + ": " + std::to_string(size) + " bytes, more than it may have");
  }
  Buffer content(size);
  ASSIGN_OR_RETURN(const size_t count, file->ReadAt(0, content));
  if (count != size) return Status(Code::kIo, path + ": changed while it was read");
  return content;
}

static Status WriteNewFile(FileSystem* files, const std::string& path, ConstBytes content) {
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files->Open(path, OpenMode::kCreate));
  RETURN_IF_ERROR(file->WriteAt(0, content));
  return file->Sync();
}

Status ReplaceFile(FileSystem* files, const std::string& path, ConstBytes content) {
  const std::string temporary = path + ".tmp";
  // What an earlier crash left; nobody ever reads it.
  if (Status status = files->Unlink(temporary); !status.ok() && status.code() != Code::kNotFound)
    return status;
  Status status = WriteNewFile(files, temporary, content);
  if (status.ok()) status = files->Rename(temporary, path);
  if (!status.ok()) {
    (void)files->Unlink(temporary);
    return status.Within("replacing " + path);
  }
  return files->SyncDirectory(DirectoryOf(path)).Within("replacing " + path);
}

Status RemoveTree(FileSystem* files, const std::string& path) {
  Status gone = files->Unlink(path);  // a file, a link, an empty directory
  if (gone.ok() || gone.code() == Code::kNotFound) return Status::Ok();
  auto names = files->List(path);
  if (!names.ok()) return gone;
  for (const std::string& name : *names) RETURN_IF_ERROR(RemoveTree(files, path + "/" + name));
  gone = files->Unlink(path);
  return gone.code() == Code::kNotFound ? Status::Ok() : gone;
}

}  // namespace granary
