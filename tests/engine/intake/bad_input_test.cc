// Campaigns that cannot be used: each ends in failed/ with an error.txt that says what, where and what to do, and
// nothing of it is sent.

#include <zstd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/suppression_list.h"
#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

using testing::HasSubstr;

class BadInputTest : public SpoolTest {};

TEST_F(BadInputTest, EachIsToldInErrorTxt) {
  const std::string good = JsonRows(3);
  std::string cut_zstd(ZSTD_compressBound(good.size()), '\0');
  cut_zstd.resize(ZSTD_compress(cut_zstd.data(), cut_zstd.size(), good.data(), good.size(), 3) - 5);
  struct Case {
    const char* name;
    Parts parts;
    const char* expected;
  };
  const Case cases[] = {
      {"no-manifest", {{"campaign.toml", "(none)"}, {"recipients.jsonl", good}}, "campaign.toml: missing"},
      {"no-message", {{"message.eml", "(none)"}, {"recipients.jsonl", good}}, "message.eml: missing"},
      {"no-list", {}, "recipients.jsonl: missing; a campaign needs a list"},
      {"empty-manifest", {{"campaign.toml", ""}, {"recipients.jsonl", good}}, "campaign.toml: empty"},
      {"two-lists", {{"recipients.jsonl", good}, {"recipients.csv", "to\n"}}, "a second list beside recipients.csv"},
      {"strange-file",
       {{"recipients.jsonl", good}, {"recipient.jsonl", good}},
       "recipient.jsonl: not a file of a campaign"},
      {"bad-manifest",
       {{"campaign.toml", "format = 1\nclass = 3\nx = 1\n"}, {"recipients.jsonl", good}},
       "campaign.toml:3:1: unknown key \"x\""},
      {"bad-message",
       {{"message.eml", "Subject: {{x\n\nhi\n"}, {"recipients.jsonl", good}},
       "message.eml:1:10: header Subject: a merge field opens"},
      {"bad-pool",
       {{"campaign.toml", "format = 1\npool = \"night\"\n"}, {"recipients.jsonl", good}},
       "pool: no pool \"night\" is configured"},
      {"expired",
       {{"campaign.toml", "format = 1\nexpires = 2026-11-22T00:00:00Z\n"}, {"recipients.jsonl", good}},
       "expires: it lies in the past"},
      {"two-subjects",
       {{"campaign.toml", "format = 1\nsubject = \"x\"\n"}, {"recipients.jsonl", good}},
       "subject: message.eml has a Subject of its own"},
      {"no-sender", {{"message.eml", "From: {{from}}\n\nhi\n"}, {"recipients.jsonl", good}}, "envelope_from: missing"},
      {"empty-list", {{"recipients.jsonl", "\n \n"}}, "recipients.jsonl: the list holds no rows"},
      {"all-bad", {{"recipients.jsonl", "{}\n{}\n"}}, "none of its 2 rows can be used"},
      {"missing-fields",
       {{"message.eml", "From: a@b.example\n\n{{nobody}}\n"}, {"recipients.jsonl", good}},
       "none of its 3 rows can be used"},
      {"short-list",
       {{"campaign.toml", "format = 1\nrecipients = 4\n"}, {"recipients.jsonl", good}},
       "recipients: expected 4 rows, found 3 in recipients.jsonl"},
      {"wrong-sum",
       {{"campaign.toml", "format = 1\nsha256 = \"" + std::string(64, 'a') + "\"\n"}, {"recipients.jsonl", good}},
       "sha256: expected aaaa"},
      {"cut-zstd", {{"recipients.jsonl.zst", cut_zstd}}, "recipients.jsonl.zst is cut short"},
      {"not-gzip", {{"recipients.jsonl.gz", good}}, "recipients.jsonl.gz is damaged"},
      {"csv-header",
       {{"recipients.csv", "email,name\na@b.example,A\n"}},
       "recipients.csv:1: the header row has no column \"to\""},
      {"csv-quote", {{"recipients.csv", "to,name\na@b.example,\"A\n"}}, "recipients.csv: line 2: a quote that opens"},
      {"csv-empty", {{"recipients.csv", "to,name\n"}}, "the list holds no rows"},
  };
  for (const Case& c : cases) Submit(c.name, c.parts);
  Submit("good", {{"recipients.jsonl", good}});
  RunUntilIdle();
  for (const Case& c : cases) {
    EXPECT_THAT(ErrorText(c.name), HasSubstr(c.expected)) << c.name;
    const queue::CampaignPtr campaign = writer_.Find(c.name);
    if (campaign == nullptr) continue;
    EXPECT_EQ(campaign->state, queue::CampaignState::kFailed) << c.name;
    EXPECT_TRUE(writer_.Rows(c.name).empty()) << c.name;
  }
  EXPECT_EQ(State("good"), queue::CampaignState::kRunning);
  EXPECT_EQ(intake_->counts().campaigns_failed, std::size(cases));
  EXPECT_EQ(intake_->counts().trouble, "");
  const std::string rejects = Read(spool_ / "failed" / "missing-fields" / "rejects.jsonl");
  EXPECT_THAT(rejects, HasSubstr("field \\\"nobody\\\" has no value in this row and no default in the message"));
}

TEST_F(BadInputTest, StrangeNamesAndFilesAreSetAside) {
  Write(spool_ / "new" / "notes.txt", "hello");
  Write(spool_ / "new" / ".hidden", "left alone");
  std::filesystem::create_symlink("/etc/passwd", spool_ / "new" / "link");
  std::filesystem::create_directory(spool_ / "new" / "linked");
  std::filesystem::create_symlink("/etc/passwd", spool_ / "new" / "linked" / "recipients.jsonl");
  Write(spool_ / "new" / "linked" / "campaign.toml", "format = 1\n");
  Write(spool_ / "new" / "linked" / "message.eml", kPlainMessage);
  RunUntilIdle();
  EXPECT_THAT(Read(spool_ / "failed" / "notes.txt.error.txt"), HasSubstr("this is neither"));
  EXPECT_TRUE(std::filesystem::exists(spool_ / "failed" / "notes.txt"));
  EXPECT_TRUE(std::filesystem::is_symlink(spool_ / "failed" / "link"));
  EXPECT_TRUE(std::filesystem::exists(spool_ / "new" / ".hidden"));
  EXPECT_THAT(ErrorText("linked"), HasSubstr("symbolic link"));
}

TEST_F(BadInputTest, WhatHasNoUsableNameStaysAndIsTold) {
  const std::string message = "From: a@b.example\nTo: c@d.example\n\nHi\n";
  const std::string names[] = {std::string(250, 'n'), "two\nlines.eml", "bad name", std::string(251, 'l') + ".eml"};
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const std::filesystem::path path = spool_ / "new" / name;
    if (name == "bad name") {
      Submit(name, {{"recipients.jsonl", JsonRows(1)}});
    } else {
      Write(path, message);
    }
    const std::string beside = "beside" + std::to_string(name.size());
    Submit(beside, {{"recipients.jsonl", JsonRows(1)}});
    RunUntilIdle();
    EXPECT_EQ(State(beside), queue::CampaignState::kRunning);
    EXPECT_TRUE(std::filesystem::exists(path));
    const std::string trouble = intake_->counts().trouble;
    EXPECT_THAT(trouble, HasSubstr("not a name for a submission"));
    EXPECT_THAT(trouble, HasSubstr("; rename or remove it; all else is taken in"));
    EXPECT_EQ(trouble.find('\n'), std::string::npos);
    std::filesystem::remove_all(path);
    RunUntilIdle();
    EXPECT_EQ(intake_->counts().trouble, "");
  }
}

TEST_F(BadInputTest, AByteOrderMarkSpoilsNoFileOfACampaign) {
  const std::string mark = "\xef\xbb\xbf";
  Submit("json", {{"campaign.toml", mark + "format = 1\npriority = 7\n"},
                  {"message.eml", mark + std::string(kPlainMessage)},
                  {"recipients.jsonl", mark + JsonRows(2)}});
  Submit("csv", {{"recipients.csv", mark + "to,name\nana@example.org,Ana\n"}});
  Write(spool_ / "new" / "single.eml", mark + "X-Receiver: ana@example.org\nFrom: shop@example.com\n\nhi\n");
  RunUntilIdle();
  EXPECT_EQ(Totals("json").accepted, 2u) << ErrorText("json");
  EXPECT_EQ(writer_.Find("json")->spec.priority, 7);
  EXPECT_EQ(Totals("csv").accepted, 1u) << ErrorText("csv");
  EXPECT_THAT(writer_.Addresses("messages-from-shop@example.com"), testing::ElementsAre("ana@example.org"));
}

TEST_F(BadInputTest, AByteOrderMarkDoesNotUnsuppressTheFirstLine) {
  const std::string mark = "\xef\xbb\xbf";
  for (const char* text : {"ana@example.org\r\nexample.net\r\n", "# ours\nana@example.org\n@example.net"}) {
    Write(root_ / "list", mark + text);
    const auto read = SuppressionList::Read(*files_, root_ / "list");
    ASSERT_TRUE(read.has_value()) << ToText(read.error());
    EXPECT_EQ((*read)->size(), 2u);
    EXPECT_TRUE((*read)->Holds("ana@example.org", "example.org"));
    EXPECT_TRUE((*read)->Holds("eve@example.net", "example.net"));
  }
  Write(root_ / "list", mark);
  const auto empty = SuppressionList::Read(*files_, root_ / "list");
  ASSERT_TRUE(empty.has_value());
  EXPECT_EQ((*empty)->size(), 0u);
}

TEST_F(BadInputTest, ASuppressionFileIsToldLineByLine) {
  Write(root_ / "list", "ana@example.org\n# fine\nno domain here!\n@\na@b@c\n" + std::string(300'000, 'x'));
  const auto read = SuppressionList::Read(*files_, root_ / "list");
  ASSERT_FALSE(read.has_value());
  ASSERT_EQ(read.error().size(), 4u);
  EXPECT_EQ(read.error()[0].where.line, 3);
  EXPECT_EQ(read.error()[1].where.line, 4);
  EXPECT_EQ(read.error()[2].where.line, 5);
  EXPECT_EQ(read.error()[3].where.line, 6);
}

}  // namespace
}  // namespace postrider::intake
