#include "engine/message/merge.h"

#include <gtest/gtest.h>

namespace postrider::message {
namespace {

// Literals in brackets, fields as name, raw as name!, defaults behind "=".
std::string Shape(std::string_view text) {
  std::vector<MergeProblem> problems;
  std::string shape;
  for (const MergePiece& piece : ParseMerge(text, problems)) {
    if (!piece.is_field) {
      shape += "[" + piece.text + "]";
      continue;
    }
    shape += piece.name;
    if (piece.raw) shape += "!";
    if (piece.has_default) shape += "=" + piece.text;
    shape += ";";
  }
  for (const MergeProblem& problem : problems) shape += " problem at " + std::to_string(problem.offset);
  return shape;
}

TEST(Merge, ReadsEveryFormOfAField) {
  EXPECT_EQ(Shape(""), "");
  EXPECT_EQ(Shape("plain { text } }}"), "[plain { text } }}]");
  EXPECT_EQ(Shape("Dear {{name}},"), "[Dear ]name;[,]");
  EXPECT_EQ(Shape("{{ first.name }}{{last-name}}"), "first.name;last-name;");
  EXPECT_EQ(Shape("{{name|friend}}"), "name=friend;");
  EXPECT_EQ(Shape("{{name|}}"), "name=;");
  EXPECT_EQ(Shape("{{name| of | ours }}"), "name= of | ours ;");
  EXPECT_EQ(Shape("{{{html}}}"), "html!;");
  EXPECT_EQ(Shape("{{{html|<b>x</b>}}}"), "html!=<b>x</b>;");
  EXPECT_EQ(Shape("{{a|x}}}"), "a=x;[}]");
}

TEST(Merge, TakesBracesBehindABackslashAsText) {
  EXPECT_EQ(Shape("a \\{{b}} {{c}}"), "[a {{b}} ]c;");
  EXPECT_EQ(Shape("\\{{{b}}}"), "[{{{b}}}]");
}

TEST(Merge, SaysWhereAFieldIsBroken) {
  EXPECT_EQ(Shape("x {{open"), "[x open] problem at 2");
  EXPECT_EQ(Shape("{{a\n}} {{b}}"), "[a\n}} ]b; problem at 0");
  EXPECT_EQ(Shape("ab{{#if x}}"), "[ab]#if x; problem at 2");
  EXPECT_EQ(Shape("{{}}"), "; problem at 0");
  EXPECT_EQ(Shape("{{" + std::string(101, 'n') + "}}"), std::string(101, 'n') + "; problem at 0");
}

TEST(Merge, SurvivesAnyRunOfBraces) {
  std::string text;
  for (unsigned seed = 1; seed < 3000; ++seed) {
    text.clear();
    for (unsigned bits = seed; bits != 0; bits /= 5) text += "{}|a\\"[bits % 5];
    std::vector<MergeProblem> problems;
    for (const MergePiece& piece : ParseMerge(text, problems)) EXPECT_LE(piece.offset, text.size());
  }
}

}  // namespace
}  // namespace postrider::message
