#include "datastore/table_budget.h"

#include <gtest/gtest.h>

namespace granary {
namespace {

constexpr uint64_t kTable = 1000;
constexpr uint64_t kCharge = kTable + kOpenFileCharge;

struct FakeHolder : TableBudget::Holder {
  bool TryDropMemory() override {
    if (!is_busy) is_loaded = false;
    return !is_busy;
  }
  void Load(TableBudget* budget) {
    is_loaded = true;
    budget->Take(this, kTable);
  }
  void Use(TableBudget* budget) { last_use = budget->now(); }
  bool is_busy = false;
  bool is_loaded = false;
};

TEST(TableBudget, WhatWasUsedLongestAgoGoesFirst) {
  TableBudget budget(2 * kCharge);
  FakeHolder a, b, c, d;
  a.Load(&budget);
  b.Load(&budget);
  a.Use(&budget);
  c.Load(&budget);
  EXPECT_TRUE(a.is_loaded);
  EXPECT_FALSE(b.is_loaded);
  d.Load(&budget);
  EXPECT_FALSE(a.is_loaded);
  EXPECT_TRUE(c.is_loaded && d.is_loaded);
  EXPECT_EQ(budget.bytes(), 2 * kCharge);
}

TEST(TableBudget, WhatIsInUseStaysAndAnotherGoesInItsPlace) {
  TableBudget budget(2 * kCharge);
  FakeHolder a, b, c, d;
  a.Load(&budget);
  b.Load(&budget);
  a.is_busy = true;
  c.Load(&budget);
  EXPECT_TRUE(a.is_loaded);
  EXPECT_FALSE(b.is_loaded);
  c.is_busy = true;
  d.Load(&budget);
  EXPECT_TRUE(a.is_loaded && c.is_loaded && d.is_loaded);
  EXPECT_EQ(budget.bytes(), 3 * kCharge);
}

TEST(TableBudget, ATableLargerThanTheBudgetIsKeptAlone) {
  TableBudget budget(10);
  FakeHolder a, b;
  a.Load(&budget);
  EXPECT_TRUE(a.is_loaded);
  b.Load(&budget);
  EXPECT_FALSE(a.is_loaded);
  EXPECT_TRUE(b.is_loaded);
}

TEST(TableBudget, WhatIsGivenBackOrTakenTwiceIsCountedOnce) {
  TableBudget budget(10 * kCharge);
  FakeHolder a, b;
  a.Load(&budget);
  a.Load(&budget);
  b.Load(&budget);
  EXPECT_EQ(budget.bytes(), 2 * kCharge);
  budget.GiveBack(&a);
  budget.GiveBack(&a);
  EXPECT_EQ(budget.bytes(), kCharge);
}

}  // namespace
}  // namespace granary
