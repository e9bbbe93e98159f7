// submit, check and render: what works without the daemon.

#include "engine/intake/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/intake/campaign_check.h"
#include "engine/intake/reject_file.h"
#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

using testing::HasSubstr;

class SubmissionTest : public SpoolTest {
 protected:
  std::filesystem::path Make(const std::string& name, Parts parts) {
    WriteParts(root_ / name, std::move(parts));
    return root_ / name;
  }
  Result<Submitted> Hand(const std::filesystem::path& path) { return intake::Submit(*options_, *files_, clock_, path); }
};

TEST_F(SubmissionTest, CopiesACampaignIntoTheSpool) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(3)}, {".notes", "private"}});
  const Result<Submitted> handed = Hand(offer.string() + "/");
  ASSERT_TRUE(handed) << handed.error().message;
  EXPECT_EQ(handed->name, "offer");
  EXPECT_FALSE(handed->already);
  EXPECT_EQ(Read(spool_ / "new" / "offer" / "recipients.jsonl"), JsonRows(3));
  EXPECT_FALSE(std::filesystem::exists(spool_ / "new" / "offer" / ".notes"));
  EXPECT_TRUE(std::filesystem::is_empty(spool_ / "tmp"));
  // Again: while it waits, and when it was accepted.
  EXPECT_TRUE(Hand(offer).value().already);
  RunUntilIdle();
  EXPECT_EQ(Totals("offer").accepted, 3u);
  EXPECT_TRUE(Hand(offer).value().already);
  EXPECT_FALSE(std::filesystem::exists(spool_ / "new" / "offer"));
  Write(offer / "recipients.jsonl", JsonRows(4));
  EXPECT_EQ(Hand(offer).error().code, ErrorCode::kExists);
  EXPECT_THAT(Hand(offer).error().message, HasSubstr("the name offer is taken"));
}

TEST_F(SubmissionTest, RefusesWhatIntakeWouldRefuse) {
  const std::filesystem::path bad =
      Make("bad", {{"campaign.toml", "format = 1\nx = 1\n"}, {"message.eml", "\n"}, {"recipients.jsonl", ""}});
  const std::string errors = Hand(bad).error().message;
  EXPECT_THAT(errors, HasSubstr((bad / "campaign.toml").string() + ":2:1: unknown key"));
  EXPECT_THAT(errors, HasSubstr((bad / "message.eml").string() + ":1:1: the message has no From header"));
  EXPECT_EQ(Hand(root_ / "none").error().code, ErrorCode::kNotFound);
  Write(root_ / "x.txt", "x");
  EXPECT_EQ(Hand(root_ / "x.txt").error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(std::filesystem::is_empty(spool_ / "new"));
}

TEST_F(SubmissionTest, HandsInASingleMessage) {
  Write(root_ / "hello.eml", "From: a@b.example\nTo: c@d.example\n\nHi\n");
  EXPECT_EQ(Hand(root_ / "hello.eml").value().name, "hello.eml");
  EXPECT_EQ(Hand(root_ / "hello.eml").error().code, ErrorCode::kExists);
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), testing::ElementsAre("c@d.example"));
  EXPECT_TRUE(Hand(root_ / "hello.eml").has_value());
  Write(root_ / "bad.eml", "nothing");
  EXPECT_THAT(Hand(root_ / "bad.eml").error().message, HasSubstr("bad.eml:1:1: expected a header"));
}

TEST_F(SubmissionTest, ChecksWithoutSubmitting) {
  options_->spool.max_rejects_free = 1;
  const std::filesystem::path offer = Make(
      "offer",
      {{"campaign.toml", "format = 1\nrecipients = 7\n"},
       {"recipients.csv", "to,name\na@b.example,A\nA@b.example,A\nbad,B\n,C\nc@d.example,\"x\ny\"\ne@f.example,E\n"}});
  CampaignReport report = CheckCampaign(*options_, *files_, clock_, offer);
  EXPECT_EQ(report.rows, 6u);
  EXPECT_EQ(report.accepted, 2u);
  EXPECT_EQ(report.duplicate, 1u);
  EXPECT_EQ(report.rejected, 3u);
  ASSERT_EQ(report.first_rejects.size(), 3u);
  EXPECT_EQ(report.first_rejects[0].line, 4u);
  EXPECT_EQ(report.first_rejects[0].to, "bad");
  EXPECT_EQ(report.first_rejects[2].line, 6u);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_THAT(ToString(report.problems[0]), HasSubstr("recipients: expected 7 rows, found 6"));
  Write(offer / "campaign.toml", "format = 1\nrecipients = 6\n");
  report = CheckCampaign(*options_, *files_, clock_, offer);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_THAT(report.held, HasSubstr("3 of 6 rows would be rejected"));
  EXPECT_GT(report.largest_message_bytes, 200u);
  EXPECT_TRUE(std::filesystem::is_empty(spool_ / "new"));
  Write(root_ / "bad.eml", "nothing");
  EXPECT_EQ(CheckCampaign(*options_, *files_, clock_, root_ / "bad.eml").problems.size(), 2u);
}

TEST_F(SubmissionTest, ChecksAsManyRowsAsThereAre) {
  const std::filesystem::path large = Make("large", {{"recipients.jsonl", JsonRows(20'000) + JsonRows(1)}});
  const CampaignReport report = CheckCampaign(*options_, *files_, clock_, large);
  EXPECT_EQ(report.accepted, 20'000u);
  EXPECT_EQ(report.duplicate, 1u);
}

TEST_F(SubmissionTest, RendersTheMessageOfARow) {
  const std::filesystem::path offer =
      Make("offer", {{"recipients.jsonl", "\n{\"to\":\"ana@example.org\",\"name\":\"Ana\"}\n{\"to\":\"bad\"}\n"}});
  const Result<std::string> message = RenderRow(*options_, *files_, clock_, offer, 2);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_THAT(*message, HasSubstr("To: Ana <ana@example.org>\r\nSubject: Hello Ana\r\n"));
  EXPECT_THAT(*message, HasSubstr(".2@out.example.com>"));
  EXPECT_THAT(RenderRow(*options_, *files_, clock_, offer, 1).error().message,
              HasSubstr("no row that begins on line 1"));
  EXPECT_THAT(RenderRow(*options_, *files_, clock_, offer, 3).error().message,
              HasSubstr("recipients.jsonl:3: \"bad\" is not an address"));
  EXPECT_EQ(RenderRow(*options_, *files_, clock_, offer, 9).error().code, ErrorCode::kNotFound);
}

TEST(JsonText, EscapesWhatJsonMust) {
  std::string out;
  AppendJsonText(std::string_view("a\"\\\n\0ü\xff\x7f", 9), out);
  EXPECT_EQ(out, "\"a\\\"\\\\\\u000a\\u0000ü\xef\xbf\xbd\\u007f\"");
}

}  // namespace
}  // namespace postrider::intake
