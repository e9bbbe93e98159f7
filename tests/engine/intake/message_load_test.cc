// Single messages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

using queue::CampaignState;
using testing::ElementsAre;
using testing::HasSubstr;

class MessageLoadTest : public SpoolTest {
 protected:
  void Drop(const std::string& name, std::string_view text) { Write(spool_ / "new" / name, text); }
  std::string ErrorOf(const std::string& name) { return Read(spool_ / "failed" / (name + ".error.txt")); }
};

TEST_F(MessageLoadTest, JoinsTheStandingCampaignItNames) {
  const std::string first =
      "X-Sender: bounces@example.com\nX-Receiver: ana@example.org\nX-Receiver: bob@example.net\n"
      "X-Campaign: receipts\nFrom: shop@example.com\nTo: someone@else.example\n\nHello {{to}}\n";
  Drop("1.eml", first);
  RunUntilIdle();
  EXPECT_EQ(State("receipts"), CampaignState::kRunning);
  const queue::CampaignPtr campaign = writer_.Find("receipts");
  EXPECT_TRUE(campaign->spec.standing);
  EXPECT_EQ(campaign->spec.mail_class, MailClass::kTransactional);
  EXPECT_EQ(campaign->spec.envelope_from, "bounces@example.com");
  EXPECT_THAT(writer_.Addresses("receipts"), ElementsAre("ana@example.org", "bob@example.net"));
  EXPECT_EQ(writer_.Rows("receipts")[0].message, first);
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "1.eml"));

  Drop("1.eml",
       "X-Sender: bounces@example.com\nX-Campaign: receipts\nFrom: shop@example.com\nTo: carl@example.org\n\nHi\n");
  RunUntilIdle();
  const auto& rows = writer_.Rows("receipts");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2].row, 3u);
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "3-1.eml"));
  EXPECT_EQ(intake_->counts().messages_accepted, 2u);
}

TEST_F(MessageLoadTest, TakesTheEnvelopeFromTheHeadersOtherwise) {
  Drop("a.eml",
       "From: Shop <shop@example.com>\nTo: Ana <ana@example.org>, bob@example.org\nCc: ANA@example.org, "
       "ana@example.org\n"
       "Bcc: =?utf-8?q?J=C3=BC?= <j@b\xc3\xbc"
       "cher.example>\n\nHi\n");
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("messages-from-shop@example.com"),
              ElementsAre("ana@example.org", "bob@example.org", "ANA@example.org", "j@xn--bcher-kva.example"));
}

TEST_F(MessageLoadTest, RefusesWhatCannotBeSent) {
  Drop("no-to.eml", "From: a@b.example\n\nx\n");
  Drop("no-from.eml", "To: a@b.example\n\nx\n");
  Drop("bad-to.eml", "From: a@b.example\nTo: nobody\n\nx\n");
  Drop("literal.eml", "From: a@b.example\nTo: c@[192.0.2.1]\n\nx\n");
  Drop("field.eml", "From: a@b.example\nTo: c@d.example\n\n{{name}}\n");
  Drop("nul.eml", std::string_view("From: a@b.example\nTo: c@d.example\n\n\0\n", 38));
  Drop("name.eml", "From: a@b.example\nTo: c@d.example\nX-Campaign: a/b\n\nx\n");
  Drop("empty.eml", "");
  RunUntilIdle();
  EXPECT_THAT(ErrorOf("no-to.eml"), HasSubstr("no recipient: expected X-Receiver headers"));
  EXPECT_THAT(ErrorOf("no-from.eml"), HasSubstr("the message has no From header"));
  EXPECT_THAT(ErrorOf("bad-to.eml"), HasSubstr("header To: \"nobody\" is not an address"));
  EXPECT_THAT(ErrorOf("literal.eml"), HasSubstr("header To: [192.0.2.1] is an address literal"));
  EXPECT_THAT(ErrorOf("field.eml"), HasSubstr("c@d.example: field \"name\" has no value"));
  EXPECT_THAT(ErrorOf("nul.eml"), HasSubstr("nul.eml:4:1: a NUL"));
  EXPECT_THAT(ErrorOf("name.eml"), HasSubstr("not a name for a submission"));
  EXPECT_THAT(ErrorOf("empty.eml"), HasSubstr("the message is empty"));
  EXPECT_EQ(intake_->counts().messages_accepted, 0u);
  EXPECT_EQ(writer_.Find("messages-from-a@b.example"), nullptr);
}

TEST_F(MessageLoadTest, RefusesToMixSendersOrCampaigns) {
  Submit("offer", {{"recipients.jsonl", JsonRows(2)}});
  RunUntilIdle();
  Drop("1.eml", "From: a@b.example\nTo: c@d.example\nX-Campaign: receipts\n\nx\n");
  RunUntilIdle();
  Drop("2.eml", "From: z@b.example\nTo: c@d.example\nX-Campaign: receipts\n\nx\n");
  Drop("3.eml", "From: a@b.example\nTo: c@d.example\nX-Campaign: offer\n\nx\n");
  RunUntilIdle();
  EXPECT_THAT(ErrorOf("2.eml"), HasSubstr("receipts sends as a@b.example, this message as z@b.example"));
  EXPECT_THAT(ErrorOf("3.eml"), HasSubstr("offer is a campaign with a list"));
  EXPECT_EQ(writer_.Rows("receipts").size(), 1u);
}

TEST_F(MessageLoadTest, CountsSuppressedRecipients) {
  Write(root_ / "suppressed", "ana@example.org\n");
  options_->spool.suppression_file = root_ / "suppressed";
  Restart();
  Drop("1.eml", "From: a@b.example\nTo: ana@example.org, bob@example.org\n\nx\n");
  Drop("2.eml", "From: a@b.example\nTo: Ana@example.org\n\nx\n");
  RunUntilIdle();
  const queue::CampaignTotals totals = Totals("messages-from-a@b.example");
  EXPECT_EQ(totals.rows, 3u);
  EXPECT_EQ(totals.accepted, 1u);
  EXPECT_EQ(totals.suppressed_at_intake, 2u);
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "2.eml"));
}

TEST_F(MessageLoadTest, LeavesOutWhomTheQueuesSuppressionListHolds) {
  writer_.suppressed = {{"", "ana@example.org"}, {"", "@blocked.example"}, {"news", "bob@example.org"}};
  Drop("1.eml", "From: a@b.example\nTo: x@blocked.example, bob@example.org, ana@example.org\n\nx\n");
  RunUntilIdle();
  EXPECT_EQ(writer_.Addresses("messages-from-a@b.example"), std::vector<std::string>{"bob@example.org"});
  const queue::CampaignTotals totals = Totals("messages-from-a@b.example");
  EXPECT_EQ(totals.rows, 3u);
  EXPECT_EQ(totals.suppressed_at_intake, 2u);
}

TEST_F(MessageLoadTest, LosesAndDoublesNothingWhateverFails) {
  for (const bool after_effect : {false, true}) {
    for (const bool restart : {false, true}) {
      for (int fail_at = 1; fail_at < 60; ++fail_at) {
        SCOPED_TRACE(testing::Message() << after_effect << restart << fail_at);
        const std::string campaign = "c" + std::to_string(after_effect * 2 + restart) + "-" + std::to_string(fail_at);
        for (int i = 0; i < 20; ++i) {
          Drop(campaign + "m" + std::to_string(i) + ".eml", "From: a@b.example\nTo: u" + std::to_string(i) +
                                                                "@d.example, v@d.example\nX-Campaign: " + campaign +
                                                                "\n\nx\n");
        }
        writer_.calls = 0;
        writer_.fail_at = fail_at;
        writer_.fail_after_effect = after_effect;
        RunUntilIdle();
        const bool failed_once = writer_.calls >= fail_at;
        if (restart) Restart();
        RunUntilIdle();
        writer_.fail_at = 0;
        std::vector<std::string> addresses = writer_.Addresses(campaign);
        ASSERT_EQ(addresses.size(), 40u);
        std::ranges::sort(addresses);
        EXPECT_EQ(std::ranges::unique(addresses).size(), 19u);
        for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(writer_.Rows(campaign)[i].row, i + 1);
        EXPECT_TRUE(std::filesystem::is_empty(spool_ / "new"));
        EXPECT_TRUE(std::filesystem::is_empty(spool_ / "work"));
        if (!failed_once) {
          EXPECT_GT(fail_at, 20);
          break;
        }
        fail_at += fail_at > 4 ? 5 : 0;
      }
    }
  }
}

}  // namespace
}  // namespace postrider::intake
