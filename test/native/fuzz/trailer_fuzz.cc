// Hostile bytes as header, footer and trailer of a data store, and as a whole file that is opened and
// recovered.
#include "datastore/data_store_format.h"
#include "io/simulated_file_system.h"

namespace granary {

// Hostile table under a valid checksum and digest: the sums and bounds alone stand against it.
static void DecodeWithFittingTag(Buffer bytes) {
  if (bytes.size() < kTrailerHeaderSize + 64) return;
  DataStoreHeader header;
  StoreLittle(bytes.data(), kDataStoreTrailerMagic);
  std::memset(bytes.data() + 8, 0, 8);
  std::memcpy(header.identity.id.bytes.data(), bytes.data() + 72, 16);
  std::memset(bytes.data() + 88, 0, 36);
  StoreLittle(bytes.data() + 124, Crc32c(ConstBytes(bytes).first(124)));
  ChunkTable table;
  Sha256Digest root;
  (void)DecodeTrailer({header, nullptr}, 1 << 20, bytes, &table, &root);
}

static void OpenWhole(ConstBytes bytes) {
  auto files = SimulatedFileSystem::Create();
  const std::string path = "/000000000000000000000000000000000000000000000000.gds";
  {
    auto file = files->Open(path, OpenMode::kCreate);
    (void)(*file)->WriteAt(0, bytes);
  }
  const auto keys = [](uint32_t) -> const Key* { return nullptr; };
  StoreId store_id;
  if (bytes.size() >= 40) std::memcpy(store_id.bytes.data(), bytes.data() + 24, store_id.bytes.size());
  (void)DataStore::Open(files.get(), path, store_id, keys);
  (void)DataStore::Recover(files.get(), path, store_id, keys, 2, true, nullptr);
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  const Buffer bytes(data, data + size);
  DataStoreHeader header;
  DataStoreFooter footer;
  (void)DecodeDataStoreHeader(bytes, &header);
  (void)DecodeDataStoreFooter(bytes, &footer);
  DecodeWithFittingTag(bytes);
  OpenWhole(bytes);
  return 0;
}
