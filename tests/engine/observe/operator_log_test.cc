#include "engine/observe/operator_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>
#include <string>

namespace postrider::observe {
namespace {

class OperatorLogTest : public testing::Test {
 protected:
  OperatorLogTest() { EXPECT_EQ(pipe(ends_), 0); }
  ~OperatorLogTest() override {
    for (const int end : ends_) {
      if (end >= 0) close(end);
    }
  }
  std::string Written() {
    close(ends_[1]);
    ends_[1] = -1;
    std::string text(4096, '\0');
    const ssize_t count = read(ends_[0], text.data(), text.size());
    text.resize(static_cast<std::size_t>(count));
    return text;
  }
  int ends_[2] = {-1, -1};
};

TEST_F(OperatorLogTest, GivesTheJournalPrioritiesAndNoTime) {
  const auto log = MakeOperatorLog(LogLevel::kDebug, LogStyle::kJournal, ends_[1]);
  log->Write(LogLevel::kDebug, "d");
  log->Write(LogLevel::kInfo, "i");
  log->Write(LogLevel::kWarning, "w");
  log->Write(LogLevel::kError, "e");
  EXPECT_EQ(Written(), "<7>d\n<6>i\n<4>w\n<3>e\n");
}

TEST_F(OperatorLogTest, WritesTimeAndLevelIntoFiles) {
  MakeOperatorLog(LogLevel::kInfo, LogStyle::kPlain, ends_[1])->Write(LogLevel::kWarning, "disk {} is %s full");
  const std::string text = Written();
  EXPECT_TRUE(
      std::regex_match(text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning disk \{\} is %s full\n)")))
      << text;
}

TEST_F(OperatorLogTest, ColoursATerminal) {
  const auto log = MakeOperatorLog(LogLevel::kInfo, LogStyle::kTerminal, ends_[1]);
  log->Write(LogLevel::kInfo, "fine");
  log->Write(LogLevel::kError, "broken");
  EXPECT_TRUE(std::regex_match(
      Written(), std::regex("\\d\\d:\\d\\d:\\d\\d fine\n\x1b\\[31m\\d\\d:\\d\\d:\\d\\d broken\x1b\\[0m\n")));
}

TEST_F(OperatorLogTest, LeavesOutWhatIsBelowItsLevel) {
  const auto log = MakeOperatorLog(LogLevel::kWarning, LogStyle::kJournal, ends_[1]);
  log->Write(LogLevel::kInfo, "no");
  log->Write(LogLevel::kWarning, "yes");
  EXPECT_EQ(Written(), "<4>yes\n");
}

TEST_F(OperatorLogTest, KeepsAMessageOnOneLineWithoutControlCharacters) {
  const auto log = MakeOperatorLog(LogLevel::kInfo, LogStyle::kJournal, ends_[1]);
  log->Write(LogLevel::kInfo, std::string_view("a\nb\r<0>\x1b[2J\0Grüße", 19));
  EXPECT_EQ(Written(), "<6>a | b\\x0d<0>\\x1b[2J\\x00Grüße\n");
}

TEST(LogStyle, IsTheJournalsOnlyIfStandardErrorIsThatVerySocket) {
  setenv("JOURNAL_STREAM", "1:1", 1);
  EXPECT_NE(DetectLogStyle(), LogStyle::kJournal);
  unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace postrider::observe
