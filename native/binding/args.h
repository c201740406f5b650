// Conversions at the door. Arguments were checked by TypeScript: a wrong one is a bug and throws a TypeError
// that nobody handles. Failures become the StoreError class that was handed over, per thread.
#ifndef GRANARY_BINDING_ARGS_H_
#define GRANARY_BINDING_ARGS_H_

#include <napi.h>

#include <span>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/registry.h"

namespace granary::binding {

// What a thread that has loaded the addon keeps.
struct ThreadData {
  Napi::FunctionReference error_class;
};

[[noreturn]] void Throw(Napi::Env env, const Status& status);
inline void ThrowIfError(Napi::Env env, const Status& status) {
  if (!status.ok()) Throw(env, status);
}
template <typename T>
T ValueOrThrow(Napi::Env env, Result<T> result) {
  if (!result.ok()) Throw(env, result.status());
  return std::move(*result);
}

// Borrowed for the call. A Uint8Array over an ArrayBuffer or a SharedArrayBuffer.
Bytes TakeBytes(const Napi::Value& value);
uint32_t TakeU32(const Napi::Value& value);
// A whole number up to 2^53 - 1.
uint64_t TakeU64(const Napi::Value& value);
std::string TakeString(const Napi::Value& value);
template <size_t kSize>
std::array<uint8_t, kSize> TakeArray(const Napi::Value& value) {
  const Bytes bytes = TakeBytes(value);
  if (bytes.size() != kSize) throw Napi::TypeError::New(value.Env(), "a key or id of another size");
  std::array<uint8_t, kSize> array;
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}
DataStoreId TakeDataStoreId(const Napi::Value& hex);
// Packed, 24 bytes each.
std::vector<DataStoreId> TakeDataStoreIds(const Napi::Value& value);
// Rows in caller-owned memory; aligned to 4 bytes.
std::span<Row> TakeRows(const Napi::Value& value);
size_t TakeRowCount(const Napi::Value& value, std::span<Row> rows);

Napi::Value GiveBytes(Napi::Env env, ConstBytes bytes);  // a copy
// As src/native/binding.ts has Damage and VerifyReport.
Napi::Object GiveVerifyReport(Napi::Env env, const std::string& store, const VerifyReport& report);
// Packed fingerprints, a copy.
Napi::Value GiveFingerprints(Napi::Env env, std::span<const Fingerprint> fingerprints);
// Sets the digests that were taken.
void GiveDigests(Napi::Object object, const Digests& digests);
inline Napi::Value GiveU64(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

inline std::shared_ptr<Engine> TakeEngine(const Napi::CallbackInfo& info) {
  return ValueOrThrow(info.Env(), Registry::Get().Find(TakeU32(info[0])));
}
std::shared_ptr<Stream> TakeStream(const Napi::CallbackInfo& info, Engine* engine);
FileSystem* TakeFiles(const Napi::CallbackInfo& info, size_t index);

// One function a group of verbs, each in a file of its own.
void ExportGroupVerbs(Napi::Env env, Napi::Object exports);
void ExportIngestVerbs(Napi::Env env, Napi::Object exports);
void ExportRestoreVerbs(Napi::Env env, Napi::Object exports);
void ExportCleanerVerbs(Napi::Env env, Napi::Object exports);
void ExportFileVerbs(Napi::Env env, Napi::Object exports);
void ExportDiskVerbs(Napi::Env env, Napi::Object exports);

using Verb = Napi::Value (*)(const Napi::CallbackInfo&);
// Exports a verb and its arity. A C++ exception (memory) must not pass the door as anything but a failure.
void Export(Napi::Env env, Napi::Object exports, const char* name, Verb verb, uint32_t arity);

}  // namespace granary::binding

#endif  // GRANARY_BINDING_ARGS_H_
