// Many random servers, one after the other, and what must hold whatever they do.

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <string>

#include "engine/smtp/conversation.h"
#include "tests/engine/smtp/random_server.h"

namespace postrider::smtp {
namespace {

struct Sent {
  std::string to;
  std::string content;
  bool rendered = false;
  bool done = false;
  MessageResult result;
};

class Owner final : public ConversationOwner {
 public:
  explicit Owner(std::uint64_t seed) : random_(seed) {}

  std::optional<Envelope> NextMessage() override {
    EXPECT_LT(open_.size(), 2u);
    if (messages.size() >= 30 || random_() % 5 == 0) return std::nullopt;
    Sent& message = messages.emplace_back();
    message.to = "r" + std::to_string(messages.size()) + "@example.org";
    for (auto lines = random_() % 6; lines > 0; --lines) {
      message.content += std::string(random_() % 3, '.') + std::string(random_() % 90, 'x') + "\r\n";
    }
    open_.push_back(&message);
    return Envelope{.from = "s@example.org", .to = message.to};
  }

  bool RenderContent(std::string& content) override {
    EXPECT_TRUE(content.empty());
    EXPECT_FALSE(open_.empty());
    Sent& message = *open_.front();
    EXPECT_FALSE(message.rendered);
    message.rendered = true;
    content += message.content;
    return random_() % 100 != 0;
  }

  void MessageDone(const MessageResult& result) override {
    ASSERT_FALSE(open_.empty());
    Sent& message = *open_.front();
    open_.pop_front();
    EXPECT_FALSE(message.done);
    message.done = true;
    message.result = result;
  }

  void StartTls() override { FAIL() << "nothing offers it"; }

  std::deque<Sent> messages;  // a deque keeps its elements where they are
  [[nodiscard]] std::size_t open() const { return open_.size(); }

 private:
  std::mt19937_64 random_;
  std::deque<Sent*> open_;
};

struct Scenario {
  Owner owner;
  RandomServer server;
  std::mt19937_64 random;
  Conversation conversation;
  Monotonic now{};
  std::string to_server;
  std::string to_client;

  static ConversationSettings Settings(std::mt19937_64& random) {
    ConversationSettings settings;
    settings.ehlo_name = "client.example";
    settings.pipelining_allowed = random() % 8 != 0;
    return settings;
  }

  Scenario(RandomServer::Habits habits, std::uint64_t seed)
      : owner(seed), server(habits, seed + 1), random(seed + 2), conversation(Settings(random), owner, now) {}

  void TakeOut() {
    if (conversation.out().empty()) return;
    EXPECT_NE(conversation.state(), ConversationState::kClosed);
    to_server += conversation.out();
    conversation.out().clear();
    conversation.Flushed(now);
  }

  // Some of what waits on the way arrives.
  std::string Piece(std::string& from) {
    const std::size_t size = random() % 3 == 0 ? random() % (from.size() + 1) : from.size();
    std::string piece = from.substr(0, size);
    from.erase(0, size);
    return piece;
  }

  void Go() {
    for (int step = 0; step < 4000 && conversation.state() != ConversationState::kClosed; ++step) {
      now += milliseconds(random() % 50);
      to_client += server.output();
      server.output().clear();
      if (server.closed() && to_client.empty()) {
        conversation.ConnectionLost("closed by the server");
        break;
      }
      conversation.Receive(Piece(to_client), now);
      TakeOut();
      server.Receive(Piece(to_server));
      if (random() % 4 == 0) conversation.Begin(now);
      TakeOut();
      if (conversation.state() == ConversationState::kReady && owner.messages.size() >= 30) conversation.Quit(now);
      TakeOut();
      if (random() % 1000 == 0) conversation.ConnectionLost("reset");
      if (random() % 1000 == 0 && conversation.deadline() != Monotonic::max()) {
        now = std::max(now, conversation.deadline());
        conversation.Tick(now);
      }
      EXPECT_LT(conversation.out().capacity(), 1u << 20);
    }
    if (conversation.state() != ConversationState::kClosed) conversation.ConnectionLost("the test is over");
    EXPECT_TRUE(conversation.out().empty());
    // Nothing revives it.
    conversation.Receive("250 ok\r\n421 bye\r\n354 go\r\n", now);
    conversation.Begin(now);
    conversation.Quit(now);
    conversation.Tick(now + hours(24));
    EXPECT_TRUE(conversation.out().empty());
    EXPECT_EQ(conversation.state(), ConversationState::kClosed);
  }
};

TEST(ConversationProperty, EveryMessageEndsOnceAndInOrderAndTruthfully) {
  int delivered = 0;
  int unknown = 0;
  int refused = 0;
  int empty_contents = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    RandomServer::Habits habits;
    habits.pipelining = seed % 3 != 0;
    habits.refuse = seed % 2 == 0 ? 0.15 : 0.0;
    habits.close = seed % 5 == 0 ? 0.02 : 0.0;
    habits.closing = seed % 7 == 0 ? 0.02 : 0.0;
    habits.data_without_rcpt = seed % 4 == 0;
    Scenario run(habits, seed * 10);
    run.Go();
    EXPECT_EQ(run.server.complaint(), "");
    EXPECT_EQ(run.owner.open(), 0u);
    empty_contents += run.server.empty_contents();

    std::map<std::string, std::string> accepted;
    for (const RandomServer::Accepted& one : run.server.accepted()) {
      EXPECT_TRUE(accepted.emplace(one.to, one.content).second) << "sent twice: " << one.to;
    }
    for (const Sent& message : run.owner.messages) {
      ASSERT_TRUE(message.done);
      const auto found = accepted.find(message.to);
      const bool was_accepted = found != accepted.end();
      EXPECT_TRUE(!was_accepted || found->second == message.content);
      switch (message.result.end) {
        case MessageEnd::kReplied:
          if (message.result.stage == Stage::kContent && message.result.reply.Positive()) {
            EXPECT_TRUE(was_accepted);
            ++delivered;
          } else {
            EXPECT_FALSE(was_accepted);
            EXPECT_FALSE(message.result.reply.Positive());
            ++refused;
          }
          break;
        case MessageEnd::kUnknown:
          EXPECT_TRUE(message.rendered);
          ++unknown;
          break;
        case MessageEnd::kNotSent:
          EXPECT_FALSE(was_accepted);
          break;
        case MessageEnd::kUnsupported:
          ADD_FAILURE();
          break;
      }
    }
  }
  // The seeds reach all of it.
  EXPECT_GT(delivered, 10'000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(unknown, 100);
  EXPECT_GT(empty_contents, 100);
}

TEST(ConversationProperty, AMadServerCannotMakeAMessageVanishOrEndTwice) {
  int protocol = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    RandomServer::Habits habits;
    habits.pipelining = seed % 2 == 0;
    habits.close = 0.005;
    habits.mad = 0.08;
    habits.data_without_rcpt = seed % 3 == 0;
    Scenario run(habits, seed * 10 + 5);
    run.Go();
    EXPECT_EQ(run.owner.open(), 0u);
    for (const Sent& message : run.owner.messages) {
      ASSERT_TRUE(message.done);
      const bool delivered = message.result.end == MessageEnd::kReplied && message.result.reply.Positive();
      EXPECT_TRUE(message.rendered || !(delivered || message.result.end == MessageEnd::kUnknown));
      EXPECT_TRUE(!delivered || message.result.stage == Stage::kContent);
    }
    if (run.conversation.end().kind == ConversationEnd::Kind::kProtocol) ++protocol;
  }
  EXPECT_GT(protocol, 500);
}

}  // namespace
}  // namespace postrider::smtp
