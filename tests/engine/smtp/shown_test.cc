// What a conversation shows of itself: each line that passes, but neither content nor secrets.

#include <fmt/format.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/smtp/conversation.h"

namespace postrider::smtp {
namespace {

using testing::ElementsAre;

constexpr std::string_view kSecret = "s3cret";
constexpr std::string_view kEncodedSecret = "czNjcmV0";
constexpr std::string_view kPlainResponse = "AGFuYQBzM2NyZXQ=";

class Witness final : public ConversationOwner {
 public:
  explicit Witness(int messages = 0) : left_(messages) {}
  std::optional<Envelope> NextMessage() override {
    if (left_-- <= 0) return std::nullopt;
    return Envelope{.from = "news@sender.test", .to = "ana@some.test"};
  }
  bool RenderContent(std::string& content) override {
    content += "Subject: hello\r\n\r\n.private words\r\n";
    return true;
  }
  void MessageDone(const MessageResult& /*result*/) override {}
  void StartTls() override {}
  void Said(std::string_view line) override { shown.push_back("> " + std::string(line)); }
  void SaidContent(std::uint64_t bytes) override { shown.push_back(fmt::format("> content of {}", bytes)); }
  void Heard(const Reply& reply) override { shown.push_back(fmt::format("< {} {}", reply.code, reply.text)); }

  std::vector<std::string> shown;

 private:
  int left_;
};

ConversationSettings LogIn(RouteOptions::AuthMechanism mechanism) {
  ConversationSettings settings;
  settings.ehlo_name = "me.test";
  settings.tls = TlsDemand::kNone;
  settings.auth_without_tls = true;
  settings.auth_user = "ana";
  settings.auth_secret = kSecret;
  settings.auth_mechanism = mechanism;
  return settings;
}

// Every reply at once after the one before it was dealt with.
std::vector<std::string> Shown(ConversationSettings settings, const std::vector<std::string>& replies,
                               int messages = 0) {
  Witness owner(messages);
  const Monotonic now{};
  Conversation conversation(std::move(settings), owner, now);
  for (const std::string& reply : replies) {
    conversation.out().clear();
    conversation.Flushed(now);
    conversation.Receive(reply, now);
    if (conversation.state() == ConversationState::kReady) conversation.Begin(now);
  }
  return owner.shown;
}

TEST(Shown, EveryCommandAndReplyInTheirOrderAndTheSizeOfContent) {
  ConversationSettings settings;
  settings.ehlo_name = "me.test";
  settings.tls = TlsDemand::kNone;
  EXPECT_THAT(Shown(settings,
                    {"220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n", "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n",
                     "550 5.7.1 no\r\n\x1b"},
                    1),
              ElementsAre("< 220 mx", "> EHLO me.test", "< 250 mx\nPIPELINING", "> MAIL FROM:<news@sender.test>",
                          "> RCPT TO:<ana@some.test>", "> DATA", "< 250 2.1.0 ok", "< 250 2.1.5 ok", "< 354 go",
                          "> content of 35", "< 550 5.7.1 no"));
}

TEST(Shown, TheLoneDotThatEndsNothing) {
  ConversationSettings settings;
  settings.tls = TlsDemand::kNone;
  EXPECT_THAT(
      Shown(settings, {"220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n", "250 ok\r\n550 no\r\n354 go\r\n"}, 1).back(),
      "> .");
}

TEST(Shown, NoSecretOfPlain) {
  EXPECT_THAT(
      Shown(LogIn(RouteOptions::AuthMechanism::kPlain),
            {"220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "235 2.7.0 welcome\r\n"}),
      ElementsAre("< 220 mx", "> EHLO me.test", "< 250 mx\nAUTH PLAIN", "> AUTH PLAIN ***", "< 235 2.7.0 welcome"));
}

TEST(Shown, NoSecretOfPlainThatWaitsForTheChallenge) {
  ConversationSettings settings = LogIn(RouteOptions::AuthMechanism::kPlain);
  settings.auth_secret = std::string(500, 's');
  EXPECT_THAT(
      Shown(settings, {"220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "334 \r\n", "535 no\r\n"}),
      ElementsAre("< 220 mx", "> EHLO me.test", "< 250 mx\nAUTH PLAIN", "> AUTH PLAIN", "< 334 ", "> ***", "< 535 no"));
}

TEST(Shown, NeitherUserNorSecretOfLogin) {
  EXPECT_THAT(Shown(LogIn(RouteOptions::AuthMechanism::kLogin),
                    {"220 mx\r\n", "250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n",
                     "535 5.7.8 no\r\n"}),
              ElementsAre("< 220 mx", "> EHLO me.test", "< 250 mx\nAUTH LOGIN", "> AUTH LOGIN", "< 334 VXNlcm5hbWU6",
                          "> ***", "< 334 UGFzc3dvcmQ6", "> ***", "< 535 5.7.8 no"));
}

TEST(Shown, NoSecretThatTheServerRepeats) {
  for (const std::string_view repeated : {kSecret, kEncodedSecret, kPlainResponse}) {
    const std::vector<std::string> shown =
        Shown(LogIn(RouteOptions::AuthMechanism::kPlain),
              {"220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n",
               fmt::format("535-5.7.8 {} is wrong\r\n535 5.7.8 quite {}{} wrong\r\n", repeated, repeated, repeated)});
    EXPECT_EQ(shown.back(), "< 535 5.7.8 *** is wrong\n5.7.8 quite ****** wrong");
  }
}

TEST(Shown, The421ThatAnswersNothing) {
  ConversationSettings settings;
  settings.tls = TlsDemand::kNone;
  EXPECT_THAT(Shown(settings, {"220 mx\r\n", "250 mx\r\n", "421 4.4.2 idle too long\r\n"}).back(),
              "< 421 4.4.2 idle too long");
}

}  // namespace
}  // namespace postrider::smtp
