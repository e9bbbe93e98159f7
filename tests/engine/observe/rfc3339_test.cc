#include "engine/observe/rfc3339.h"

#include <gtest/gtest.h>

namespace postrider::observe {
namespace {

using std::chrono::milliseconds;

TEST(Rfc3339, WritesUtcWithMilliseconds) {
  EXPECT_EQ(FormatRfc3339(Wall(milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatRfc3339(Wall(milliseconds(1'795'499'045'007))), "2026-11-24T05:44:05.007Z");
  EXPECT_EQ(FormatRfc3339(Wall(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatRfc3339(Wall(milliseconds(951'825'600'000))), "2000-02-29T12:00:00.000Z");
}

TEST(Rfc3339, StaysWithinFourDigitYears) {
  EXPECT_EQ(FormatRfc3339(Wall::max()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatRfc3339(Wall::min()), "0000-01-01T00:00:00.000Z");
}

TEST(Rfc3339, KeepsTheTextOfItsSecondOnlyForThatSecond) {
  Rfc3339Writer writer;
  std::string out;
  for (const std::int64_t at : {1000, 1999, 2000, 1999}) writer.Append(Wall(milliseconds(at)), out);
  EXPECT_EQ(out,
            "1970-01-01T00:00:01.000Z1970-01-01T00:00:01.999Z"
            "1970-01-01T00:00:02.000Z1970-01-01T00:00:01.999Z");
}

TEST(Rfc3339, ReadsWhatItWrites) {
  for (const std::int64_t at : {0LL, 1LL, 1'795'499'045'007LL, -86'400'000LL, 951'825'600'000LL}) {
    EXPECT_EQ(ParseRfc3339(FormatRfc3339(Wall(milliseconds(at)))), Wall(milliseconds(at)));
  }
}

TEST(Rfc3339, RefusesAnythingElse) {
  for (const std::string_view text :
       {"", "2026-11-24", "2026-11-24T05:44:05Z", "2026-11-24T05:44:05.0070", "2026-13-24T05:44:05.007Z",
        "2026-02-29T05:44:05.007Z", "2026-11-24T24:44:05.007Z", "2026-11-24T05:60:05.007Z", "2026-11-24T05:44:60.007Z",
        "2026-11-24 05:44:05.007Z", "-026-11-24T05:44:05.007Z", "2026-11-24T05:44:05.007Z ", "2026-11-2 T05:44:05.007Z",
        "2026-00-24T05:44:05.007Z"}) {
    EXPECT_EQ(ParseRfc3339(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace postrider::observe
