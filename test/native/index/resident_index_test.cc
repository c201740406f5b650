#include "index/resident_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

namespace granary {
namespace {

Fingerprint Name(uint64_t seed) {
  std::mt19937_64 random(seed);
  Fingerprint fingerprint;
  for (size_t offset = 0; offset < 32; offset += 8)
    StoreLittle<uint64_t>(&fingerprint.bytes[offset], random());
  return fingerprint;
}

TEST(ResidentIndex, WhatWasInsertedIsFoundAndNothingElse) {
  ResidentIndex index(64 << 20);
  for (uint64_t seed = 1; seed <= 50000; ++seed)
    ASSERT_TRUE(index.Insert(Name(seed), static_cast<uint32_t>(seed)));
  EXPECT_EQ(index.size(), 50000u);
  for (uint64_t seed = 1; seed <= 50000; ++seed) ASSERT_EQ(index.Find(Name(seed)), seed);
  for (uint64_t seed = 50001; seed <= 60000; ++seed)
    ASSERT_EQ(index.Find(Name(seed)), ResidentIndex::kAbsent);
}

TEST(ResidentIndex, ABatchAnswersAsSingleLookUpsDo) {
  ResidentIndex index(1 << 20);
  std::vector<Fingerprint> names;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    names.push_back(Name(seed));
    if (seed % 3 == 0) ASSERT_TRUE(index.Insert(names.back(), static_cast<uint32_t>(seed)));
  }
  std::vector<uint32_t> found(names.size());
  index.FindMany(names, found);
  for (size_t place = 0; place < names.size(); ++place) EXPECT_EQ(found[place], index.Find(names[place]));
}

// borg #4829: deletions at high load, around the table's end, must not hide what was probed past them.
TEST(ResidentIndex, IndexHashTableWrap) {
  std::mt19937_64 random(7);
  ResidentIndex index(1 << 20);
  std::map<uint64_t, uint32_t> model;
  for (int step = 0; step < 200000; ++step) {
    // Few home positions and one shard: long probe runs that wrap.
    Fingerprint name = Name(random() % 300);
    name.bytes[16] = 0;
    StoreLittle<uint32_t>(&name.bytes[8], 0xfffffff0u + static_cast<uint32_t>(name.bytes[0] % 16));
    const uint64_t key = LoadLittle<uint64_t>(name.bytes.data());
    const uint32_t value = 1 + static_cast<uint32_t>(random() % 5);
    if (random() % 2 == 0) {
      const auto mode = random() % 2 == 0 ? ResidentIndex::Mode::kKeep : ResidentIndex::Mode::kReplace;
      ASSERT_TRUE(index.Insert(name, value, mode));
      if (mode == ResidentIndex::Mode::kReplace || !model.contains(key)) model[key] = value;
    } else {
      const auto found = model.find(key);
      const bool expected = found != model.end() && found->second == value;
      ASSERT_EQ(index.Remove(name, value), expected);
      if (expected) model.erase(found);
    }
    const auto expected = model.find(key);
    ASSERT_EQ(index.Find(name), expected == model.end() ? ResidentIndex::kAbsent : expected->second) << step;
    ASSERT_EQ(index.size(), model.size());
  }
}

TEST(ResidentIndex, AnEntryOfAnotherDataStoreIsNotRemoved) {
  ResidentIndex index(1 << 20);
  ASSERT_TRUE(index.Insert(Name(1), 5));
  EXPECT_FALSE(index.Remove(Name(1), 6));
  EXPECT_EQ(index.Find(Name(1)), 5u);
}

TEST(ResidentIndex, AtItsBoundItRefusesAndKeepsWhatItHas) {
  ResidentIndex index(64 * 1024);
  uint64_t inserted = 0;
  while (index.Insert(Name(inserted + 1), 1)) ++inserted;
  EXPECT_GT(inserted, 1000u);
  EXPECT_LE(index.bytes(), 64u * 1024);
  for (uint64_t seed = 1; seed <= inserted; ++seed) ASSERT_EQ(index.Find(Name(seed)), 1u);
}

TEST(ResidentIndex, AtItsBoundAnEntryThatIsThereCanStillBeSet) {
  ResidentIndex index(64 * 1024);
  uint64_t inserted = 0;
  while (index.Insert(Name(inserted + 1), 1)) ++inserted;
  for (uint64_t seed = 1; seed <= inserted; ++seed) {
    ASSERT_TRUE(index.Insert(Name(seed), 2));
    ASSERT_EQ(index.Find(Name(seed)), 1u) << "a later copy takes over";
    ASSERT_TRUE(index.Insert(Name(seed), 2, ResidentIndex::Mode::kReplace));
    ASSERT_EQ(index.Find(Name(seed)), 2u);
  }
}

TEST(ResidentIndex, AChunkTakesAtMostTwentyFourBytes) {
  ResidentIndex index(256 << 20);
  for (uint64_t seed = 1; seed <= 300000; ++seed) ASSERT_TRUE(index.Insert(Name(seed), 1));
  EXPECT_LE(index.bytes(), 300000u * 25);
}

TEST(ResidentIndex, ThreadsSeeEachOthersEntries) {
  ResidentIndex index(64 << 20);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&index, thread] {
      for (uint64_t seed = 0; seed < 5000; ++seed) {
        ASSERT_TRUE(index.Insert(Name(thread * 5000 + seed), static_cast<uint32_t>(thread + 1)));
        ASSERT_NE(index.Find(Name(thread * 5000 + seed / 2)), ResidentIndex::kAbsent);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(index.size(), 20000u);
}

}  // namespace
}  // namespace granary
