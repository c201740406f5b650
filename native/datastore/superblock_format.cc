#include "datastore/superblock_format.h"

#include <algorithm>

#include "datastore/sha256.h"

namespace granary {
namespace {

constexpr size_t kFieldsSize = 104;
constexpr size_t kDigestAt = kSuperblockSize - sizeof(Sha256Digest);
constexpr uint32_t kFlagEncrypted = 1;
constexpr uint64_t kFeatureSealedLater = 1;

Status Corrupt(const char* what) { return Status(Code::kCorrupt, std::string("superblock: ") + what); }

}  // namespace

void EncodeSuperblock(const Superblock& superblock, Bytes block) {
  CHECK(block.size() == kSuperblockSize);
  Buffer fields;
  fields.reserve(kFieldsSize);
  Writer writer(&fields);
  writer.Put(kSuperblockMagic);
  writer.Put(superblock.format_version);
  writer.Put(superblock.is_encrypted ? kFlagEncrypted : 0u);
  writer.Put(superblock.sealed_from == 0 ? uint64_t{0} : kFeatureSealedLater);
  writer.Put(superblock.generation);
  writer.Put(superblock.incarnation);
  writer.Put(superblock.epoch);
  writer.Put(superblock.checkpoint_sequence);
  writer.Put(superblock.chunk_size_average);
  writer.Put(uint32_t{0});
  writer.PutBytes(superblock.store_id.bytes);
  writer.PutBytes(superblock.realm_id);
  writer.Put(superblock.sealed_from);
  CHECK(fields.size() == kFieldsSize);
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), fields.data(), fields.size());
  const Sha256Digest digest = Sha256({block.first(kDigestAt)});
  std::memcpy(block.data() + kDigestAt, digest.data(), digest.size());
}

Status DecodeSuperblock(ConstBytes block, Superblock* superblock) {
  if (block.size() != kSuperblockSize) return Corrupt("not one block long");
  BoundedReader reader(block);
  if (reader.Take<uint64_t>() != kSuperblockMagic) return Corrupt("wrong magic");
  const Sha256Digest digest = Sha256({block.first(kDigestAt)});
  if (std::memcmp(digest.data(), block.data() + kDigestAt, digest.size()) != 0)
    return Corrupt("wrong digest");
  superblock->format_version = reader.Take<uint32_t>();
  const auto flags = reader.Take<uint32_t>();
  superblock->features = reader.Take<uint64_t>();
  if (superblock->format_version != kFormatVersion ||
      (superblock->features & ~kFeatureSealedLater) != 0 ||
      (flags & ~kFlagEncrypted) != 0) {
    return Status(Code::kUnsupported, "superblock: format version " +
                                          std::to_string(superblock->format_version) +
                                          " or one of its features is newer than this program");
  }
  superblock->is_encrypted = (flags & kFlagEncrypted) != 0;
  superblock->generation = reader.Take<uint64_t>();
  superblock->incarnation = reader.Take<uint64_t>();
  superblock->epoch = reader.Take<uint64_t>();
  superblock->checkpoint_sequence = reader.Take<uint64_t>();
  superblock->chunk_size_average = reader.Take<uint32_t>();
  const auto reserved = reader.Take<uint32_t>();
  superblock->store_id.bytes = reader.Take<decltype(StoreId::bytes)>();
  superblock->realm_id = reader.Take<decltype(Superblock::realm_id)>();
  superblock->sealed_from = reader.Take<uint64_t>();
  const ConstBytes rest = block.subspan(kFieldsSize, kDigestAt - kFieldsSize);
  if (reserved != 0 || std::any_of(rest.begin(), rest.end(), [](uint8_t byte) { return byte != 0; })) {
    return Corrupt("reserved bytes are not zero");
  }
  const bool is_sealed_later = superblock->features == kFeatureSealedLater;
  if (is_sealed_later != (superblock->sealed_from != 0) || (is_sealed_later && !superblock->is_encrypted)) {
    return Corrupt("its features and fields disagree");
  }
  return Status::Ok();
}

}  // namespace granary
