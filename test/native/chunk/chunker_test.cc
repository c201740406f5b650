#include "chunk/chunker.h"

#include <gtest/gtest.h>

#include "base/generated_input.h"
#include "base/vector_file.h"
#include "chunk/chunker_scan.h"

namespace granary {
namespace {

using Cuts = std::vector<uint32_t>;

std::vector<ChunkerBackend> AvailableBackends() {
  std::vector<ChunkerBackend> backends;
  for (ChunkerBackend backend :
       {ChunkerBackend::kPortable, ChunkerBackend::kSse41, ChunkerBackend::kAvx2, ChunkerBackend::kAvx512}) {
    if (ChunkerBackendIsAvailable(backend)) backends.push_back(backend);
  }
  return backends;
}

ChunkerParameters ParametersOf(uint32_t size_average, uint64_t key_seed) {
  return {.size_average = size_average, .key = KeyOf(key_seed)};
}

Cuts CutsOf(const Chunker& chunker, ConstBytes data, bool is_last = true) {
  Cuts cuts;
  const size_t end = chunker.Cut(data, is_last, &cuts);
  EXPECT_EQ(end, cuts.empty() ? 0 : cuts.back());
  return cuts;
}

void ExpectSameCutsOnAllBackends(const ChunkerParameters& parameters, ConstBytes data) {
  const Cuts expected = CutsOf(Chunker(parameters, ChunkerBackend::kPortable), data);
  for (ChunkerBackend backend : AvailableBackends()) {
    ASSERT_EQ(CutsOf(Chunker(parameters, backend), data), expected)
        << ChunkerBackendName(backend) << ", " << data.size() << " bytes";
  }
}

// Bytes of which every second position (every one, when the filter lets enough through) passes the filter of
// this key.
Buffer MadeAgainstTheFilter(const CutRule& rule, size_t size) {
  SplitMix64 random(99);
  Buffer period = RandomBytes(98, kCutWindow);
  while (period.size() < 3 * kCutWindow) {
    period.resize(period.size() + 2);
    do {
      StoreLittle(period.data() + period.size() - 2, static_cast<uint16_t>(random.Next()));
    } while (FilterValue(period.data() + period.size(), rule) < rule.filter_threshold);
  }
  Buffer bytes;
  while (bytes.size() < size) bytes.insert(bytes.end(), period.begin(), period.end());
  return bytes;
}

TEST(Chunker, TheSharedVectorsHoldOnEveryBackend) {
  const JsonValue vectors = ReadVectors("chunk-cuts.json");
  ASSERT_GT(vectors["cases"].items.size(), 10u);
  for (const JsonValue& vector : vectors["cases"].items) {
    ChunkerParameters parameters{.size_average = static_cast<uint32_t>(vector["average"].number)};
    const Buffer key = vector["key"].FromHexText();
    std::memcpy(parameters.key.data(), key.data(), key.size());
    const Buffer input = GeneratedInput(vector["kind"].text, vector["seed"].number, vector["size"].number);
    Cuts expected;
    for (const JsonValue& cut : vector["cuts"].items) expected.push_back(static_cast<uint32_t>(cut.number));
    for (ChunkerBackend backend : AvailableBackends()) {
      EXPECT_EQ(CutsOf(Chunker(parameters, backend), input), expected)
          << ChunkerBackendName(backend) << ", " << vector["kind"].text << " " << input.size();
    }
  }
}

TEST(Chunker, AllBackendsCutAlikeAtEveryLengthAroundABoundaryAndEveryAlignment) {
  const ChunkerParameters parameters = ParametersOf(kChunkAverageMin, 1);
  const Buffer bytes = RandomBytes(1, 3 * parameters.size_max());
  const uint32_t first = CutsOf(Chunker(parameters), bytes).front();
  for (size_t boundary : {size_t{first}, size_t{parameters.size_min()}, size_t{parameters.size_average},
                          size_t{parameters.size_max()}}) {
    for (size_t offset = 0; offset < 64; offset += 7) {
      for (size_t size = boundary - 70; size <= boundary + 70; ++size) {
        ExpectSameCutsOnAllBackends(parameters, ConstBytes(bytes).subspan(offset, size));
      }
    }
  }
}

TEST(Chunker, AllBackendsCutAlikeInEveryKindOfInput) {
  for (uint32_t average : {4096u, 16384u, 65536u}) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const ChunkerParameters parameters = ParametersOf(average, seed);
      ExpectSameCutsOnAllBackends(parameters, RandomBytes(seed, 1000003));
      ExpectSameCutsOnAllBackends(parameters, TwoLetterText(seed, 500009));
      ExpectSameCutsOnAllBackends(parameters, Buffer(300007, static_cast<uint8_t>(seed)));
      ExpectSameCutsOnAllBackends(parameters, Cycle251(300007));
    }
  }
}

TEST(Chunker, EveryChunkButTheLastIsWithinTheBoundsAndTheLastEndsTheData) {
  for (uint32_t average = kChunkAverageMin; average <= kChunkAverageMax; average *= 2) {
    const ChunkerParameters parameters = ParametersOf(average, average);
    const Buffer bytes = RandomBytes(average, 16 * size_t{average} + 12345);
    const Cuts cuts = CutsOf(Chunker(parameters), bytes);
    ASSERT_EQ(cuts.back(), bytes.size());
    for (size_t index = 0, start = 0; index + 1 < cuts.size(); start = cuts[index++]) {
      EXPECT_GE(cuts[index] - start, parameters.size_min());
      EXPECT_LE(cuts[index] - start, parameters.size_max());
    }
  }
}

TEST(Chunker, TheMeanChunkIsNearTheAverageAtEverySize) {
  for (uint32_t average : {4096u, 16384u, 131072u, 1048576u}) {
    const size_t size = 256 * size_t{average} < (32u << 20) ? 256 * size_t{average} : 32 * size_t{average};
    const Cuts cuts = CutsOf(Chunker(ParametersOf(average, 5)), RandomBytes(average, size));
    const double mean = static_cast<double>(size) / static_cast<double>(cuts.size());
    EXPECT_GT(mean, 0.9 * average);
    EXPECT_LT(mean, 1.5 * average);
  }
}

TEST(Chunker, ARunOfOneByteIsCutAtTheMaximumOnlyWhateverTheKey) {
  for (uint64_t key = 0; key < 40; ++key) {
    const ChunkerParameters parameters = ParametersOf(kChunkAverageMin, key);
    const Chunker chunker(parameters);
    for (int byte = 0; byte < 256; ++byte) {
      const Buffer run(2 * parameters.size_max() + 10, static_cast<uint8_t>(byte));
      ASSERT_EQ(CutsOf(chunker, run, false), (Cuts{parameters.size_max(), 2 * parameters.size_max()}));
    }
  }
}

TEST(Chunker, TextOfTwoLettersIsCutByItsContent) {
  for (uint32_t average : {4096u, 16384u, 262144u}) {
    for (uint64_t key = 1; key <= 8; ++key) {
      const ChunkerParameters parameters = ParametersOf(average, key);
      const Buffer text = TwoLetterText(key, 40 * size_t{average});
      const Cuts cuts = CutsOf(Chunker(parameters), text);
      EXPECT_GT(cuts.size(), 40u * average / parameters.size_max() + 2) << average << ", key " << key;
    }
  }
}

TEST(Chunker, InputMadeAgainstTheFilterIsCutAlikeAndWithinTheBounds) {
  for (uint32_t average : {4096u, 16384u}) {
    const ChunkerParameters parameters = ParametersOf(average, 3);
    const Buffer bytes = MadeAgainstTheFilter(Chunker(parameters).rule(), 200000);
    ExpectSameCutsOnAllBackends(parameters, bytes);
    const Cuts cuts = CutsOf(Chunker(parameters), bytes);
    EXPECT_LE(cuts.size(), bytes.size() / parameters.size_min() + 1);
  }
}

TEST(Chunker, CutsDoNotDependOnHowTheStreamWasSliced) {
  SplitMix64 random(17);
  const ChunkerParameters parameters = ParametersOf(kChunkAverageMin, 6);
  const Chunker chunker(parameters);
  const Buffer stream = RandomBytes(6, 600000);
  const Cuts expected = CutsOf(chunker, stream);
  for (int round = 0; round < 50; ++round) {
    Cuts joined;
    size_t start = 0, end = 0;  // the carried tail is stream[start, end)
    do {
      end = std::min(stream.size(), end + random.Below(round % 2 == 0 ? 3000 : 100000));
      Cuts cuts;
      const size_t kept =
          chunker.Cut(ConstBytes(stream).subspan(start, end - start), end == stream.size(), &cuts);
      for (uint32_t cut : cuts) joined.push_back(static_cast<uint32_t>(start + cut));
      start += kept;
      ASSERT_LT(end - start, parameters.size_max());
    } while (end < stream.size());
    ASSERT_EQ(joined, expected);
  }
}

TEST(Chunker, ACutThatFallsOnTheEndOfTheDataNeedsNoFurtherByte) {
  const Chunker chunker(ParametersOf(kChunkAverageMin, 8));
  const Buffer bytes = RandomBytes(8, 100000);
  const uint32_t first = CutsOf(chunker, bytes).front();
  EXPECT_EQ(CutsOf(chunker, ConstBytes(bytes).first(first), false), Cuts{first});
  EXPECT_EQ(CutsOf(chunker, ConstBytes(bytes).first(first - 1), false), Cuts{});
}

TEST(Chunker, AChangeMovesOnlyTheCutsNearIt) {
  const Chunker chunker(ParametersOf(kChunkAverageMin, 9));
  const Buffer before = RandomBytes(9, 400000);
  Buffer after = before;
  after.insert(after.begin() + 1000, {1, 2, 3});
  const Cuts cuts_before = CutsOf(chunker, before);
  size_t shared = 0;
  for (uint32_t cut : CutsOf(chunker, after)) {
    shared += std::find(cuts_before.begin(), cuts_before.end(), cut - 3) != cuts_before.end();
  }
  EXPECT_GE(shared + 6, cuts_before.size());
}

TEST(Chunker, AnotherKeyGivesOtherCuts) {
  const Buffer bytes = RandomBytes(10, 400000);
  const Cuts first = CutsOf(Chunker(ParametersOf(kChunkAverageMin, 1)), bytes);
  ChunkerParameters other = ParametersOf(kChunkAverageMin, 1);
  other.key[31] ^= 0x80;
  size_t shared = 0;
  for (uint32_t cut : CutsOf(Chunker(other), bytes))
    shared += std::binary_search(first.begin(), first.end(), cut);
  EXPECT_LT(shared, first.size() / 10);
}

TEST(Chunker, NothingIsCutFromNothing) {
  const Chunker chunker(ParametersOf(kChunkAverageMin, 1));
  EXPECT_EQ(CutsOf(chunker, {}), Cuts{});
  EXPECT_EQ(CutsOf(chunker, {}, false), Cuts{});
}

TEST(ChunkerDeathTest, AnAverageThatIsNoPowerOfTwoOrOutsideTheBoundsEndsTheProcess) {
  EXPECT_DEATH(Chunker(ParametersOf(5000, 1)), "invariant broken");
  EXPECT_DEATH(Chunker(ParametersOf(kChunkAverageMin / 2, 1)), "invariant broken");
  EXPECT_DEATH(Chunker(ParametersOf(kChunkAverageMax * 2, 1)), "invariant broken");
}

}  // namespace
}  // namespace granary
