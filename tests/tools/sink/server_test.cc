// The receiver as a whole, on loopback and ports the system chooses.

#include "tools/sink/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/sink/blocking_client.h"
#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Options Listen(std::vector<std::string> addresses) {
  Options options;
  for (const std::string& text : addresses) options.listen.push_back(ParseListen(text, {}).value());
  return options;
}

std::unique_ptr<Server> StartServer(const Options& options) {
  Result<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server) ADD_FAILURE() << server.error().message;
  return std::move(*server);
}

// One message; the reply to its content.
std::string Deliver(BlockingClient& client, const std::string& recipient, std::size_t size = 100) {
  client.Send("MAIL FROM:<news@example.com>\r\nRCPT TO:<" + recipient + ">\r\nDATA\r\n");
  EXPECT_THAT(client.Reply(), StartsWith("250"));
  EXPECT_THAT(client.Reply(), StartsWith("250"));
  EXPECT_THAT(client.Reply(), StartsWith("354"));
  client.Send(std::string(size, 'x') + "\r\n.\r\n");
  return client.Reply();
}

TEST(Server, TakesMailInTheClear) {
  const auto server = StartServer(Listen({"127.0.0.1:0=gmail,tls=none", "127.0.0.2:0=yahoo,tls=none"}));
  ASSERT_EQ(server->addresses().size(), 2u);
  EXPECT_NE(server->addresses()[0].port, 0);
  BlockingClient gmail(server->addresses()[0]);
  EXPECT_THAT(gmail.Reply(), StartsWith("220 mx.google.com"));
  EXPECT_THAT(gmail.Ask("EHLO client.test"), HasSubstr("250-PIPELINING"));
  EXPECT_THAT(Deliver(gmail, "ana@example.org", 200'000), StartsWith("250 2.0.0 OK"));
  EXPECT_THAT(Deliver(gmail, "ben@example.org"), StartsWith("250 2.0.0 OK"));
  BlockingClient yahoo(server->addresses()[1]);
  yahoo.Reply();
  yahoo.Ask("EHLO client.test");
  EXPECT_THAT(Deliver(yahoo, "ana@example.org"), StartsWith("250 ok dirdel"));
  EXPECT_THAT(yahoo.Ask("QUIT"), StartsWith("221"));
  EXPECT_EQ(yahoo.Reply(), "");
  EXPECT_EQ(server->accepted(), 3u);

  const Summary now = server->Snapshot();
  EXPECT_EQ(now.receivers[0].counts.messages, 2u);
  const Result<Summary> end = server->Stop();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->receivers[0].unique_recipients, 2u);
  EXPECT_EQ(end->receivers[0].counts.bytes, 200'104u);
  EXPECT_EQ(end->receivers[1].unique_recipients, 0u);
  EXPECT_EQ(end->receivers[1].repeats, 1u);
  EXPECT_EQ(end->recipients_attempted, 2u);
  EXPECT_THAT(gmail.Reply(), StartsWith("421 4.3.2 mx.google.com shutting down"));
}

TEST(Server, SpeaksTlsThatVerifiesAndResumes) {
  Options options = Listen({"127.0.0.1:0=plain,tls=required", "127.0.0.1:0=gmail,tls=implicit"});
  options.host_names = {"mx.example.test"};
  const auto server = StartServer(options);
  const std::filesystem::path ca = std::filesystem::path(testing::TempDir()) / "sink_server_test_ca.pem";
  std::ofstream(ca) << server->CertificatePem();
  TlsOptions tls_options;
  tls_options.ca_file = ca;
  const Result<std::unique_ptr<tls::Tls>> tls = tls::MakeTls(tls_options);
  ASSERT_TRUE(tls) << tls.error().message;
  std::filesystem::remove(ca);
  const tls::ClientSettings settings{.host = "mx.example.test", .session_key = "key", .verify = true};
  for (const bool again : {false, true}) {
    BlockingClient client(server->addresses()[0]);
    client.Reply();
    client.Ask("EHLO client.test");
    EXPECT_THAT(client.Ask("MAIL FROM:<news@example.com>"), StartsWith("530 5.7.0"));
    EXPECT_THAT(client.Ask("STARTTLS"), StartsWith("220"));
    ASSERT_TRUE(client.StartTls(**tls, settings)) << client.stream().problem();
    EXPECT_TRUE(client.stream().info().verified);
    EXPECT_THAT(client.Ask("EHLO client.test"), testing::Not(HasSubstr("STARTTLS")));
    EXPECT_EQ(client.stream().info().resumed, again);
    EXPECT_THAT(Deliver(client, again ? "ana@example.org" : "ben@example.org", 100'000), StartsWith("250"));
    EXPECT_THAT(client.Ask("QUIT"), StartsWith("221"));
    EXPECT_EQ(client.Reply(), "");
  }
  BlockingClient implicit(server->addresses()[1]);
  const tls::ClientSettings other{.host = "mx.example.test", .session_key = "other", .verify = true};
  ASSERT_TRUE(implicit.StartTls(**tls, other));
  EXPECT_THAT(implicit.Reply(), StartsWith("220 mx.google.com"));
  BlockingClient noise(server->addresses()[1]);
  noise.Send("EHLO client.test\r\n");
  EXPECT_EQ(noise.Reply().substr(0, 3).find("220"), std::string::npos);

  const Result<Summary> end = server->Stop();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->receivers[0].counts.handshakes_full, 1u);
  EXPECT_EQ(end->receivers[0].counts.handshakes_resumed, 1u);
  EXPECT_EQ(end->receivers[0].counts.messages, 2u);
  EXPECT_EQ(end->receivers[1].counts.handshakes_full, 1u);
  EXPECT_EQ(end->receivers[1].counts.handshakes_failed, 1u);
}

TEST(Server, ResetsWithoutAnOrderlyClose) {
  const auto server = StartServer(Listen({"127.0.0.1:0=plain,reset=mail:100%", "127.0.0.1:0=plain,close=mail:100%"}));
  BlockingClient reset(server->addresses()[0]);
  reset.Reply();
  reset.Ask("EHLO client.test");
  EXPECT_EQ(reset.Ask("MAIL FROM:<>"), "error " + std::to_string(ECONNRESET));
  BlockingClient closed(server->addresses()[1]);
  closed.Reply();
  closed.Ask("EHLO client.test");
  EXPECT_EQ(closed.Ask("MAIL FROM:<>"), "");
  const Result<Summary> end = server->Stop();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->receivers[0].counts.faults, 1u);
  EXPECT_EQ(end->receivers[1].counts.faults, 1u);
}

TEST(Server, PlaysADeadSite) {
  // A port that was free a moment ago; a fixed one would collide.
  const std::uint16_t port = StartServer(Listen({"127.0.0.1:0=plain"}))->addresses()[0].port;
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const auto refusing = StartServer(Listen({address + "=plain,down-for=1s", "127.0.0.1:0=plain,down-for=1h:close"}));
  BlockingClient refused(refusing->addresses()[0]);
  EXPECT_FALSE(refused.connected());
  BlockingClient closed(refusing->addresses()[1]);
  EXPECT_TRUE(closed.connected());
  EXPECT_THAT(closed.Reply(), testing::AnyOf("", "error " + std::to_string(ECONNRESET)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  bool back = false;
  while (!back && std::chrono::steady_clock::now() < deadline)
    back = BlockingClient(refusing->addresses()[0]).connected();
  EXPECT_TRUE(back);
}

TEST(Server, SaysWhichAddressIsTaken) {
  const auto first = StartServer(Listen({"127.0.0.1:0=plain"}));
  for (const int cores : {1, 2}) {
    Options options = Listen({ToString(first->addresses()[0])});
    options.cores = cores;
    const Result<std::unique_ptr<Server>> second = Server::Start(options);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kBusy);
    EXPECT_THAT(second.error().message, HasSubstr(ToString(first->addresses()[0])));
    EXPECT_THAT(second.error().message, HasSubstr("stop it or choose another"));
  }
}

TEST(Server, CountsEachRecipientOnceOverSeveralCores) {
  Options options = Listen({"127.0.0.1:0=plain"});
  options.cores = 3;
  const auto server = StartServer(options);
  constexpr int kConnections = 24;
  for (int i = 0; i < kConnections; ++i) {
    BlockingClient client(server->addresses()[0]);
    client.Reply();
    client.Ask("EHLO client.test");
    EXPECT_THAT(Deliver(client, "user" + std::to_string(i % 4) + "@example.org"), StartsWith("250"));
    if (i == 10) {
      EXPECT_EQ(server->Snapshot().receivers[0].unique_recipients, 4u);
    }
  }
  const Result<Summary> end = server->Stop();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->receivers[0].counts.messages, static_cast<std::uint64_t>(kConnections));
  EXPECT_EQ(end->receivers[0].unique_recipients, 4u);
  EXPECT_EQ(end->receivers[0].repeats, static_cast<std::uint64_t>(kConnections - 4));
}

TEST(Server, RecordsAndKeepsWhatItAccepted) {
  const std::filesystem::path directory = std::filesystem::path(testing::TempDir()) / "sink_server_test_store";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Options options = Listen({"127.0.0.1:0=plain"});
  options.record_file = directory / "record.jsonl";
  options.store_directory = directory / "mail";
  const auto server = StartServer(options);
  BlockingClient client(server->addresses()[0]);
  client.Reply();
  client.Ask("EHLO client.test");
  client.Send("MAIL FROM:<>\r\nRCPT TO:<ana@example.org>\r\nBDAT 4 LAST\r\nA\nB.");
  for (int i = 0; i < 3; ++i) EXPECT_THAT(client.Reply(), StartsWith("250"));
  ASSERT_TRUE(server->Stop());
  std::stringstream record;
  record << std::ifstream(options.record_file).rdbuf();
  EXPECT_THAT(record.str(), HasSubstr("\"recipient\":\"ana@example.org\",\"from\":\"\",\"size\":4"));
  EXPECT_THAT(record.str(), HasSubstr("\"local\":\"" + ToString(server->addresses()[0]) + "\""));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(options.store_directory)) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  std::stringstream content;
  content << std::ifstream(files[0]).rdbuf();
  EXPECT_EQ(content.str(), "A\nB.");
  std::filesystem::remove_all(directory);
}

TEST(Server, AnswersAFloodOfCommandsToTheLast) {
  const auto server = StartServer(Listen({"127.0.0.1:0=plain"}));
  BlockingClient client(server->addresses()[0]);
  client.Reply();
  client.Send("EHLO client.test\r\n");
  constexpr int kCommands = 300'000;
  std::string flood;
  for (int i = 0; i < kCommands; ++i) flood += "NOOP\r\n";
  std::thread sender([&] { client.Send(flood + "QUIT\r\n"); });
  int replies = 0;
  while (client.Reply().starts_with("2")) ++replies;
  sender.join();
  EXPECT_EQ(replies, kCommands + 2);  // EHLO's and QUIT's
}

}  // namespace
}  // namespace postrider::sink
