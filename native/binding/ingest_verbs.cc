// Verbs of a stream being ingested.
#include "binding/args.h"

namespace granary::binding {
namespace {

Bytes TakeRange(const Napi::Value& buffer, const Napi::Value& offset, const Napi::Value& size) {
  const Bytes bytes = TakeBytes(buffer);
  const uint64_t start = TakeU64(offset);
  const uint64_t length = TakeU64(size);
  if (start > bytes.size() || length > bytes.size() - start) {
    throw Napi::TypeError::New(buffer.Env(), "a range outside of its buffer");
  }
  return bytes.subspan(start, length);
}

Napi::Value OpenStream(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), TakeEngine(info)->OpenStream(TakeU32(info[1])));
}

Napi::Value CloseStream(const Napi::CallbackInfo& info) {
  TakeEngine(info)->CloseStream(TakeU32(info[1]));
  return info.Env().Undefined();
}

Napi::Value PrepareSegment(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const auto stream = TakeStream(info, engine.get());
  const uint64_t offset = TakeU64(info[3]);
  const uint64_t fresh = TakeU64(info[4]);
  const Bytes segment = TakeRange(info[2], info[3], info[5]);
  if (fresh < offset || fresh - offset > segment.size()) {
    throw Napi::TypeError::New(info.Env(), "fresh bytes outside of the segment");
  }
  const std::span<Row> rows = TakeRows(info[7]);
  const SegmentReport report = ValueOrThrow(
      info.Env(), stream->Prepare(segment, fresh - offset, info[6].ToBoolean(), rows.data(), rows.size()));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("rowCount", report.row_count);
  object.Set("consumed", report.consumed);
  object.Set("newCount", report.new_count);
  object.Set("unknownCount", report.unknown_count);
  return object;
}

Napi::Value AdmitRows(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const auto stream = TakeStream(info, engine.get());
  const std::span<Row> rows = TakeRows(info[2]);
  const size_t count = TakeRowCount(info[3], rows);
  const Bytes places = TakeBytes(info[4]);
  if (places.size() < count * sizeof(DataStoreId))
    throw Napi::TypeError::New(info.Env(), "fewer places than rows");
  const uint32_t new_count = ValueOrThrow(
      info.Env(), stream->Admit(rows.data(), count, reinterpret_cast<const DataStoreId*>(places.data())));
  return Napi::Number::New(info.Env(), new_count);
}

void SetStored(Napi::Object object, const StoreReport& report) {
  object.Set("newBytes", GiveU64(object.Env(), report.new_bytes));
  object.Set("storedBytes", GiveU64(object.Env(), report.stored_bytes));
}

Napi::Value StoreRecords(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const auto stream = TakeStream(info, engine.get());
  const Bytes slab = TakeBytes(info[2]);
  const uint64_t offset = TakeU64(info[3]);
  if (offset > slab.size()) throw Napi::TypeError::New(info.Env(), "an offset outside of the slab");
  const std::span<Row> rows = TakeRows(info[4]);
  const size_t count = TakeRowCount(info[5], rows);
  Napi::Object object = Napi::Object::New(info.Env());
  SetStored(object, ValueOrThrow(info.Env(), stream->Store(slab.subspan(offset), rows.data(), count)));
  return object;
}

Napi::Value FinishStream(const Napi::CallbackInfo& info) {
  const auto engine = TakeEngine(info);
  const auto stream = TakeStream(info, engine.get());
  const StreamReport report = ValueOrThrow(info.Env(), stream->Finish());
  const Napi::Env env = info.Env();
  Napi::Object object = Napi::Object::New(env);
  SetStored(object, report.stored);
  object.Set("root", GiveBytes(env, report.root.fingerprint.bytes));
  object.Set("rootLength", report.root.size);
  object.Set("depth", report.root.depth);
  object.Set("size", GiveU64(env, report.size));
  object.Set("chunkCount", GiveU64(env, report.chunk_count));
  GiveDigests(object, report.digests);
  return object;
}

}  // namespace

void ExportIngestVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "openStream", OpenStream, 2);
  Export(env, exports, "prepareSegment", PrepareSegment, 8);
  Export(env, exports, "admitRows", AdmitRows, 5);
  Export(env, exports, "storeRecords", StoreRecords, 6);
  Export(env, exports, "finishStream", FinishStream, 2);
  Export(env, exports, "closeStream", CloseStream, 2);
}

}  // namespace granary::binding
