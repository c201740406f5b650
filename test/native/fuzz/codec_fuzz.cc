// Hostile bytes as a compressed payload of each codec: filled exactly or refused, never past the end.
#include <cstdlib>

#include "base/generated_input.h"
#include "compress/compressor.h"
#include "fuzz/fuzz_seeds.h"

namespace granary {

constexpr size_t kPlainSizeMax = 1 << 16;

// Two bytes of plain size, one of codec, the payload.
static Buffer Input(CompressionMode mode, const Buffer& plain) {
  Compressor compressor;
  const Compressor::Encoded encoded = compressor.Compress(mode, plain);
  Buffer input(3);
  StoreLittle(input.data(), static_cast<uint16_t>(plain.size()));
  input[2] = static_cast<uint8_t>(encoded.codec);
  input.insert(input.end(), encoded.bytes.begin(), encoded.bytes.end());
  return input;
}

std::vector<Buffer> FuzzSeeds() {
  std::vector<Buffer> seeds;
  for (const CompressionMode mode : {CompressionMode::kFast, CompressionMode::kBest}) {
    seeds.push_back(Input(mode, TwoLetterText(1, 3000)));
    seeds.push_back(Input(mode, Cycle251(20000)));
  }
  return seeds;
}

}  // namespace granary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace granary;
  if (size < 3) return 0;
  static Buffer plain(kPlainSizeMax + 1);
  const size_t plain_size = LoadLittle<uint16_t>(data);
  plain[plain_size] = 0xa5;
  (void)Decompress(static_cast<Codec>(data[2] % 3), {data + 3, size - 3}, Bytes(plain).first(plain_size));
  if (plain[plain_size] != 0xa5) std::abort();
  return 0;
}
