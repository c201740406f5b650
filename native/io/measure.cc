#include "io/measure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "io/file.h"

namespace granary {
namespace {

constexpr uint64_t kTestFileSize = 64ull << 20;
constexpr size_t kSequentialSize = 64 * 1024;
constexpr uint64_t kSequentialCount = kTestFileSize / kSequentialSize;
constexpr uint64_t kRandomCount = 2048;

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Direct reads and writes of one descriptor: this is a measurement of the device, not durable I/O.
class TestFile {
 public:
  explicit TestFile(const std::string& path) : path_(path) {
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0600);
    if (descriptor_ < 0) descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }
  ~TestFile() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    unlink(path_.c_str());
  }
  bool is_open() const { return descriptor_ >= 0; }
  bool Reserve() { return posix_fallocate(descriptor_, 0, static_cast<off_t>(kTestFileSize)) == 0; }
  bool Write(const uint8_t* from, size_t size, uint64_t offset) {
    return pwrite(descriptor_, from, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }
  bool Read(uint8_t* to, size_t size, uint64_t offset) {
    return pread(descriptor_, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }
  bool Sync() { return fdatasync(descriptor_) == 0; }

 private:
  std::string path_;
  int descriptor_;
};

std::optional<bool> IsRotational(const std::string& directory) {
  struct stat attributes;
  if (stat(directory.c_str(), &attributes) != 0) return std::nullopt;
  const std::string device = "/sys/dev/block/" + std::to_string(major(attributes.st_dev)) + ":" +
                             std::to_string(minor(attributes.st_dev));
  for (const char* place : {"/queue/rotational", "/../queue/rotational"}) {
    std::ifstream file(device + place);
    int value;
    if (file >> value) return value != 0;
  }
  return std::nullopt;
}

Status Failed(const std::string& what, const std::string& directory) {
  return Status(Code::kIo, "measuring " + directory + ": " + what + " failed");
}

}  // namespace

Result<VolumeMeasure> MeasureVolume(const std::string& directory) {
  TestFile file(directory + "/.granary-admission-test");
  if (!file.is_open()) return Failed("creating the test file", directory);
  if (!file.Reserve())
    return Status(Code::kNoSpace, "measuring " + directory + ": the 64 MiB test file does not fit");
  std::vector<uint8_t> memory(kSequentialSize + kBlockSize, 0x5a);
  uint8_t* block = memory.data() + (kBlockSize - reinterpret_cast<uintptr_t>(memory.data()) % kBlockSize);

  const double start = Seconds();
  for (uint64_t count = 0; count < kSequentialCount; ++count) {
    if (!file.Write(block, kSequentialSize, count * kSequentialSize)) return Failed("writing", directory);
  }
  if (!file.Sync()) return Failed("syncing", directory);
  const double written = Seconds();
  for (uint64_t count = 0; count < kSequentialCount; ++count) {
    if (!file.Read(block, kSequentialSize, count * kSequentialSize)) return Failed("reading", directory);
  }
  const double read = Seconds();
  uint64_t place = 0x9e3779b97f4a7c15ull;
  for (uint64_t count = 0; count < kRandomCount; ++count) {
    place = place * 6364136223846793005ull + 1442695040888963407ull;
    const uint64_t offset = (place >> 33) % (kTestFileSize / kBlockSize) * kBlockSize;
    const bool done =
        count % 2 == 0 ? file.Read(block, kBlockSize, offset) : file.Write(block, kBlockSize, offset);
    if (!done) return Failed("random access", directory);
  }
  if (!file.Sync()) return Failed("syncing", directory);
  const double end = Seconds();

  VolumeMeasure measure;
  measure.sequential_iops =
      static_cast<double>(kSequentialCount) / std::max({written - start, read - written, 1e-6});
  measure.random_iops = static_cast<double>(kRandomCount) / std::max(end - read, 1e-6);
  measure.is_rotational = IsRotational(directory);
  return measure;
}

}  // namespace granary
