// Verbs for small files and directories, durably, through the same interface as everything else at rest.
#include "binding/args.h"
#include "datastore/inspect.h"
#include "io/listener.h"
#include "io/measure.h"

namespace granary::binding {
namespace {

Napi::Value ReadSmallFile(const Napi::CallbackInfo& info) {
  const Buffer content = ValueOrThrow(info.Env(), ReadWholeFile(TakeFiles(info, 2), TakeString(info[0]),
                                                                static_cast<size_t>(TakeU64(info[1]))));
  return GiveBytes(info.Env(), content);
}

Napi::Value ReplaceFileVerb(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), ReplaceFile(TakeFiles(info, 2), TakeString(info[0]), TakeBytes(info[1])));
  return info.Env().Undefined();
}

// Its parents, too, each durable in the directory above it.
Status MakeDirectories(FileSystem* files, const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, files->Exists(path));
  if (exists) return Status::Ok();
  const std::string parent = DirectoryOf(path);
  RETURN_IF_ERROR(MakeDirectories(files, parent));
  const Status made = files->MakeDirectory(path);
  if (!made.ok() && made.code() != Code::kExists) return made;
  return files->SyncDirectory(parent);
}

Napi::Value MakeDirectoryVerb(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), MakeDirectories(TakeFiles(info, 1), TakeString(info[0])));
  return info.Env().Undefined();
}

Napi::Value ListDirectory(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names =
      ValueOrThrow(info.Env(), TakeFiles(info, 1)->List(TakeString(info[0])));
  Napi::Array list = Napi::Array::New(info.Env(), names.size());
  for (uint32_t index = 0; index < names.size(); ++index) list.Set(index, names[index]);
  return list;
}

Napi::Value RemoveTreeVerb(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), RemoveTree(TakeFiles(info, 1), TakeString(info[0])));
  return info.Env().Undefined();
}

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  std::unique_ptr<File> lock = ValueOrThrow(info.Env(), TakeFiles(info, 1)->Lock(TakeString(info[0])));
  return Napi::Number::New(info.Env(), Registry::Get().locks.Add(std::move(lock)));
}

Napi::Value UnlockFile(const Napi::CallbackInfo& info) {
  Registry::Get().locks.Remove(TakeU32(info[0]));
  return info.Env().Undefined();
}

Napi::Value MeasureVolumeVerb(const Napi::CallbackInfo& info) {
  const VolumeMeasure measure = ValueOrThrow(info.Env(), MeasureVolume(TakeString(info[0])));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("sequentialIops", measure.sequential_iops);
  object.Set("randomIops", measure.random_iops);
  if (measure.is_rotational) object.Set("isRotational", *measure.is_rotational);
  return object;
}

Napi::Value TuneListenerVerb(const Napi::CallbackInfo& info) {
  const int receive_bytes = static_cast<int>(TakeU32(info[1]));
  const int send_bytes = static_cast<int>(TakeU32(info[2]));
  ThrowIfError(info.Env(), TuneListener(static_cast<uint16_t>(TakeU32(info[0])), receive_bytes, send_bytes));
  return info.Env().Undefined();
}

Napi::Value InspectFileVerb(const Napi::CallbackInfo& info) {
  std::unordered_map<uint32_t, Key> keys;
  const Napi::Array list = info[1].As<Napi::Array>();
  for (uint32_t index = 0; index < list.Length(); ++index) {
    const Napi::Object row = list.Get(index).As<Napi::Object>();
    keys[TakeU32(row.Get("epoch"))] = TakeArray<32>(row.Get("key"));
  }
  std::optional<Key> log_key;
  if (info.Length() > 2 && !info[2].IsUndefined()) log_key = TakeArray<32>(info[2]);
  const auto key_of_epoch = [&](uint32_t epoch) -> const Key* {
    const auto found = keys.find(epoch);
    return found == keys.end() ? nullptr : &found->second;
  };
  return Napi::String::New(
      info.Env(), ValueOrThrow(info.Env(), InspectFile(PosixFileSystem(), TakeString(info[0]), key_of_epoch,
                                                       log_key ? &*log_key : nullptr)));
}

}  // namespace

void ExportFileVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "readSmallFile", ReadSmallFile, 3);
  Export(env, exports, "replaceFile", ReplaceFileVerb, 3);
  Export(env, exports, "makeDirectory", MakeDirectoryVerb, 2);
  Export(env, exports, "listDirectory", ListDirectory, 2);
  Export(env, exports, "removeTree", RemoveTreeVerb, 2);
  Export(env, exports, "lockFile", LockFile, 2);
  Export(env, exports, "unlockFile", UnlockFile, 1);
  Export(env, exports, "measureVolume", MeasureVolumeVerb, 1);
  Export(env, exports, "tuneListener", TuneListenerVerb, 3);
  Export(env, exports, "inspectFile", InspectFileVerb, 3);
}

}  // namespace granary::binding
