#include "engine/intake/intake.h"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/intake/campaign_load.h"
#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

namespace fs = std::filesystem;

using queue::CampaignState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class IntakeTest : public SpoolTest {};

TEST_F(IntakeTest, ReleasesACampaignWithAllItsRows) {
  Submit("offer", {{"recipients.jsonl",
                    "{\"to\":\"ana@Example.ORG\",\"id\":\"4711\",\"name\":\"Ana\"}\n"
                    "{\"to\":\"bob@example.org\",\"id\":12,\"vars\":{\"name\":\"Bob\"}}\n"}});
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
  EXPECT_THAT(writer_.Addresses("offer"), ElementsAre("ana@example.org", "bob@example.org"));
  const auto& rows = writer_.Rows("offer");
  EXPECT_EQ(rows[0].row, 1u);
  EXPECT_EQ(rows[1].row, 2u);
  EXPECT_EQ(rows[0].id, "4711");
  EXPECT_EQ(rows[1].id, "12");
  EXPECT_EQ(rows[0].fields, std::string("\x04"
                                        "Ana\0",
                                        5));
  EXPECT_EQ(rows[1].fields, std::string("\x04"
                                        "Bob\0",
                                        5));
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "offer" / "recipients.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(DoneToday() / "offer" / "rejects.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(spool_ / "work" / "offer"));
  EXPECT_EQ(intake_->counts().campaigns_accepted, 1u);
  EXPECT_EQ(intake_->counts().trouble, "");
  EXPECT_EQ(writer_.Find("offer")->spec.envelope_from, "shop@example.com");
  EXPECT_EQ(writer_.Find("offer")->spec.digest.size(), 64u);
}

TEST_F(IntakeTest, MakesItsDirectoriesForItselfAlone) {
  for (const char* part : {"tmp", "new", "work", "done", "failed"}) {
    struct stat found {};
    ASSERT_EQ(::stat((spool_ / part).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700u) << part;
  }
}

TEST_F(IntakeTest, WritesRejectsAndGoesOn) {
  Submit("mixed", {{"recipients.jsonl",
                    "{\"to\":\"ana@example.org\",\"name\":\"A\"}\n"
                    "not json\n"
                    "\n"
                    "{\"to\":\"nobody\",\"id\":\"7\"}\n"
                    "{\"to\":\"bob@example.org\",\"name\":\"B\\nX-Evil: 1\"}\n"
                    "{\"to\":\"ANA@example.org\",\"name\":\"A\"}\n"
                    "{\"to\":\"carl@example.org\",\"name\":\"C\"}\n"}});
  RunUntilIdle();
  EXPECT_EQ(State("mixed"), CampaignState::kRunning);
  EXPECT_THAT(writer_.Addresses("mixed"), ElementsAre("ana@example.org", "carl@example.org"));
  const queue::CampaignTotals totals = Totals("mixed");
  EXPECT_EQ(totals.rows, 6u);
  EXPECT_EQ(totals.rejected, 3u);
  EXPECT_EQ(totals.duplicate, 1u);
  const std::string rejects = Read(DoneToday() / "mixed" / "rejects.jsonl");
  EXPECT_EQ(std::count(rejects.begin(), rejects.end(), '\n'), 4);
  EXPECT_THAT(rejects, HasSubstr("{\"line\":2,\"reason\":\"not valid JSON: "));
  EXPECT_THAT(rejects,
              HasSubstr("{\"line\":4,\"to\":\"nobody\",\"id\":\"7\",\"reason\":\"\\\"nobody\\\" is not an address"));
  EXPECT_THAT(rejects,
              HasSubstr("{\"line\":5,\"to\":\"bob@example.org\",\"reason\":\"field \\\"name\\\" holds a line end"));
  EXPECT_THAT(rejects, HasSubstr("{\"line\":6,\"to\":\"ANA@example.org\",\"reason\":\"duplicate\"}"));
}

TEST_F(IntakeTest, RejectsAnAddressLiteralUnlessARouteNamesIt) {
  const std::string rows = "{\"to\":\"ana@[127.0.0.1]\",\"name\":\"A\"}\n{\"to\":\"bo@b.test\",\"name\":\"B\"}\n";
  Submit("bare", {{"recipients.jsonl", rows}});
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("bare"), ElementsAre("bo@b.test"));
  EXPECT_THAT(Read(DoneToday() / "bare" / "rejects.jsonl"), HasSubstr("[127.0.0.1] is an address literal"));
  options_->routes.emplace_back().match = DomainPattern::Parse("[127.0.0.1]").value();
  Restart();
  Submit("routed", {{"recipients.jsonl", rows}});
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("routed"), ElementsAre("ana@[127.0.0.1]", "bo@b.test"));
}

TEST_F(IntakeTest, ForgetsWhatWasAcceptedLongAgoAFewSubmissionsATurn) {
  const fs::path done = spool_ / "done";
  for (int i = 0; i < 40; ++i)
    WriteParts(done / "2026-10-01" / ("old-" + std::to_string(i)), {{"recipients.jsonl", ""}});
  fs::create_directories(done / "2026-10-02");
  Write(done / "2026-10-02" / "single.eml", "From: a@b.example\n\nx\n");
  WriteParts(done / "2026-10-24" / "last-day", {});
  WriteParts(done / "kept-by-hand", {});
  Write(done / "2026-10-03", "a file, no day");
  // 30 days before 2026-11-23 is the 24th of October: that day is not over.
  const auto olds = [&] {
    return fs::exists(done / "2026-10-01")
               ? std::distance(fs::directory_iterator(done / "2026-10-01"), fs::directory_iterator())
               : 0;
  };
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_TRUE(intake_->RunOnce());
  EXPECT_EQ(olds(), 24) << "16 in one turn";
  RunUntilIdle();
  EXPECT_FALSE(fs::exists(done / "2026-10-01"));
  EXPECT_FALSE(fs::exists(done / "2026-10-02"));
  EXPECT_TRUE(fs::exists(done / "2026-10-24" / "last-day"));
  EXPECT_TRUE(fs::exists(done / "kept-by-hand"));
  EXPECT_TRUE(fs::exists(done / "2026-10-03"));
  clock_.Advance(std::chrono::hours(24));
  RunUntilIdle();
  EXPECT_FALSE(fs::exists(done / "2026-10-24")) << "a day later";
}

TEST_F(IntakeTest, GoesOnAfterARestartInTheMidstOfBlankLinesOrOfAnOverlongRow) {
  const std::string blank(5 << 20, '\n');
  std::string list = blank + "to,name\n";
  for (int i = 0; i < 200; ++i) {
    list += "user" + std::to_string(i) + "@d.example,U\n";
    if (i == 100) list += blank + std::string(5 << 20, 'x') + "\n";
  }
  for (int steps = 1; steps < 20; ++steps) {
    SCOPED_TRACE(steps);
    const std::string name = "offer" + std::to_string(steps);
    Submit(name, {{"recipients.csv", list}});
    clock_.Advance(std::chrono::minutes(1));
    bool more = true;
    for (int i = 0; i < steps && more; ++i) more = intake_->RunOnce();
    Restart();
    RunUntilIdle();
    EXPECT_EQ(Totals(name).accepted, 200u);
    EXPECT_EQ(Totals(name).rows, 201u);
    EXPECT_EQ(writer_.Addresses(name).size(), 200u);
    EXPECT_THAT(Read(DoneToday() / name / "rejects.jsonl"), HasSubstr("the row is longer than"));
    EXPECT_TRUE(more || steps > 3);
    if (!more) break;
    fs::remove_all(DoneToday() / name);
  }
}

TEST_F(IntakeTest, SendsDuplicatesIfAsked) {
  Submit("twice", {{"campaign.toml", "format = 1\nduplicates = \"send\"\n"},
                   {"recipients.jsonl",
                    "{\"to\":\"ana@example.org\",\"name\":\"A\"}\n{\"to\":\"ana@example.org\",\"name\":\"A\"}\n"}});
  RunUntilIdle();
  EXPECT_EQ(Totals("twice").accepted, 2u);
}

TEST_F(IntakeTest, HoldsACampaignWithTooManyBadRows) {
  options_->spool.max_rejects_free = 10;
  std::string rows = JsonRows(1000);
  for (int i = 0; i < 10; ++i) rows += "{}\n";
  Submit("just", {{"recipients.jsonl", rows}});
  Submit("many", {{"recipients.jsonl", rows + "{}\n"}});
  Submit("allowed",
         {{"campaign.toml", "format = 1\nmax_reject_share = 0.5\n"}, {"recipients.jsonl", rows + "{}\n{}\n"}});
  RunUntilIdle();
  EXPECT_EQ(State("just"), CampaignState::kRunning);
  EXPECT_EQ(State("many"), CampaignState::kHeld);
  EXPECT_EQ(State("allowed"), CampaignState::kRunning);
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "many" / "rejects.jsonl"));
}

TEST_F(IntakeTest, LeavesOutSuppressedAddressesAndDomains) {
  Write(root_ / "suppressed", "# comment\nAna@Example.org\n\n@blocked.example\nother.example\n");
  options_->spool.suppression_file = root_ / "suppressed";
  Restart();
  Submit("offer",
         {{"recipients.jsonl",
           "{\"to\":\"ana@example.org\",\"name\":\"x\"}\n{\"to\":\"x@blocked.example\",\"name\":\"x\"}\n"
           "{\"to\":\"x@sub.blocked.example\",\"name\":\"x\"}\n{\"to\":\"y@OTHER.example\",\"name\":\"x\"}\n"}});
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("offer"), ElementsAre("x@sub.blocked.example"));
  EXPECT_EQ(Totals("offer").suppressed_at_intake, 3u);
  EXPECT_EQ(Read(DoneToday() / "offer" / "rejects.jsonl"),
            "{\"line\":1,\"to\":\"ana@example.org\",\"reason\":\"suppressed\"}\n"
            "{\"line\":2,\"to\":\"x@blocked.example\",\"reason\":\"suppressed\"}\n"
            "{\"line\":4,\"to\":\"y@OTHER.example\",\"reason\":\"suppressed\"}\n");
}

TEST_F(IntakeTest, LeavesOutWhomTheQueuesSuppressionListHolds) {
  writer_.suppressed = {{"", "ana@example.org"}, {"", "@blocked.example"}, {"news", "bob@example.org"}};
  const std::string rows =
      "{\"to\":\"carl@example.org\",\"name\":\"x\"}\n{\"to\":\"bob@example.org\",\"id\":\"7\",\"name\":\"x\"}\n"
      "{\"to\":\"no address\"}\n{\"to\":\"ana@example.org\",\"name\":\"x\"}\n"
      "{\"to\":\"ana@example.org\",\"name\":\"x\"}\n{\"to\":\"x@blocked.example\",\"name\":\"x\"}\n"
      "{\"to\":\"dora@example.org\",\"name\":\"x\"}\n";
  Submit("news", {{"campaign.toml", "format = 1\nlist = \"news\"\n"}, {"recipients.jsonl", rows}});
  Submit("receipts",
         {{"campaign.toml", "format = 1\nclass = \"transactional\"\nlist = \"news\"\n"}, {"recipients.jsonl", rows}});
  RunUntilIdle();
  EXPECT_THAT(writer_.Addresses("news"), ElementsAre("carl@example.org", "dora@example.org"));
  EXPECT_THAT(writer_.Addresses("receipts"), ElementsAre("carl@example.org", "bob@example.org", "dora@example.org"));
  EXPECT_EQ(Totals("news").suppressed_at_intake, 3u);
  EXPECT_EQ(Totals("receipts").suppressed_at_intake, 2u);
  for (const char* name : {"news", "receipts"}) {
    const queue::CampaignTotals totals = Totals(name);
    EXPECT_EQ(totals.rejected, 1u);
    EXPECT_EQ(totals.duplicate, 1u);
    EXPECT_EQ(totals.rows, totals.accepted + totals.rejected + totals.duplicate + totals.suppressed_at_intake);
  }
  const std::string rejects = Read(DoneToday() / "news" / "rejects.jsonl");
  for (const char* line : {"{\"line\":2,\"to\":\"bob@example.org\",\"id\":\"7\",\"reason\":\"suppressed\"}\n",
                           "{\"line\":4,\"to\":\"ana@example.org\",\"reason\":\"suppressed\"}\n",
                           "{\"line\":6,\"to\":\"x@blocked.example\",\"reason\":\"suppressed\"}\n"}) {
    EXPECT_THAT(rejects, HasSubstr(line));
  }
}

TEST_F(IntakeTest, ReadsAChangedSuppressionFileBeforeTheNextCampaign) {
  Write(root_ / "suppressed", "ana@example.org\n");
  options_->spool.suppression_file = root_ / "suppressed";
  Restart();
  const std::string row = "{\"to\":\"bob@example.org\",\"name\":\"x\"}\n";
  Submit("first", {{"recipients.jsonl", row}});
  RunUntilIdle();
  EXPECT_EQ(Totals("first").accepted, 1u);
  Write(root_ / "suppressed", "ana@example.org\nbob@example.org\n");
  Submit("second", {{"recipients.jsonl", row}});
  RunUntilIdle();
  EXPECT_EQ(Totals("second").accepted, 0u);
  // Broken or gone, it stops intake rather than letting mail out.
  Write(root_ / "suppressed", "ana@example.org\nnot an address\n");
  Submit("third", {{"recipients.jsonl", row}});
  RunUntilIdle();
  EXPECT_EQ(writer_.Find("third"), nullptr);
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("suppressed:2: expected an address or a domain"));
  std::filesystem::remove(root_ / "suppressed");
  RunUntilIdle();
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("does not exist"));
}

TEST_F(IntakeTest, AnswersTheSameSubmissionOnce) {
  const Parts parts = {{"recipients.jsonl", JsonRows(3)}};
  Submit("offer", parts);
  RunUntilIdle();
  Submit("offer", parts);
  RunUntilIdle();
  EXPECT_EQ(Totals("offer").accepted, 3u);
  EXPECT_FALSE(std::filesystem::exists(spool_ / "new" / "offer"));
  EXPECT_FALSE(std::filesystem::exists(spool_ / "work" / "offer"));
  EXPECT_FALSE(std::filesystem::exists(spool_ / "failed" / "offer"));
  EXPECT_EQ(intake_->counts().campaigns_accepted, 1u);
}

TEST_F(IntakeTest, RefusesAnotherSubmissionOfATakenName) {
  Submit("offer", {{"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  Submit("offer", {{"recipients.jsonl", JsonRows(4)}});
  RunUntilIdle();
  EXPECT_THAT(ErrorText("offer"), HasSubstr("the name offer is taken by another submission, accepted as campaign 1"));
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
  EXPECT_EQ(Totals("offer").accepted, 3u);
}

TEST_F(IntakeTest, TakesACampaignThatFailedAndWasMended) {
  Submit("offer", {{"campaign.toml", "format = 1\nrecipients = 5\n"}, {"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kFailed);
  EXPECT_THAT(ErrorText("offer"), HasSubstr("recipients: expected 5 rows, found 3"));
  // As an operator would: mended where it lies, and moved back.
  Write(spool_ / "failed" / "offer" / "campaign.toml", "format = 1\nrecipients = 3\n");
  std::filesystem::rename(spool_ / "failed" / "offer", spool_ / "new" / "offer");
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
  EXPECT_FALSE(std::filesystem::exists(DoneToday() / "offer" / "error.txt"));
  // And another failure of a name takes the place of the one before.
  Submit("bad", {{"recipients.jsonl", ""}});
  RunUntilIdle();
  Submit("bad", {{"recipients.jsonl", "\n\n"}});
  RunUntilIdle();
  EXPECT_EQ(Read(spool_ / "failed" / "bad" / "recipients.jsonl"), "\n\n");
}

TEST_F(IntakeTest, TellsOfEachSubmissionThatFails) {
  Submit("offer", {{"campaign.toml", "format = 2\nclass = \"spam\"\n"}, {"recipients.jsonl", JsonRows(3)}});
  Submit("empty", {{"recipients.jsonl", ""}});
  Submit("good", {{"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  const std::string failed = (spool_ / "failed").string();
  EXPECT_THAT(intake_->TakeFailures(),
              UnorderedElementsAre(
                  "offer was not accepted: campaign.toml:1:10: format: this program reads format = 1 (and 1 more, see "
                  "error.txt); moved to " +
                      failed + "/offer",
                  "empty was not accepted: recipients.jsonl: the list holds no rows; moved to " + failed + "/empty"));
  EXPECT_THAT(intake_->TakeFailures(), IsEmpty());
}

// Root may write anywhere, so the spool's disk is stood in for by one that refuses every write.
TEST_F(IntakeTest, DoesNotStartOnASpoolThatCannotBeWritten) {
  class ReadOnlyFiles final : public queue::Files {
   public:
    explicit ReadOnlyFiles(queue::Files& files) : files_(files) {}
    using Path = std::filesystem::path;
    Result<std::vector<queue::FileEntry>> List(const Path& path) override { return files_.List(path); }
    Result<std::string> ReadWhole(const Path& path, std::uint64_t max) override { return files_.ReadWhole(path, max); }
    Result<std::unique_ptr<queue::FileReader>> OpenReader(const Path& path) override { return files_.OpenReader(path); }
    Result<std::unique_ptr<queue::FileAppender>> OpenAppender(const Path& path, std::uint64_t) override {
      return Refuse(path);
    }
    Result<void> WriteDurably(const Path& path, std::string_view) override { return Refuse(path); }
    Result<void> Rename(const Path& path, const Path&) override { return Refuse(path); }
    Result<void> MakeDirectory(const Path& path) override {
      return Exists(path) ? Result<void>() : Result<void>(Refuse(path));
    }
    Result<void> Remove(const Path& path) override { return Refuse(path); }
    Result<void> GiveToOwnerOf(const Path&, const Path& path) override { return Refuse(path); }
    bool Exists(const Path& path) override { return files_.Exists(path); }
    Result<double> FreeShare(const Path& path) override { return files_.FreeShare(path); }

   private:
    static std::unexpected<Error> Refuse(const Path& path) {
      return Fail(ErrorCode::kIo, path.string() + ": Read-only file system");
    }
    queue::Files& files_;
  };
  ReadOnlyFiles read_only(*files_);
  Intake intake(options_, read_only, writer_, clock_);
  const Result<void> opened = intake.Open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message, HasSubstr("Read-only file system"));
}

TEST_F(IntakeTest, StopsWhileTheDiskIsNearlyFull) {
  options_->disk.stop_intake_below = 1.0;
  Submit("offer", {{"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  EXPECT_TRUE(intake_->counts().stopped_by_disk);
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("is free; intake stops below 100 % (disk.stop_intake_below)"));
  EXPECT_EQ(writer_.Find("offer"), nullptr);
  auto roomier = std::make_shared<Options>(*options_);
  roomier->disk.stop_intake_below = 0;
  intake_->SetOptions(roomier);
  RunUntilIdle();
  EXPECT_FALSE(intake_->counts().stopped_by_disk);
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
}

TEST_F(IntakeTest, StopsReadingACampaignThatWasCancelled) {
  Submit("offer", {{"recipients.jsonl", JsonRows(30'000)}});
  clock_.Advance(std::chrono::minutes(1));
  while (writer_.Find("offer") == nullptr || Totals("offer").accepted == 0) ASSERT_TRUE(intake_->RunOnce());
  writer_.SetState("offer", CampaignState::kCancelled);
  const std::uint64_t accepted = Totals("offer").accepted;
  RunUntilIdle();
  EXPECT_EQ(Totals("offer").accepted, accepted);
  EXPECT_EQ(State("offer"), CampaignState::kCancelled);
  EXPECT_TRUE(std::filesystem::exists(DoneToday() / "offer"));
}

TEST_F(IntakeTest, ReadsSeveralCampaignsInTurns) {
  Submit("a-large", {{"recipients.jsonl", JsonRows(100'000)}});
  Submit("b-small", {{"recipients.jsonl", JsonRows(10)}});
  clock_.Advance(std::chrono::minutes(1));
  while (writer_.Find("b-small") == nullptr || State("b-small") != CampaignState::kRunning)
    ASSERT_TRUE(intake_->RunOnce());
  EXPECT_EQ(State("a-large"), CampaignState::kLoading);
  RunUntilIdle();
  EXPECT_EQ(Totals("a-large").accepted, 100'000u);
}

TEST_F(IntakeTest, KeepsOnWithOthersWhileOneIsInTrouble) {
  Submit("a", {{"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  writer_.fail_at = writer_.calls + 1;
  Submit("b", {{"recipients.jsonl", JsonRows(3)}});
  Submit("c", {{"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  const bool b_waits = writer_.Find("b") == nullptr;
  EXPECT_EQ(State(b_waits ? "c" : "b"), CampaignState::kRunning);
  EXPECT_THAT(intake_->counts().trouble, HasSubstr("the disk is full"));
  RunUntilIdle();
  EXPECT_EQ(State("b"), CampaignState::kRunning);
  EXPECT_EQ(State("c"), CampaignState::kRunning);
  EXPECT_EQ(intake_->counts().trouble, "");
}

TEST_F(IntakeTest, HoldsAStreamingCampaignWhoseListIsCut) {
  Submit("offer",
         {{"campaign.toml", "format = 1\nstart = \"streaming\"\nrecipients = 9\n"}, {"recipients.jsonl", JsonRows(3)}});
  RunUntilIdle();
  EXPECT_EQ(State("offer"), CampaignState::kHeld);
  EXPECT_EQ(Totals("offer").accepted, 3u);
  EXPECT_THAT(ErrorText("offer"), HasSubstr("some of its 3 accepted rows may have been sent already"));
}

TEST_F(IntakeTest, NoticesWhatIsRenamedIntoTheSpool) {
  RunUntilIdle();
  ASSERT_FALSE(intake_->RunOnce());
  WriteParts(spool_ / "tmp" / "offer", {{"recipients.jsonl", JsonRows(3)}});
  std::filesystem::rename(spool_ / "tmp" / "offer", spool_ / "new" / "offer");
  intake_->Wait(std::chrono::minutes(10));  // ends at once, by inotify
  while (intake_->RunOnce()) {
  }
  EXPECT_EQ(State("offer"), CampaignState::kRunning);
}

TEST_F(IntakeTest, NeedsNoMoreMemoryForALargeList) {
  Spool spool(options_, *files_, writer_, clock_);
  std::size_t largest = 0;
  for (const int rows : {200'000, 1'200'000}) {
    const std::string name = "list" + std::to_string(rows);
    WriteParts(spool_ / "work" / name, {{"recipients.jsonl", JsonRows(rows)}});
    writer_.keep_rows = false;
    CampaignLoad load(spool, name);
    for (std::optional<LoadEnd> end; !end;) {
      const auto step = load.Step();
      ASSERT_TRUE(step) << step.error().message;
      end = *step;
      largest = std::max(largest, load.memory_bytes());
    }
    EXPECT_EQ(Totals(name).accepted, static_cast<std::uint64_t>(rows));
  }
  // The table of a million hashes, the filter, and the index of what was spilled.
  EXPECT_LE(largest, (16u << 20) + (16u << 20) + (1u << 20));
}

// Whatever call to the queue fails, and whether it had its effect or not, with a restart or without: every row is taken
// once, rejects are told once, and the campaign is released.
class CrashTest : public SpoolTest, public testing::WithParamInterface<std::tuple<bool, bool>> {};

TEST_P(CrashTest, AtAnyCallLosesAndDoublesNothing) {
  const auto [after_effect, restart] = GetParam();
  std::string rows = JsonRows(20'000);
  rows += "{\"to\":\"user3@d3.example.org\",\"name\":\"again\"}\n{\"to\":\"bad\"}\n";
  rows = "{\"to\":\"worse\"}\n\n" + rows;
  for (int fail_at = 1; fail_at < 20; ++fail_at) {
    SCOPED_TRACE(fail_at);
    const std::string name = "offer" + std::to_string(fail_at);
    Submit(name, {{"recipients.jsonl", rows}});
    writer_.calls = 0;
    writer_.fail_at = fail_at;
    writer_.fail_after_effect = after_effect;
    RunUntilIdle();
    const bool failed_once = writer_.calls >= fail_at;
    if (restart) Restart();
    RunUntilIdle();
    writer_.fail_at = 0;
    EXPECT_EQ(State(name), CampaignState::kRunning);
    const queue::CampaignTotals totals = Totals(name);
    EXPECT_EQ(totals.rows, 20'003u);
    EXPECT_EQ(totals.duplicate, 1u);
    EXPECT_EQ(totals.rejected, 2u);
    const auto& kept = writer_.Rows(name);
    ASSERT_EQ(kept.size(), 20'000u);
    for (std::size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(kept[i].row, i + 3);
    const std::string rejects = Read(DoneToday() / name / "rejects.jsonl");
    EXPECT_EQ(std::count(rejects.begin(), rejects.end(), '\n'), 3) << rejects;
    if (!failed_once) {
      EXPECT_GT(fail_at, 4);  // begin, three batches at least, release
      return;
    }
  }
  ADD_FAILURE() << "the calls never ended";
}

INSTANTIATE_TEST_SUITE_P(Intake, CrashTest, testing::Combine(testing::Bool(), testing::Bool()));

// Killed between any two steps.
TEST_F(IntakeTest, ResumesFromAnyStep) {
  const std::string rows = JsonRows(20'000) + "{\"to\":\"bad\"}\n" + JsonRows(5);
  for (int steps = 1; steps < 40; ++steps) {
    const std::string name = "offer" + std::to_string(steps);
    Submit(name, {{"recipients.jsonl", rows}});
    clock_.Advance(std::chrono::minutes(1));
    bool more = true;
    for (int i = 0; i < steps && more; ++i) more = intake_->RunOnce();
    Restart();
    RunUntilIdle();
    EXPECT_EQ(State(name), CampaignState::kRunning);
    EXPECT_EQ(writer_.Rows(name).size(), 20'000u);
    EXPECT_EQ(Totals(name).rows, 20'006u);
    EXPECT_TRUE(std::filesystem::exists(DoneToday() / name));
    if (!more) {
      EXPECT_GT(steps, 5);
      return;
    }
  }
  ADD_FAILURE() << "the steps never ended";
}

}  // namespace
}  // namespace postrider::intake
