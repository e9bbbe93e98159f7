// What other hands may do to the spool while it is used.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "engine/intake/intake.h"
#include "engine/message/digest.h"
#include "tests/engine/intake/passing_files.h"
#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

namespace fs = std::filesystem;
using queue::CampaignState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Some names may not be moved, as if they belonged to another user.
class ForeignNames final : public PassingFiles {
 public:
  using PassingFiles::PassingFiles;
  Result<void> Rename(const Path& from, const Path& to) override {
    if (foreign.contains(from.filename().string())) {
      return Fail(ErrorCode::kDenied, "renaming " + from.string() + ": Permission denied");
    }
    return PassingFiles::Rename(from, to);
  }
  std::set<std::string> foreign;
};

// One call fails, as it does where there are no more descriptors.
class TroubledFiles final : public PassingFiles {
 public:
  using PassingFiles::PassingFiles;
  Result<std::vector<queue::FileEntry>> List(const Path& path) override {
    if (path == listed) return Fail(ErrorCode::kIo, "opening " + path.string() + ": Too many open files");
    return PassingFiles::List(path);
  }
  Result<std::string> ReadWhole(const Path& path, std::uint64_t max) override {
    if (path == read) return Fail(ErrorCode::kIo, "opening " + path.string() + ": Too many open files");
    return PassingFiles::ReadWhole(path, max);
  }
  Path listed;
  Path read;
};

class DisturbedSpoolTest : public SpoolTest {
 protected:
  // With files_ as they are seen from here.
  void Use(queue::Files& files) {
    intake_.reset();
    intake_ = std::make_unique<Intake>(options_, files, writer_, clock_);
    const Result<void> opened = intake_->Open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  void Drop(const std::string& name, const std::string& to) {
    Write(spool_ / "new" / name, "From: a@b.example\nTo: " + to + "\n\nHi\n");
  }
  // Until a campaign's list has been read in part.
  void RunUntilRead(const std::string& name) {
    clock_.Advance(std::chrono::minutes(1));
    while (writer_.Find(name) == nullptr || Totals(name).rows == 0) ASSERT_TRUE(intake_->RunOnce());
    ASSERT_EQ(State(name), CampaignState::kLoading);
  }
};

TEST_F(DisturbedSpoolTest, TakesInAllElseWhileOneCampaignMayNotBeMoved) {
  ForeignNames files(*files_);
  files.foreign = {"a-foreign"};
  Use(files);
  Submit("a-foreign", {{"recipients.jsonl", JsonRows(3)}});
  Submit("b", {{"recipients.jsonl", JsonRows(3)}});
  Drop("c.eml", "c@d.example");
  RunUntilIdle();
  EXPECT_EQ(State("b"), CampaignState::kRunning);
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), ElementsAre("c@d.example"));
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("new/a-foreign: Permission denied"));
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("all else is taken in"));
  files.foreign.clear();
  RunUntilIdle();
  EXPECT_EQ(State("a-foreign"), CampaignState::kRunning);
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
}

TEST_F(DisturbedSpoolTest, ForgetsWhatMayNotBeMovedOnceItIsGone) {
  ForeignNames files(*files_);
  files.foreign = {"foreign", "odd", "bad.eml"};
  Use(files);
  Submit("foreign", {});
  Write(spool_ / "new" / "odd", "neither");
  Write(spool_ / "new" / "bad.eml", "no message");
  Drop("good.eml", "c@d.example");
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), ElementsAre("c@d.example"));
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("and 2 more like it"));
  for (const std::string& name : files.foreign) fs::remove_all(spool_ / "new" / name);
  RunUntilIdle();
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
}

TEST_F(DisturbedSpoolTest, SendsAMessageOnceThatTheQueueHasButMayNotBeMoved) {
  ForeignNames files(*files_);
  files.foreign = {"a.eml"};
  Use(files);
  Drop("a.eml", "a@d.example");
  for (int i = 0; i < 3; ++i) RunUntilIdle();
  Drop("b.eml", "b@d.example");
  for (int i = 0; i < 3; ++i) RunUntilIdle();
  Use(files);
  for (int i = 0; i < 3; ++i) RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), ElementsAre("a@d.example", "b@d.example"));
  EXPECT_TRUE(fs::exists(DoneToday() / "b.eml"));
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("new/a.eml: Permission denied"));
  // Another message of that name is another message.
  files.foreign.clear();
  Drop("a.eml", "e@f.example");
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), ElementsAre("a@d.example", "b@d.example", "e@f.example"));
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
}

TEST_F(DisturbedSpoolTest, MovesAMessageThatTheQueueHasAsSoonAsItMay) {
  ForeignNames files(*files_);
  files.foreign = {"a.eml"};
  Use(files);
  Drop("a.eml", "a@d.example");
  for (int i = 0; i < 3; ++i) RunUntilIdle();
  files.foreign.clear();
  RunUntilIdle();
  EXPECT_TRUE(fs::exists(DoneToday() / "a.eml"));
  EXPECT_THAT(writer_.Addresses("messages-from-a@b.example"), ElementsAre("a@d.example"));
  EXPECT_EQ(intake_->counts().messages_accepted, 1u);
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
}

TEST_F(DisturbedSpoolTest, TriesACampaignAgainThatTheDiskCouldNotRead) {
  TroubledFiles files(*files_);
  Use(files);
  int number = 0;
  for (const char* part : {"", "campaign.toml", "message.eml"}) {
    const std::string name = "offer" + std::to_string(++number);
    const fs::path place = spool_ / "work" / name;
    (*part == '\0' ? files.listed : files.read) = *part == '\0' ? place : place / part;
    Submit(name, {{"recipients.jsonl", JsonRows(3)}});
    RunUntilIdle();
    EXPECT_THAT(intake_->counts().trouble, HasSubstr("Too many open files")) << part;
    EXPECT_TRUE(fs::exists(place)) << part;
    files.listed.clear();
    files.read.clear();
    RunUntilIdle();
    EXPECT_EQ(State(name), CampaignState::kRunning);
  }
}

TEST_F(DisturbedSpoolTest, FailsACampaignWhoseListIsCutWhileItIsRead) {
  Submit("offer", {{"recipients.jsonl", JsonRows(40'000)}});
  RunUntilRead("offer");
  const fs::path list = spool_ / "work" / "offer" / "recipients.jsonl";
  // At the end of a line, so that every row is well formed.
  fs::resize_file(list, JsonRows(30'000).size());
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kFailed);
  EXPECT_THAT(ErrorText("offer"), HasSubstr("recipients.jsonl: something changed it while it was read: it had"));
}

TEST_F(DisturbedSpoolTest, FailsACampaignWhoseListGrowsWhileItIsRead) {
  Submit("offer", {{"recipients.jsonl", JsonRows(40'000)}});
  RunUntilRead("offer");
  std::ofstream(spool_ / "work" / "offer" / "recipients.jsonl", std::ios::app) << "{\"to\":\"late@d.example\"}\n";
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kFailed);
}

TEST_F(DisturbedSpoolTest, EndsACampaignWhoseDirectoryIsRemovedWhileItIsRead) {
  Submit("offer", {{"recipients.jsonl", JsonRows(40'000)}});
  RunUntilRead("offer");
  fs::remove_all(spool_ / "work" / "offer");
  RunUntilIdle();
  RunUntilIdle();
  EXPECT_NE(State("offer"), CampaignState::kLoading);
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
  // And where there is something to write into it.
  Submit("bad", {{"recipients.jsonl", JsonRows(40'000) + "nonsense\n"}});
  RunUntilRead("bad");
  fs::remove_all(spool_ / "work" / "bad");
  RunUntilIdle();
  RunUntilIdle();
  EXPECT_NE(State("bad"), CampaignState::kLoading);
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
  EXPECT_TRUE(fs::is_empty(spool_ / "work"));
}

TEST_F(DisturbedSpoolTest, EndsWhatItWasLoadingWhenAfterARestartItCannotBeReadAnyMore) {
  const auto begin_and_restart_without_its_pool = [&](const std::string& name, const std::string& start) {
    options_->pools.emplace_back().name = "night";
    Submit(name, {{"campaign.toml", "format = 1\npool = \"night\"\nstart = \"" + start + "\"\n"},
                  {"recipients.jsonl", JsonRows(40'000)}});
    RunUntilRead(name);
    options_->pools.clear();
    Restart();
    RunUntilIdle();
    EXPECT_THAT(ErrorText(name), HasSubstr("no pool \"night\" is configured"));
  };
  begin_and_restart_without_its_pool("waits", "whole");
  EXPECT_EQ(State("waits"), CampaignState::kFailed);
  begin_and_restart_without_its_pool("streams", "streaming");
  EXPECT_EQ(State("streams"), CampaignState::kHeld);
  EXPECT_THAT(ErrorText("streams"), HasSubstr("`postrider resume streams`"));
}

TEST_F(DisturbedSpoolTest, EndsWhatItWasLoadingWhenAfterARestartTheListIsAnother) {
  const std::string rows = JsonRows(40'000);
  message::Sha256 hash;
  hash.Update(rows);
  Submit("offer", {{"campaign.toml", "format = 1\nsha256 = \"" + hash.Finish() + "\"\n"}, {"recipients.jsonl", rows}});
  RunUntilRead("offer");
  fs::resize_file(spool_ / "work" / "offer" / "recipients.jsonl", JsonRows(30'000).size());
  Restart();
  RunUntilIdle();
  EXPECT_THAT(ErrorText("offer"), HasSubstr("sha256: expected"));
  EXPECT_EQ(State("offer"), CampaignState::kFailed);
}

TEST_F(DisturbedSpoolTest, LeavesWhatOthersLoadAloneWhenAnotherSubmissionOfThatNameFails) {
  Submit("offer", {{"recipients.jsonl", JsonRows(40'000)}});
  RunUntilRead("offer");
  // Somebody takes it away while the daemon is down, and another takes its name.
  fs::remove_all(spool_ / "work" / "offer");
  Submit("offer", {{"recipients.jsonl", JsonRows(3)}});
  Restart();
  RunUntilIdle();
  EXPECT_THAT(ErrorText("offer"), HasSubstr("the name offer is taken by another submission"));
  EXPECT_EQ(State("offer"), CampaignState::kLoading);
}

TEST_F(DisturbedSpoolTest, IsForOneProcessAlone) {
  Intake second(options_, *files_, writer_, clock_);
  const Result<void> opened = second.Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kBusy);
  EXPECT_THAT(opened.error().message,
              HasSubstr("the spool " + spool_.string() + " is in use by process " + std::to_string(::getpid())));
}

TEST_F(DisturbedSpoolTest, GoesOnWhereTheSpoolWasRemovedAndMadeAgain) {
  fs::remove_all(spool_);
  RunUntilIdle();
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("No such file or directory"));
  EXPECT_FALSE(intake_->counts().stopped_by_disk);
  for (const char* part : {"tmp", "new", "work", "done", "failed"}) fs::create_directories(spool_ / part);
  RunUntilIdle();
  EXPECT_THAT(intake_->counts().trouble, IsEmpty());
  // What is watched is the new one, and it is ours.
  WriteParts(spool_ / "tmp" / "offer", {{"recipients.jsonl", JsonRows(3)}});
  fs::rename(spool_ / "tmp" / "offer", spool_ / "new" / "offer");
  intake_->Wait(std::chrono::minutes(10));
  while (intake_->RunOnce()) {
  }
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
  EXPECT_FALSE(Intake(options_, *files_, writer_, clock_).Open());
}

}  // namespace
}  // namespace postrider::intake
