// submit, check and render: what works without the daemon.

#include "engine/intake/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>
#include <tuple>
#include <vector>

#include "engine/intake/campaign_check.h"
#include "engine/intake/reject_file.h"
#include "tests/engine/intake/passing_files.h"
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

// Something happens once, just before one of a call's own steps.
class Interrupted final : public PassingFiles {
 public:
  using PassingFiles::PassingFiles;
  Result<std::unique_ptr<queue::FileAppender>> OpenAppender(const Path& path, std::uint64_t keep) override {
    Happen(before_copying);
    return PassingFiles::OpenAppender(path, keep);
  }
  Result<std::unique_ptr<queue::FileReader>> OpenReader(const Path& path) override {
    if (path.string().find("/new/") != std::string::npos) Happen(before_looking);
    return PassingFiles::OpenReader(path);
  }
  Result<void> Rename(const Path& from, const Path& to) override {
    Happen(before_handing);
    return PassingFiles::Rename(from, to);
  }

  std::function<void()> before_copying;
  std::function<void()> before_looking;
  std::function<void()> before_handing;

 private:
  static void Happen(std::function<void()>& what) {
    if (const std::function<void()> now = std::exchange(what, nullptr)) now();
  }
};

TEST_F(SubmissionTest, KeepsTwoSubmissionsOfOneNameApartThatAreCopiedAtOnce) {
  const std::filesystem::path a = Make("a/offer", {{"recipients.jsonl", JsonRows(3)}});
  const std::filesystem::path b = Make("b/offer", {{"recipients.jsonl", JsonRows(5)}});
  const std::filesystem::path same = Make("c/offer", {{"recipients.jsonl", JsonRows(5)}});
  for (const auto& [first, second, answer] : {std::tuple(a, b, "the name offer is taken"),
                                              std::tuple(b, a, "the name offer is taken"), std::tuple(b, same, "")}) {
    for (const bool copying : {true, false}) {
      Interrupted files(*files_);
      Result<Submitted> other = Fail(ErrorCode::kInvalid, "never came");
      (copying ? files.before_copying : files.before_handing) = [&, path = second] { other = Hand(path); };
      const Result<Submitted> one = intake::Submit(*options_, files, clock_, first);
      ASSERT_TRUE(other) << other.error().message;
      EXPECT_FALSE(other->already);
      if (*answer == '\0') {
        ASSERT_TRUE(one) << one.error().message;
        EXPECT_TRUE(one->already);
      } else {
        ASSERT_FALSE(one);
        EXPECT_EQ(one.error().code, ErrorCode::kExists);
        EXPECT_THAT(one.error().message, HasSubstr(answer));
      }
      EXPECT_EQ(Read(spool_ / "new" / "offer" / "recipients.jsonl"), Read(second / "recipients.jsonl"));
      EXPECT_TRUE(std::filesystem::is_empty(spool_ / "tmp"));
      std::filesystem::remove_all(spool_ / "new" / "offer");
    }
  }
}

TEST_F(SubmissionTest, KeepsTwoMessagesOfOneNameApartThatAreCopiedAtOnce) {
  std::filesystem::create_directories(root_ / "a");
  std::filesystem::create_directories(root_ / "b");
  Write(root_ / "a" / "hello.eml", "From: a@b.example\nTo: c@d.example\n\nOne\n");
  Write(root_ / "b" / "hello.eml", "From: a@b.example\nTo: e@f.example\n\nTwo\n");
  Interrupted files(*files_);
  files.before_handing = [&] { EXPECT_TRUE(Hand(root_ / "b" / "hello.eml").has_value()); };
  const Result<Submitted> one = intake::Submit(*options_, files, clock_, root_ / "a" / "hello.eml");
  ASSERT_FALSE(one);
  EXPECT_THAT(one.error().message, HasSubstr("hello.eml waits in the spool already"));
  EXPECT_EQ(Read(spool_ / "new" / "hello.eml"), Read(root_ / "b" / "hello.eml"));
  EXPECT_TRUE(std::filesystem::is_empty(spool_ / "tmp"));
}

TEST_F(SubmissionTest, AcceptsOneOfManyThatComeAtOnce) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(300)}});
  std::atomic<int> submitted = 0;
  std::atomic<int> already = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const Result<Submitted> handed = Hand(offer);
        ASSERT_TRUE(handed) << handed.error().message;
        ++(handed->already ? already : submitted);
      });
    }
  }
  EXPECT_EQ(submitted, 1);
  EXPECT_EQ(already, 7);
  EXPECT_EQ(Read(spool_ / "new" / "offer" / "recipients.jsonl"), JsonRows(300));
}

TEST_F(SubmissionTest, FindsASubmissionThatIntakeTakesMeanwhile) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(3)}});
  ASSERT_TRUE(Hand(offer));
  const std::filesystem::path waiting = spool_ / "new" / "offer";
  const std::filesystem::path taken = spool_ / "work" / "offer";
  for (const bool to_the_end : {false, true}) {
    Interrupted files(*files_);
    files.before_looking = [&] { to_the_end ? RunUntilIdle() : std::filesystem::rename(waiting, taken); };
    const Result<Submitted> again = intake::Submit(*options_, files, clock_, offer);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->already);
    if (!to_the_end) std::filesystem::rename(taken, waiting);
  }
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "offer"));
}

TEST_F(SubmissionTest, RemovesWhatACallLeftLongAgoAndNoOthersCopy) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(3)}});
  for (const char* name : {"old~1-0", "new~1-0", "by-hand"}) WriteParts(spool_ / "tmp" / name, {});
  const auto long_ago = std::filesystem::file_time_type::clock::now();
  clock_.now.wall = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  for (const char* name : {"old~1-0", "by-hand"}) {
    std::filesystem::last_write_time(spool_ / "tmp" / name, long_ago - std::chrono::hours(25));
  }
  ASSERT_TRUE(Hand(offer));
  EXPECT_FALSE(std::filesystem::exists(spool_ / "tmp" / "old~1-0"));
  EXPECT_TRUE(std::filesystem::exists(spool_ / "tmp" / "new~1-0"));
  EXPECT_TRUE(std::filesystem::exists(spool_ / "tmp" / "by-hand"));
}

TEST_F(SubmissionTest, LeavesNothingInTheSpoolWhenItIsInterrupted) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(3)}});
  // At each of the moments in which it is asked.
  int last = 0;
  for (int moment = 0; last == moment; ++moment) {
    int asked = 0;
    const Result<Submitted> handed =
        intake::Submit(*options_, *files_, clock_, offer, [&] { return asked++ == moment; });
    EXPECT_TRUE(std::filesystem::is_empty(spool_ / "tmp")) << moment;
    if (handed) break;
    EXPECT_EQ(handed.error().message, "interrupted; nothing was submitted");
    EXPECT_FALSE(std::filesystem::exists(spool_ / "new" / "offer")) << moment;
    last = moment + 1;
  }
  EXPECT_GE(last, 4) << "in each of three files, and before it is handed over";
  EXPECT_TRUE(std::filesystem::exists(spool_ / "new" / "offer"));
}

TEST_F(SubmissionTest, LeavesWhatAKilledCallLeftToTheDaemonToRemove) {
  const std::filesystem::path left = spool_ / "tmp" / "offer~17-0123456789abcdef";
  WriteParts(left, {});
  WriteParts(spool_ / "tmp" / "not-ours", {});
  clock_.now.wall = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  RunUntilIdle();
  EXPECT_TRUE(std::filesystem::exists(left));
  clock_.Advance(std::chrono::hours(26));
  RunUntilIdle();
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(spool_ / "tmp" / "not-ours"));
}

TEST_F(SubmissionTest, GivesACopyMadeByRootToTheSpoolsOwner) {
  if (::geteuid() != 0) {
    // Nobody else can give anything away; then the owner is who we are, and stays.
    ASSERT_TRUE(Hand(Make("offer", {{"recipients.jsonl", JsonRows(3)}})));
    return;
  }
  constexpr uid_t kSomebody = 4711;
  ASSERT_EQ(::chown(spool_.c_str(), kSomebody, kSomebody), 0);
  Write(root_ / "hello.eml", "From: a@b.example\nTo: c@d.example\n\nHi\n");
  ASSERT_TRUE(Hand(Make("offer", {{"recipients.jsonl", JsonRows(3)}})));
  ASSERT_TRUE(Hand(root_ / "hello.eml"));
  for (const char* name : {"offer", "offer/recipients.jsonl", "offer/campaign.toml", "hello.eml"}) {
    struct stat found {};
    ASSERT_EQ(::stat((spool_ / "new" / name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_uid, kSomebody) << name;
    EXPECT_EQ(found.st_gid, kSomebody) << name;
  }
}

TEST_F(SubmissionTest, RefusesWhatIntakeWouldRefuse) {
  const std::filesystem::path bad =
      Make("bad", {{"campaign.toml", "format = 1\nx = 1\n"}, {"message.eml", "\n"}, {"recipients.jsonl", ""}});
  const std::string errors = Hand(bad).error().message;
  EXPECT_THAT(errors, HasSubstr((bad / "campaign.toml").string() + ":2:1: unknown key"));
  EXPECT_THAT(errors, HasSubstr((bad / "message.eml").string() + ":1:1: the message has no From header"));
  EXPECT_EQ(Hand(root_ / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Hand("/").error().message, "/ is neither a campaign's directory nor a message *.eml");
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

TEST_F(SubmissionTest, RendersTheSameAtEachCall) {
  const std::filesystem::path offer = Make("offer", {{"recipients.jsonl", JsonRows(1)}});
  const Result<std::string> first = RenderRow(*options_, *files_, clock_, offer, 1);
  ASSERT_TRUE(first) << first.error().message;
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(RenderRow(*options_, *files_, clock_, offer, 1), *first);
}

TEST_F(SubmissionTest, RendersASingleMessageToEachOfItsRecipients) {
  Write(root_ / "welcome.eml",
        "From: shop@example.com\nX-Receiver: ana@example.org\nX-Receiver: bob@example.net\n\nHi {{to}} "
        "{{name|friend}}\n");
  const Result<std::string> message = RenderRow(*options_, *files_, clock_, root_ / "welcome.eml", 2);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_THAT(*message, HasSubstr("Hi bob@example.net friend\r\n"));
  EXPECT_THAT(*message, HasSubstr(".2@out.example.com>"));
  EXPECT_EQ(RenderRow(*options_, *files_, clock_, root_ / "welcome.eml", 3).error().code, ErrorCode::kNotFound);
}

TEST_F(SubmissionTest, ChecksASingleMessageAsIntakeWould) {
  Write(root_ / "nobody.eml", "From: shop@example.com\n\nhi\n");
  const CampaignReport nobody = CheckCampaign(*options_, *files_, clock_, root_ / "nobody.eml");
  ASSERT_EQ(nobody.problems.size(), 1u);
  EXPECT_THAT(nobody.problems[0].message, HasSubstr("no recipient"));
  Write(root_ / "from.eml", "To: ana@example.org\n\nhi\n");
  const CampaignReport nameless = CheckCampaign(*options_, *files_, clock_, root_ / "from.eml");
  ASSERT_EQ(nameless.problems.size(), 1u);
  EXPECT_EQ(nameless.problems[0].message, "the message has no From header; write one");
}

TEST_F(SubmissionTest, RefusesASingleMessageThatIntakeWouldRefuse) {
  const std::pair<std::string, const char*> cases[] = {
      {"From: a@b.example\n\nhi\n", "no recipient"},
      {"From: a@b.example\nTo: c@d.example\n\n{{name}}\n", "c@d.example: field \"name\" has no value"},
      {"From: a@b.example\nTo: c@d.example\nX-Campaign: a/b\n\nx\n", "not a name for a submission"},
  };
  for (const auto& [text, problem] : cases) {
    Write(root_ / "one.eml", text);
    const CampaignReport report = CheckCampaign(*options_, *files_, clock_, root_ / "one.eml");
    ASSERT_EQ(report.problems.size(), 1u) << text;
    EXPECT_THAT(report.problems[0].message, HasSubstr(problem));
    const Result<Submitted> handed = Hand(root_ / "one.eml");
    ASSERT_FALSE(handed) << text;
    EXPECT_EQ(handed.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(handed.error().message, HasSubstr(problem));
  }
}

TEST(JsonText, EscapesWhatJsonMust) {
  std::string out;
  AppendJsonText(std::string_view("a\"\\\n\0ü\xff\x7f", 9), out);
  EXPECT_EQ(out, "\"a\\\"\\\\\\u000a\\u0000ü\xef\xbf\xbd\\u007f\"");
}

}  // namespace
}  // namespace postrider::intake
