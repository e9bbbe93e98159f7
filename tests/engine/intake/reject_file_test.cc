#include "engine/intake/reject_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

class RejectFileTest : public SpoolTest {};

TEST_F(RejectFileTest, CountsWhatIsLeftOutBeyondItsBoundOnceHoweverOftenItIsSynced) {
  RejectFile rejects(*files_, root_ / "rejects.jsonl");
  ASSERT_TRUE(rejects.Begin());
  for (std::uint64_t line = 1; line <= RejectFile::kLeftOutMax + 7; ++line) {
    rejects.AddLeftOut(line, "a@b.example", "", "suppressed");
    ASSERT_TRUE(rejects.Flush(false));
  }
  rejects.Add(RejectFile::kLeftOutMax + 8, "bad", "", "not an address");
  ASSERT_TRUE(rejects.Sync());
  ASSERT_TRUE(rejects.Sync());
  const std::string text = Read(root_ / "rejects.jsonl");
  EXPECT_EQ(static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n')), RejectFile::kLeftOutMax + 2);
  EXPECT_TRUE(
      text.ends_with("{\"line\":100008,\"to\":\"bad\",\"reason\":\"not an address\"}\n"
                     "{\"reason\":\"7 more rows are suppressed or duplicates\"}\n"));
}

}  // namespace
}  // namespace postrider::intake
