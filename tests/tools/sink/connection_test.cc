// A connection between a socket and a clock that the test holds: delays, endings, back-pressure.

#include "tools/sink/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::StartsWith;

// What became of the socket, which dies before the test looks.
struct Wire {
  std::vector<std::string> sends;
  bool sending = false;
  bool paused = false;
  bool open = true;
  io::SocketHandler* handler = nullptr;
};

class FakeSocket final : public io::AcceptedSocket {
 public:
  explicit FakeSocket(Wire& wire) : wire_(wire) {}
  ~FakeSocket() override { wire_.open = false; }
  void Attach(io::SocketHandler& handler) override { wire_.handler = &handler; }
  void Send(std::span<const std::byte> bytes, std::shared_ptr<const void>) override {
    EXPECT_FALSE(wire_.sending);
    wire_.sending = true;
    wire_.sends.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void PauseReading(bool pause) override { wire_.paused = pause; }
  [[nodiscard]] SocketAddress local() const override { return SocketAddress::Parse("127.0.0.1:25").value(); }
  [[nodiscard]] SocketAddress remote() const override { return SocketAddress::Parse("127.0.0.9:1025").value(); }

 private:
  Wire& wire_;
};

class ConnectionTest : public testing::Test, public ConnectionHost {
 protected:
  void Open(const std::string& listen) {
    receiver_ = MakeReceiver(0, ParseListen(listen, {}).value(), {}).value();
    connection_ = std::make_unique<Connection>(*this, receiver_, counts_, context_, 1,
                                               std::make_unique<FakeSocket>(wire_), false);
    connection_->Start();
    EndTurn();
  }
  void Bytes(const std::string& bytes) { wire_.handler->OnReceived(std::as_bytes(std::span(bytes))); }
  void Say(const std::string& bytes) {
    Bytes(bytes);
    EndTurn();
  }
  void EndTurn() {
    for (Connection* connection : std::exchange(to_flush_, {})) connection->Flush();
  }
  void SendDone() {
    wire_.sending = false;
    wire_.handler->OnSent();
    EndTurn();
  }
  void Pass(std::chrono::nanoseconds time) {
    now_.monotonic += time;
    timers_.Advance(now_.monotonic);
    EndTurn();
  }
  void Greet() {
    SendDone();
    Say("EHLO client.test\r\n");
    SendDone();
  }

  [[nodiscard]] Now now() const override { return now_; }
  [[nodiscard]] io::TimerWheel& timers() override { return timers_; }
  [[nodiscard]] std::unique_ptr<tls::TlsStream> AcceptTls() override { return nullptr; }
  void FlushLater(Connection& connection) override { to_flush_.push_back(&connection); }
  void Ended(Connection&) override { ended_ = true; }
  [[nodiscard]] std::string& plain() override { return plain_; }
  [[nodiscard]] std::string& replies() override {
    replies_.clear();
    return replies_;
  }

  Now now_{Monotonic(std::chrono::hours(1)), Wall{}};
  io::TimerWheel timers_{now_.monotonic};
  Counts counts_;
  Tally tally_{1, 100};
  SessionContext context_{tally_};
  Receiver receiver_;
  Wire wire_;
  std::string plain_, replies_;
  std::vector<Connection*> to_flush_;
  bool ended_ = false;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConnectionTest, AnswersAWholeTurnInOneSend) {
  Open("127.0.0.1:25=plain");
  ASSERT_EQ(wire_.sends.size(), 1u);
  EXPECT_THAT(wire_.sends[0], StartsWith("220 "));
  Greet();
  Bytes("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n");
  Bytes("NOOP\r\nNOO");
  Bytes("P\r\n");
  EXPECT_EQ(wire_.sends.size(), 2u);
  EndTurn();
  ASSERT_EQ(wire_.sends.size(), 3u);
  EXPECT_EQ(wire_.sends[2], "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
}

TEST_F(ConnectionTest, NeverSendsTwoAtOnce) {
  Open("127.0.0.1:25=plain");
  Say("EHLO client.test\r\n");
  EXPECT_EQ(wire_.sends.size(), 1u);  // the banner is still on its way
  SendDone();
  ASSERT_EQ(wire_.sends.size(), 2u);
  EXPECT_THAT(wire_.sends[1], StartsWith("250-"));
}

TEST_F(ConnectionTest, DelaysEachBatchByTheSameTimeAndOnlyOnce) {
  Open("127.0.0.1:25=plain,delay=100ms");
  EXPECT_TRUE(wire_.sends.empty());
  Pass(milliseconds(90));
  EXPECT_TRUE(wire_.sends.empty());
  Pass(milliseconds(20));
  ASSERT_EQ(wire_.sends.size(), 1u);
  SendDone();

  Say("EHLO client.test\r\n");
  Pass(milliseconds(110));
  SendDone();
  ASSERT_EQ(wire_.sends.size(), 2u);

  Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n");
  Pass(milliseconds(60));
  Say("NOOP\r\n");
  Pass(milliseconds(50));  // 110 for the first batch, 50 for the second
  ASSERT_EQ(wire_.sends.size(), 3u);
  EXPECT_EQ(wire_.sends[2], "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  SendDone();
  Pass(milliseconds(60));
  ASSERT_EQ(wire_.sends.size(), 4u);
  EXPECT_EQ(wire_.sends[3], "250 2.0.0 Ok\r\n");
}

TEST_F(ConnectionTest, DelaysTheLastReplyTooBeforeItCloses) {
  Open("127.0.0.1:25=plain,delay=100ms");
  Pass(milliseconds(110));
  SendDone();
  Say("QUIT\r\n");
  EXPECT_FALSE(ended_);
  Pass(milliseconds(110));
  ASSERT_EQ(wire_.sends.size(), 2u);
  EXPECT_THAT(wire_.sends[1], StartsWith("221"));
  EXPECT_FALSE(ended_);
  SendDone();
  EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, ClosesAfterQuitOnceTheReplyIsGone) {
  Open("127.0.0.1:25=plain");
  SendDone();
  Say("QUIT\r\n");
  EXPECT_TRUE(wire_.open);
  SendDone();
  EXPECT_FALSE(wire_.open);
  EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, LetsAClientReadA421ThatCutsItsFlight) {
  Open("127.0.0.1:25=plain,message-cap=0,connection-cap=0");
  Greet();
  context_.draining = true;
  Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n");
  ASSERT_EQ(wire_.sends.size(), 3u);
  EXPECT_THAT(wire_.sends[2], StartsWith("421"));
  SendDone();
  EXPECT_TRUE(wire_.open);
  Say("more of the flight\r\n");
  EXPECT_EQ(wire_.sends.size(), 3u);
  Pass(milliseconds(1100));
  EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, EndsWhenThePeerDoes) {
  Open("127.0.0.1:25=plain");
  wire_.handler->OnClosed(0);
  EXPECT_TRUE(ended_);
  EXPECT_FALSE(wire_.open);
}

TEST_F(ConnectionTest, StaysSilentOnceItStalls) {
  Open("127.0.0.1:25=plain,stall=mail:100%");
  Greet();
  Say("NOOP\r\nMAIL FROM:<>\r\n");
  ASSERT_EQ(wire_.sends.size(), 3u);
  EXPECT_EQ(wire_.sends[2], "250 2.0.0 Ok\r\n");  // what came before is answered
  SendDone();
  EXPECT_FALSE(wire_.paused);
  Say("RSET\r\nQUIT\r\n");
  EXPECT_EQ(wire_.sends.size(), 3u);
  Pass(minutes(19));
  EXPECT_FALSE(ended_);
  Pass(minutes(2));
  EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, DoesNotEvenReadOnceItStallsInTheContent) {
  Open("127.0.0.1:25=plain,stall=content:100%");
  Greet();
  Say("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n");
  SendDone();
  EXPECT_FALSE(wire_.paused);
  Say("content");
  EXPECT_TRUE(wire_.paused);
  EXPECT_TRUE(wire_.open);
}

TEST_F(ConnectionTest, PausesReadingWhileRepliesAreNotTaken) {
  Open("127.0.0.1:25=plain");
  Greet();
  std::string flood;
  for (int i = 0; i < 30'000; ++i) flood += "NOOP\r\n";
  Say("NOOP\r\n");
  EXPECT_FALSE(wire_.paused);
  Say(flood);
  EXPECT_TRUE(wire_.paused);
  SendDone();
  EXPECT_TRUE(wire_.paused);
  SendDone();
  EXPECT_FALSE(wire_.paused);
}

TEST_F(ConnectionTest, LosesPatienceWithAnIdleClient) {
  Open("127.0.0.1:25=plain");
  Greet();
  Pass(minutes(4));
  Say("NOOP\r\n");
  SendDone();
  Pass(minutes(4));
  EXPECT_EQ(wire_.sends.size(), 3u);
  Pass(seconds(61));
  ASSERT_EQ(wire_.sends.size(), 4u);
  EXPECT_THAT(wire_.sends[3], StartsWith("421 4.4.2"));
  SendDone();
  Pass(seconds(2));
  EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, SaysGoodbyeBetweenTransactionsOnly) {
  Open("127.0.0.1:25=plain");
  Greet();
  Say("MAIL FROM:<>\r\n");
  SendDone();
  connection_->Goodbye();
  EndTurn();
  EXPECT_EQ(wire_.sends.size(), 3u);
  Say("RSET\r\n");
  SendDone();
  connection_->Goodbye();
  EndTurn();
  ASSERT_EQ(wire_.sends.size(), 5u);
  EXPECT_THAT(wire_.sends[4], StartsWith("421 4.3.2"));
}

}  // namespace
}  // namespace postrider::sink
