// What cores tell of their conversations: live, and of those that failed.

#include <fmt/format.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> TextsOf(const std::vector<TraceLine>& lines) {
  std::vector<std::string> texts;
  for (const TraceLine& line : lines) texts.push_back(ToMark(line.direction) + (" " + line.text));
  return texts;
}

std::vector<FailedConversation> FailuresOf(World& world, std::string site = "mx.some.test") {
  return world.Trace({.site = std::move(site), .failures = 100}).failures;
}

TEST(Trace, ShowsAConversationLineByLineWithoutItsContent) {
  World world;
  world.AddReceiver("mx.some.test", {"some.test"});
  world.AddReceiver("mx.other.test", {"other.test"});
  TraceAnswer answer = world.Trace({.site = "mx.some.test", .live = true});
  EXPECT_FALSE(answer.site_known);
  world.Submit({.recipients = {"ana@some.test", "bob@other.test"}});
  ASSERT_TRUE(world.RunToEnd());
  answer = world.Trace({.site = "mx.some.test", .live = true, .after = answer.next});
  EXPECT_TRUE(answer.site_known);
  const std::vector<std::string> texts = TextsOf(answer.lines);
  ASSERT_GT(texts.size(), 15u);
  EXPECT_THAT(texts[0], HasSubstr("* connect to mx.some.test (9.9.0.2) port 25"));
  EXPECT_EQ(texts[1], "* connected from 11.0.0.1");
  EXPECT_EQ(texts[2], "< 220 mx ESMTP");
  EXPECT_EQ(texts[3], "> EHLO first.sender.test");
  EXPECT_THAT(texts[4], HasSubstr("< 250-mx greets you\n250-PIPELINING\n"));
  EXPECT_EQ(texts[5], "> STARTTLS");
  EXPECT_EQ(texts[6], "< 220 go ahead");
  EXPECT_THAT(texts[7], HasSubstr("* TLSv1"));
  const std::vector<std::string> message(texts.begin() + 10, texts.begin() + 18);
  EXPECT_THAT(message,
              ElementsAre(HasSubstr("> MAIL FROM:<"), "> RCPT TO:<ana@some.test>", "> DATA", "< 250 2.1.0 sender ok",
                          "< 250 2.1.5 recipient ok", "< 354 go on", HasSubstr("> (content: "), "< 250 2.0.0 taken"));
  EXPECT_EQ(answer.lines[3].source, "first");
  EXPECT_EQ(answer.lines[3].connection, answer.lines[0].connection);
  EXPECT_LE(answer.lines.back().time, world.now().wall);
  EXPECT_TRUE(FailuresOf(world).empty());
}

TEST(Trace, EndsByItselfWhenNobodyAsks) {
  World world;
  world.AddReceiver("mx.some.test", {"some.test"});
  const std::uint64_t next = world.Trace({.site = "mx.some.test", .live = true}).next;
  world.RunFor(seconds(10));
  world.Submit({.recipients = {"ana@some.test"}});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_TRUE(world.Trace({.site = "mx.some.test", .live = true, .after = next}).lines.empty());
}

TEST(Trace, KeepsWhatWasRefusedBeforeAnyMail) {
  struct Case {
    std::string name;
    std::function<void(ReceiverScript&)> change;
    std::string problem;
    std::string last_line;
  };
  const Case cases[] = {
      {"banner", [](ReceiverScript& script) { script.banner = "554 5.7.1 not you"; }, "banner: 554 5.7.1 not you",
       "refused at the stage banner"},
      {"refused", [](ReceiverScript& script) { script.listening = false; }, "onnection refused", "onnection refused"},
      {"silent", [](ReceiverScript& script) { script.silent = true; }, "no answer", "no answer"},
      {"stalled", [](ReceiverScript& script) { script.banner = kStall; }, "no answer in time at the stage banner",
       "no answer in time"},
      {"reset", [](ReceiverScript& script) { script.banner = kReset; }, "", ""},
      {"TLS", [](ReceiverScript& script) { script.tls_broken = true; }, "", ""},
      {"garbage", [](ReceiverScript& script) { script.banner = "hello\x1b[2J"; }, "expected a reply",
       "three-digit code"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    World world;
    one.change(world.AddReceiver("mx.some.test", {"some.test"}).script);
    world.Submit({.recipients = {"ana@some.test"}});
    ASSERT_TRUE(world.RunUntil([&] { return !FailuresOf(world).empty(); }, minutes(20)));
    const FailedConversation failed = FailuresOf(world).front();
    EXPECT_THAT(failed.problem, HasSubstr(one.problem));
    EXPECT_EQ(failed.source, "first");
    EXPECT_EQ(failed.host, "mx.some.test");
    EXPECT_EQ(failed.address, "9.9.0.2");
    ASSERT_FALSE(failed.lines.empty());
    EXPECT_THAT(failed.lines.front().text, HasSubstr("connect to mx.some.test"));
    EXPECT_THAT(failed.lines.back().text, HasSubstr(one.last_line));
    EXPECT_TRUE(std::ranges::none_of(failed.lines, [](const TraceLine& line) { return line.text.contains('\x1b'); }));
  }
}

TEST(Trace, KeepsAnUnknownHostName) {
  World world;
  world.AddReceiver("mx.some.test", {"some.test"});
  world.names.addresses.erase("mx.some.test");
  world.Submit({.recipients = {"ana@some.test"}});
  world.RunFor(seconds(5));
  const std::vector<FailedConversation> failures = FailuresOf(world);
  ASSERT_FALSE(failures.empty());
  EXPECT_THAT(failures.front().problem, HasSubstr("no such name"));
}

TEST(Trace, KeepsWhatWasRefusedAtMailWithTheConversationBeforeIt) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_mail = [](const ReceivedMessage& message) {
    return message.number == 3 ? "451 4.7.1 not now" : std::string();
  };
  world.Submit({.recipients = Recipients(5, {"some.test"})});
  world.RunFor(seconds(2));
  const std::vector<FailedConversation> failures = FailuresOf(world);
  ASSERT_FALSE(failures.empty());
  EXPECT_EQ(failures[0].problem, "mail: 451 4.7.1 not now");
  const std::vector<std::string> texts = TextsOf(failures[0].lines);
  EXPECT_THAT(texts, testing::Contains("* 2 messages that ended well are left out"));
  EXPECT_THAT(texts, testing::Contains("< 451 4.7.1 not now"));
  EXPECT_THAT(texts, testing::Contains("> EHLO first.sender.test"));
}

TEST(Trace, LeavesOutWhatIsTheRecipientsFaultAndAConnectionThatEndsInPeace) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) {
    return message.to.starts_with("ana1") ? "550 5.1.1 no such user" : std::string();
  };
  world.Submit({.recipients = Recipients(10, {"some.test"})});
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(minutes(10));
  EXPECT_EQ(receiver.open, 0u);
  EXPECT_TRUE(FailuresOf(world).empty());
}

TEST(Trace, KeepsARefusalOfOurAddressAtAnyStage) {
  WorldSettings settings;
  auto classifier = ReplyClassifier::Load({}, Options().Providers());
  ASSERT_TRUE(classifier.has_value());
  settings.classifier = *classifier;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) {
    return "554 5.7.1 Service unavailable; Client host [11.0.0.1] blocked using zen.spamhaus.org";
  };
  world.Submit({.recipients = {"ana@some.test"}});
  world.RunFor(seconds(2));
  const std::vector<FailedConversation> failures = FailuresOf(world);
  ASSERT_FALSE(failures.empty());
  EXPECT_THAT(failures[0].problem, HasSubstr("rcpt: 554 5.7.1 Service unavailable"));
}

TEST(Trace, KeepsTheConnectionThatBrokeBeforeTheFinalReply) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string(kReset); };
  world.Submit({.recipients = {"ana@some.test"}});
  world.RunFor(seconds(2));
  const std::vector<FailedConversation> failures = FailuresOf(world);
  ASSERT_FALSE(failures.empty());
  EXPECT_THAT(TextsOf(failures[0].lines), testing::Contains(HasSubstr("> (content: ")));
}

}  // namespace
}  // namespace postrider::delivery
