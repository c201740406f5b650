// Verbs that read: restore, the view's filling, verification, digests.
#include <algorithm>

#include "binding/args.h"

namespace granary::binding {
namespace {

BlockmapRoot TakeRoot(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  BlockmapRoot root;
  root.fingerprint.bytes = TakeArray<32>(object.Get("root"));
  root.size = TakeU32(object.Get("rootLength"));
  root.depth = TakeU32(object.Get("depth"));
  return root;
}

Napi::Value ReadRows(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::span<Row> out = TakeRows(info[4]);
  const uint64_t offset = TakeU64(info[2]);
  const uint64_t length = TakeU64(info[3]);
  std::vector<NodeRow> rows;
  Fingerprint unresolved;
  // The caller bounds what it gets by the length it asks for; rows are whole chunks.
  auto range = engine->reader().ReadRows(TakeRoot(info[1]), offset, length, out.size(), UINT64_MAX, &rows,
                                         &unresolved);
  const Napi::Env env = info.Env();
  Napi::Object report = Napi::Object::New(env);
  if (!range.ok() && range.status().code() == Code::kUnavailable) {
    report.Set("rowCount", 0);
    report.Set("skip", 0);
    report.Set("covered", 0);
    report.Set("unresolved", GiveBytes(env, unresolved.bytes));
    return report;
  }
  ThrowIfError(env, range.status());
  for (size_t index = 0; index < rows.size(); ++index) {
    out[index] = Row{rows[index].fingerprint, rows[index].size, RowState::kKnown};
  }
  report.Set("rowCount", GiveU64(env, rows.size()));
  report.Set("skip", GiveU64(env, range->skip));
  report.Set("covered", GiveU64(env, range->covered));
  return report;
}

Napi::Value ReadRecords(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::span<Row> rows = TakeRows(info[1]);
  const size_t count = TakeRowCount(info[2], rows);
  const Bytes slab = TakeBytes(info[3]);
  const uint64_t offset = TakeU64(info[4]);
  uint64_t needed = 0;
  for (const Row& row : rows.first(count)) needed += row.length;
  if (offset > slab.size() || needed > slab.size() - offset) {
    throw Napi::TypeError::New(info.Env(), "the slab is too small for what is to be read");
  }
  const auto report =
      ValueOrThrow(info.Env(), engine->reader().ReadChunks(rows.data(), count, slab.subspan(offset, needed)));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("bytes", GiveU64(info.Env(), report.bytes));
  object.Set("unresolvedCount", report.unresolved_count);
  return object;
}

// Calls `each` for every packed data store id that the group has.
template <typename Each>
void ForEachStore(const Napi::CallbackInfo& info, Engine* engine, Each each) {
  for (const DataStoreId& id : TakeDataStoreIds(info[1])) {
    if (StoreSlot* slot = engine->stores().FindSlot(id); slot != nullptr) each(slot);
  }
}

Napi::Value HintPlaces(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  ForEachStore(info, engine.get(),
               [&](StoreSlot* slot) { ThrowIfError(info.Env(), engine->stores().MakeResidentAgain(slot)); });
  return info.Env().Undefined();
}

Napi::Value MarkInView(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  ForEachStore(info, engine.get(),
               [&](StoreSlot* slot) { engine->stores().MarkInView(slot->store->identity().id); });
  return info.Env().Undefined();
}

Napi::Value WarmIndex(const Napi::CallbackInfo& info) {
  return GiveU64(info.Env(), ValueOrThrow(info.Env(), TakeEngine(info)->stores().Warm(TakeU64(info[1]))));
}

Napi::Value ReadFingerprints(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  StoreSlot* slot = ValueOrThrow(info.Env(), engine->stores().FindStored(TakeDataStoreId(info[1])));
  const uint64_t from = TakeU64(info[2]);
  const Bytes out = TakeBytes(info[3]);
  uint64_t position = 0;
  size_t used = 0;
  ThrowIfError(info.Env(), slot->store->ForEachChunk([&](const Fingerprint& fingerprint, const ChunkPlace&) {
    if (position++ < from || used + sizeof fingerprint > out.size()) return;
    std::memcpy(out.data() + used, fingerprint.bytes.data(), sizeof fingerprint);
    used += sizeof fingerprint;
  }));
  return GiveU64(info.Env(), used / sizeof(Fingerprint));
}

Napi::Value FindRows(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::span<Row> rows = TakeRows(info[1]);
  uint32_t missing = 0;
  for (Row& row : rows.first(TakeRowCount(info[2], rows))) {
    StoreSlot* slot = engine->stores().Locate(row.fingerprint);
    const auto found = slot == nullptr ? Result<std::optional<ChunkPlace>>(std::nullopt)
                                       : engine->stores().FindWhole(slot, row.fingerprint);
    const bool is_there = found.ok() && found.value().has_value() && found.value()->length == row.length;
    row.state = is_there ? RowState::kKnown : RowState::kUnknown;
    missing += is_there ? 0 : 1;
  }
  return Napi::Number::New(info.Env(), missing);
}

Napi::Value VerifyDataStore(const Napi::CallbackInfo& info) {
  const VerifyReport report =
      ValueOrThrow(info.Env(), TakeEngine(info)->cleaner().Scrub(TakeDataStoreId(info[1]), 0, UINT64_MAX));
  return GiveVerifyReport(info.Env(), TakeString(info[1]), report);
}

Napi::Value CopyBytes(const Napi::CallbackInfo& info) {
  const Bytes target = TakeBytes(info[0]);
  const uint64_t offset = TakeU64(info[1]);
  const Bytes source = TakeBytes(info[2]);
  if (offset > target.size() || source.size() > target.size() - offset) {
    throw Napi::TypeError::New(info.Env(), "the bytes do not fit where they are to go");
  }
  if (!source.empty()) std::memmove(target.data() + offset, source.data(), source.size());
  return info.Env().Undefined();
}

Napi::Value DigestOpen(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           Registry::Get().digests.Add(std::make_shared<DigestStream>(TakeU32(info[0]))));
}

Napi::Value DigestUpdate(const Napi::CallbackInfo& info) {
  const auto digest = ValueOrThrow(info.Env(), Registry::Get().digests.Get(TakeU32(info[0])));
  digest->Update(TakeBytes(info[1]));
  return info.Env().Undefined();
}

Napi::Value DigestFinish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto digest = ValueOrThrow(env, Registry::Get().digests.Get(TakeU32(info[0])));
  Registry::Get().digests.Remove(TakeU32(info[0]));
  Napi::Object object = Napi::Object::New(env);
  GiveDigests(object, digest->Finish());
  return object;
}

Napi::Value DigestDrop(const Napi::CallbackInfo& info) {
  Registry::Get().digests.Remove(TakeU32(info[0]));
  return info.Env().Undefined();
}

}  // namespace

void ExportRestoreVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "readRows", ReadRows, 5);
  Export(env, exports, "readRecords", ReadRecords, 5);
  Export(env, exports, "hintPlaces", HintPlaces, 2);
  Export(env, exports, "markInView", MarkInView, 2);
  Export(env, exports, "warmIndex", WarmIndex, 2);
  Export(env, exports, "readFingerprints", ReadFingerprints, 4);
  Export(env, exports, "findRows", FindRows, 3);
  Export(env, exports, "verifyDataStore", VerifyDataStore, 2);
  Export(env, exports, "copyBytes", CopyBytes, 3);
  Export(env, exports, "digestOpen", DigestOpen, 1);
  Export(env, exports, "digestUpdate", DigestUpdate, 2);
  Export(env, exports, "digestFinish", DigestFinish, 1);
  Export(env, exports, "digestDrop", DigestDrop, 1);
}

}  // namespace granary::binding
