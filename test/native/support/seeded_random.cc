// Makes the random bytes of this process, those of the addon and those of node:crypto, follow from a seed, so
// that a simulated run can be repeated. Both take them from the OpenSSL that Node brings along, whose
// generator is replaced here. Loaded by the simulator only; the thread that calls is the only one that may
// draw.
#include <node_api.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>

#include <cstdint>

namespace {

uint64_t state = 0;

uint64_t Next() {  // splitmix64
  state += 0x9e3779b97f4a7c15ull;
  uint64_t value = state;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

int Fill(unsigned char* out, int size) {
  for (int at = 0; at < size;) {
    uint64_t bytes = Next();
    for (int end = at + 8; at < end && at < size; ++at, bytes >>= 8) {
      out[at] = static_cast<unsigned char>(bytes);
    }
  }
  return 1;
}

int Ready() { return 1; }

const RAND_METHOD kSeeded = {nullptr, Fill, nullptr, nullptr, Fill, Ready};

napi_value Seed(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  double seed = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_double(env, argument, &seed);
  state = static_cast<uint64_t>(seed);
  RAND_set_rand_method(&kSeeded);
  return nullptr;
}

napi_value Restore(napi_env, napi_callback_info) {
  RAND_set_rand_method(RAND_OpenSSL());
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value seed, restore;
  napi_create_function(env, "seed", NAPI_AUTO_LENGTH, Seed, nullptr, &seed);
  napi_create_function(env, "restore", NAPI_AUTO_LENGTH, Restore, nullptr, &restore);
  napi_set_named_property(env, exports, "seed", seed);
  napi_set_named_property(env, exports, "restore", restore);
  return exports;
}
