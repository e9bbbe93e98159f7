#include "config/error.h"

#include <gtest/gtest.h>

#include "config/check.h"

namespace postrider {
namespace {

TEST(Diagnostic, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(ToString(Diagnostic{{"a.toml", 3, 7}, "wrong"}), "a.toml:3:7: wrong");
  EXPECT_EQ(ToString(Diagnostic{{"a.toml", 3, 0}, "wrong"}), "a.toml:3: wrong");
  EXPECT_EQ(ToString(Diagnostic{{"a.toml", 0, 7}, "wrong"}), "a.toml: wrong");
  EXPECT_EQ(ToString(Diagnostic{{"", 3, 7}, "wrong"}), "line 3:7: wrong");
  EXPECT_EQ(ToString(Diagnostic{{}, "wrong"}), "wrong");
}

TEST(Error, ContextGoesInFrontAndTheCodeStays) {
  const auto failed = Fail("reading x", Error{ErrorCode::kIo, "refused"});
  EXPECT_EQ(failed.error().message, "reading x: refused");
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
}

TEST(CheckDeathTest, AFailedCheckNamesItsConditionAndStops) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "this is a bug: CHECK\\(1 \\+ 1 == 3\\) failed at .*error_test.cc");
  CHECK(1 + 1 == 2);
}

}  // namespace
}  // namespace postrider
