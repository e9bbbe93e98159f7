#include "tools/sink/personality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tools/sink/receiver.h"

namespace postrider::sink {
namespace {

using testing::HasSubstr;

// Every line has the code, all but the last with a hyphen, ends in CRLF and fits RFC 5321 section 4.5.3.1.5.
void ExpectWellFormed(const ReplyText& reply, int first, int last) {
  std::string text;
  reply.Append(text, {"id", "from@example.com", "to@example.org", "192.0.2.1", "host", "client", "date", 10});
  ASSERT_TRUE(text.ends_with("\r\n"));
  EXPECT_GE(reply.code(), first) << text;
  EXPECT_LE(reply.code(), last) << text;
  const std::string code = std::to_string(reply.code());
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    EXPECT_TRUE(line.starts_with(code)) << text;
    EXPECT_EQ(line[3], rest.empty() ? ' ' : '-') << text;
    EXPECT_EQ(line.find_first_of("{}\r\n"), std::string_view::npos) << text;
    EXPECT_LE(line.size(), 510u);
  }
}

TEST(Personality, SpeaksWellFormedRepliesOfTheRightKind) {
  ASSERT_EQ(PersonalityNames().size(), 7u);
  for (const std::string_view name : PersonalityNames()) {
    const Result<Personality> made = MakePersonality(name);
    ASSERT_TRUE(made);
    const Personality& p = *made;
    EXPECT_EQ(p.name, name);
    ExpectWellFormed(p.banner, 220, 220);
    for (const ReplyText* reply : {&p.hello, &p.mail_accepted, &p.rcpt_accepted, &p.message_accepted}) {
      ExpectWellFormed(*reply, 250, 250);
    }
    ExpectWellFormed(p.data_go_ahead, 354, 354);
    ExpectWellFormed(p.quit, 221, 221);
    ExpectWellFormed(p.greylisted, 450, 451);
    ExpectWellFormed(p.message_cap, 421, 421);
    ExpectWellFormed(p.too_many_connections, 421, 421);
    ExpectWellFormed(p.tls_required, 451, 530);
    ExpectWellFormed(p.too_many_connects, 421, 550);
    ExpectWellFormed(p.too_many_messages, 421, 550);
    EXPECT_GT(p.usual_limits.connections, 0u);
    EXPECT_GT(p.usual_message_cap, 0u);
    for (const Personality::Refusals* refusals : {&p.permanent, &p.permanent_wild}) {
      EXPECT_FALSE(refusals->at_rcpt.empty() || refusals->at_content.empty());
      for (const ReplyText& reply : refusals->at_rcpt) ExpectWellFormed(reply, 550, 559);
      for (const ReplyText& reply : refusals->at_content) ExpectWellFormed(reply, 550, 559);
    }
    for (const Personality::Refusals* refusals : {&p.temporary, &p.temporary_wild}) {
      EXPECT_FALSE(refusals->at_rcpt.empty() || refusals->at_content.empty());
      for (const ReplyText& reply : refusals->at_rcpt) ExpectWellFormed(reply, 420, 459);
      for (const ReplyText& reply : refusals->at_content) ExpectWellFormed(reply, 420, 459);
    }
  }
}

TEST(Personality, OfAnUnknownNameListsTheKnownOnes) {
  const Result<Personality> made = MakePersonality("gmial");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("gmial"));
  EXPECT_THAT(made.error().message, HasSubstr("plain, gmail, microsoft, yahoo, comcast, orange, qq"));
}

TEST(Receiver, OffersWhatItsProviderOffers) {
  struct Row {
    const char* name;
    std::uint64_t size;
    bool pipelining, chunking, binary, eight_bit, utf8, dsn;
  };
  const Row rows[] = {{"gmail", 157286400, true, true, false, true, true, false},
                      {"microsoft", 49283072, true, true, true, true, true, true},
                      {"yahoo", 41943040, true, false, false, true, false, false},
                      {"comcast", 36700160, false, false, false, true, false, false},
                      {"orange", 44000000, true, false, false, true, false, false},
                      {"qq", 73400320, true, false, false, true, false, false},
                      {"plain", 52428800, true, true, false, true, true, false}};
  for (const Row& row : rows) {
    ListenOptions listen;
    listen.personality = row.name;
    const Result<Receiver> receiver = MakeReceiver(0, listen, {});
    ASSERT_TRUE(receiver);
    const Offer& offer = receiver->in_the_clear;
    EXPECT_EQ(receiver->message_limit_bytes, row.size) << row.name;
    EXPECT_EQ(offer.pipelining, row.pipelining) << row.name;
    EXPECT_EQ(offer.chunking, row.chunking) << row.name;
    EXPECT_EQ(offer.binary_mime, row.binary) << row.name;
    EXPECT_EQ(offer.eight_bit_mime, row.eight_bit) << row.name;
    EXPECT_EQ(offer.smtputf8, row.utf8) << row.name;
    EXPECT_EQ(offer.dsn, row.dsn) << row.name;
    EXPECT_TRUE(offer.start_tls) << row.name;
    EXPECT_FALSE(receiver->in_tls.start_tls) << row.name;
    EXPECT_THAT(receiver->in_tls.lines, testing::Not(HasSubstr("STARTTLS")));
  }
}

TEST(Receiver, SwitchesExtensionsOnAndOff) {
  ListenOptions listen;
  listen.personality = "microsoft";
  listen.behaviour.chunking = false;
  listen.behaviour.pipelining = false;
  listen.behaviour.size = 1000;
  listen.behaviour.tls = TlsMode::kNone;
  Result<Receiver> receiver = MakeReceiver(0, listen, {});
  ASSERT_TRUE(receiver);
  EXPECT_EQ(receiver->in_the_clear.lines,
            "250-SIZE 1000\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
  listen.personality = "yahoo";
  listen.behaviour.chunking = true;
  listen.behaviour.size = 0;
  receiver = MakeReceiver(0, listen, {});
  ASSERT_TRUE(receiver);
  EXPECT_EQ(receiver->in_the_clear.lines, "250-8BITMIME\r\n250 CHUNKING\r\n");
}

TEST(Receiver, RefusesSettingsThatContradictThemselves) {
  ListenOptions listen;
  listen.behaviour.down_for = std::chrono::seconds(5);
  const Result<Receiver> no_port = MakeReceiver(0, listen, {});
  ASSERT_FALSE(no_port);
  EXPECT_THAT(no_port.error().message, HasSubstr("fixed port"));
  listen.behaviour.down_for = {};
  listen.behaviour.auth_required = true;
  const Result<Receiver> no_account = MakeReceiver(0, listen, {});
  ASSERT_FALSE(no_account);
  EXPECT_THAT(no_account.error().message, HasSubstr("auth=USER:PASSWORD"));
}

}  // namespace
}  // namespace postrider::sink
