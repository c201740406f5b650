// One suite over every FileSystem: the POSIX one in a temporary directory and the simulated one without a
// plan.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <thread>

#include "io/block_buffer.h"
#include "io/simulated_file_system.h"

namespace granary {
namespace {

struct AlignedBlocks {
  explicit AlignedBlocks(size_t size, uint8_t value)
      : bytes(static_cast<uint8_t*>(aligned_alloc(kBlockSize, size)), size) {
    std::memset(bytes.data(), value, size);
  }
  ~AlignedBlocks() { free(bytes.data()); }
  Bytes bytes;
};

class FileConformance : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "posix") {
      std::string pattern = (std::filesystem::temp_directory_path() / "granary-io-XXXXXX").string();
      ASSERT_NE(mkdtemp(pattern.data()), nullptr);
      root_ = pattern;
      files_ = PosixFileSystem();
    } else {
      simulated_ = SimulatedFileSystem::Create();
      files_ = simulated_.get();
      root_ = "/disk";
      ASSERT_TRUE(files_->MakeDirectory(root_).ok());
    }
  }
  void TearDown() override {
    if (simulated_ == nullptr) std::filesystem::remove_all(root_);
  }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  std::unique_ptr<File> Make(const std::string& name, bool direct = false) {
    auto file = files_->Open(Path(name), OpenMode::kCreate, direct);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(*file);
  }
  Buffer Content(const std::string& name) {
    auto content = ReadWholeFile(files_, Path(name), 1 << 20);
    EXPECT_TRUE(content.ok()) << content.status().message();
    return *content;
  }

  std::shared_ptr<SimulatedFileSystem> simulated_;
  FileSystem* files_ = nullptr;
  std::string root_;
};

Buffer Text(const std::string& text) { return Buffer(text.begin(), text.end()); }

TEST_P(FileConformance, WhatWasWrittenReadsBackAtItsOffset) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(3, Text("grain")).ok());
  Buffer out(5);
  EXPECT_EQ(*file->ReadAt(3, out), 5u);
  EXPECT_EQ(out, Text("grain"));
}

TEST_P(FileConformance, AGapBeforeAWriteReadsAsZeros) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(10000, Text("x")).ok());
  Buffer out(10000, 0xff);
  EXPECT_EQ(*file->ReadAt(0, out), 10000u);
  EXPECT_EQ(out, Buffer(10000, 0));
}

TEST_P(FileConformance, AReadAtTheEndIsShortAndBehindItEmpty) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(0, Text("grain")).ok());
  Buffer out(8);
  EXPECT_EQ(*file->ReadAt(2, out), 3u);
  EXPECT_EQ(*file->ReadAt(5, out), 0u);
  EXPECT_EQ(*file->ReadAt(500, out), 0u);
}

TEST_P(FileConformance, CreateRefusesAFileThatIsThere) {
  Make("a");
  EXPECT_EQ(files_->Open(Path("a"), OpenMode::kCreate).status().code(), Code::kExists);
}

TEST_P(FileConformance, OpenOfAMissingFileIsNotFoundInEveryModeButCreate) {
  EXPECT_EQ(files_->Open(Path("a"), OpenMode::kRead).status().code(), Code::kNotFound);
  EXPECT_EQ(files_->Open(Path("a"), OpenMode::kWrite).status().code(), Code::kNotFound);
  EXPECT_EQ(files_->Open(Path("b/a"), OpenMode::kCreate).status().code(), Code::kNotFound);
}

TEST_P(FileConformance, AFileOpenedForReadingTakesNoWrites) {
  Make("a");
  auto file = std::move(*files_->Open(Path("a"), OpenMode::kRead));
  EXPECT_FALSE(file->WriteAt(0, Text("x")).ok());
  EXPECT_TRUE(Content("a").empty());
}

TEST_P(FileConformance, DirectWritesTakeAlignedRangesOnly) {
  auto file = Make("a", true);
  AlignedBlocks blocks(2 * kBlockSize, 7);
  EXPECT_TRUE(file->WriteAt(kBlockSize, blocks.bytes).ok());
  EXPECT_EQ(file->WriteAt(1, blocks.bytes).code(), Code::kInvalid);
  EXPECT_EQ(file->WriteAt(0, blocks.bytes.first(100)).code(), Code::kInvalid);
  EXPECT_EQ(file->WriteAt(0, blocks.bytes.subspan(8, kBlockSize)).code(), Code::kInvalid);
}

TEST_P(FileConformance, DirectWritesAreSeenByEveryReader) {
  auto file = Make("a", true);
  AlignedBlocks blocks(2 * kBlockSize, 7);
  ASSERT_TRUE(file->WriteAt(kBlockSize, blocks.bytes).ok());
  ASSERT_TRUE(file->Sync().ok());
  Buffer out(5);
  EXPECT_EQ(*file->ReadAt(kBlockSize + 3, out), 5u);
  EXPECT_EQ(out, Buffer(5, 7));
  EXPECT_EQ(Content("a").size(), 3 * kBlockSize);
}

TEST_P(FileConformance, BytesReadThroughBlocksAreTheFilesOwnAndEndWithIt) {
  Buffer content(3 * kBlockSize + 10);
  for (size_t at = 0; at < content.size(); ++at) content[at] = static_cast<uint8_t>(at / 7);
  ASSERT_TRUE(Make("a")->WriteAt(0, content).ok());
  for (const bool direct : {false, true}) {
    auto file = files_->Open(Path("a"), OpenMode::kRead, direct);
    ASSERT_TRUE(file.ok());
    BlockBuffer memory;
    const size_t offsets[] = {0, 1, kBlockSize - 1, kBlockSize, 3 * kBlockSize, 3 * kBlockSize + 9};
    for (const size_t offset : offsets) {
      for (const size_t size : {size_t{1}, size_t{10}, kBlockSize, 2 * kBlockSize + 1, 4 * kBlockSize}) {
        auto bytes = ReadThroughBlocks(file->get(), offset, size, &memory);
        ASSERT_TRUE(bytes.ok()) << bytes.status().message();
        const ConstBytes rest = ConstBytes(content).subspan(offset);
        const ConstBytes wanted = rest.first(std::min(size, rest.size()));
        EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), wanted.begin(), wanted.end()))
            << size << " bytes at " << offset << (direct ? ", direct" : "");
      }
    }
    for (const size_t offset : {content.size(), content.size() + 1, 10 * kBlockSize}) {
      auto bytes = ReadThroughBlocks(file->get(), offset, 5, &memory);
      ASSERT_TRUE(bytes.ok());
      EXPECT_TRUE(bytes->empty());
    }
  }
}

TEST_P(FileConformance, WhatIsReadThroughBlocksIsWhatWasWrittenLast) {
  auto file = Make("a", true);
  BlockBuffer memory;
  for (const uint8_t value : {7, 8}) {
    AlignedBlocks blocks(2 * kBlockSize, value);
    ASSERT_TRUE(file->WriteAt(0, blocks.bytes).ok());
    auto reader = files_->Open(Path("a"), OpenMode::kRead, true);
    ASSERT_TRUE(reader.ok());
    for (File* each : {file.get(), reader->get()}) {
      auto bytes = ReadThroughBlocks(each, 5, kBlockSize, &memory);
      ASSERT_TRUE(bytes.ok());
      EXPECT_EQ(Buffer(bytes->begin(), bytes->end()), Buffer(kBlockSize, value));
    }
  }
}

// How many of the file's pages the page cache has.
size_t CachedPages(const std::string& path, size_t size) {
  const int fd = open(path.c_str(), O_RDONLY);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  std::vector<unsigned char> pages((size + kBlockSize - 1) / kBlockSize);
  EXPECT_EQ(mincore(mapped, size, pages.data()), 0);
  munmap(mapped, size);
  close(fd);
  return std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
}

TEST(PosixFileSystem, ADirectFileReadThroughBlocksLeavesNothingInThePageCache) {
  std::string path = (std::filesystem::temp_directory_path() / "granary-io-XXXXXX").string();
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  const Buffer content(64 * kBlockSize, 7);
  ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  ASSERT_EQ(fsync(fd), 0);
  close(fd);
  const int bypass = open(path.c_str(), O_RDONLY | O_DIRECT);
  bool has_direct = bypass >= 0;
  if (has_direct) close(bypass);
  if (auto file = PosixFileSystem()->Open(path, OpenMode::kRead); file.ok()) (*file)->DropCache();
  if (CachedPages(path, content.size()) > 0) has_direct = false;  // tmpfs: the pages are the file
  for (const bool direct : {true, false}) {
    auto file = PosixFileSystem()->Open(path, OpenMode::kRead, direct);
    ASSERT_TRUE(file.ok());
    (*file)->DropCache();
    if (has_direct) {
      ASSERT_EQ(CachedPages(path, content.size()), 0u);
    }
    BlockBuffer memory;
    auto bytes = ReadThroughBlocks(file->get(), 100, 32 * kBlockSize, &memory);
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(Buffer(bytes->begin(), bytes->end()), Buffer(32 * kBlockSize, 7));
    EXPECT_EQ(CachedPages(path, content.size()) == 0, direct && has_direct);
  }
  std::filesystem::remove(path);
}

TEST_P(FileConformance, AllocateExtendsWithZerosAndNeverShrinks) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(0, Text("grain")).ok());
  ASSERT_TRUE(file->Allocate(10000).ok());
  EXPECT_EQ(*file->Size(), 10000u);
  ASSERT_TRUE(file->Allocate(10).ok());
  EXPECT_EQ(*file->Size(), 10000u);
  Buffer expected = Text("grain");
  expected.resize(10000);
  EXPECT_EQ(Content("a"), expected);
}

TEST_P(FileConformance, TruncateCutsAndAWriteBehindTheCutLeavesZerosBetween) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(0, Text("grains")).ok());
  ASSERT_TRUE(file->Truncate(2).ok());
  ASSERT_TRUE(file->WriteAt(5, Text("s")).ok());
  EXPECT_EQ(Content("a"), (Buffer{'g', 'r', 0, 0, 0, 's'}));
}

TEST_P(FileConformance, RenameReplacesItsTarget) {
  ASSERT_TRUE(Make("a")->WriteAt(0, Text("new")).ok());
  ASSERT_TRUE(Make("b")->WriteAt(0, Text("older")).ok());
  ASSERT_TRUE(files_->Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(Content("b"), Text("new"));
  EXPECT_FALSE(*files_->Exists(Path("a")));
  EXPECT_EQ(files_->Rename(Path("a"), Path("b")).code(), Code::kNotFound);
}

TEST_P(FileConformance, AnUnlinkedFileStaysReadableForThoseWhoHaveItOpen) {
  auto file = Make("a");
  ASSERT_TRUE(file->WriteAt(0, Text("grain")).ok());
  ASSERT_TRUE(files_->Unlink(Path("a")).ok());
  Buffer out(5);
  EXPECT_EQ(*file->ReadAt(0, out), 5u);
  EXPECT_EQ(files_->Unlink(Path("a")).code(), Code::kNotFound);
}

TEST_P(FileConformance, AListIsSortedAndComplete) {
  for (const char* name : {"c", "a", "b"}) Make(name);
  ASSERT_TRUE(files_->MakeDirectory(Path("d")).ok());
  EXPECT_EQ(*files_->List(root_), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(files_->List(Path("e")).status().code(), Code::kNotFound);
}

TEST_P(FileConformance, MakeDirectoryNeedsAParentAndRefusesWhatIsThere) {
  EXPECT_EQ(files_->MakeDirectory(Path("a/b")).code(), Code::kNotFound);
  ASSERT_TRUE(files_->MakeDirectory(Path("a")).ok());
  EXPECT_EQ(files_->MakeDirectory(Path("a")).code(), Code::kExists);
  EXPECT_TRUE(files_->SyncDirectory(Path("a")).ok());
  EXPECT_EQ(files_->SyncDirectory(Path("b")).code(), Code::kNotFound);
}

TEST_P(FileConformance, ASecondLockIsBusyUntilTheFirstIsReleased) {
  auto first = files_->Lock(Path("lock"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(files_->Lock(Path("lock")).status().code(), Code::kBusy);
  first->reset();
  EXPECT_TRUE(files_->Lock(Path("lock")).ok());
}

TEST_P(FileConformance, ReplaceFileLeavesTheNewContentAndNothingElse) {
  ASSERT_TRUE(ReplaceFile(files_, Path("a"), Text("one")).ok());
  ASSERT_TRUE(Make("a.tmp")->WriteAt(0, Text("left by a crash, longer")).ok());
  ASSERT_TRUE(ReplaceFile(files_, Path("a"), Text("two")).ok());
  EXPECT_EQ(Content("a"), Text("two"));
  EXPECT_EQ(*files_->List(root_), std::vector<std::string>{"a"});
}

TEST_P(FileConformance, ReadWholeFileRefusesMoreThanItsBound) {
  ASSERT_TRUE(Make("a")->WriteAt(0, Text("grain")).ok());
  EXPECT_TRUE(ReadWholeFile(files_, Path("a"), 5).ok());
  EXPECT_EQ(ReadWholeFile(files_, Path("a"), 4).status().code(), Code::kCorrupt);
}

TEST_P(FileConformance, FreeSpaceOfAMissingPathIsNotFound) {
  EXPECT_GT(*files_->FreeSpace(root_), 0u);
  EXPECT_EQ(files_->FreeSpace(Path("a")).status().code(), Code::kNotFound);
}

TEST_P(FileConformance, ThreadsMayUseOneFileOnDisjointRanges) {
  auto file = Make("a");
  std::vector<std::thread> threads;
  for (uint8_t index = 0; index < 4; ++index) {
    threads.emplace_back([&file, index] {
      for (uint64_t round = 0; round < 50; ++round) {
        Buffer bytes(1000, static_cast<uint8_t>(index + 1)), back(1000);
        EXPECT_TRUE(file->WriteAt((round * 4 + index) * 1000, bytes).ok());
        EXPECT_EQ(*file->ReadAt((round * 4 + index) * 1000, back), 1000u);
        EXPECT_EQ(back, bytes);
        if (round % 16 == 0) EXPECT_TRUE(file->Sync().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*file->Size(), 200000u);
}

INSTANTIATE_TEST_SUITE_P(All, FileConformance, testing::Values("posix", "simulated"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace granary
