// Verbs of the cleaner and of scrub.
#include <algorithm>

#include "binding/args.h"

namespace granary::binding {
namespace {

// As src/native/binding.ts packs a root: fingerprint[32], length u32, depth u32.
constexpr size_t kRootSize = 40;
static_assert(sizeof(BlockmapRoot) == kRootSize);

std::vector<BlockmapRoot> TakeRoots(const Napi::Value& value, const Napi::Value& count) {
  const Bytes bytes = TakeBytes(value);
  const uint64_t root_count = TakeU64(count);
  if (root_count > bytes.size() / kRootSize) {
    throw Napi::TypeError::New(value.Env(), "more roots than their buffer holds");
  }
  std::vector<BlockmapRoot> roots(root_count);
  if (root_count > 0) std::memcpy(roots.data(), bytes.data(), root_count * kRootSize);
  return roots;
}

std::vector<Fingerprint> TakeFingerprints(const Napi::Value& value, const Napi::Value& count) {
  const Bytes bytes = TakeBytes(value);
  const uint64_t fingerprint_count = TakeU64(count);
  if (fingerprint_count > bytes.size() / sizeof(Fingerprint)) {
    throw Napi::TypeError::New(value.Env(), "more fingerprints than their buffer holds");
  }
  std::vector<Fingerprint> fingerprints(fingerprint_count);
  if (fingerprint_count > 0)
    std::memcpy(fingerprints.data(), bytes.data(), fingerprint_count * sizeof(Fingerprint));
  return fingerprints;
}

HiddenReason TakeReason(const Napi::Value& value) {
  const uint32_t reason = TakeU32(value);
  if (reason != 1 && reason != 2) throw Napi::TypeError::New(value.Env(), "no such reason");
  return static_cast<HiddenReason>(reason);
}

Napi::Value BeginEpoch(const Napi::CallbackInfo& info) {
  return GiveU64(info.Env(), ValueOrThrow(info.Env(), TakeEngine(info)->BeginEpoch()));
}

// --- mark 1 ---

Napi::Value OpenMark(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), TakeEngine(info)->cleaner().OpenMark());
}

Napi::Value MarkRoots(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto engine = TakeEngine(info);
  const auto roots = TakeRoots(info[2], info[3]);
  const auto report = ValueOrThrow(env, engine->cleaner().MarkRoots(TakeU32(info[1]), roots));
  Napi::Object object = Napi::Object::New(env);
  object.Set("done", GiveU64(env, report.done));
  if (report.unresolved) object.Set("unresolved", GiveBytes(env, report.unresolved->bytes));
  object.Set("nodeCount", GiveU64(env, report.node_count));
  object.Set("chunkCount", GiveU64(env, report.chunk_count));
  return object;
}

Napi::Value CloseMark(const Napi::CallbackInfo& info) {
  TakeEngine(info)->cleaner().CloseMark(TakeU32(info[1]));
  return info.Env().Undefined();
}

Napi::Value GiveSurvey(Napi::Env env, const StoreSurvey& survey) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("isClosed", survey.is_closed);
  object.Set("pinCount", survey.pin_count);
  object.Set("keyEpoch", survey.key_epoch);
  object.Set("chunkCount", GiveU64(env, survey.chunk_count));
  object.Set("deadCount", GiveU64(env, survey.dead_count));
  object.Set("deadPlainBytes", GiveU64(env, survey.dead_plain_bytes));
  object.Set("plainBytes", GiveU64(env, survey.plain_bytes));
  object.Set("fileBytes", GiveU64(env, survey.file_bytes));
  return object;
}

Napi::Value SurveyStore(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  return GiveSurvey(info.Env(), ValueOrThrow(info.Env(), engine->cleaner().Survey(TakeU32(info[1]),
                                                                                  TakeDataStoreId(info[2]))));
}

Napi::Value CondemnStore(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  return GiveSurvey(info.Env(), ValueOrThrow(info.Env(), engine->cleaner().Condemn(TakeU32(info[1]),
                                                                                   TakeDataStoreId(info[2]),
                                                                                   TakeBytes(info[3]))));
}

Napi::Value HideChunks(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  ThrowIfError(info.Env(), engine->stores().HideChunks(TakeDataStoreId(info[1]), TakeReason(info[2]),
                                                       TakeU32(info[3]), TakeBytes(info[4])));
  return info.Env().Undefined();
}

Napi::Value RevealChunks(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  ThrowIfError(info.Env(), engine->stores().RevealChunks(TakeDataStoreId(info[1]), TakeReason(info[2])));
  return info.Env().Undefined();
}

// --- mark 2 ---

Napi::Value OpenProbe(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::vector<DataStoreId> ids = TakeDataStoreIds(info[1]);
  return Napi::Number::New(info.Env(), ValueOrThrow(info.Env(), engine->cleaner().OpenProbe(ids)));
}

Napi::Value ProbeRoots(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const auto roots = TakeRoots(info[2], info[3]);
  ThrowIfError(info.Env(), engine->cleaner().ProbeRoots(TakeU32(info[1]), roots));
  return info.Env().Undefined();
}

Napi::Value GiveProbeReport(Napi::Env env, const ReferenceProbe::Report& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("missingCount", GiveU64(env, report.missing_count));
  object.Set("nodeCount", GiveU64(env, report.node_count));
  object.Set("hitCount", GiveU64(env, report.hit_count));
  object.Set("hits", GiveFingerprints(env, report.hits));
  return object;
}

Napi::Value ProbeStore(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  return GiveProbeReport(
      info.Env(),
      ValueOrThrow(info.Env(), engine->cleaner().ProbeStore(TakeU32(info[1]), TakeDataStoreId(info[2]))));
}

Napi::Value ProbeReport(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  return GiveProbeReport(info.Env(),
                         ValueOrThrow(info.Env(), engine->cleaner().ReportProbe(TakeU32(info[1]))));
}

Napi::Value CloseProbe(const Napi::CallbackInfo& info) {
  TakeEngine(info)->cleaner().CloseProbe(TakeU32(info[1]));
  return info.Env().Undefined();
}

// --- data stores that leave ---

Napi::Value CopyForwardVerb(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto engine = TakeEngine(info);
  const CopyReport report =
      ValueOrThrow(env, engine->cleaner().Copy(TakeDataStoreId(info[1]), TakeU64(info[2]), TakeU64(info[3])));
  Napi::Object object = Napi::Object::New(env);
  object.Set("next", GiveU64(env, report.next));
  object.Set("copiedCount", GiveU64(env, report.copied_count));
  object.Set("copiedPlainBytes", GiveU64(env, report.copied_plain_bytes));
  object.Set("copiedStoredBytes", GiveU64(env, report.copied_stored_bytes));
  object.Set("duplicatePlainBytes", GiveU64(env, report.duplicate_plain_bytes));
  object.Set("damaged", GiveFingerprints(env, report.damaged));
  return object;
}

Napi::Value CloseStore(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeEngine(info)->stores().CloseStore(TakeDataStoreId(info[1])));
  return info.Env().Undefined();
}

Napi::Value TrashStore(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeEngine(info)->cleaner().Trash(TakeDataStoreId(info[1])));
  return info.Env().Undefined();
}

Napi::Value UntrashStore(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeEngine(info)->stores().UntrashStore(TakeDataStoreId(info[1])));
  return info.Env().Undefined();
}

Napi::Value ReclaimStore(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeEngine(info)->stores().ReclaimStore(TakeDataStoreId(info[1])));
  return info.Env().Undefined();
}

Napi::Value ListTrash(const Napi::CallbackInfo& info) {
  const std::vector<DataStoreId> ids = TakeEngine(info)->stores().ListTrash();
  Napi::Array list = Napi::Array::New(info.Env(), ids.size());
  for (uint32_t index = 0; index < ids.size(); ++index) list.Set(index, ToHex(ids[index].bytes));
  return list;
}

Napi::Value LocateChunks(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::vector<Fingerprint> fingerprints = TakeFingerprints(info[1], info[2]);
  const Bytes ids = TakeBytes(info[3]);
  if (ids.size() / sizeof(DataStoreId) < fingerprints.size()) {
    throw Napi::TypeError::New(info.Env(), "less room than there are fingerprints");
  }
  std::vector<uint32_t> numbers(fingerprints.size());
  engine->stores().FindCopies(fingerprints, nullptr, numbers);
  for (size_t index = 0; index < numbers.size(); ++index) {
    DataStoreId id;
    if (numbers[index] != ResidentIndex::kAbsent) {
      id = engine->stores().slot(numbers[index])->store->identity().id;
    }
    std::memcpy(ids.data() + index * sizeof id, id.bytes.data(), sizeof id);
  }
  return info.Env().Undefined();
}

Napi::Value RescueChunks(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  return GiveU64(info.Env(), engine->stores().Rescue(TakeFingerprints(info[1], info[2])));
}

// --- scrub ---

Napi::Value ScrubStore(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const VerifyReport report = ValueOrThrow(
      info.Env(), engine->cleaner().Scrub(TakeDataStoreId(info[1]), TakeU64(info[2]), TakeU64(info[3])));
  Napi::Object object = GiveVerifyReport(info.Env(), TakeString(info[1]), report);
  object.Set("next", GiveU64(info.Env(), report.next));
  return object;
}

Napi::Value AdmitRecords(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const std::span<Row> rows = TakeRows(info[1]);
  const size_t count = TakeRowCount(info[2], rows);
  return GiveU64(info.Env(),
                 ValueOrThrow(info.Env(), engine->cleaner().Admit(rows.first(count), TakeBytes(info[3]))));
}

}  // namespace

Napi::Object GiveVerifyReport(Napi::Env env, const std::string& store, const VerifyReport& report) {
  Napi::Array damages = Napi::Array::New(env);
  for (uint32_t index = 0; index < report.damages.size(); ++index) {
    const StoreDamage& damage = report.damages[index];
    Napi::Object row = Napi::Object::New(env);
    row.Set("dataStore", store);
    row.Set("offset", GiveU64(env, damage.offset));
    row.Set("firstChunk", GiveU64(env, damage.first_chunk));
    row.Set("chunkCount", GiveU64(env, damage.chunk_count));
    row.Set("reason", damage.reason);
    row.Set("fingerprints", GiveFingerprints(env, damage.fingerprints));
    damages.Set(index, row);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("recordCount", GiveU64(env, report.record_count));
  object.Set("chunkCount", GiveU64(env, report.chunk_count));
  object.Set("bytes", GiveU64(env, report.bytes));
  object.Set("damages", damages);
  return object;
}

void ExportCleanerVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "beginEpoch", BeginEpoch, 1);
  Export(env, exports, "openMark", OpenMark, 1);
  Export(env, exports, "markRoots", MarkRoots, 4);
  Export(env, exports, "closeMark", CloseMark, 2);
  Export(env, exports, "surveyStore", SurveyStore, 3);
  Export(env, exports, "condemnStore", CondemnStore, 4);
  Export(env, exports, "hideChunks", HideChunks, 5);
  Export(env, exports, "revealChunks", RevealChunks, 3);
  Export(env, exports, "openProbe", OpenProbe, 2);
  Export(env, exports, "probeRoots", ProbeRoots, 4);
  Export(env, exports, "probeStore", ProbeStore, 3);
  Export(env, exports, "probeReport", ProbeReport, 2);
  Export(env, exports, "closeProbe", CloseProbe, 2);
  Export(env, exports, "copyForward", CopyForwardVerb, 4);
  Export(env, exports, "closeStore", CloseStore, 2);
  Export(env, exports, "trashStore", TrashStore, 2);
  Export(env, exports, "untrashStore", UntrashStore, 2);
  Export(env, exports, "reclaimStore", ReclaimStore, 2);
  Export(env, exports, "listTrash", ListTrash, 1);
  Export(env, exports, "locateChunks", LocateChunks, 4);
  Export(env, exports, "rescueChunks", RescueChunks, 3);
  Export(env, exports, "scrubStore", ScrubStore, 4);
  Export(env, exports, "admitRecords", AdmitRecords, 4);
}

}  // namespace granary::binding
