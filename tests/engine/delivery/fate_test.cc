// What replies do to a recipient: delivered, deferred by schedule, bounced, unknown; and what only holds the path.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

std::vector<queue::Event> EventsOf(const World& world, const std::string& address) {
  std::vector<queue::Event> events;
  std::ranges::copy_if(world.queue.events(), std::back_inserter(events),
                       [&address](const queue::Event& event) { return event.recipient == address; });
  return events;
}

TEST(Fate, A4xxToTheRecipientIsTriedAgainByTheClassesSchedule) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.grey.test", {"grey.test"});
  int refusals = 3;
  receiver.script.on_rcpt = [&refusals](const ReceivedMessage&) {
    return refusals-- > 0 ? std::string("450 4.2.0 greylisted") : std::string();
  };
  world.Submit({.recipients = {"ana@grey.test"}});
  ASSERT_TRUE(world.RunToEnd(hours(3)));
  const std::vector<queue::Event> events = EventsOf(world, "ana@grey.test");
  ASSERT_EQ(events.size(), 4u);
  const std::vector<minutes> waits = {minutes(7), minutes(15), minutes(30)};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].kind, EventKind::kDeferred);
    EXPECT_EQ(events[i].attempt, i + 1);
    EXPECT_EQ(events[i].stage, Stage::kRcpt);
    EXPECT_EQ(events[i].code, 450);
    const auto wait = *events[i].next_due - events[i].time;
    EXPECT_GE(wait, waits[i]);
    EXPECT_LE(wait, waits[i] * 6 / 5);
    EXPECT_GE(events[i + 1].time, *events[i].next_due);
    EXPECT_LE(events[i + 1].time, *events[i].next_due + seconds(3));
  }
  EXPECT_EQ(events[3].kind, EventKind::kDelivered);
  EXPECT_EQ(events[3].attempt, 4);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Fate, ADeferredRecipientExpiresWhenTheCampaignDoes) {
  World world;
  world.AddReceiver("mx.grey.test", {"grey.test"}).script.on_rcpt = [](const ReceivedMessage&) {
    return "450 4.2.0 never";
  };
  const Wall begun = world.now().wall;
  world.Submit({.recipients = {"ana@grey.test"}, .expires_after = minutes(40)});
  ASSERT_TRUE(world.RunToEnd(hours(3)));
  const std::vector<queue::Event> events = EventsOf(world, "ana@grey.test");
  EXPECT_EQ(events.back().kind, EventKind::kExpired);
  EXPECT_TRUE(events.back().final);
  EXPECT_GE(events.back().time, begun + minutes(40));
  EXPECT_LE(events.back().time, begun + minutes(41));
  EXPECT_NE(events.back().reply.find("4.2.0 never"), std::string::npos);
  EXPECT_EQ(world.CheckConservation(), "");
}

// Standing campaigns have no end of their own: each message has.
WorldSettings ShortExpiry() {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.retry_bulk.expiry = hours(2);
  return settings;
}

queue::CampaignSpec StandingSpec() {
  queue::CampaignSpec spec;
  spec.standing = true;
  return spec;
}

TEST(Fate, AMessageOfAStandingCampaignExpiresAtItsAge) {
  World world(ShortExpiry());
  world.AddReceiver("mx.grey.test", {"grey.test"}).script.on_rcpt = [](const ReceivedMessage&) {
    return "450 4.2.0 never";
  };
  const Wall begun = world.now().wall;
  world.Submit({.recipients = {"ana@grey.test"}, .spec = StandingSpec()});
  ASSERT_TRUE(world.RunToEnd(hours(4)));
  const std::vector<queue::Event> events = EventsOf(world, "ana@grey.test");
  EXPECT_EQ(events.back().kind, EventKind::kExpired);
  EXPECT_GE(events.back().time, begun + hours(2));
  EXPECT_LE(events.back().time, begun + hours(2) + minutes(1));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Fate, AMessageOfAStandingCampaignExpiresAlsoWhereNothingCanBeSent) {
  World world(ShortExpiry());
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.listening = false;
  const Wall begun = world.now().wall;
  world.Submit({.recipients = Recipients(600, {"dead.test"}), .spec = StandingSpec()});
  world.RunFor(minutes(119));
  EXPECT_EQ(world.queue.queued(), 600u);
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 600u);
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind == EventKind::kExpired) {
      EXPECT_GE(event.time, begun + hours(2));
    }
  }
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Fate, A5xxAboutTheMailboxBouncesItAlone) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) {
    return message.to.starts_with("ana1") ? std::string("550 5.1.1 no such user") : std::string();
  };
  world.Submit({.recipients = Recipients(100, {"some.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 11u);  // 1 and 10 to 19
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 89u);
  EXPECT_EQ(world.CheckConservation(), "");
  const std::vector<queue::Event> events = EventsOf(world, "ana12@some.test");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].category, Category::kBadMailbox);
  EXPECT_EQ(events[0].enhanced, (EnhancedCode{5, 1, 1}));
}

TEST(Fate, A5xxAboutUsHoldsThePathAndChargesNobody) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.block.test", {"block.test"});
  bool blocked = true;
  receiver.script.on_rcpt = [&blocked](const ReceivedMessage&) {
    return blocked ? std::string("554 5.7.1 your address is on a block list") : std::string();
  };
  const std::vector<std::string> recipients = Recipients(200, {"block.test"});
  world.Submit({.recipients = recipients});
  world.RunFor(minutes(5));
  EXPECT_EQ(world.queue.queued(), 200u);
  for (const std::string& address : recipients) EXPECT_EQ(world.queue.Find(address).attempts, 0) << address;
  EXPECT_EQ(world.queue.PathEvents().size(), 1u);
  EXPECT_LE(receiver.sessions, 20u);
  blocked = false;
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 200u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Fate, TwentyRefusalsInARowHoldThePathForLong) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.block.test", {"block.test"});
  receiver.script.on_mail = [](const ReceivedMessage&) { return "550 5.7.1 sender rejected"; };
  world.Submit({.recipients = Recipients(2000, {"block.test"})});
  world.RunFor(hours(24));
  const std::uint64_t sessions = receiver.sessions;
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 0u);
  world.RunFor(hours(3));
  EXPECT_LE(receiver.sessions - sessions, 4u) << "hours, not minutes, between probes";
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Fate, OneRecipientThatThePathIsRefusedForDoesNotBlockItForEver) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.picky.test", {"picky.test"});
  receiver.script.on_content = [](const ReceivedMessage& message) {
    return message.to == "ana0@picky.test" ? std::string("554 5.7.0 policy") : std::string();
  };
  world.Submit({.recipients = Recipients(50, {"picky.test"})});
  EXPECT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kDelivered) == 49; }, hours(2)));
  EXPECT_EQ(world.queue.queued(), 1u);
  EXPECT_EQ(EventsOf(world, "ana0@picky.test").front().kind, EventKind::kDeferred);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unknown, IsRepeatedTwiceAndThenFinal) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.lossy.test", {"lossy.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string(kReset); };
  world.Submit({.recipients = {"ana@lossy.test"}});
  ASSERT_TRUE(world.RunToEnd(hours(5)));
  const std::vector<queue::Event> events = EventsOf(world, "ana@lossy.test");
  ASSERT_EQ(events.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].kind, EventKind::kUnknown);
    EXPECT_EQ(events[i].final, i == 2);
    if (i < 2) {
      EXPECT_GE(*events[i].next_due - events[i].time, minutes(30));
    }
  }
  EXPECT_EQ(receiver.taken.size(), 3u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unknown, IsOnlyReportedWhereTheCampaignSaysSo) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.lossy.test", {"lossy.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string(kStall); };
  queue::CampaignSpec spec;
  spec.on_unknown = queue::OnUnknown::kReport;
  world.Submit({.recipients = {"ana@lossy.test"}, .spec = spec});
  world.RunFor(minutes(9));
  EXPECT_EQ(world.queue.queued(), 1u) << "the final reply has ten minutes";
  ASSERT_TRUE(world.RunToEnd(minutes(3)));
  EXPECT_EQ(world.queue.Count(EventKind::kUnknown), 1u);
  EXPECT_EQ(receiver.sessions, 1u);
}

TEST(MidFlight, A421ChargesNobodyAndTheRestGoesOn) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.cap.test", {"cap.test"});
  receiver.script.messages_per_session = 7;
  world.Submit({.recipients = Recipients(100, {"cap.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(1))) << "a cap per connection is no reason to wait";
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 100u);
  EXPECT_EQ(world.CheckConservation(), "");
  EXPECT_TRUE(std::ranges::all_of(world.queue.events(), [](const queue::Event& event) { return event.attempt <= 1; }));
}

TEST(MidFlight, AResetMarksOnlyWhatWasSentWholeAsUnknown) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.flaky.test", {"flaky.test"});
  int countdown = 25;
  receiver.script.on_content = [&countdown](const ReceivedMessage&) {
    return countdown-- == 0 ? std::string(kReset) : std::string();
  };
  world.Submit({.recipients = Recipients(100, {"flaky.test"})});
  ASSERT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 100u);
  const auto unknown = std::ranges::count(world.queue.events(), EventKind::kUnknown, &queue::Event::kind);
  EXPECT_EQ(unknown, 1);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(MidFlight, AReplyThatCameBeforeTlsBrokeCounts) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.flaky.test", {"flaky.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return "250 2.0.0 taken" + std::string(kThenBrokenTls); };
  world.Submit({.recipients = {"ana@flaky.test"}});
  ASSERT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1u);
  EXPECT_EQ(world.queue.Count(EventKind::kUnknown), 0u);
  EXPECT_EQ(receiver.taken.size(), 1u) << "and was not sent again";
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(MidFlight, AServerThatBreaksAtMailIsLeftAloneAndItsMailDeferredInTheEnd) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.bad.test", {"bad.test"});
  receiver.script.on_mail = [](const ReceivedMessage&) { return std::string(kReset); };
  world.Submit({.recipients = {"ana@bad.test"}});
  world.RunFor(hours(2));
  EXPECT_LE(receiver.sessions, 12u);
  const std::vector<queue::Event> events = EventsOf(world, "ana@bad.test");
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].kind, EventKind::kDeferred);
  EXPECT_EQ(events[0].attempt, 1);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unsupported, BouncesWithOurSentence) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.small.test", {"small.test"});
  receiver.script.extensions = {"SIZE 100"};
  CampaignPlan plan{.recipients = {"ana@small.test"}};
  plan.message += std::string(2000, 'x').insert(900, "\r\n").insert(1800, "\r\n");
  world.Submit(plan);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 1u);
  EXPECT_EQ(world.queue.events().back().stage, Stage::kMail);
  EXPECT_NE(world.queue.events().back().reply, "");
}

TEST(Outcome, ARepeatHasTheSameMessageIdWhateverTheHostIsCalledMeanwhile) {
  WorldSettings settings;
  settings.options = TestOptions();
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string("451 4.3.0 later"); };
  world.Submit({.recipients = {"ana@one.test"}, .host_name = "accepted.sender.test"});
  world.RunFor(std::chrono::seconds(5));
  receiver.script.on_content = nullptr;
  settings.options.host_name = "renamed.sender.test";
  world.Reload(settings.options);
  ASSERT_TRUE(world.RunToEnd(std::chrono::hours(4)));
  const std::vector<queue::Event> events = EventsOf(world, "ana@one.test");
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, EventKind::kDeferred);
  EXPECT_EQ(events[1].kind, EventKind::kDelivered);
  EXPECT_EQ(events[0].message_id, events[1].message_id);
  EXPECT_TRUE(events[1].message_id.ends_with("@accepted.sender.test>")) << events[1].message_id;
  ASSERT_EQ(receiver.taken.size(), 1u);
  EXPECT_TRUE(receiver.taken[0].content.contains("Message-ID: " + events[1].message_id + "\r\n"));
}

TEST(Outcome, NamesAllThatTheLogMustTell) {
  World world;
  world.AddReceiver("mx.full.test", {"full.test"});
  queue::CampaignSpec spec;
  spec.name = "offer";
  world.Submit({.recipients = {"ana@full.test", "bob@full.test"}, .spec = spec});
  ASSERT_TRUE(world.RunToEnd());
  const std::vector<queue::Event> events = EventsOf(world, "bob@full.test");
  ASSERT_EQ(events.size(), 1u);
  const queue::Event& event = events[0];
  EXPECT_EQ(event.kind, EventKind::kDelivered);
  EXPECT_TRUE(event.final);
  EXPECT_EQ(event.attempt, 1);
  EXPECT_EQ(event.campaign, "offer");
  EXPECT_EQ(event.row_id, "row-2");
  EXPECT_EQ(event.domain, "full.test");
  EXPECT_EQ(event.site, "mx.full.test");
  EXPECT_EQ(event.mx_host, "mx.full.test");
  EXPECT_EQ(event.mx_address, "9.9.0.2");
  EXPECT_EQ(event.source, "first");
  EXPECT_EQ(event.local_address, "11.0.0.1");
  EXPECT_EQ(event.pool, "default");
  EXPECT_EQ(event.envelope_from, "bounce@sender.test");
  EXPECT_TRUE(event.message_id.starts_with('<') && event.message_id.ends_with("@mail.sender.test>"));
  EXPECT_EQ(event.connection, 1u);
  EXPECT_EQ(event.connection_message, 2u);
  EXPECT_EQ(event.stage, Stage::kContent);
  EXPECT_EQ(event.code, 250);
  EXPECT_EQ(event.reply, "2.0.0 taken");
  EXPECT_EQ(event.tls_version, "TLSv1.3");
  EXPECT_EQ(event.tls_cipher, "STAND_IN");
  EXPECT_GT(event.bytes, 50u);
  EXPECT_GT(event.smtp_seconds, 0);
}

TEST(MidFlight, AnUnknownWhoseTimeIsOverBeforeItsNextAttemptStaysUnknown) {
  World world;
  world.AddReceiver("mx.lossy.test", {"lossy.test"}).script.on_content = [](const ReceivedMessage&) {
    return std::string(kReset);
  };
  world.Submit({.recipients = {"ana@lossy.test"}, .expires_after = minutes(10)});
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_EQ(world.queue.Count(EventKind::kUnknown), 1u);
  EXPECT_TRUE(EventsOf(world, "ana@lossy.test").back().final);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unsupported, BouncesByTheSizeItselfNotByAnEstimate) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.small.test", {"small.test"});
  CampaignPlan plan{.recipients = {"ana@small.test"}};
  plan.message = "From: news@sender.test\r\nSubject: {{to}}{{to}}{{to}}{{to}}{{to}}\r\n\r\nhello\r\n";
  world.Submit(plan);
  ASSERT_TRUE(world.RunToEnd());
  const std::size_t size = receiver.taken.at(0).content.size();
  world.RunFor(minutes(5));
  receiver.script.extensions = {fmt::format("SIZE {}", size)};
  world.Submit(plan);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 2u);
  world.RunFor(minutes(5));
  receiver.script.extensions = {fmt::format("SIZE {}", size - 1)};
  world.Submit(plan);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 1u);
}

TEST(Unsupported, IsNotForABackupToSay) {
  World world;
  Receiver& first = world.AddReceiver("mx1.two.test", {"two.test"}, 10);
  Receiver& backup = world.AddReceiver("mx2.two.test", {"two.test"}, 20);
  first.script.listening = false;
  backup.script.extensions = {"SIZE 100"};
  world.Submit({.recipients = {"ana@two.test"}});
  world.RunFor(minutes(1));
  EXPECT_EQ(EventsOf(world, "ana@two.test").size(), 1u);
  EXPECT_EQ(world.queue.queued(), 1u);
  first.script.listening = true;
  ASSERT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(first.taken.size(), 1u);
}

TEST(Unsupported, IsNotForAServerToSayThatRefusedEhlo) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.old.test", {"old.test"});
  receiver.script.ehlo = "502 5.5.1 not now";
  CampaignPlan plan{.recipients = {"ana@old.test"}};
  plan.message = "From: <caf\xc3\xa9@sender.test>\r\nSubject: hello\r\n\r\nhello\r\n";
  world.Submit(plan);
  world.RunFor(minutes(1));
  ASSERT_EQ(EventsOf(world, "ana@old.test").size(), 1u);
  EXPECT_EQ(EventsOf(world, "ana@old.test")[0].kind, EventKind::kDeferred);
  EXPECT_TRUE(EventsOf(world, "ana@old.test")[0].reply.contains("SMTPUTF8"));
  receiver.script.ehlo.clear();
  ASSERT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(receiver.taken.size(), 1u);
}

}  // namespace
}  // namespace postrider::delivery
