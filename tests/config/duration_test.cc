#include "config/duration.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadWithItsUnitAndWrittenInTheLargestThatFits) {
  const struct {
    const char* text;
    std::chrono::milliseconds duration;
    const char* written;
  } cases[] = {{"5ms", 5ms, "5ms"},       {"90s", 90s, "90s"},
               {"15min", 15min, "15min"}, {"4h", 4h, "4h"},
               {"2d", 48h, "2d"},         {"48h", 48h, "2d"},
               {"60s", 1min, "1min"},     {"0s", 0ms, "0s"},
               {"0d", 0ms, "0s"},         {"36h", 36h, "36h"},
               {"1000ms", 1s, "1s"},      {"1001ms", 1001ms, "1001ms"},
               {"007s", 7s, "7s"},        {"106751991167d", std::chrono::hours(24) * 106751991167, "106751991167d"}};
  for (const auto& test : cases) {
    const Result<std::chrono::milliseconds> duration = ParseDuration(test.text);
    ASSERT_TRUE(duration.has_value()) << test.text;
    EXPECT_EQ(*duration, test.duration);
    EXPECT_EQ(FormatDuration(*duration), test.written);
  }
}

TEST(Duration, RefusesMissingAndWrongUnitsSignsBlanksFractionsAndOverflow) {
  for (const char* text : {"", "s", "90", "90 s", " 90s", "90s ", "-1s", "+1s", "1.5h", "1h30min", "90S", "90sec", "1m",
                           "1M", "106751991168d", "99999999999999999999s", "0x5s", "1e3s"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseDuration(std::string("9s\0", 3)).has_value());
  EXPECT_LT(ParseDuration(std::string(100'000, '9') + "s").error().message.size(), 300u);
}

TEST(Size, IsReadWithItsUnitAndWrittenInTheLargestThatFits) {
  const struct {
    const char* text;
    std::uint64_t bytes;
    const char* written;
  } cases[] = {{"512B", 512, "512B"},
               {"64KiB", 65'536, "64KiB"},
               {"1024KiB", 1 << 20, "1MiB"},
               {"4GiB", 4ull << 30, "4GiB"},
               {"2TiB", 2ull << 40, "2TiB"},
               {"0B", 0, "0B"},
               {"0MiB", 0, "0B"},
               {"1025KiB", 1025 << 10, "1025KiB"}};
  for (const auto& test : cases) {
    const Result<std::uint64_t> size = ParseSize(test.text);
    ASSERT_TRUE(size.has_value()) << test.text;
    EXPECT_EQ(*size, test.bytes);
    EXPECT_EQ(FormatSize(*size), test.written);
  }
}

TEST(Size, RefusesDecimalUnitsAndTheRest) {
  for (const char* text :
       {"", "KiB", "64", "64KB", "64kib", "64K", "64 KiB", "-1B", "1.5MiB", "8388608TiB", "18446744073709551616B"}) {
    EXPECT_FALSE(ParseSize(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace postrider
