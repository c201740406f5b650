// Runs a fuzzer's entry point without clang: valid inputs and changes of them that follow from a seed alone.
//
//   NAME_seeded EXECUTIONS SEED     prints "EXECUTIONS NAME"; a crash names seed and execution before
//   NAME_seeded --write DIRECTORY   writes the valid inputs, as a corpus for libFuzzer
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <unistd.h>

#include "base/generated_input.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

constexpr size_t kInputSizeMax = 1 << 16;
constexpr size_t kChangesMax = 6;
const uint64_t kTellingNumbers[] = {0, 1, 7, 8, 16, 64, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536,
                                    0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, uint64_t{1} << 53,
                                    uint64_t{1} << 63, ~uint64_t{0}};

uint64_t current_seed, current_execution;

static void TellAndDie(int signal) {
  char text[128];
  constexpr const char* kForm = "died of signal %d at seed %llu, execution %llu\n";
  const int size = std::snprintf(text, sizeof text, kForm, signal,
                                 static_cast<unsigned long long>(current_seed),
                                 static_cast<unsigned long long>(current_execution));
  if (write(STDERR_FILENO, text, static_cast<size_t>(size)) < 0) _exit(2);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

static void Overwrite(Buffer* bytes, SplitMix64* random) {
  const size_t width = size_t{1} << random->Below(4);
  if (bytes->size() < width) return;
  const size_t numbers = std::size(kTellingNumbers);
  const uint64_t number = kTellingNumbers[random->Below(numbers)] + random->Below(3) - 1;
  std::memcpy(bytes->data() + random->Below(bytes->size() - width + 1), &number, width);
}

static void Change(const std::vector<Buffer>& seeds, Buffer* bytes, SplitMix64* random) {
  const size_t at = bytes->empty() ? 0 : random->Below(bytes->size());
  const auto place = bytes->begin() + static_cast<ptrdiff_t>(at);
  switch (bytes->empty() ? 7 : random->Below(8)) {
    case 0: (*bytes)[at] ^= static_cast<uint8_t>(1 << random->Below(8)); break;
    case 1: (*bytes)[at] = static_cast<uint8_t>(random->Next()); break;
    case 2:
    case 3: Overwrite(bytes, random); break;
    case 4: bytes->resize(at); break;
    case 5: bytes->erase(place, place + static_cast<ptrdiff_t>(random->Below(bytes->size() - at) + 1)); break;
    case 6: {  // a stretch twice
      const Buffer stretch(place, place + static_cast<ptrdiff_t>(random->Below(bytes->size() - at) + 1));
      bytes->insert(place, stretch.begin(), stretch.end());
      break;
    }
    case 7: {  // the end of another
      const Buffer& other = seeds[random->Below(seeds.size())];
      const size_t from = random->Below(other.size() + 1);
      bytes->resize(at);
      bytes->insert(bytes->end(), other.begin() + static_cast<ptrdiff_t>(from), other.end());
      break;
    }
  }
  if (bytes->size() > kInputSizeMax) bytes->resize(kInputSizeMax);
}

static void Run(uint64_t executions, uint64_t seed) {
  const std::vector<Buffer> seeds = FuzzSeeds();
  SplitMix64 random(seed);
  current_seed = seed;
  for (uint64_t execution = 0; execution < executions; ++execution) {
    current_execution = execution;
    Buffer bytes = seeds[random.Below(seeds.size())];
    // The valid ones go in as they are, too.
    for (size_t left = execution < seeds.size() ? 0 : 1 + random.Below(kChangesMax); left > 0; --left) {
      Change(seeds, &bytes, &random);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}

static int WriteSeeds(const std::string& directory) {
  size_t number = 0;
  for (const Buffer& seed : FuzzSeeds()) {
    std::FILE* file = std::fopen((directory + "/seed-" + std::to_string(number++)).c_str(), "wb");
    if (file == nullptr || std::fwrite(seed.data(), 1, seed.size(), file) != seed.size()) return 1;
    if (std::fclose(file) != 0) return 1;
  }
  return 0;
}

}  // namespace granary

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--write") return granary::WriteSeeds(argv[2]);
  if (argc != 3) {
    std::fprintf(stderr, "%s EXECUTIONS SEED | --write DIRECTORY\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal, granary::TellAndDie);
  }
  const uint64_t executions = std::strtoull(argv[1], nullptr, 10);
  granary::Run(executions, std::strtoull(argv[2], nullptr, 10));
  std::printf("%llu %s\n", static_cast<unsigned long long>(executions), argv[0]);
  return 0;
}
