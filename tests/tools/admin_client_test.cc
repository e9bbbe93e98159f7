#include "tools/admin_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "engine/observe/admin_server.h"
#include "tests/engine/observe/fake_control.h"
#include "tests/engine/observe/temporary_directory.h"
#include "tools/status_view.h"

namespace postrider::tools {
namespace {

using testing::HasSubstr;

constexpr IpAddress kLoopback{IpAddress::Family::kIpv4, {127, 0, 0, 1}};

class AdminClientTest : public testing::Test {
 protected:
  AdminClientTest() {
    Options options;
    options.admin.listen.port = 0;
    Result<std::unique_ptr<observe::AdminServer>> server = observe::MakeAdminServer(options, control_.All(), tally_);
    EXPECT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }
  AdminClient Client() const { return AdminClient(SocketAddress{kLoopback, server_->port()}); }

  observe::FakeControl control_;
  observe::EventTally tally_{10};
  std::unique_ptr<observe::AdminServer> server_;
};

TEST_F(AdminClientTest, UnderstandsWhatTheServerSays) {
  queue::CampaignTotals totals;
  totals.rows = totals.accepted = 10;
  totals.delivered = 4;
  control_.AddCampaign("my offer", queue::CampaignState::kRunning, totals);
  control_.pauses = {{delivery::CoreCommand::Target::kSource, "a"}};
  control_.snapshot.cores.resize(1);
  delivery::SiteSnapshot& site = control_.snapshot.cores[0].sites.emplace_back();
  site.site = "mx.example.org";
  site.blocked_until = Wall(std::chrono::seconds(60));
  control_.backlog.resize(1);
  control_.backlog[0].domain = "example.org";
  control_.jobs.push_back(
      {.campaign = "my offer", .row = 3, .row_id = "x", .attempts = 1, .next_due = {}, .last_reply = ""});

  const auto text = Client().Get("/api/v1/status");
  ASSERT_TRUE(text) << text.error().message;
  const auto status = ParseStatus(*text);
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_EQ(status->campaigns.size(), 1u);
  EXPECT_EQ(status->campaigns[0].totals.queued, 6u);
  EXPECT_EQ(status->pauses, std::vector<std::string>{"source a"});

  const auto campaign = ParseCampaign(Client().Get("/api/v1/campaigns/my%20offer").value_or(""));
  ASSERT_TRUE(campaign) << campaign.error().message;
  EXPECT_EQ(campaign->name, "my offer");

  const auto queue = ParseQueue(Client().Get("/api/v1/queue").value_or(""));
  ASSERT_TRUE(queue) << queue.error().message;
  EXPECT_EQ(queue->sites[0].blocked_until, Wall(std::chrono::seconds(60)));
  EXPECT_EQ(queue->domains[0].domain, "example.org");
}

TEST_F(AdminClientTest, PassesOnTheDaemonsSentence) {
  const auto missing = Client().Get("/api/v1/campaigns/nothing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message, "there is no campaign \"nothing\"");
}

TEST_F(AdminClientTest, SaysThatANameIsTooLongToBeAskedFor) {
  const Result<std::string> answer = Client().Get("/api/v1/campaigns/" + std::string(100'000, 'x'));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(answer.error().message, "what is asked for is 100018 octets long; no address and no name is");
}

TEST_F(AdminClientTest, PostsBodies) {
  EXPECT_TRUE(Client().Post("/api/v1/pause", R"({"site":"mx.example.org"})"));
  EXPECT_EQ(control_.asked, std::vector<std::string>{"pause site mx.example.org"});
  EXPECT_TRUE(Client().Post("/api/v1/reload", ""));
  EXPECT_EQ(control_.reloads, 1);
}

TEST_F(AdminClientTest, StreamsAWholeExport) {
  control_.AddCampaign("offer", queue::CampaignState::kRunning);
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    control_.remaining.push_back(fmt::format("{{\"to\":\"r{}@example.org\"}}\n", i));
    expected += control_.remaining.back();
  }
  std::string text;
  const auto streamed = Client().Stream("/api/v1/campaigns/offer/remaining", [&](std::string_view bytes) {
    text += bytes;
    return true;
  });
  EXPECT_TRUE(streamed) << streamed.error().message;
  EXPECT_EQ(text, expected);
}

TEST_F(AdminClientTest, NoticesAnExportThatBreaksOff) {
  control_.AddCampaign("offer", queue::CampaignState::kRunning);
  for (int i = 0; i < 20'000; ++i) control_.remaining.push_back(fmt::format("{{\"to\":\"r{}@example.org\"}}\n", i));
  control_.failure = Error{ErrorCode::kIo, "the queue cannot be read"};
  std::size_t bytes_seen = 0;
  const auto streamed = Client().Stream("/api/v1/campaigns/offer/remaining", [&](std::string_view bytes) {
    bytes_seen += bytes.size();
    return true;
  });
  ASSERT_FALSE(streamed);
  EXPECT_THAT(streamed.error().message, HasSubstr("broke off"));
  EXPECT_GT(bytes_seen, 0u);
}

// A listener that answers one connection with what a test gives it.
class Answerer {
 public:
  explicit Answerer(std::string answer) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int fd = accept(listener_, nullptr, nullptr);
      char request[4096];
      (void)!recv(fd, request, sizeof request, 0);
      (void)!send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      close(fd);
    });
  }
  ~Answerer() {
    thread_.join();
    close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

Result<std::string> AskOne(std::string answer) {
  const Answerer answerer(std::move(answer));
  return AdminClient(SocketAddress{kLoopback, answerer.port()}).Get("/api/v1/status");
}

TEST(AdminClient, RefusesWhatIsNoAnswerOfADaemon) {
  for (const char* answer : {"", "220 mail.example.org ESMTP\r\n", "HTTP/1.1 banana\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    const Result<std::string> asked = AskOne(answer);
    EXPECT_FALSE(asked) << answer << ": " << asked.value_or("");
  }
  const Result<std::string> teapot = AskOne("HTTP/1.1 418 Teapot\r\nContent-Length: 2\r\n\r\nhi");
  ASSERT_FALSE(teapot);
  EXPECT_THAT(teapot.error().message, HasSubstr("418"));
}

TEST(AdminClient, SaysWhenNobodyListens) {
  std::uint16_t port = 0;
  {
    // A port that was free a moment ago.
    const Answerer answerer("");
    port = answerer.port();
    (void)AdminClient(SocketAddress{kLoopback, port}).Get("/");
  }
  const auto asked = AdminClient(SocketAddress{kLoopback, port}).Get("/");
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(asked.error().message, HasSubstr("postrider run"));
}

class AdminPlaceTest : public testing::Test {
 protected:
  std::filesystem::path Config(std::string_view admin) {
    const std::filesystem::path file = directory_.path() / "postrider.toml";
    std::ofstream(file) << "[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"mail.example.org\"\n"
                        << "[admin]\n"
                        << admin << "\n";
    return file;
  }
  std::string Found(const AdminPlace& place) {
    const Result<AdminClient> client = AdminClient::Find(place);
    return client ? ToString(client->address()) : client.error().message;
  }
  observe::TemporaryDirectory directory_;
};

TEST_F(AdminPlaceTest, IsWhatTheCommandLineOrTheConfigurationSays) {
  EXPECT_EQ(Found({.address = "127.0.0.1:99", .config = Config("listen = \"127.0.0.1:7\"")}), "127.0.0.1:99");
  EXPECT_EQ(Found({.address = "", .config = Config("listen = \"127.0.0.1:7\"")}), "127.0.0.1:7");
  EXPECT_EQ(Found({.address = "", .config = Config("listen = \"0.0.0.0:7\"\nallow_remote = true")}), "127.0.0.1:7");
  EXPECT_EQ(Found({.address = "", .config = Config("listen = \"[::]:7\"\nallow_remote = true")}), "[::1]:7");
}

TEST_F(AdminPlaceTest, IsFoundInAConfigurationThatIsWrongElsewhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"listen = \"127.0.0.1:7\"\n[log]\ndirektory = 3", "127.0.0.1:7"},
      {"  listen='[::1]:7' # here\n[log\nx", "[::1]:7"},
      {"listen = \"0.0.0.0:7\"\nx = 1", "127.0.0.1:7"},
      {"x = 1\n[other]\nlisten = \"127.0.0.1:9\"", "127.0.0.1:8025"},
      {"# listen = \"127.0.0.1:9\"\n\"\"\"", "127.0.0.1:8025"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Found({.address = "", .config = Config(text)}), expected);
  for (const char* text : {"listen =", "listen = \"", "listen = \"127.0.0.1:9\nx", "listen = 7", "listen = \"x\""}) {
    EXPECT_THAT(Found({.address = "", .config = Config(text)}), HasSubstr("postrider.toml:6")) << text;
  }
}

TEST_F(AdminPlaceTest, SaysWhatIsWrongWithWhatWasNamed) {
  EXPECT_THAT(Found({.address = "somewhere", .config = ""}), HasSubstr("--admin"));
  EXPECT_THAT(Found({.address = "", .config = directory_.path() / "missing.toml"}), HasSubstr("missing.toml"));
  EXPECT_THAT(Found({.address = "", .config = Config("listen = 7")}), HasSubstr("postrider.toml:6"));
  EXPECT_THAT(Found({.address = "", .config = Config("listen = \"127.0.0.1:0\"")}), HasSubstr("port 0"));
}

}  // namespace
}  // namespace postrider::tools
