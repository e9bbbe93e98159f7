#include "engine/observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "engine/observe/build_info.h"
#include "tests/engine/observe/fake_control.h"

namespace postrider::observe {
namespace {

using queue::CampaignState;
using queue::CampaignTotals;
using testing::HasSubstr;

std::vector<std::string> Lines(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream stream(page);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Series ("name{labels}") and their values.
std::map<std::string, double> Series(const std::string& page) {
  std::map<std::string, double> series;
  for (const std::string& line : Lines(page)) {
    if (line.starts_with('#')) continue;
    const std::size_t blank = line.rfind(' ');
    EXPECT_TRUE(series.emplace(line.substr(0, blank), std::stod(line.substr(blank + 1))).second) << "twice: " << line;
  }
  return series;
}

CampaignTotals Balanced() {
  CampaignTotals totals;
  totals.rows = 100;
  totals.accepted = 90;
  totals.rejected = 5;
  totals.duplicate = 3;
  totals.suppressed_at_intake = 2;
  totals.delivered = 50;
  totals.bounced = 6;
  totals.expired = 5;
  totals.suppressed = 4;
  totals.cancelled = 3;
  totals.unknown = 2;
  totals.deferrals = 17;
  return totals;
}

Snapshot TwoCores() {
  Snapshot snapshot;
  snapshot.totals = Balanced();
  for (std::uint32_t i = 0; i < 2; ++i) {
    delivery::CoreSnapshot core;
    core.core = i;
    core.counts.attempts = 10 + i;
    core.counts.handshakes_full = 3;
    core.counts.handshakes_resumed = 4;
    core.counts.limited_seconds[static_cast<std::size_t>(Limit::kMessageRate)] = 1.5;
    core.counts.connect_seconds.Observe(0.002);
    core.counts.connect_seconds.Observe(1e6);
    core.connections_busy = 7;
    core.lateness_seconds = i;
    core.dns.queries = 5;
    snapshot.cores.push_back(core);
  }
  snapshot.store.commits = 11;
  snapshot.store.sync_seconds = 0.25;
  snapshot.queue_free_share = 0.75;
  snapshot.log_free_share = 0.5;
  snapshot.last_reload = Wall(std::chrono::milliseconds(1'795'499'045'007));
  return snapshot;
}

TEST(Metrics, GiveTheFiguresOfQueueAndCores) {
  EventCounts events;
  events.by_label[{"google", queue::EventKind::kDelivered}] = 40;
  events.by_label[{"other", queue::EventKind::kPath}] = 1;
  const auto series = Series(RenderMetrics(TwoCores(), {}, events));
  const std::map<std::string, double> expected = {
      {"postrider_rows_total", 100},
      {"postrider_accepted_total", 90},
      {"postrider_rejected_total", 5},
      {"postrider_duplicate_total", 3},
      {"postrider_suppressed_at_intake_total", 2},
      {"postrider_delivered_total", 50},
      {"postrider_deferred_total", 17},
      {"postrider_bounced_total", 6},
      {"postrider_expired_total", 5},
      {"postrider_suppressed_total", 4},
      {"postrider_cancelled_total", 3},
      {"postrider_unknown_total", 2},
      {"postrider_queued", 20},
      {"postrider_events_total{receiver=\"google\",event=\"delivered\"}", 40},
      {"postrider_attempts_total", 21},
      {"postrider_connections{state=\"busy\"}", 14},
      {"postrider_connections{state=\"idle\"}", 0},
      {"postrider_tls_handshakes_total{result=\"full\"}", 6},
      {"postrider_tls_handshakes_total{result=\"resumed\"}", 8},
      {"postrider_limited_seconds_total{limit=\"message-rate\"}", 3},
      {"postrider_lateness_seconds", 1},
      {"postrider_dns_queries_total", 10},
      {"postrider_store_commits_total", 11},
      {"postrider_store_sync_seconds_total", 0.25},
      {"postrider_disk_free_ratio{disk=\"queue\"}", 0.75},
      {"postrider_disk_free_ratio{disk=\"log\"}", 0.5},
      {"postrider_last_reload_successful", 1},
      {"postrider_last_reload_timestamp_seconds", 1'795'499'045.007},
  };
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(series.contains(name)) << name;
    EXPECT_DOUBLE_EQ(series.at(name), value) << name;
  }
}

TEST(Metrics, MakeHistogramsCumulative) {
  const auto series = Series(RenderMetrics(TwoCores(), {}, {}));
  const auto bucket = [&](const std::string& bound) {
    return series.at("postrider_phase_seconds_bucket{phase=\"connect\",le=\"" + bound + "\"}");
  };
  EXPECT_EQ(bucket("0.001"), 0);
  EXPECT_EQ(bucket("0.0025"), 2);
  EXPECT_EQ(bucket("172800"), 2);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(series.at("postrider_phase_seconds_count{phase=\"connect\"}"), 4);
  EXPECT_DOUBLE_EQ(series.at("postrider_phase_seconds_sum{phase=\"connect\"}"), 2 * (0.002 + 1e6));
}

TEST(Metrics, KeepToTheConventionsOfPrometheus) {
  EventCounts events;
  events.by_label[{"google", queue::EventKind::kDelivered}] = 40;
  const std::string page = RenderMetrics(TwoCores(), {}, events);
  const std::regex kName("(postrider|process)_[a-z0-9_]*[a-z0-9]");
  std::set<std::string> helped;
  std::map<std::string, std::string> types;
  for (const std::string& line : Lines(page)) {
    std::istringstream words(line);
    std::string mark, word, name, rest;
    if (!line.starts_with('#')) continue;
    words >> mark >> word >> name;
    std::getline(words, rest);
    EXPECT_TRUE(std::regex_match(name, kName)) << name;
    if (word == "HELP") {
      EXPECT_GT(rest.size(), 10u) << name;
      EXPECT_TRUE(helped.insert(name).second) << name << " has two families";
    }
    if (word == "TYPE") types[name] = rest.substr(1);
  }
  EXPECT_GT(types.size(), 50u);
  for (const auto& [name, type] : types) {
    EXPECT_TRUE(helped.contains(name)) << name;
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
    for (const char* suffix : {"_count", "_sum", "_bucket"}) EXPECT_FALSE(name.ends_with(suffix)) << name;
    for (const char* unit : {"milliseconds", "minutes", "hours", "kilobytes", "megabytes", "percent"}) {
      EXPECT_EQ(name.find(unit), std::string::npos) << name;
    }
  }
}

TEST(Metrics, NeverNameACampaign) {
  FakeControl control;
  control.AddCampaign("secret-campaign", CampaignState::kRunning);
  const std::string page = RenderMetrics(TwoCores(), control.campaigns, {});
  EXPECT_EQ(page.find("secret"), std::string::npos);
  EXPECT_THAT(page, HasSubstr("postrider_campaigns{state=\"running\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("postrider_campaigns{state=\"paused\"} 0\n"));
}

TEST(Metrics, TellHowManyWaitInCampaignsThatRun) {
  FakeControl control;
  CampaignTotals totals;
  totals.accepted = 100;
  totals.delivered = 30;
  for (const CampaignState state : {CampaignState::kRunning, CampaignState::kPaused, CampaignState::kHeld}) {
    control.AddCampaign("campaign", state, totals);
  }
  auto later = std::make_shared<queue::Campaign>(*control.campaigns[0]);
  later->spec.not_before = Wall(std::chrono::seconds(60));
  control.campaigns.push_back(later);
  Snapshot snapshot;
  EXPECT_EQ(Series(RenderMetrics(snapshot, control.campaigns, {})).at("postrider_queued_running"), 70);
  snapshot.time.wall = Wall(std::chrono::seconds(60));
  EXPECT_EQ(Series(RenderMetrics(snapshot, control.campaigns, {})).at("postrider_queued_running"), 140);
}

TEST(Metrics, EscapeWhatLabelsHold) {
  EventCounts events;
  events.by_label[{"mx\"\n\\.example", queue::EventKind::kDelivered}] = 1;
  EXPECT_THAT(RenderMetrics(TwoCores(), {}, events), HasSubstr(R"(receiver="mx\"\n\\.example")"));
}

TEST(Metrics, BalanceTheBooks) {
  const auto series = Series(RenderMetrics(TwoCores(), {}, {}));
  EXPECT_EQ(series.at("postrider_conservation_intake_difference"), 0);
  EXPECT_EQ(series.at("postrider_conservation_queue_difference"), 0);
}

TEST(Conservation, ShowsRowsThatIntakeLostOrInvented) {
  CampaignTotals totals = Balanced();
  ++totals.rows;
  EXPECT_EQ(CheckConservation(totals, {}).intake_difference, 1);
  totals.rows -= 3;
  EXPECT_EQ(CheckConservation(totals, {}).intake_difference, -2);
}

TEST(Conservation, ShowsRecipientsThatEndedTwice) {
  CampaignTotals totals = Balanced();
  totals.delivered = 75;
  EXPECT_EQ(CheckConservation(totals, {}).queue_difference, -5);
}

TEST(Conservation, ShowsRecipientsOfDoneCampaignsThatNeverEnded) {
  FakeControl control;
  CampaignTotals totals;
  totals.accepted = 10;
  totals.delivered = 8;
  control.AddCampaign("running", CampaignState::kRunning, totals);
  EXPECT_EQ(CheckConservation(Balanced(), control.campaigns).queue_difference, 0);
  control.AddCampaign("done", CampaignState::kDone, totals);
  EXPECT_EQ(CheckConservation(Balanced(), control.campaigns).queue_difference, 2);
}

}  // namespace
}  // namespace postrider::observe
