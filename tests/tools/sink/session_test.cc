// What dialogs cannot show: counts, what an observer sees, bounds.

#include "tools/sink/session.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

using testing::HasSubstr;

struct Seen : MessageObserver {
  void OnAccepted(const AcceptedMessage& message) override {
    for (const AcceptedRecipient& recipient : message.recipients) {
      lines.push_back(fmt::format("{} from <{}> attempt {} accepted {} bytes {} nth {} bdat {}", recipient.address,
                                  message.from, recipient.attempt, recipient.accepted, message.bytes,
                                  message.nth_on_connection, message.by_bdat));
    }
    contents.emplace_back(message.content);
  }
  std::vector<std::string> lines;
  std::vector<std::string> contents;
};

class SessionTest : public testing::Test {
 protected:
  void Open(const std::string& listen, const Options& options = {}) {
    receiver_ = MakeReceiver(0, ParseListen(listen, {}).value(), options).value();
    context_.observer = &seen_;
    context_.held_bytes_max = 1 << 20;
    session_.emplace(receiver_, counts_, context_, 1, "192.0.2.1");
    Say("");
    EXPECT_EQ(session_->Start(now_, false, out_), Session::Step::kGoOn);
    Say("EHLO client\r\n");
  }
  // The replies.
  std::string Say(const std::string& input) {
    out_.clear();
    step_ = session_->Receive(input, now_, out_);
    return out_;
  }
  std::string Envelope(const std::string& recipient) {
    return Say("MAIL FROM:<news@example.com>\r\nRCPT TO:<" + recipient + ">\r\nDATA\r\n");
  }

  Receiver receiver_;
  Counts counts_;
  Tally tally_{1, 1000};
  Seen seen_;
  SessionContext context_{tally_};
  std::optional<Session> session_;
  Now now_{Monotonic(std::chrono::hours(1)), Wall{}};
  std::string out_;
  Session::Step step_{};
};

TEST_F(SessionTest, ShowsTheObserverWhatArrived) {
  context_.whole_content = true;
  Open("127.0.0.1:25=plain");
  Say("MAIL FROM:<>\r\nRCPT TO:<Ana@EXAMPLE.org>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\n");
  Say("Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n");
  Say("MAIL FROM:<news@example.com>\r\nRCPT TO:<Ana@example.org>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\n");
  EXPECT_EQ(seen_.lines,
            (std::vector<std::string>{"Ana@example.org from <> attempt 1 accepted 1 bytes 25 nth 1 bdat false",
                                      "ben@example.org from <> attempt 1 accepted 1 bytes 25 nth 1 bdat false",
                                      "Ana@example.org from <news@example.com> attempt 2 accepted 2 bytes 5 nth 2 bdat "
                                      "true"}));
  EXPECT_EQ(seen_.contents, (std::vector<std::string>{"Subject: x\r\n\r\n.dot\r\nend\r\n", "abc\r\n"}));
  EXPECT_EQ(counts_.messages, 2u);
  EXPECT_EQ(counts_.recipients, 3u);
  EXPECT_EQ(counts_.bytes, 30u);
  EXPECT_EQ(counts_.messages_by_bdat, 1u);
  EXPECT_EQ(counts_.protocol_errors, 0u);
  EXPECT_EQ(context_.held_bytes, 0u);
}

TEST_F(SessionTest, KeepsOnlyTheHeadWhereContentsAreNotWanted) {
  Open("127.0.0.1:25=plain");
  Envelope("ana@example.org");
  Say("Message-ID: <x@y>\r\n\r\n" + std::string(100'000, 'x'));
  Say(std::string(100'000, 'x') + "\r\n.\r\n");
  ASSERT_EQ(seen_.contents.size(), 1u);
  EXPECT_EQ(seen_.contents[0].size(), std::size_t{16} << 10);
  EXPECT_THAT(seen_.contents[0], HasSubstr("<x@y>"));
}

TEST_F(SessionTest, RefusesForAMomentWhatItHasNoRoomToKeep) {
  context_.whole_content = true;
  Open("127.0.0.1:25=plain");
  context_.held_bytes_max = 100;
  Envelope("ana@example.org");
  EXPECT_THAT(Say(std::string(200, 'x') + "\r\n.\r\n"), HasSubstr("452 4.3.1"));
  EXPECT_EQ(counts_.refused_temporary, 1u);
  EXPECT_EQ(context_.held_bytes, 0u);
  Envelope("ana@example.org");
  EXPECT_THAT(Say("small\r\n.\r\n"), HasSubstr("250 2.0.0"));
}

TEST_F(SessionTest, GivesItsRoomBackWhenItEndsInTheMiddle) {
  context_.whole_content = true;
  Open("127.0.0.1:25=plain");
  Envelope("ana@example.org");
  Say(std::string(200, 'x'));
  EXPECT_EQ(context_.held_bytes, 200u);
  session_.reset();
  EXPECT_EQ(context_.held_bytes, 0u);
}

TEST_F(SessionTest, CountsAMessageWhoseReplyItLoses) {
  Open("127.0.0.1:25=plain,reset=final:100%");
  Envelope("ana@example.org");
  Say("x\r\n.\r\n");
  EXPECT_EQ(step_, Session::Step::kReset);
  EXPECT_EQ(counts_.messages, 1u);
  EXPECT_EQ(counts_.faults, 1u);
  EXPECT_EQ(seen_.lines.size(), 1u);
}

TEST_F(SessionTest, DoesNotCountAMessageCutShort) {
  Open("127.0.0.1:25=plain,stall=content:100%");
  Envelope("ana@example.org");
  Say("x\r\n.\r\n");
  EXPECT_EQ(step_, Session::Step::kStallUnread);
  EXPECT_EQ(counts_.messages, 0u);
}

TEST_F(SessionTest, NoticesMessagesWithBareLineFeeds) {
  Open("127.0.0.1:25=plain");
  Envelope("ana@example.org");
  Say("a\nb\r\n.\r\n");
  EXPECT_EQ(counts_.messages_with_bare_lf, 1u);
}

TEST_F(SessionTest, EndsAContentThatGoesOnForEver) {
  Open("127.0.0.1:25=plain,size=100");
  Envelope("ana@example.org");
  const std::string much(1 << 20, 'x');
  int pieces = 0;
  do {
    Say(much);
  } while (step_ == Session::Step::kGoOn && ++pieces < 1000);
  EXPECT_EQ(step_, Session::Step::kLinger);
  EXPECT_THAT(out_, HasSubstr("552 5.3.4"));
}

TEST_F(SessionTest, TakesNoMoreRecipientsThanItsLimit) {
  Options options;
  options.recipients_per_message_max = 2;
  Open("127.0.0.1:25=plain", options);
  Say("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n");
  EXPECT_THAT(Say("RCPT TO:<c@x>\r\n"), HasSubstr("452 4.5.3"));
}

TEST_F(SessionTest, SaysGoodbyeToNewTransactionsWhileItDrains) {
  Open("127.0.0.1:25=plain");
  Envelope("ana@example.org");
  context_.draining = true;
  EXPECT_FALSE(session_->idle());
  EXPECT_THAT(Say("x\r\n.\r\n"), HasSubstr("250 2.0.0"));
  EXPECT_TRUE(session_->idle());
  EXPECT_THAT(Say("MAIL FROM:<>\r\n"), HasSubstr("421 4.3.2"));
  EXPECT_EQ(step_, Session::Step::kLinger);
}

TEST_F(SessionTest, RefusesAConnectionTooMany) {
  Receiver receiver = MakeReceiver(0, ParseListen("127.0.0.1:25=gmail", {}).value(), {}).value();
  Session session(receiver, counts_, context_, 1, "192.0.2.1");
  std::string out;
  EXPECT_EQ(session.Start(now_, true, out), Session::Step::kLinger);
  EXPECT_TRUE(out.starts_with("421 4.7.0 Too many connections from [192.0.2.1]"));
  EXPECT_EQ(counts_.connections_refused, 1u);
}

TEST_F(SessionTest, RefusesAClientsConnectionTooManyAndForgetsTheOneThatQuit) {
  std::vector<Receiver> receivers{
      MakeReceiver(0, ParseListen("127.0.0.1:25=orange,limits=usual", {}).value(), {}).value()};
  const ClientLimitsList limits = ShareLimits(receivers).value();
  const auto open = [&](std::optional<Session>& session, const char* client) {
    std::string out;
    session.emplace(receivers[0], counts_, context_, 1, client);
    const Session::Step step = session->Start(now_, false, out);
    if (step == Session::Step::kLinger) {
      EXPECT_THAT(out, HasSubstr("421 mwinf5c21.orange.fr ME Trop de connexions de 192.0.2.1"));
    }
    return step == Session::Step::kGoOn;
  };
  std::optional<Session> first, second, third, other;
  EXPECT_TRUE(open(first, "192.0.2.1"));
  EXPECT_TRUE(open(second, "192.0.2.1"));
  EXPECT_FALSE(open(third, "192.0.2.1"));
  EXPECT_TRUE(open(other, "192.0.2.2"));
  EXPECT_EQ(counts_.connections_over_limit, 1u);
  std::string out;
  EXPECT_EQ(first->Receive("QUIT\r\n", now_, out), Session::Step::kClose);
  EXPECT_TRUE(open(third, "192.0.2.1")) << "whoever quit is gone, even before the socket is";
  first.reset();
  EXPECT_FALSE(open(first, "192.0.2.1")) << "and is not counted twice";
  EXPECT_EQ(counts_.connections_over_limit, 2u);
}

TEST_F(SessionTest, BreaksTheShareOfConnectionsThatWasAsked) {
  Open("127.0.0.1:25=plain,reset=mail:20%");
  int broken = 0;
  for (int i = 0; i < 2000; ++i) {
    Session session(receiver_, counts_, context_, 1, "192.0.2.1");
    std::string out;
    broken += session.Receive("HELO a\r\n", now_, out) == Session::Step::kGoOn &&
              session.Receive("MAIL FROM:<>\r\n", now_, out) == Session::Step::kReset;
  }
  EXPECT_NEAR(broken, 400, 72);
}

TEST_F(SessionTest, SurvivesNoise) {
  std::mt19937 random(3);
  const std::vector<std::string> words = {"MAIL FROM:", "RCPT TO:",   "<a@b>", "DATA",  "BDAT ", "5",  " LAST", "\r\n",
                                          "\r\n",       "EHLO x\r\n", "RSET",  "AUTH ", "PLAIN", "\n", ".\r\n", "\0"};
  for (int round = 0; round < 3000; ++round) {
    Open("127.0.0.1:25=microsoft,auth=a:b,auth-without-tls=on,permanent=30%,temporary=30%,refuse-at=mixed");
    for (int i = 0; i < 30 && step_ == Session::Step::kGoOn; ++i) {
      std::string input;
      for (std::size_t k = 0; k < 1 + random() % 6; ++k) {
        input += random() % 20 == 0 ? std::string(1, static_cast<char>(random())) : words[random() % words.size()];
      }
      Say(input);
      EXPECT_TRUE(out_.empty() || out_.ends_with("\r\n"));
    }
  }
  EXPECT_GT(counts_.protocol_errors, 0u);
}

}  // namespace
}  // namespace postrider::sink
