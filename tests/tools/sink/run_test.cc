// The program around the server: its files and its ends.

#include "tools/sink/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/tools/sink/blocking_client.h"
#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

using testing::StartsWith;

TEST(RunSink, EndsAfterSoManyMessagesAndLeavesItsFiles) {
  const std::filesystem::path directory = std::filesystem::path(testing::TempDir()) / "sink run test";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Options options;
  options.listen.push_back(ParseListen("127.0.0.1:0=comcast", {}).value());
  options.port_file = directory / "ports";
  options.summary_file = directory / "summary.json";
  options.write_certificate_file = directory / "certificate.pem";
  options.exit_after_messages = 1;
  int exit_code = -1;
  std::thread program([&] { exit_code = RunSink(options); });

  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!std::filesystem::exists(options.port_file) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  std::string address;
  std::getline(std::ifstream(options.port_file), address);
  const Result<SocketAddress> server = SocketAddress::Parse(address);
  ASSERT_TRUE(server) << address;
  {
    BlockingClient client(*server);
    EXPECT_THAT(client.Reply(), StartsWith("220"));
    client.Ask("EHLO client.test");
    client.Ask("MAIL FROM:<>");
    client.Ask("RCPT TO:<ana@example.org>");
    client.Ask("DATA");
    EXPECT_THAT(client.Ask("."), StartsWith("250"));
  }
  program.join();
  EXPECT_EQ(exit_code, 0);
  std::string first_line;
  std::getline(std::ifstream(options.write_certificate_file), first_line);
  EXPECT_EQ(first_line, "-----BEGIN CERTIFICATE-----");
  std::ifstream summary(options.summary_file);
  const nlohmann::json json = nlohmann::json::parse(summary);
  EXPECT_EQ(json["total"]["unique_recipients"], 1);
  EXPECT_EQ(json["listeners"][0]["address"], address);
  EXPECT_EQ(json["personalities"]["comcast"]["messages"], 1);
  std::filesystem::remove_all(directory);
}

TEST(RunSink, TakesAnEarlierRunsPortsAway) {
  Options options;
  options.listen.push_back(ParseListen("127.0.0.1:0=plain", {}).value());
  options.port_file = std::filesystem::path(testing::TempDir()) / "sink_run_test_ports";
  options.record_file = "/nonexistent/record.jsonl";
  std::ofstream(options.port_file) << "127.0.0.1:1\n";
  EXPECT_EQ(RunSink(options), 1);
  EXPECT_FALSE(std::filesystem::exists(options.port_file));
}

TEST(RunSink, TellsAWrongRequestFromOneThatCannotBeMet) {
  Options options;
  options.listen.push_back(ParseListen("127.0.0.1:0=gmial", {}).value());
  EXPECT_EQ(RunSink(options), 2);
  options.listen[0].personality = "gmail";
  options.record_file = "/nonexistent/record.jsonl";
  EXPECT_EQ(RunSink(options), 1);
}

}  // namespace
}  // namespace postrider::sink
