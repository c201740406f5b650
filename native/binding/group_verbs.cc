// Verbs of a group's life, its log, and its state.
#include "binding/args.h"

namespace granary::binding {
namespace {

Napi::Value FormatGroupVerb(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].As<Napi::Object>();
  GroupFormat format;
  format.directory = TakeString(object.Get("directory"));
  format.store_id.bytes = TakeArray<16>(object.Get("storeId"));
  format.realm_id = TakeArray<16>(object.Get("realmId"));
  format.chunk_size_average = TakeU32(object.Get("chunkSizeAverage"));
  format.is_encrypted = object.Get("isEncrypted").ToBoolean();
  FileSystem* files = ValueOrThrow(info.Env(), Registry::Get().Files(TakeU32(object.Get("disk"))));
  ThrowIfError(info.Env(), FormatGroup(files, format));
  return info.Env().Undefined();
}

Napi::Value ProbeGroup(const Napi::CallbackInfo& info) {
  SuperblockReport report;
  const Superblock superblock =
      ValueOrThrow(info.Env(), ReadSuperblock(TakeFiles(info, 1), TakeString(info[0]), &report));
  Napi::Object probe = Napi::Object::New(info.Env());
  probe.Set("storeId", GiveBytes(info.Env(), superblock.store_id.bytes));
  probe.Set("realmId", GiveBytes(info.Env(), superblock.realm_id));
  probe.Set("formatVersion", superblock.format_version);
  probe.Set("generation", GiveU64(info.Env(), superblock.generation));
  probe.Set("incarnation", GiveU64(info.Env(), superblock.incarnation));
  probe.Set("epoch", GiveU64(info.Env(), superblock.epoch));
  probe.Set("chunkSizeAverage", superblock.chunk_size_average);
  probe.Set("isEncrypted", superblock.is_encrypted);
  probe.Set("superblockCopies", report.valid_count - report.stale_count);
  return probe;
}

StoreSet::DataKeys TakeDataKeys(const Napi::Value& list, const Napi::Value& active_epoch) {
  StoreSet::DataKeys keys;
  const Napi::Array array = list.As<Napi::Array>();
  for (uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::Object row = array.Get(index).As<Napi::Object>();
    keys.keys[TakeU32(row.Get("epoch"))] = TakeArray<32>(row.Get("key"));
  }
  keys.active_epoch = TakeU32(active_epoch);
  return keys;
}

AttachParameters TakeAttachParameters(const Napi::Object& object) {
  AttachParameters parameters;
  parameters.directory = TakeString(object.Get("directory"));
  parameters.fingerprint_key = TakeArray<32>(object.Get("fingerprintKey"));
  parameters.chunker_key = TakeArray<32>(object.Get("chunkerKey"));
  if (!object.Get("logKey").IsUndefined()) parameters.log_key = TakeArray<32>(object.Get("logKey"));
  parameters.data_keys = TakeDataKeys(object.Get("dataKeys"), object.Get("activeEpoch"));
  parameters.compression = static_cast<CompressionMode>(TakeU32(object.Get("compression")));
  parameters.resident_bytes_max = TakeU64(object.Get("residentIndexBytesMax"));
  parameters.table_bytes_max = TakeU64(object.Get("chunkTableBytesMax"));
  parameters.store_size_target = TakeU64(object.Get("dataStoreSizeTarget"));
  parameters.region_cache_bytes_max = TakeU64(object.Get("regionCacheBytesMax"));
  parameters.is_read_only = object.Get("isReadOnly").ToBoolean();
  return parameters;
}

Napi::Object GiveAttachReport(Napi::Env env, uint32_t engine, const AttachReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("engine", engine);
  object.Set("incarnation", GiveU64(env, report.incarnation));
  object.Set("lastSequence", GiveU64(env, report.last_sequence));
  object.Set("firstSequence", GiveU64(env, report.first_sequence));
  object.Set("sealedFrom", GiveU64(env, report.sealed_from));
  object.Set("dataStoreCount", GiveU64(env, report.store_count));
  object.Set("dataStoresRecovered", GiveU64(env, report.stores.recovered_count));
  object.Set("logBytesCut", GiveU64(env, report.log.bytes_cut));
  object.Set("logRecordsRepaired", GiveU64(env, report.log.records_repaired));
  Napi::Array damaged = Napi::Array::New(env);
  for (uint32_t index = 0; index < report.stores.damaged.size(); ++index) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("id", report.stores.damaged[index].name);
    row.Set("reason", report.stores.damaged[index].reason);
    damaged.Set(index, row);
  }
  object.Set("damaged", damaged);
  return object;
}

Napi::Value AttachVerb(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].As<Napi::Object>();
  AttachReport report;
  const uint32_t engine = ValueOrThrow(
      info.Env(), Registry::Get().Attach(TakeU32(object.Get("disk")), TakeAttachParameters(object), &report));
  return GiveAttachReport(info.Env(), engine, report);
}

Napi::Value DetachVerb(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), Registry::Get().Detach(TakeU32(info[0])));
  return info.Env().Undefined();
}

Napi::Value SetDataKeys(const Napi::CallbackInfo& info) {
  TakeEngine(info)->stores().SetDataKeys(TakeDataKeys(info[1], info[2]));
  return info.Env().Undefined();
}

Napi::Value SetCompression(const Napi::CallbackInfo& info) {
  TakeEngine(info)->writer().SetCompression(static_cast<CompressionMode>(TakeU32(info[1])));
  return info.Env().Undefined();
}

Napi::Value SyncVerb(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeEngine(info)->Sync());
  return info.Env().Undefined();
}

Napi::Value AppendLog(const Napi::CallbackInfo& info) {
  return GiveU64(info.Env(), ValueOrThrow(info.Env(), TakeEngine(info)->AppendLog(TakeBytes(info[1]))));
}

Napi::Value ReadLog(const Napi::CallbackInfo& info) {
  uint64_t next = 0;
  const size_t bytes =
      ValueOrThrow(info.Env(), TakeEngine(info)->ReadLog(TakeU64(info[1]), TakeBytes(info[2]), &next));
  Napi::Object report = Napi::Object::New(info.Env());
  report.Set("bytes", GiveU64(info.Env(), bytes));
  report.Set("next", GiveU64(info.Env(), next));
  return report;
}

Napi::Value SetCheckpoint(const Napi::CallbackInfo& info) {
  return GiveU64(info.Env(), ValueOrThrow(info.Env(), TakeEngine(info)->SetCheckpoint(TakeU64(info[1]),
                                                                                   TakeU64(info[2]))));
}

void SetCounts(Napi::Object object, const DataStoreCounts& counts) {
  const Napi::Env env = object.Env();
  object.Set("chunkCount", GiveU64(env, counts.chunk_count));
  object.Set("recordCount", GiveU64(env, counts.record_count));
  object.Set("plainBytes", GiveU64(env, counts.plain_bytes));
  object.Set("storedBytes", GiveU64(env, counts.stored_bytes));
  object.Set("blockmapPlainBytes", GiveU64(env, counts.blockmap_plain_bytes));
  object.Set("blockmapStoredBytes", GiveU64(env, counts.blockmap_stored_bytes));
  object.Set("fileBytes", GiveU64(env, counts.file_bytes));
}

Napi::Value Counters(const Napi::CallbackInfo& info) {
  const EngineCounters counters = TakeEngine(info)->Counters();
  const Napi::Env env = info.Env();
  Napi::Object object = Napi::Object::New(env);
  SetCounts(object, counters.stored);
  object.Set("dataStoreCount", GiveU64(env, counters.store_count));
  object.Set("logBytes", GiveU64(env, counters.log_bytes));
  object.Set("residentEntries", GiveU64(env, counters.resident_entries));
  object.Set("residentBytes", GiveU64(env, counters.resident_bytes));
  object.Set("chunkTableBytes", GiveU64(env, counters.table_bytes));
  object.Set("residentIsComplete", counters.resident_is_complete);
  object.Set("streamsOpen", GiveU64(env, counters.streams_open));
  object.Set("lastSequence", GiveU64(env, counters.last_sequence));
  object.Set("dataStoreSizeTarget", GiveU64(env, counters.store_size_target));
  object.Set("freeBytes", GiveU64(env, counters.free_bytes));
  object.Set("epoch", GiveU64(env, counters.epoch));
  object.Set("trashBytes", GiveU64(env, counters.trash_bytes));
  object.Set("trashReads", GiveU64(env, counters.trash_reads));
  object.Set("deadReads", GiveU64(env, counters.dead_reads));
  if (!counters.stopped.empty()) object.Set("stopped", counters.stopped);
  return object;
}

Napi::Value ListDataStores(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  uint32_t index = 0;
  for (StoreSlot* slot : TakeEngine(info)->stores().AllSlots()) {
    Napi::Object row = Napi::Object::New(env);
    const DataStoreIdentity& identity = slot->store->identity();
    row.Set("id", ToHex(identity.id.bytes));
    row.Set("path", slot->store->path());
    row.Set("isClosed", slot->store->is_closed());
    row.Set("keyEpoch", identity.key_epoch);
    row.Set("incarnation", GiveU64(env, identity.incarnation));
    SetCounts(row, slot->store->counts());
    list.Set(index++, row);
  }
  return list;
}

}  // namespace

void ExportGroupVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "formatGroup", FormatGroupVerb, 1);
  Export(env, exports, "probeGroup", ProbeGroup, 2);
  Export(env, exports, "attach", AttachVerb, 1);
  Export(env, exports, "detach", DetachVerb, 1);
  Export(env, exports, "setDataKeys", SetDataKeys, 3);
  Export(env, exports, "setCompression", SetCompression, 2);
  Export(env, exports, "sync", SyncVerb, 1);
  Export(env, exports, "appendLog", AppendLog, 2);
  Export(env, exports, "readLog", ReadLog, 3);
  Export(env, exports, "setCheckpoint", SetCheckpoint, 3);
  Export(env, exports, "counters", Counters, 1);
  Export(env, exports, "listDataStores", ListDataStores, 1);
}

}  // namespace granary::binding
