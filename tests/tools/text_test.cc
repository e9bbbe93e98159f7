#include "tools/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace postrider::tools {
namespace {

using std::chrono::seconds;

TEST(Text, GroupsDigits) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1'234'567), "1,234,567");
  EXPECT_EQ(FormatCount(std::numeric_limits<std::uint64_t>::max()), "18,446,744,073,709,551,615");
}

TEST(Text, GivesRatesTheDigitsThatSaySomething) {
  EXPECT_EQ(FormatRate(0), "0");
  EXPECT_EQ(FormatRate(-1), "0");
  EXPECT_EQ(FormatRate(std::nan("")), "0");
  EXPECT_EQ(FormatRate(0.54), "0.5");
  EXPECT_EQ(FormatRate(9.94), "9.9");
  EXPECT_EQ(FormatRate(9.96), "10");
  EXPECT_EQ(FormatRate(1234.5), "1,235");
  EXPECT_EQ(FormatRate(std::numeric_limits<double>::infinity()), "1,000,000,000,000,000");
}

TEST(Text, WritesSpansInTwoUnitsAtMost) {
  EXPECT_EQ(FormatSpan(seconds(-5)), "0 s");
  EXPECT_EQ(FormatSpan(seconds(59)), "59 s");
  EXPECT_EQ(FormatSpan(seconds(60)), "1 min");
  EXPECT_EQ(FormatSpan(seconds(200)), "3 min 20 s");
  EXPECT_EQ(FormatSpan(seconds(18'600)), "5 h 10 min");
  EXPECT_EQ(FormatSpan(seconds(2 * 86'400 + 3 * 3600 + 59)), "2 d 3 h");
}

TEST(Text, WritesBytesInTheUnitThatFits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(345ull << 20), "345 MiB");
  EXPECT_EQ(FormatBytes(std::numeric_limits<std::uint64_t>::max()), "16 EiB");
}

TEST(Text, LetsNothingForeignActOnTheTerminal) {
  EXPECT_EQ(Printable("Grüße 日本 🎈"), "Grüße 日本 🎈");
  EXPECT_EQ(Printable("\x1b[2J\x07\x7f"), "?[2J??");
  EXPECT_EQ(Printable("a\nb\tc\r"), "a | b c?");
  EXPECT_EQ(PrintableLines("a\nb"), "a\nb");
  EXPECT_EQ(Printable("\xc2\x9b\x33\x31m"), "??31m") << "U+009B is a control sequence of its own";
  EXPECT_EQ(Printable("\xff\xc3(\xe2\x82\xed\xa0\x80\xf5\x80\x80\x80"),
            "??"
            "(" +
                std::string(9, '?'));
  EXPECT_EQ(Printable(std::string_view("a\0b", 3)), "a?b");
}

TEST(Text, EveryByteComesOutPrintable) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const char c : Printable(all)) {
    EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
  }
}

TEST(Text, ShortensByColumnsNotOctets) {
  EXPECT_EQ(Columns("Grüße"), 5u);
  EXPECT_EQ(Shorten("Grüße", 5), "Grüße");
  EXPECT_EQ(Shorten("Grüße aus", 8), "Grüße...");
  EXPECT_EQ(Shorten("abcdef", 3), "...");
  EXPECT_EQ(Shorten("abcdef", 2), "..");
  EXPECT_EQ(Shorten("abcdef", 0), "");
}

}  // namespace
}  // namespace postrider::tools
