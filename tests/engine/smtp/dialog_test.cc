#include <gtest/gtest.h>

#include <cctype>

#include "tests/engine/smtp/dialog.h"

namespace postrider::smtp {
namespace {

const std::vector<DialogCase>& Cases() {
  static const std::vector<DialogCase> cases = LoadDialogs(std::filesystem::path(POSTRIDER_TEST_DATA) / "dialogs");
  return cases;
}

class Dialog : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Dialog, GoesAsWritten) {
  const auto problem = DialogRunner::Run(Cases()[GetParam()]);
  EXPECT_FALSE(problem.has_value()) << *problem;
}

INSTANTIATE_TEST_SUITE_P(Files, Dialog, ::testing::Range(std::size_t{0}, Cases().size()), [](const auto& test) {
  std::string name = Cases()[test.param].file + "_" + Cases()[test.param].name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

TEST(DialogRunnerTest, FindsTheCasesAndNoticesAWrongOne) {
  EXPECT_GE(Cases().size(), 60u);
  const DialogCase wrong{"inline", "wrong", {{1, "settings ehlo=me"}, {2, "S: 220 mx"}, {3, "C: EHLO you"}}};
  EXPECT_TRUE(DialogRunner::Run(wrong).has_value());
  const DialogCase silent{"inline", "silent", {{1, "settings ehlo=me"}, {2, "S: 220 mx"}}};
  EXPECT_TRUE(DialogRunner::Run(silent).has_value());
}

}  // namespace
}  // namespace postrider::smtp
