// What each fuzzer gives beside its entry point: valid inputs to start from. The seeded driver changes them
// at random; libFuzzer finds them in its corpus.
#ifndef GRANARY_TEST_FUZZ_FUZZ_SEEDS_H_
#define GRANARY_TEST_FUZZ_FUZZ_SEEDS_H_

#include <vector>

#include "base/bytes.h"

namespace granary {

std::vector<Buffer> FuzzSeeds();

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // GRANARY_TEST_FUZZ_FUZZ_SEEDS_H_
