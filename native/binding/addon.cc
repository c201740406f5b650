// The door: loads the verbs and holds what is per thread. src/native/binding.ts has the contracts.
#include <new>

#include "binding/args.h"
#include "engine/stream.h"

namespace granary::binding {

void Throw(Napi::Env env, const Status& status) {
  const auto* data = env.GetInstanceData<ThreadData>();
  if (data == nullptr || data->error_class.IsEmpty()) throw Napi::Error::New(env, status.message());
  const Napi::Object error = data->error_class.New(
      {Napi::String::New(env, CodeName(status.code())), Napi::String::New(env, status.message())});
  throw Napi::Error(env, error);
}

Bytes TakeBytes(const Napi::Value& value) {
  // napi_get_typedarray_info reads views of shared memory, too; node-addon-api's Uint8Array asserts an
  // ArrayBuffer.
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array)
    throw Napi::TypeError::New(value.Env(), "wanted a Uint8Array");
  return Bytes(static_cast<uint8_t*>(data), length);
}

uint32_t TakeU32(const Napi::Value& value) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), "wanted a number");
  return value.As<Napi::Number>().Uint32Value();
}

uint64_t TakeU64(const Napi::Value& value) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 9007199254740991.0)) {
    throw Napi::TypeError::New(value.Env(), "wanted a whole number below 2^53");
  }
  return static_cast<uint64_t>(number);
}

std::string TakeString(const Napi::Value& value) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), "wanted a string");
  return value.As<Napi::String>().Utf8Value();
}

DataStoreId TakeDataStoreId(const Napi::Value& hex) {
  DataStoreId id;
  if (!FromHex(TakeString(hex), id.bytes)) throw Napi::TypeError::New(hex.Env(), "wanted 48 hex digits");
  return id;
}

std::vector<DataStoreId> TakeDataStoreIds(const Napi::Value& value) {
  const Bytes bytes = TakeBytes(value);
  std::vector<DataStoreId> ids(bytes.size() / sizeof(DataStoreId));
  if (bytes.size() % sizeof(DataStoreId) != 0) throw Napi::TypeError::New(value.Env(), "wanted packed ids");
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

Napi::Value GiveFingerprints(Napi::Env env, std::span<const Fingerprint> fingerprints) {
  return GiveBytes(env, {reinterpret_cast<const uint8_t*>(fingerprints.data()), fingerprints.size_bytes()});
}

Napi::Value GiveBytes(Napi::Env env, ConstBytes bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

std::shared_ptr<Stream> TakeStream(const Napi::CallbackInfo& info, Engine* engine) {
  const uint32_t number = TakeU32(info[1]);
  std::shared_ptr<Stream> stream = engine->FindStream(number);
  if (stream == nullptr) {
    Throw(info.Env(), Status(Code::kCancelled, "stream " + std::to_string(number) + " is not open"));
  }
  return stream;
}

std::span<Row> TakeRows(const Napi::Value& value) {
  const Bytes bytes = TakeBytes(value);
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(Row) != 0) {
    throw Napi::TypeError::New(value.Env(), "rows have to be aligned to 4 bytes");
  }
  return {reinterpret_cast<Row*>(bytes.data()), bytes.size() / kRowSize};
}

size_t TakeRowCount(const Napi::Value& value, std::span<Row> rows) {
  const uint64_t count = TakeU64(value);
  if (count > rows.size()) throw Napi::TypeError::New(value.Env(), "more rows than their buffer holds");
  return count;
}

void GiveDigests(Napi::Object object, const Digests& digests) {
  const Napi::Env env = object.Env();
  object.Set("xxh3", GiveBytes(env, digests.xxh3));
  if (digests.kinds & kDigestBlake3) object.Set("blake3", GiveBytes(env, digests.blake3));
  if (digests.kinds & kDigestSha256) object.Set("sha256", GiveBytes(env, digests.sha256));
  if (digests.kinds & kDigestMd5) object.Set("md5", GiveBytes(env, digests.md5));
}

FileSystem* TakeFiles(const Napi::CallbackInfo& info, size_t index) {
  return ValueOrThrow(info.Env(), Registry::Get().Files(TakeU32(info[index])));
}

void Export(Napi::Env env, Napi::Object exports, const char* name, Verb verb, uint32_t arity) {
  const auto guarded = [verb](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return verb(info);
    } catch (const std::bad_alloc&) {
      Throw(info.Env(), Status(Code::kBusy, "out of memory"));
    }
  };
  Napi::Function function = Napi::Function::New(env, guarded, name);
  function.DefineProperty(Napi::PropertyDescriptor::Value("length", Napi::Number::New(env, arity)));
  exports.Set(name, function);
}

namespace {

Napi::Value SetErrorClass(const Napi::CallbackInfo& info) {
  auto* data = info.Env().GetInstanceData<ThreadData>();
  data->error_class = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value Layout(const Napi::CallbackInfo& info) {
  Napi::Object layout = Napi::Object::New(info.Env());
  layout.Set("rowSize", static_cast<double>(kRowSize));
  layout.Set("logRowHeaderSize", 16);
  Napi::Array codes = Napi::Array::New(info.Env());
  for (int code = 1; code <= static_cast<int>(Code::kCancelled); ++code) {
    codes.Set(static_cast<uint32_t>(code - 1), CodeName(static_cast<Code>(code)));
  }
  layout.Set("codes", codes);
  return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new ThreadData);
  Export(env, exports, "setErrorClass", SetErrorClass, 1);
  Export(env, exports, "layout", Layout, 0);
  ExportGroupVerbs(env, exports);
  ExportIngestVerbs(env, exports);
  ExportRestoreVerbs(env, exports);
  ExportCleanerVerbs(env, exports);
  ExportFileVerbs(env, exports);
  ExportDiskVerbs(env, exports);
  return exports;
}

}  // namespace
}  // namespace granary::binding

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return granary::binding::Init(env, exports);
}
NODE_API_MODULE(granary, InitAddon)
