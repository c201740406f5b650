// Hostile bytes as a whole data store file that is opened, recovered and read.
#include "fuzz/fuzz_records.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

std::vector<Buffer> FuzzSeeds() { return {FuzzStoreFile(true), FuzzStoreFile(false)}; }

static void OpenWhole(ConstBytes bytes) {
  auto files = SimulatedFileSystem::Create();
  const std::string path = FuzzStorePath();
  {
    auto file = files->Open(path, OpenMode::kCreate);
    (void)(*file)->WriteAt(0, bytes);
  }
  const auto keys = [](uint32_t) -> const Key* { return nullptr; };
  StoreId store_id;
  if (bytes.size() >= 40) std::memcpy(store_id.bytes.data(), bytes.data() + 24, store_id.bytes.size());
  (void)DataStore::Open(files.get(), path, store_id, keys);
  auto store = DataStore::Recover(files.get(), path, store_id, keys, 2, true, nullptr);
  if (!store.ok()) return;
  (void)(*store)->VerifyRecords([](const ScannedRecord&) { return true; });
  // A second recovery finds what the first has left.
  const uint64_t count = (*store)->counts().record_count;
  store->reset();
  auto again = DataStore::Recover(files.get(), path, store_id, keys, 3, true, nullptr);
  CHECK(again.ok() && (*again)->counts().record_count == count);
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  granary::OpenWhole({data, size});
  return 0;
}
