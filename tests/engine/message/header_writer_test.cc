#include "engine/message/header_writer.h"

#include <random>

#include <gtest/gtest.h>

#include "engine/message/charset.h"
#include "engine/message/encoded_word.h"

namespace postrider::message {
namespace {

std::string Unstructured(std::string_view text) {
  std::string out = "Subject: ";
  AppendUnstructured(text, out.size(), out);
  return out;
}

std::string Unfold(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '\r' && c != '\n') out += c;
  }
  return out;
}

std::size_t LongestLine(std::string_view text) {
  std::size_t longest = 0;
  while (true) {
    const std::size_t end = text.find("\r\n");
    longest = std::max(longest, text.substr(0, end).size());
    if (end == std::string_view::npos) return longest;
    text.remove_prefix(end + 2);
  }
}

TEST(HeaderWriter, LeavesPlainTextAlone) {
  EXPECT_EQ(Unstructured("An offer for you"), "Subject: An offer for you");
  EXPECT_EQ(Unstructured("  two  blanks "), "Subject: two  blanks");
}

TEST(HeaderWriter, EncodesOnlyTheWordsThatNeedIt) {
  EXPECT_EQ(Unstructured("Hallo Jörg-Peter Smith, hi"), "Subject: Hallo =?UTF-8?Q?J=C3=B6rg-Peter?= Smith, hi");
  EXPECT_EQ(Unstructured("für Jörg hier"), "Subject: =?UTF-8?B?ZsO8ciBKw7ZyZw==?= hier");
  EXPECT_EQ(Unstructured("日本語"), "Subject: =?UTF-8?B?5pel5pys6Kqe?=");
  // What would read as encoded is encoded.
  EXPECT_EQ(DecodeEncodedWords(Unstructured("=?utf-8?q?x?=").substr(9)), "=?utf-8?q?x?=");
}

TEST(HeaderWriter, GivesTheTextBackWhateverItIs) {
  std::mt19937 random(5);
  const std::vector<std::string> atoms = {"a",
                                          "word",
                                          " ",
                                          "  ",
                                          "\t",
                                          "ü",
                                          "日本",
                                          "😀",
                                          "=?",
                                          "?=",
                                          "=",
                                          "_",
                                          "?",
                                          std::string(30, 'x'),
                                          std::string(950, 'y'),
                                          std::string(70, ' '),
                                          ",",
                                          "\"",
                                          "<",
                                          ">"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t i = random() % 24; i > 0; --i) text += atoms[random() % atoms.size()];
    const std::string written = Unstructured(text);
    ASSERT_LE(LongestLine(written), 998u);
    ASSERT_EQ(DecodeEncodedWords(Trim(Unfold(written).substr(8))), Trim(text)) << written;
    for (std::size_t fold = written.find("\r\n"); fold != std::string::npos; fold = written.find("\r\n", fold + 2)) {
      ASSERT_TRUE(written[fold + 2] == ' ' || written[fold + 2] == '\t');
    }
    ASSERT_TRUE(IsAscii(written));
  }
}

// RFC 5322 section 3.2.2: no line of a folded header may be blanks alone.
TEST(HeaderWriter, NeverWritesALineOfBlanksAlone) {
  for (std::size_t blanks = 1; blanks < 90; ++blanks) {
    for (const std::string beginning : {"A", "A somewhat longer beginning of it", "\u00e4"}) {
      for (const std::string end : {"\u00e9", "e", "\U0001F600", "e \u00e9"}) {
        const std::string text = beginning + std::string(blanks, ' ') + end;
        const std::string written = Unstructured(text);
        EXPECT_EQ(DecodeEncodedWords(Unfold(written).substr(9)), text);
        for (std::size_t fold = written.find("\r\n"); fold != std::string::npos;
             fold = written.find("\r\n", fold + 2)) {
          EXPECT_NE(Trim(written.substr(fold + 2, written.find("\r\n", fold + 2) - fold - 2)), "") << written;
        }
      }
    }
  }
}

TEST(HeaderWriter, KeepsEncodedWordsAt75AndTheirLinesAt76) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += i % 3 == 0 ? "größer " : "abc ";
  for (int i = 0; i < 60; ++i) text += "ж";
  const std::string written = Unstructured(text);
  EXPECT_LE(LongestLine(written), 76u);
  for (std::size_t at = written.find("=?"); at != std::string::npos;) {
    const std::size_t end = written.find("?=", written.find('?', written.find('?', at + 2) + 1) + 1) + 2;
    EXPECT_LE(end - at, 75u);
    EXPECT_TRUE(IsUtf8(DecodeEncodedWords(written.substr(at, end - at))));
    at = written.find("=?", end);
  }
}

TEST(HeaderWriter, FoldsAt78WhereABlankAllowsIt) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "twelve chars ";
  EXPECT_LE(LongestLine(Unstructured(text)), 78u);
  EXPECT_EQ(LongestLine(Unstructured(std::string(300, 'x'))), 309u);
}

std::string DisplayName(std::string_view name) {
  std::string out = "To: ";
  std::size_t column = out.size();
  AppendDisplayName(name, column, out);
  return out.substr(4);
}

TEST(HeaderWriter, QuotesADisplayNameSoThatItCannotEnd) {
  EXPECT_EQ(DisplayName("Ana Lima"), "Ana Lima");
  EXPECT_EQ(DisplayName("Lima, Ana"), "\"Lima, Ana\"");
  EXPECT_EQ(DisplayName("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(DisplayName("x <evil@example.com>"), "\"x <evil@example.com>\"");
  EXPECT_EQ(DisplayName("José, and friends"), "=?UTF-8?Q?Jos=C3=A9=2C_and_friends?=");
  EXPECT_EQ(DisplayName("   "), "");
  const std::string quotes(600, '"');
  EXPECT_EQ(DecodeEncodedWords(Unfold(DisplayName(quotes))), quotes);
}

TEST(HeaderWriter, RefusesAStructuredValueThatCannotFold) {
  std::string out = "X: ";
  EXPECT_FALSE(AppendFolded(std::string(999, 'x'), 3, out));
  EXPECT_EQ(out, "X: ");
  EXPECT_TRUE(AppendFolded(std::string(500, 'x') + " " + std::string(500, 'y'), 3, out));
  EXPECT_LE(LongestLine(out), 998u);
}

TEST(EncodedWord, DecodesWhatOthersWrite) {
  EXPECT_EQ(DecodeEncodedWords("=?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?4oKs?= x"), "Grüße€ x");
  EXPECT_EQ(DecodeEncodedWords("=?utf-8?q?=C3?= =?utf-8?q?=BC?="), "ü");  // a character cut in two
  EXPECT_EQ(DecodeEncodedWords("=?utf-8*en?q?a_b?="), "a b");
  EXPECT_EQ(DecodeEncodedWords("a =?utf-8?q?b?= c"), "a b c");
  for (const char* broken :
       {"=?utf-8?q?=zz?=", "=?utf-8?x?a?=", "=?utf-8?q?a", "=??q?a?=", "=?utf-8?b?***?=", "=?=", "=?a?="}) {
    EXPECT_EQ(DecodeEncodedWords(broken), broken);
  }
}

}  // namespace
}  // namespace postrider::message
