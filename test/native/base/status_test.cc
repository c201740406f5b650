#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace granary {
namespace {

Status FailIf(bool fails) { return fails ? Status(Code::kIo, "disk gone") : Status::Ok(); }

Status Outer(bool fails, bool* went_on) {
  RETURN_IF_ERROR(FailIf(fails));
  *went_on = true;
  return Status::Ok();
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Status(Code::kInvalid, "odd");
  return number / 2;
}

Result<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  return Half(half);
}

TEST(Status, AFailureLeavesTheCallerAndASuccessGoesOn) {
  bool went_on = false;
  EXPECT_EQ(Outer(true, &went_on).code(), Code::kIo);
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(Outer(false, &went_on).ok());
  EXPECT_TRUE(went_on);
}

TEST(Status, EachStoreyAddsWhatItWasDoingAndKeepsTheCode) {
  const Status status = FailIf(true).Within("closing a data store");
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_EQ(status.message(), "closing a data store: disk gone");
  EXPECT_TRUE(FailIf(false).Within("closing a data store").ok());
}

TEST(Result, AValueOrTheFirstFailureComesBack) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().code(), Code::kInvalid);
  EXPECT_EQ(Quarter(7).status().message(), "odd");
  EXPECT_TRUE(Quarter(8).status().ok());
}

TEST(Result, AValueThatCanOnlyBeMovedIsMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(*result);
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, TakingTheValueOfAFailureEndsTheProcess) {
  EXPECT_DEATH(Half(3).value(), "invariant broken");
}

TEST(ResultDeathTest, AResultIsNeverMadeOfASuccessWithoutAValue) {
  EXPECT_DEATH(Result<int>(Status::Ok()), "invariant broken");
}

TEST(CodeName, EveryCodeHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(Code::kCancelled); ++code) {
    names.insert(CodeName(static_cast<Code>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(Code::kCancelled) + 1);
}

}  // namespace
}  // namespace granary
