#include "engine/observe/event_tally.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include <fmt/format.h>

namespace postrider::observe {
namespace {

using queue::Event;
using queue::EventKind;

Event At(std::string site, std::string provider = "") {
  Event event;
  event.site = std::move(site);
  event.provider = std::move(provider);
  return event;
}

std::uint64_t Count(const EventCounts& counts, std::string label, EventKind kind = EventKind::kDelivered) {
  const auto found = counts.by_label.find({std::move(label), kind});
  return found == counts.by_label.end() ? 0 : found->second;
}

std::uint64_t Observations(const Histogram& histogram) {
  return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

TEST(EventTally, CountsByProviderElseBySite) {
  EventTally tally(10);
  tally.Add(At("gmail-smtp-in.l.google.com", "google"));
  tally.Add(At("aspmx.l.google.com", "google"));
  tally.Add(At("mx.example.org"));
  Event bounced = At("mx.example.org");
  bounced.kind = EventKind::kBounced;
  tally.Add(bounced);
  const EventCounts counts = tally.Copy();
  EXPECT_EQ(Count(counts, "google"), 2u);
  EXPECT_EQ(Count(counts, "mx.example.org"), 1u);
  EXPECT_EQ(Count(counts, "mx.example.org", EventKind::kBounced), 1u);
  EXPECT_EQ(counts.by_label.size(), 3u);
}

TEST(EventTally, CountsWhatRepliesMeanAndWhichBouncesAreHard) {
  EventTally tally(10);
  const auto add = [&](EventKind kind, Category category) {
    Event event = At("", "google");
    event.kind = kind;
    event.category = category;
    tally.Add(event);
  };
  add(EventKind::kDelivered, Category::kNone);
  add(EventKind::kDeferred, Category::kThrottled);
  add(EventKind::kDeferred, Category::kThrottled);
  add(EventKind::kDeferred, Category::kBadMailbox);
  add(EventKind::kBounced, Category::kBadMailbox);
  add(EventKind::kBounced, Category::kInactiveMailbox);
  add(EventKind::kBounced, Category::kSpamBlock);
  add(EventKind::kPath, Category::kNoAnswerFromHost);
  add(EventKind::kExpired, Category::kMessageExpired);
  const EventCounts counts = tally.Copy();
  const std::map<std::pair<std::string, Category>, std::uint64_t> expected = {
      {{"google", Category::kThrottled}, 2},        {{"google", Category::kBadMailbox}, 2},
      {{"google", Category::kInactiveMailbox}, 1},  {{"google", Category::kSpamBlock}, 1},
      {{"google", Category::kNoAnswerFromHost}, 1},
  };
  EXPECT_EQ(counts.by_category, expected);
  EXPECT_EQ(counts.hard_bounces, (std::map<std::string, std::uint64_t>{{"google", 2}}));
}

TEST(EventTally, NamesOnlySoManySitesAndNeverTakesANameAway) {
  EventTally tally(2);
  for (int round = 0; round < 3; ++round) {
    for (int site = 0; site < 50; ++site) tally.Add(At(fmt::format("mx{}.example.org", site)));
  }
  const EventCounts counts = tally.Copy();
  EXPECT_EQ(Count(counts, "mx0.example.org"), 3u);
  EXPECT_EQ(Count(counts, "mx1.example.org"), 3u);
  EXPECT_EQ(Count(counts, "other"), 3u * 48);
  EXPECT_EQ(counts.by_label.size(), 3u);
}

TEST(EventTally, PutsEventsBeforeAnySiteIsKnownUnderOther) {
  EventTally tally(2);
  tally.Add(At(""));
  EXPECT_EQ(Count(tally.Copy(), "other"), 1u);
}

TEST(EventTally, BoundsEvenProviders) {
  EventTally tally(0);
  for (int i = 0; i < 1000; ++i) tally.Add(At("", fmt::format("provider{}", i)));
  EXPECT_LE(tally.Copy().by_label.size(), 257u);
}

TEST(EventTally, LeavesCampaignEventsOut) {
  EventTally tally(2);
  Event event = At("");
  event.kind = EventKind::kCampaign;
  event.final = true;
  tally.Add(event);
  EXPECT_TRUE(tally.Copy().by_label.empty());
  EXPECT_EQ(Observations(tally.Copy().queue_seconds[0]), 0u);
}

TEST(EventTally, ObservesFirstAttemptsAndEndsByClass) {
  EventTally tally(2);
  Event event = At("mx.example.org");
  event.kind = EventKind::kDeferred;
  event.attempt = 1;
  event.queued_seconds = 2;
  tally.Add(event);
  event.attempt = 2;
  event.kind = EventKind::kDelivered;
  event.final = true;
  event.connection = 7;
  event.queued_seconds = 420;
  event.smtp_seconds = 0.5;
  tally.Add(event);
  Event transactional = event;
  transactional.mail_class = MailClass::kTransactional;
  transactional.attempt = 1;
  tally.Add(transactional);
  Event path = At("mx.example.org");
  path.kind = EventKind::kPath;
  path.attempt = 1;
  tally.Add(path);

  const EventCounts counts = tally.Copy();
  EXPECT_EQ(Observations(counts.first_attempt_seconds[0]), 1u);
  EXPECT_DOUBLE_EQ(counts.first_attempt_seconds[0].sum, 2);
  EXPECT_EQ(Observations(counts.queue_seconds[0]), 1u);
  EXPECT_DOUBLE_EQ(counts.queue_seconds[0].sum, 420.5);
  EXPECT_EQ(Observations(counts.first_attempt_seconds[1]), 1u);
  EXPECT_EQ(Observations(counts.queue_seconds[1]), 1u);
}

TEST(EventTally, AnEndWithoutAnAttemptIsNoFirstAttempt) {
  EventTally tally(2);
  Event event = At("mx.example.org");
  event.kind = EventKind::kDeferred;
  event.attempt = 1;
  event.queued_seconds = 2;
  tally.Add(event);
  // The number is that of the attempt before.
  event.final = true;
  event.queued_seconds = 86'400;
  for (const EventKind kind :
       {EventKind::kExpired, EventKind::kCancelled, EventKind::kSuppressed, EventKind::kBounced}) {
    event.kind = kind;
    tally.Add(event);
  }
  const EventCounts counts = tally.Copy();
  EXPECT_EQ(Observations(counts.first_attempt_seconds[0]), 1u);
  EXPECT_EQ(Observations(counts.queue_seconds[0]), 4u);
}

}  // namespace
}  // namespace postrider::observe
