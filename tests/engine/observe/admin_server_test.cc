#include "engine/observe/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "tests/engine/observe/fake_control.h"

namespace postrider::observe {
namespace {

using queue::CampaignState;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() {
    options_.admin.listen.port = 0;
    options_.host_name = "mail.example.org";
    Result<std::unique_ptr<AdminServer>> server = MakeAdminServer(options_, control_.All(), tally_);
    EXPECT_TRUE(server) << server.error().message;
    if (server) server_ = *std::move(server);
  }

  // Sends raw bytes and reads to the end.
  std::string Talk(std::string_view request) const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      while (!request.empty()) {
        const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        request.remove_prefix(static_cast<std::size_t>(sent));
      }
      shutdown(fd, SHUT_WR);
      char piece[4096];
      for (ssize_t count; (count = recv(fd, piece, sizeof piece, 0)) > 0;) {
        answer.append(piece, static_cast<std::size_t>(count));
      }
    }
    close(fd);
    return answer;
  }
  std::string Get(std::string_view path, std::string_view headers = "") const {
    return Talk(fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n", path, server_->port(), headers));
  }
  std::string Post(std::string_view path, std::string_view body, std::string_view headers = "") const {
    return Talk(fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n{}", path, body.size(),
                            headers, body));
  }

  Options options_;
  FakeControl control_;
  EventTally tally_{10};
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, ListensOnAPortOfTheSystemsChoice) {
  EXPECT_NE(server_->port(), 0);
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/healthz"), EndsWith("\r\n\r\nok\n"));
}

TEST_F(AdminServerTest, ServesMetricsAndTheApi) {
  const std::string metrics = Get("/metrics");
  EXPECT_THAT(metrics, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(metrics, HasSubstr("\npostrider_queued 0\n"));
  EXPECT_THAT(Get("/api/v1/status?all=1"), HasSubstr("\"healthy\":true"));
  control_.trouble = "disk full";
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(AdminServerTest, AnswersHeadWithoutABody) {
  const std::string answer = Talk("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(AdminServerTest, TakesCommands) {
  control_.AddCampaign("my offer", CampaignState::kRunning);
  EXPECT_THAT(Post("/api/v1/campaigns/my%20offer/pause", ""), StartsWith("HTTP/1.1 200 "));
  ASSERT_EQ(control_.states.size(), 1u);
  EXPECT_EQ(control_.states[0].first, "my offer");
  EXPECT_THAT(Post("/api/v1/pause", R"({"site":"mx.example.org"})"), StartsWith("HTTP/1.1 200 "));
  ASSERT_EQ(control_.asked.size(), 1u);
  EXPECT_EQ(control_.asked[0], "pause site mx.example.org");
}

TEST_F(AdminServerTest, RefusesPagesOfOthers) {
  EXPECT_THAT(Talk("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Talk("GET /healthz HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post("/api/v1/reload", "", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Post("/api/v1/reload", "", "Origin: null\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(control_.reloads, 0);
  EXPECT_THAT(Post("/api/v1/reload", "", "Origin: http://localhost\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(control_.reloads, 1);
}

TEST_F(AdminServerTest, RefusesBodiesThatNoCommandNeeds) {
  const std::string big(70'000, ' ');
  EXPECT_THAT(Post("/api/v1/pause", big), StartsWith("HTTP/1.1 413 "));
  // Announced, but never sent: refused at once, without waiting for it.
  EXPECT_THAT(Talk("POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  std::string chunked = "POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 70; ++i) chunked += "400\r\n" + std::string(1024, ' ') + "\r\n";
  EXPECT_THAT(Talk(chunked + "0\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(control_.asked.empty());
}

TEST_F(AdminServerTest, SurvivesWhatIsNoHttp) {
  for (const std::string& request :
       {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8),
        std::string("GET / HTTP/9.9\r\n\r\n"), std::string(40'000, 'x') + "\r\n\r\n",
        std::string("BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        std::string("GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        std::string("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n")}) {
    const std::string answer = Talk(request);
    EXPECT_EQ(answer.find("root:"), std::string::npos);
    if (!answer.empty()) {
      EXPECT_THAT(answer, testing::ContainsRegex("^HTTP/[0-9.]+ (4|505)"))
          << testing::PrintToString(request.substr(0, 50));
    }
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, StreamsAnExportInChunksToItsEnd) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  for (int i = 0; i < 10'000; ++i) control_.remaining.push_back(fmt::format("{{\"to\":\"r{}@example.org\"}}", i));
  const std::string answer = Get("/api/v1/campaigns/offer/remaining");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"r9999@example.org\"}\n"));
  EXPECT_THAT(answer, EndsWith("\r\n0\r\n\r\n"));
}

TEST_F(AdminServerTest, StreamsAnEmptyExportToo) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  EXPECT_THAT(Get("/api/v1/campaigns/offer/remaining"), EndsWith("\r\n\r\n0\r\n\r\n"));
}

TEST_F(AdminServerTest, LeavesTheLastChunkOutWhenAnExportBreaksOff) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  control_.failure = Error{ErrorCode::kIo, "the queue cannot be read"};
  const std::string at_once = Get("/api/v1/campaigns/offer/remaining");
  EXPECT_THAT(at_once, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(at_once, HasSubstr("the queue cannot be read"));
  for (int i = 0; i < 10'000; ++i) control_.remaining.push_back(fmt::format("{{\"to\":\"r{}@example.org\"}}", i));
  const std::string later = Get("/api/v1/campaigns/offer/remaining");
  EXPECT_THAT(later, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(later, testing::Not(EndsWith("0\r\n\r\n")));
}

TEST_F(AdminServerTest, AnswersManyAtOnce) {
  std::atomic<int> good = 0;
  std::vector<std::thread> askers;
  for (int i = 0; i < 16; ++i) {
    askers.emplace_back([&] {
      for (int n = 0; n < 10; ++n) good += Get("/metrics").starts_with("HTTP/1.1 200 ") ? 1 : 0;
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(good, 160);
}

TEST_F(AdminServerTest, SaysWhenItsPortIsTaken) {
  Options options;
  options.admin.listen.port = server_->port();
  const auto second = MakeAdminServer(options, control_.All(), tally_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr(fmt::format("127.0.0.1:{}", server_->port())));
  EXPECT_THAT(second.error().message, HasSubstr("Address already in use"));
}

TEST(AdminServer, ListensBeyondLoopbackOnlyIfAllowed) {
  FakeControl control;
  EventTally tally(10);
  Options options;
  options.admin.listen = SocketAddress{IpAddress::Parse("0.0.0.0").value(), 0};
  const auto refused = MakeAdminServer(options, control.All(), tally);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("admin.allow_remote"));
  // An address of another host: allowed now, but it cannot be had.
  options.admin.listen.ip = IpAddress::Parse("192.0.2.1").value();
  options.admin.allow_remote = true;
  const auto foreign = MakeAdminServer(options, control.All(), tally);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::kUnavailable);
}

TEST(AdminServer, ListensOnIpv6Loopback) {
  FakeControl control;
  EventTally tally(10);
  Options options;
  options.admin.listen = SocketAddress{IpAddress::Parse("::1").value(), 0};
  const auto server = MakeAdminServer(options, control.All(), tally);
  // A host without IPv6 says so instead.
  if (server) {
    EXPECT_NE((*server)->port(), 0);
  } else {
    EXPECT_THAT(server.error().message, HasSubstr("[::1]"));
  }
}

TEST_F(AdminServerTest, TakesAnImportOfAnyLengthPieceByPiece) {
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += fmt::format("user{}@example.org\n", i);
  ASSERT_GT(lines.size(), 4u * 64 << 10);
  const std::string head =
      fmt::format("POST /api/v1/suppressions/import?list=offers HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", server_->port());
  EXPECT_THAT(Talk(head + fmt::format("Content-Length: {}\r\n\r\n{}", lines.size(), lines)),
              HasSubstr("\"added\":20000"));
  std::string chunks;
  for (std::size_t at = 0; at < lines.size(); at += 10'000) {
    const std::string piece = lines.substr(at, 10'000);
    chunks += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
  }
  EXPECT_THAT(Talk(head + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"),
              HasSubstr("\"unchanged\":20000"));
}

TEST_F(AdminServerTest, DoesNotTakeAnImportThatBreaksOffForAWholeOne) {
  const std::string head =
      fmt::format("POST /api/v1/suppressions/import HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", server_->port());
  EXPECT_THAT(Talk(head + "Transfer-Encoding: chunked\r\n\r\n10\r\nana@example.org\n\r\n"),
              Not(HasSubstr("\"added\"")));
  EXPECT_THAT(Talk(head + "Content-Length: 1000\r\n\r\nana@example.org\n"), Not(HasSubstr("\"added\"")));
}

}  // namespace
}  // namespace postrider::observe
