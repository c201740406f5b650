// Verbs of simulated disks, for tests that crash a whole group and look at what is left.
#include "binding/args.h"

namespace granary::binding {
namespace {

std::shared_ptr<SimulatedFileSystem> TakeDisk(const Napi::CallbackInfo& info) {
  return ValueOrThrow(info.Env(), Registry::Get().disks.Get(TakeU32(info[0])));
}

Napi::Value DiskCreate(const Napi::CallbackInfo& info) {
  const auto disk = SimulatedFileSystem::Create();
  disk->SetInOrder();
  return Napi::Number::New(info.Env(), Registry::Get().disks.Add(disk));
}

Napi::Value DiskPlan(const Napi::CallbackInfo& info) {
  FaultPlan plan;
  plan.kind = static_cast<FaultPlan::Kind>(TakeU32(info[1]));
  plan.operation = TakeU64(info[2]);
  plan.for_ever = info[3].ToBoolean();
  TakeDisk(info)->SetPlan(plan);
  return info.Env().Undefined();
}

Napi::Value DiskOperations(const Napi::CallbackInfo& info) {
  const auto disk = TakeDisk(info);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("count", GiveU64(info.Env(), disk->operation_count()));
  object.Set("wasHit", disk->plan_was_hit());
  return object;
}

Napi::Value DiskCrash(const Napi::CallbackInfo& info) {
  TakeDisk(info)->Crash(TakeU64(info[1]));
  return info.Env().Undefined();
}

Napi::Value DiskCapacity(const Napi::CallbackInfo& info) {
  TakeDisk(info)->SetCapacity(TakeU64(info[1]));
  return info.Env().Undefined();
}

Napi::Value DiskDamage(const Napi::CallbackInfo& info) {
  ThrowIfError(info.Env(), TakeDisk(info)->Damage(TakeString(info[1]), TakeU64(info[2]), TakeBytes(info[3])));
  return info.Env().Undefined();
}

Napi::Value DiskCopy(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Registry::Get().disks.Add(TakeDisk(info)->Copy()));
}

Napi::Value DiskCopies(const Napi::CallbackInfo& info) {
  const auto copies = TakeDisk(info)->TakeCopies();
  Napi::Array handles = Napi::Array::New(info.Env(), copies.size());
  for (size_t index = 0; index < copies.size(); ++index) {
    handles.Set(static_cast<uint32_t>(index),
                Napi::Number::New(info.Env(), Registry::Get().disks.Add(copies[index])));
  }
  return handles;
}

Napi::Value DiskDrop(const Napi::CallbackInfo& info) {
  Registry::Get().disks.Remove(TakeU32(info[0]));
  return info.Env().Undefined();
}

}  // namespace

void ExportDiskVerbs(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "diskCreate", DiskCreate, 0);
  Export(env, exports, "diskPlan", DiskPlan, 4);
  Export(env, exports, "diskOperations", DiskOperations, 1);
  Export(env, exports, "diskCrash", DiskCrash, 2);
  Export(env, exports, "diskCapacity", DiskCapacity, 2);
  Export(env, exports, "diskDamage", DiskDamage, 4);
  Export(env, exports, "diskCopy", DiskCopy, 1);
  Export(env, exports, "diskCopies", DiskCopies, 1);
  Export(env, exports, "diskDrop", DiskDrop, 1);
}

}  // namespace granary::binding
