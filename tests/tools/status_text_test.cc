#include "tools/status_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace postrider::tools {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr Wall kNow{std::chrono::milliseconds(1'795'499'045'007)};

CampaignView Running() {
  CampaignView campaign;
  campaign.name = "2026-11-24-offer";
  campaign.state = "running";
  campaign.mail_class = "bulk";
  campaign.totals.rows = 10'100;
  campaign.totals.accepted = 10'000;
  campaign.totals.rejected = 100;
  campaign.totals.delivered = 5'500;
  campaign.totals.bounced = 90;
  campaign.totals.expired = 10;
  campaign.totals.queued = 4'400;
  campaign.totals.deferrals = 77;
  campaign.released_at = kNow - seconds(56);
  return campaign;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }
std::string SecondLine(const std::string& text) { return FirstLine(text.substr(text.find('\n') + 1)); }

TEST(CampaignRates, AreTheAverageSinceReleaseUntilMeasured) {
  CampaignRates rates;
  CampaignView campaign = Running();
  EXPECT_DOUBLE_EQ(rates.Of(campaign, kNow).value(), 100);
  rates.Observe(std::chrono::steady_clock::time_point(seconds(1)), {&campaign, 1});
  EXPECT_DOUBLE_EQ(rates.Of(campaign, kNow).value(), 100);
  campaign.totals.delivered += 600;
  rates.Observe(std::chrono::steady_clock::time_point(seconds(3)), {&campaign, 1});
  EXPECT_DOUBLE_EQ(rates.Of(campaign, kNow).value(), 300);
}

TEST(CampaignRates, AreTheWholeAverageOnceItIsOver) {
  CampaignView campaign = Running();
  campaign.state = "done";
  campaign.ended_at = *campaign.released_at + seconds(28);
  EXPECT_DOUBLE_EQ(CampaignRates().Of(campaign, kNow + std::chrono::hours(5)).value(), 200);
  campaign.released_at.reset();
  EXPECT_EQ(CampaignRates().Of(campaign, kNow), std::nullopt);
}

TEST(CampaignRates, DoNotCountWhatWasCancelled) {
  CampaignView campaign = Running();
  campaign.state = "cancelled";
  campaign.ended_at = *campaign.released_at + seconds(28);
  campaign.totals.cancelled = std::exchange(campaign.totals.queued, 0);
  EXPECT_DOUBLE_EQ(CampaignRates().Of(campaign, kNow).value(), 200);
  campaign.totals.delivered = campaign.totals.bounced = campaign.totals.expired = 0;
  EXPECT_EQ(CampaignRates().Of(campaign, kNow), std::nullopt);
}

TEST(StatusText, SaysHowAPausedOrCancelledCampaignGoesOn) {
  CampaignView campaign = Running();
  campaign.state = "paused";
  constexpr std::string_view kResume = "`postrider resume 2026-11-24-offer` lets it go on";
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}),
              HasSubstr(std::string("\n").append(kResume)));
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}),
              HasSubstr(std::string("\n2026-11-24-offer is paused: ").append(kResume)));
  campaign.state = "cancelled";
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), HasSubstr("submit it under another name"));
}

TEST(StatusText, ShowsACampaignsProgressRateAndTimeLeft) {
  const CampaignView campaign = Running();
  const std::string table = RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{});
  EXPECT_EQ(FirstLine(table),
            "campaign          state    progress                      accepted  delivered  bounced  other  queued   "
            "rate  left");
  EXPECT_EQ(SecondLine(table),
            "2026-11-24-offer  running  [###########---------]  56 %    10,000      5,500       90     10   4,400  "
            "100/s  44 s");
}

TEST(StatusText, KeepsRateAndTimeLeftOnANarrowTerminal) {
  const CampaignView campaign = Running();
  const Terminal narrow{.interactive = true, .colours = false, .columns = 80};
  EXPECT_EQ(SecondLine(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), narrow)),
            "2026-11-24-offer  running  [#####----]  56 %   4,400  100/s  44 s");
}

TEST(StatusText, SaysUntilWhenACampaignIsClosed) {
  CampaignView campaign = Running();
  campaign.closed_until = kNow + std::chrono::hours(3);
  campaign.windows = "08:00-20:00 Europe/Paris";
  constexpr const char* kClosed = "closed until 2026-11-24T08:44:05.007Z (08:00-20:00 Europe/Paris)\n";
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}),
              HasSubstr(std::string("\n2026-11-24-offer is ") + kClosed));
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), HasSubstr(std::string("\n") + kClosed));
  EXPECT_THAT(RenderProgressLine(campaign, kNow, CampaignRates()), testing::EndsWith(std::string(" ") + kClosed));
  EXPECT_THAT(RenderProgressLine(campaign, kNow, CampaignRates()), Not(HasSubstr("left")));
}

TEST(StatusText, SaysWhereACanaryStands) {
  CampaignView campaign = Running();
  campaign.totals.accepted = 100'000;
  campaign.canary = CanaryView{.phase = "sending", .recipients = 1000, .tried = 600, .rest_at = std::nullopt};
  const auto line = [&] { return RenderProgressLine(campaign, kNow, CampaignRates()); };
  EXPECT_THAT(line(), HasSubstr(" canary: 600 of 100,000 sent, 400 of the canary are left to be tried first\n"));
  campaign.canary = CanaryView{.phase = "waiting", .recipients = 1000, .tried = 1000, .rest_at = kNow};
  constexpr const char* kRest = "canary: 1,000 of 100,000 sent, the rest at 2026-11-24T05:44:05.007Z\n";
  EXPECT_THAT(line(), testing::EndsWith(kRest));
  EXPECT_THAT(line(), Not(HasSubstr(" left "))) << "its rate says nothing of the rest";
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), HasSubstr(std::string("\n") + kRest));
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}),
              HasSubstr(std::string("\n2026-11-24-offer ") + kRest));
  campaign.canary->phase = "stopped";
  EXPECT_THAT(line(), HasSubstr("the rest when it is resumed"));
  campaign.canary->phase = "released";
  EXPECT_THAT(line(), Not(HasSubstr("canary")));
}

TEST(StatusText, SaysNoTimeLeftForWhatStandsStill) {
  CampaignView campaign = Running();
  campaign.state = "paused";
  EXPECT_THAT(RenderProgressLine(campaign, kNow, CampaignRates()), Not(HasSubstr("left")));
  campaign.state = "running";
  EXPECT_EQ(RenderProgressLine(campaign, kNow, CampaignRates()),
            "2026-11-24T05:44:05.007Z 2026-11-24-offer running 56 % 5,600 of 10,000 100/s 44 s left\n");
}

TEST(StatusText, SaysNoTimeLeftWhileAllMailRests) {
  CampaignView campaign = Running();
  campaign.standstill = StandstillView{.reason = "all that is left waits for retries", .next = kNow + seconds(780)};
  constexpr const char* kSaid = "stands still: all that is left waits for retries; next in 13 min\n";
  EXPECT_EQ(RenderProgressLine(campaign, kNow, CampaignRates()),
            std::string("2026-11-24T05:44:05.007Z 2026-11-24-offer running 56 % 5,600 of 10,000 100/s ") + kSaid);
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), HasSubstr(std::string("\n") + kSaid));
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), Not(HasSubstr("44 s")));
  const std::string table = RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{});
  EXPECT_THAT(table, HasSubstr(std::string("\n2026-11-24-offer ") + kSaid));
  EXPECT_THAT(table, Not(HasSubstr("44 s")));
  campaign.standstill->next.reset();
  EXPECT_THAT(RenderProgressLine(campaign, kNow, CampaignRates()), testing::EndsWith("waits for retries\n"));
  campaign.state = "paused";
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}), Not(HasSubstr("waits for retries")));
}

TEST(StatusText, SurvivesACampaignThatHasNothingYet) {
  CampaignView campaign;
  campaign.name = "x";
  campaign.state = "loading";
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}), HasSubstr("[--------------------]"));
  EXPECT_THAT(RenderCampaigns({}, kNow, CampaignRates(), Terminal{}), HasSubstr("postrider submit"));
}

TEST(StatusText, TellsOneCampaignInFull) {
  const std::string text = RenderCampaign(Running(), kNow, CampaignRates(), Terminal{});
  EXPECT_THAT(text, HasSubstr("10,100 read: 10,000 accepted, 100 rejected, 0 duplicate"));
  EXPECT_THAT(text, HasSubstr("10,000 accepted, 5,500 delivered, 90 bounced, 10 expired, 4,400 queued"));
  EXPECT_THAT(text, HasSubstr("100/s, 44 s left"));
  EXPECT_THAT(text, HasSubstr("released   2026-11-24T05:43:09.007Z"));
  EXPECT_THAT(text, Not(HasSubstr("ended")));
}

TEST(StatusText, SaysWhyACampaignIsHeldAndWhatToDo) {
  CampaignView campaign = Running();
  campaign.state = "held";
  campaign.note = "11 of 20 rows were rejected";
  const std::string said =
      "11 of 20 rows were rejected: `postrider resume 2026-11-24-offer` sends it, `postrider cancel "
      "2026-11-24-offer` drops it\n";
  EXPECT_THAT(RenderCampaign(campaign, kNow, CampaignRates(), Terminal{}), HasSubstr("\n" + said));
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}),
              HasSubstr("\n2026-11-24-offer is held: " + said));
  campaign.state = "running";
  campaign.note.clear();
  EXPECT_THAT(RenderCampaigns({&campaign, 1}, kNow, CampaignRates(), Terminal{}), Not(HasSubstr("held")));
}

TEST(StatusText, KnowsWhenACampaignIsOver) {
  CampaignView campaign = Running();
  EXPECT_FALSE(IsOver(campaign));
  campaign.state = "cancelled";
  EXPECT_FALSE(IsOver(campaign)) << "its jobs still fall away";
  campaign.totals.queued = 0;
  EXPECT_TRUE(IsOver(campaign));
  campaign.state = "failed";
  EXPECT_TRUE(IsOver(campaign));
}

StatusView Healthy() {
  StatusView status;
  status.version = "0.1.0";
  status.host_name = "mail.example.org";
  status.time = kNow;
  status.uptime_seconds = 3700;
  status.totals = Running().totals;
  status.messages_per_second = 1234;
  status.connections_busy = 30;
  status.connections_idle = 10;
  status.in_flight = 28;
  status.resident_bytes = 120 << 20;
  return status;
}

TEST(StatusText, SummarisesAHealthyDaemonInThreeLines) {
  EXPECT_EQ(RenderSummary(Healthy(), Terminal{}),
            "postrider 0.1.0 on mail.example.org, up 1 h 1 min: healthy\n"
            "1,234/s, 40 connections (30 busy, 10 idle, 0 opening), 28 in flight, 120 MiB\n"
            "10,000 accepted, 5,500 delivered, 90 bounced, 10 expired, 4,400 queued\n");
}

TEST(StatusText, SaysWhatIsWrong) {
  StatusView status = Healthy();
  status.trouble = "disk\x1b[2J full";
  status.sending_stopped = true;
  status.stop_reason = "the log cannot be written";
  status.intake_stopped = true;
  status.last_reload_good = false;
  status.pauses = {"all", "site mx.example.org"};
  status.guards = {{.guard = "campaign", .tripped = true, .source = "", .reason = "offer at google: too many"},
                   {.guard = "source gone", .tripped = false, .source = "a", .reason = "no such\x1b address"}};
  status.lateness_seconds = 75;
  status.queue_difference = -2;
  const std::string text = RenderSummary(status, Terminal{.interactive = true, .colours = true, .columns = 80});
  for (const char* part :
       {"\x1b[31mdisk?[2J full\x1b[0m", "sending is stopped: the log cannot be written", "intake is stopped",
        "the last reload was refused, `postrider check` says why", "paused: all", "paused: site mx.example.org",
        "\x1b[31mcampaign: offer at google: too many\x1b[0m", "warning, source gone a: no such? address",
        "due for 1 min 15 s", "0 rows at intake, -2 recipients in the queue"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(StatusText, TellsAnAddressesStory) {
  FoundView found;
  found.address = "ana@example.org";
  EXPECT_EQ(RenderFound(found, kNow, Terminal{}), "nothing is known of ana@example.org\n");
  found.jobs.push_back({"offer", 7, "c-1", 1, kNow + seconds(60), "450 4.2.1 busy"});
  found.events.push_back(
      {"2026-11-24T05:44:05.007Z", "deferred", "offer", "mx.example.org", 1, 450, "4.2.1 busy", false});
  found.events.push_back({"2026-11-24T05:51:05.007Z", "expired", "offer", "", 0, 0, "its time ran out", true});
  EXPECT_EQ(RenderFound(found, kNow, Terminal{}),
            "queued     offer row 7 (c-1), 1 attempts, due in 1 min, last: 450 4.2.1 busy\n"
            "2026-11-24T05:44:05.007Z deferred   offer attempt 1 at mx.example.org: 450 4.2.1 busy (goes on)\n"
            "2026-11-24T05:51:05.007Z expired    offer: its time ran out\n");
}

TEST(StatusView, RefusesWhatItDoesNotUnderstand) {
  for (const std::string_view text : {"", "{", "[]", "null", "{}", R"({"totals":{"rows":"many"}})", "\xff"}) {
    EXPECT_FALSE(ParseStatus(text)) << text;
    EXPECT_FALSE(ParseCampaign(text)) << text;
    EXPECT_FALSE(ParseQueue(text)) << text;
    EXPECT_FALSE(ParseFound(text)) << text;
  }
  const auto refused = ParseQueue("{}");
  EXPECT_THAT(refused.error().message, HasSubstr("same version"));
}

}  // namespace
}  // namespace postrider::tools
