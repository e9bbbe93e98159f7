#include "tools/table.h"

#include <gtest/gtest.h>

namespace postrider::tools {
namespace {

using Align = Table::Align;

TEST(Table, AlignsTextLeftAndNumbersRight) {
  Table table({{"site"}, {"ready", Align::kRight}, {"reply"}});
  table.AddRow({"mx.example.org", "7", "ok"});
  table.AddRow({"ü", "12,345", ""});
  EXPECT_EQ(table.Render(Terminal{}),
            "site             ready  reply\n"
            "mx.example.org       7  ok\n"
            "ü               12,345\n");
}

TEST(Table, CutsCellsThatAreTooWideAndTakesForeignTextApart) {
  Table table({{"name", Align::kLeft, 8}, {"n", Align::kRight}});
  table.AddRow({"abcdefghijklmnop", "1"});
  table.AddRow({"a\x1b[0m", "2", "more than there are columns"});
  table.AddRow({});
  EXPECT_EQ(table.Render(Terminal{}),
            "name      n\n"
            "abcde...  1\n"
            "a?[0m     2\n"
            "\n");
}

TEST(Table, EndsWhereTheTerminalEnds) {
  Table table({{"a"}, {"reply", Align::kLeft, 80}});
  table.AddRow({"x", "a long reply that would wrap"});
  EXPECT_EQ(table.Render(Terminal{.interactive = true, .colours = false, .columns = 15}),
            "a  reply\n"
            "x  a long re...\n");
}

TEST(Table, PaintsItsTitlesOnlyWithColours) {
  Table table({{"a"}});
  table.AddRow({"x"});
  EXPECT_EQ(table.Render(Terminal{.interactive = true, .colours = true, .columns = 80}), "\x1b[1ma\x1b[0m\nx\n");
}

TEST(Display, DrawsOverItsLastLinesOnATerminalOnly) {
  Display plain(Terminal{});
  EXPECT_EQ(plain.Show("a\nb\n"), "a\nb\n");
  EXPECT_EQ(plain.Show("c\n"), "c\n");
  Display drawn(Terminal{.interactive = true, .colours = false, .columns = 80});
  EXPECT_EQ(drawn.Show("a\nb\n"), "\r\x1b[J\x1b[?7la\nb\n\x1b[?7h");
  EXPECT_EQ(drawn.Show("c\n"), "\x1b[2A\r\x1b[J\x1b[?7lc\n\x1b[?7h");
  EXPECT_EQ(drawn.Show("d\n"), "\x1b[1A\r\x1b[J\x1b[?7ld\n\x1b[?7h");
}

}  // namespace
}  // namespace postrider::tools
