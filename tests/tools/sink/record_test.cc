#include "tools/sink/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tools/sink/settings.h"
#include "tools/sink/summary.h"

namespace postrider::sink {
namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

class RecordTest : public testing::Test {
 protected:
  RecordTest() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~RecordTest() override { std::filesystem::remove_all(directory_); }

  const std::filesystem::path directory_ = std::filesystem::path(testing::TempDir()) / "sink_record_test";
  const Receiver receiver_ = MakeReceiver(0, ParseListen("127.0.0.2:2525=gmail", {}).value(), {}).value();
  std::vector<AcceptedRecipient> recipients_{{"a\"na@example.org", {}, 2, 1}, {"j\xC3\xBCrg@example.org", {}, 1, 1}};
  AcceptedMessage message_{receiver_,
                           7,
                           3,
                           "127.0.0.1",
                           "news@example.com",
                           "",
                           recipients_,
                           10240,
                           true,
                           {true, false},
                           Wall(std::chrono::milliseconds(1764000000123)),
                           "Message-ID: <a\xFF@b>\r\n\r\nbody"};
};

TEST_F(RecordTest, WritesAJsonLineForEachRecipient) {
  const AppendFile file = AppendFile::Create(directory_ / "record.jsonl").value();
  Recorder recorder(&file, {});
  recorder.OnAccepted(message_);
  EXPECT_TRUE(recorder.has_unwritten());
  recorder.Flush(false);
  EXPECT_EQ(ReadAll(directory_ / "record.jsonl"), "");  // waits for company
  recorder.Flush(true);
  std::stringstream lines(ReadAll(directory_ / "record.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line),
            nlohmann::json::parse(R"({"time":"2025-11-24T16:00:00.123Z","recipient":"a\"na@example.org",
              "from":"news@example.com","size":10240,"message_id":"<a?@b>","attempt":2,"accepted":1,
              "local":"127.0.0.2:2525","personality":"gmail","connection":7,"nth":3,"tls":true,"resumed":false,
              "bdat":true,"client":"127.0.0.1"})"));
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line)["recipient"], "j\xC3\xBCrg@example.org");
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(RecordTest, KeepsContentsAsFilesAndNamesThem) {
  const AppendFile file = AppendFile::Create(directory_ / "record.jsonl").value();
  Recorder recorder(&file, directory_);
  message_.auth_user = "user";
  recorder.OnAccepted(message_);
  recorder.Flush(true);
  EXPECT_EQ(ReadAll(directory_ / "7-3.eml"), message_.content);
  const std::string text = ReadAll(directory_ / "record.jsonl");
  const nlohmann::json line = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(line["file"], "7-3.eml");
  EXPECT_EQ(line["auth"], "user");
}

TEST_F(RecordTest, RemembersThatItCouldNotWrite) {
  Recorder recorder(nullptr, directory_ / "missing");
  recorder.OnAccepted(message_);
  ASSERT_TRUE(recorder.problem());
  EXPECT_THAT(recorder.problem()->message, testing::HasSubstr("7-3.eml"));
  EXPECT_FALSE(AppendFile::Create(directory_ / "missing" / "x"));
}

TEST(JsonString, EscapesAndStaysUtf8) {
  std::string out;
  AppendJsonString(out, std::string_view("a\"\\\n\x01\0", 6));
  AppendJsonString(out, "\xC3\xBC");
  AppendJsonString(out, "\xC3");
  EXPECT_EQ(out, "\"a\\\"\\\\\\u000a\\u0001\\u0000\"\"\xC3\xBC\"\"?\"");
}

TEST(Summary, SumsListenersIntoPersonalitiesAndATotal) {
  Summary summary;
  summary.cpu_seconds = 2;
  for (int i = 0; i < 3; ++i) {
    Summary::Part part;
    part.name = "127.0.0." + std::to_string(i + 1) + ":25";
    part.personality = i < 2 ? "gmail" : "yahoo";
    part.counts.messages = 100;
    part.counts.bytes = 1000;
    part.counts.first_message = Monotonic(std::chrono::seconds(10 + i));
    part.counts.last_message = Monotonic(std::chrono::seconds(20 + i));
    part.unique_recipients = 90;
    part.repeats = 10;
    summary.receivers.push_back(part);
  }
  const nlohmann::json json = nlohmann::json::parse(ToJson(summary));
  EXPECT_EQ(json["listeners"].size(), 3u);
  EXPECT_EQ(json["listeners"][2]["address"], "127.0.0.3:25");
  EXPECT_EQ(json["listeners"][2]["messages"], 100);
  EXPECT_EQ(json["personalities"]["gmail"]["messages"], 200);
  EXPECT_EQ(json["personalities"]["yahoo"]["repeats"], 10);
  EXPECT_EQ(json["total"]["messages"], 300);
  EXPECT_EQ(json["total"]["unique_recipients"], 270);
  EXPECT_EQ(json["total"]["seconds"], 12.0);
  EXPECT_NEAR(json["total"]["messages_per_second"].get<double>(), 299.0 / 12, 0.01);
  EXPECT_NEAR(json["total"]["cpu_us_per_message"].get<double>(), 6666.67, 0.01);
  EXPECT_EQ(nlohmann::json::parse(ToJson({}))["total"]["messages_per_second"], 0.0);
}

}  // namespace
}  // namespace postrider::sink
