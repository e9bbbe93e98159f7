#include "tools/sink/content.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::sink {
namespace {

// What the scanner must find, by the definition: the end of the first CRLF.CRLF, the content starting behind a CRLF.
struct Truth {
  std::size_t consumed;
  std::uint64_t bytes;
  bool bare_lf;
};

Truth Read(std::string_view wire) {
  const std::string all = "\r\n" + std::string(wire);
  const std::size_t end = all.find("\r\n.\r\n");
  std::string content = all.substr(2, end == std::string::npos ? end : end + 5 - 2 - 3);
  bool bare_lf = false;
  for (std::size_t i = 0; i < content.size(); ++i) bare_lf |= content[i] == '\n' && (i == 0 || content[i - 1] != '\r');
  Unstuff(content);
  return {end == std::string::npos ? wire.size() : end + 5 - 2, content.size(), bare_lf};
}

// Feeds the pieces that end at the cuts, each in memory of its own so that a sanitizer sees a read past its end.
void Check(std::string_view wire, const std::vector<std::size_t>& cuts) {
  const Truth truth = Read(wire);
  const bool ends = (std::string("\r\n") + std::string(wire)).find("\r\n.\r\n") != std::string::npos;
  DataScanner scanner;
  scanner.Start();
  std::size_t at = 0;
  bool done = false;
  for (std::size_t i = 0; i <= cuts.size() && !done; ++i) {
    const std::size_t to = i < cuts.size() ? std::min(cuts[i], wire.size()) : wire.size();
    if (to <= at) continue;
    const std::unique_ptr<char[]> copy(new char[to - at]);
    wire.substr(at, to - at).copy(copy.get(), to - at);
    const DataScanner::Progress progress = scanner.Feed({copy.get(), to - at});
    done = progress.done;
    at += progress.consumed;
  }
  EXPECT_EQ(done, ends);
  EXPECT_EQ(at, truth.consumed);
  if (done) {
    EXPECT_EQ(scanner.bytes(), truth.bytes);
  }
  EXPECT_EQ(scanner.has_bare_lf(), truth.bare_lf);
}

TEST(DataScanner, FindsTheEndWhereverThePiecesAreCut) {
  const std::vector<std::string> wires = {
      ".\r\n",
      ".\r\nMAIL FROM:<a@b>\r\n",
      "hello\r\n.\r\nRSET\r\n",
      "..\r\n.\r\n",
      "a line of some length, longer than a block of sixteen\r\n..stuffed\r\n...\r\n\r\n\r\n.\r\nMAIL\nFROM",
      "0123456789abcd\r\n.\r\n",
      "0123456789abcde\r\n.\r\n",
      "0123456789abcdef\r\n.\r\n",
      "0123456789abcdefg\r\n.\r\n.\r\n",
      "\r\r\n.\r\n",
      "x\r\n.\r\r\n.\r\n",
      "x\r\n.\rx\r\n.\r\n",
      "\r\n\r\n.\r\n",
  };
  for (const std::string& wire : wires) {
    SCOPED_TRACE(testing::PrintToString(wire));
    Check(wire, {});
    for (std::size_t first = 0; first <= wire.size(); ++first) {
      for (std::size_t second = first; second <= wire.size(); ++second) Check(wire, {first, second});
    }
    std::vector<std::size_t> every;
    for (std::size_t i = 1; i < wire.size(); ++i) every.push_back(i);
    Check(wire, every);
  }
}

TEST(DataScanner, TakesNothingElseForTheEnd) {
  for (const std::string wire : {"a\n.\nb", "a\n.\r\nb", "a\r\n.\nb", "a\r.\rb", "a\r\n.\r\r", "a\n\n.\n\n",
                                 "a\r\n..\r\n", "a\r\n. \r\n", "a.\r\n", "\n.\r\n"}) {
    SCOPED_TRACE(testing::PrintToString(wire));
    for (std::size_t cut = 0; cut <= wire.size(); ++cut) Check(wire, {cut});
    // Far into a message too, where blocks are compared.
    const std::string late = std::string(100, 'x') + wire + std::string(40, 'y');
    for (std::size_t cut = 0; cut <= late.size(); ++cut) Check(late, {cut});
  }
}

TEST(DataScanner, NoticesLineFeedsAloneOnlyInsideTheContent) {
  Check("a\r\nb\r\n.\r\nNOOP\nNOOP\n" + std::string(64, '\n'), {});
  Check("0123456789abcdef\n0123456789\r\n.\r\n", {});
  Check(std::string(33, 'x') + "\n" + std::string(33, 'x') + "\r\n.\r\n", {});
  Check("\nx\r\n.\r\n", {});
}

TEST(DataScanner, AgreesWithTheDefinitionOnNoise) {
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet = "\r\n.\r\n.\r\nxy";
  for (int round = 0; round < 20'000; ++round) {
    std::string wire;
    const std::size_t size = random() % 60;
    for (std::size_t i = 0; i < size; ++i) wire += kAlphabet[random() % kAlphabet.size()];
    if (round % 2 == 0) wire.insert(wire.size() / 2, 20, 'z');
    const std::size_t first = wire.empty() ? 0 : random() % wire.size();
    SCOPED_TRACE(testing::PrintToString(wire));
    Check(wire, {first, first + random() % 20});
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Unstuff, TakesTheFirstDotOfALineOnly) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"..a\r\n..b\r\nc..d\r\n", ".a\r\n.b\r\nc..d\r\n"},
      {".", ""},
      {"a\n..b\r\n", "a\n..b\r\n"},
      {"a\r\n...\r\n", "a\r\n..\r\n"},
  };
  for (const auto& [stuffed, plain] : cases) {
    std::string content = stuffed;
    Unstuff(content);
    EXPECT_EQ(content, plain);
  }
}

TEST(FindMessageId, ReadsTheHeaderAlone) {
  EXPECT_EQ(FindMessageId("Subject: x\r\nMESSAGE-id:  <a@b> \r\n\r\nbody"), "<a@b>");
  EXPECT_EQ(FindMessageId("Message-ID:\r\n <a@b>\r\n\r\n"), "<a@b>");
  EXPECT_EQ(FindMessageId("Message-ID:\r\nSubject: x\r\n\r\n"), "");
  EXPECT_EQ(FindMessageId("Subject: x\r\n\r\nMessage-ID: <a@b>\r\n"), "");
  EXPECT_EQ(FindMessageId("X-Message-ID: <c@d>\r\nMessage-ID: <a@b>"), "<a@b>");
  EXPECT_EQ(FindMessageId("Message-ID:"), "");
  EXPECT_EQ(FindMessageId(""), "");
}

}  // namespace
}  // namespace postrider::sink
