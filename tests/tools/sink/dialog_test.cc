// Every dialogs/*.dialog, fed in whole batches and byte by byte. Those about synchronisation (sync_*.dialog) are about
// batches and only fed whole.

#include "tests/tools/sink/dialog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>
#include <vector>

namespace postrider::sink {
namespace {

std::vector<std::filesystem::path> Files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(POSTRIDER_TEST_DATA "/dialogs")) {
    if (entry.path().extension() == ".dialog") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

class Dialog : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Dialog, GoesAsWritten) { EXPECT_EQ(RunDialog(GetParam(), Pieces::kWhole), ""); }

TEST_P(Dialog, GoesAsWrittenByteByByte) {
  if (GetParam().stem().string().starts_with("sync_")) return;
  EXPECT_EQ(RunDialog(GetParam(), Pieces::kBytes), "");
}

INSTANTIATE_TEST_SUITE_P(Files, Dialog, testing::ValuesIn(Files()),
                         [](const auto& file) { return file.param.stem().string(); });

TEST(DialogRunner, NoticesAWrongReply) {
  EXPECT_TRUE(Matches("250 * ok", "250 2.1.0 ok"));
  EXPECT_FALSE(Matches("250 * ok", "250 2.1.0 no"));
  EXPECT_FALSE(Matches("250", "250 "));
  EXPECT_NE(RunDialog(POSTRIDER_TEST_DATA "/dialogs/none", Pieces::kWhole), "");
}

}  // namespace
}  // namespace postrider::sink
