#include "engine/fingerprint_filter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

#include "base/bytes.h"
#include "engine/prefix_set.h"
#include "engine/touch_filters.h"

namespace granary {
namespace {

Fingerprint Name(uint64_t seed) {
  std::mt19937_64 random(seed);
  Fingerprint fingerprint;
  for (size_t offset = 0; offset < 32; offset += 8)
    StoreLittle<uint64_t>(&fingerprint.bytes[offset], random());
  return fingerprint;
}

constexpr FingerprintFilter::Salt kSalt = {11, 22};

double ShareTakenFor(const FingerprintFilter& filter, uint64_t from, uint64_t count) {
  uint64_t taken = 0;
  for (uint64_t seed = from; seed < from + count; ++seed) taken += filter.Contains(Name(seed)) ? 1 : 0;
  return static_cast<double>(taken) / static_cast<double>(count);
}

TEST(FingerprintFilter, WhatWasAddedIsNeverForgotten) {
  for (uint64_t count : {0, 1, 100, 20000}) {
    FingerprintFilter filter(FingerprintFilter::WordCount(count, 10), kSalt);
    for (uint64_t seed = 0; seed < count; ++seed) filter.Add(Name(seed));
    for (uint64_t seed = 0; seed < count; ++seed) ASSERT_TRUE(filter.Contains(Name(seed)));
  }
}

TEST(FingerprintFilter, AtTenBitsOneInFiftyIsTakenForAMemberAtMost) {
  FingerprintFilter filter(FingerprintFilter::WordCount(50000, 10), kSalt);
  for (uint64_t seed = 0; seed < 50000; ++seed) filter.Add(Name(seed));
  const double share = ShareTakenFor(filter, 1000000, 50000);
  EXPECT_LT(share, 0.02);
  RecordProperty("share_taken_for_a_member", std::to_string(share));
}

TEST(FingerprintFilter, AnotherSaltIsWrongAboutOthers) {
  constexpr uint64_t kCount = 20000;
  FingerprintFilter one(FingerprintFilter::WordCount(kCount, 10), kSalt);
  FingerprintFilter two(FingerprintFilter::WordCount(kCount, 10), {12, 23});
  for (uint64_t seed = 0; seed < kCount; ++seed) {
    one.Add(Name(seed));
    two.Add(Name(seed));
  }
  uint64_t one_wrong = 0;
  uint64_t both_wrong = 0;
  for (uint64_t seed = 1000000; seed < 1000000 + kCount; ++seed) {
    const bool is_wrong = one.Contains(Name(seed));
    one_wrong += is_wrong ? 1 : 0;
    both_wrong += is_wrong && two.Contains(Name(seed)) ? 1 : 0;
  }
  EXPECT_GT(one_wrong, 100u);
  EXPECT_LT(both_wrong * 10, one_wrong);
}

TEST(FingerprintFilter, AMergedFilterHoldsWhatEitherHeldWhicheverIsLarger) {
  for (const auto& [first, second] : {std::pair<uint64_t, uint64_t>{8, 1024}, {1024, 8}, {256, 256}}) {
    FingerprintFilter one(first, kSalt);
    FingerprintFilter two(second, kSalt);
    for (uint64_t seed = 0; seed < 40; ++seed) one.Add(Name(seed));
    for (uint64_t seed = 100; seed < 140; ++seed) two.Add(Name(seed));
    one.Merge(&two);
    EXPECT_EQ(one.word_count(), std::max(first, second));
    for (uint64_t seed = 0; seed < 40; ++seed) ASSERT_TRUE(one.Contains(Name(seed)));
    for (uint64_t seed = 100; seed < 140; ++seed) ASSERT_TRUE(one.Contains(Name(seed)));
    EXPECT_LT(ShareTakenFor(one, 1000, 1000), 0.9);
  }
}

TEST(FingerprintFilter, ThreadsAddWithoutLosingEachOthersBits) {
  FingerprintFilter filter(64, kSalt);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&filter, thread] {
      for (uint64_t seed = 0; seed < 200; ++seed) filter.Add(Name(thread * 200 + seed));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t seed = 0; seed < 800; ++seed) ASSERT_TRUE(filter.Contains(Name(seed)));
}

TEST(TouchFilters, TouchesOfAnEpochLiveAsLongAsAStreamOfItOrAnOlderOneIsOpen) {
  TouchFilters touches(5, 1000);
  touches.Touch(Name(1));
  touches.BeginEpoch(6, 5, 1000);  // a stream of epoch 5 is open
  touches.Touch(Name(2));
  EXPECT_TRUE(touches.IsTouched(Name(1)));
  touches.BeginEpoch(7, 6, 1000);  // it has ended; one of epoch 6 is open
  EXPECT_FALSE(touches.IsTouched(Name(1)));
  EXPECT_TRUE(touches.IsTouched(Name(2)));
  touches.BeginEpoch(8, 8, 1000);
  EXPECT_FALSE(touches.IsTouched(Name(2)));
  EXPECT_EQ(touches.filter_count(), 1u);
  EXPECT_EQ(touches.epoch(), 8u);
}

TEST(TouchFilters, BeyondTheirBoundTheOldestAreMergedAndNothingIsForgotten) {
  TouchFilters touches(1, 10);
  for (uint64_t epoch = 1; epoch <= 20; ++epoch) {
    touches.Touch(Name(epoch));
    // The group grows by the way: filters of different sizes are merged.
    touches.BeginEpoch(epoch + 1, 1, epoch * 40000);
    ASSERT_LE(touches.filter_count(), TouchFilters::kFilterCountMax);
    for (uint64_t seed = 1; seed <= epoch; ++seed) ASSERT_TRUE(touches.IsTouched(Name(seed))) << epoch;
  }
  EXPECT_EQ(touches.filter_count(), TouchFilters::kFilterCountMax);
  touches.BeginEpoch(22, 22, 10);
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_FALSE(touches.IsTouched(Name(seed)));
}

TEST(PrefixSet, HoldsEveryFingerprintOnceThroughAllGrowth) {
  PrefixSet set;
  EXPECT_FALSE(set.Contains(Name(1)));
  EXPECT_FALSE(set.Contains(Fingerprint{}));
  EXPECT_TRUE(set.Insert(Fingerprint{}));  // all zero is a name like any other
  EXPECT_FALSE(set.Insert(Fingerprint{}));
  for (uint64_t seed = 0; seed < 5000; ++seed) ASSERT_TRUE(set.Insert(Name(seed)));
  for (uint64_t seed = 0; seed < 5000; ++seed) ASSERT_FALSE(set.Insert(Name(seed)));
  for (uint64_t seed = 0; seed < 5000; ++seed) ASSERT_TRUE(set.Contains(Name(seed)));
  for (uint64_t seed = 5000; seed < 10000; ++seed) ASSERT_FALSE(set.Contains(Name(seed)));
  EXPECT_EQ(set.size(), 5001u);
}

}  // namespace
}  // namespace granary
