#include "tools/log_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <random>

#include "engine/observe/event_line.h"
#include "tests/engine/observe/temporary_directory.h"

namespace postrider::tools {
namespace {

using testing::ElementsAre;

queue::Event Bounce() {
  queue::Event event;
  event.kind = queue::EventKind::kBounced;
  event.final = true;
  event.time = Wall(std::chrono::milliseconds(1'800'000'000'123));
  event.campaign = "offer";
  event.recipient = "ana@example.org";
  event.site = "mx.example.org";
  event.provider = "google";
  event.source = "a";
  event.attempt = 1;
  event.stage = Stage::kRcpt;
  event.code = 550;
  event.enhanced = EnhancedCode{5, 1, 1};
  event.reply = "5.1.1 no such\nuser";
  event.category = Category::kBadMailbox;
  event.scope = Scope::kRecipient;
  return event;
}

std::string LineOf(const queue::Event& event) {
  std::string line;
  observe::EventLine(7).Append(event, line);
  return line;
}

std::vector<std::string> AllLines(const std::filesystem::path& file, std::string* problem = nullptr) {
  std::vector<std::string> all;
  auto lines = LogLines::Open(file);
  EXPECT_TRUE(lines) << lines.error().message;
  while (lines) {
    const auto line = lines->Next();
    if (!line && problem != nullptr) *problem = line.error().message;
    if (!line || !*line) break;
    all.emplace_back(**line);
    EXPECT_EQ(lines->line(), all.size());
  }
  return all;
}

TEST(LogReply, ReadsWhatTheLogWrites) {
  const auto logged = ParseLogReply(LineOf(Bounce()));
  ASSERT_TRUE(logged && *logged);
  EXPECT_EQ((*logged)->time, Bounce().time);
  EXPECT_TRUE((*logged)->about_recipient);
  EXPECT_TRUE((*logged)->final);
  EXPECT_EQ((*logged)->fate, Fate::kBounced);
  EXPECT_EQ((*logged)->category, Category::kBadMailbox);
  EXPECT_EQ((*logged)->scope, Scope::kRecipient);
  EXPECT_EQ((*logged)->stage, Stage::kRcpt);
  EXPECT_EQ((*logged)->recipient, "ana@example.org");
  EXPECT_EQ((*logged)->campaign, "offer");
  EXPECT_EQ((*logged)->site, "mx.example.org");
  EXPECT_EQ((*logged)->provider, "google");
  EXPECT_EQ((*logged)->source, "a");
  EXPECT_EQ((*logged)->reply.code, 550);
  EXPECT_EQ((*logged)->reply.text, "5.1.1 no such\nuser");
}

TEST(LogReply, PassesOverWhatIsNoNegativeReply) {
  queue::Event event = Bounce();
  event.kind = queue::EventKind::kDelivered;
  event.code = 250;
  EXPECT_FALSE(*ParseLogReply(LineOf(event)));
  event = Bounce();
  event.code = 0;
  EXPECT_FALSE(*ParseLogReply(LineOf(event)));
  event = Bounce();
  event.kind = queue::EventKind::kExpired;
  EXPECT_FALSE(*ParseLogReply(LineOf(event)));
  event.kind = queue::EventKind::kCampaign;
  EXPECT_FALSE(*ParseLogReply(LineOf(event)));
}

TEST(LogReply, TakesWhatAnActionDidFromInFrontOfTheReply) {
  queue::Event event = Bounce();
  event.kind = queue::EventKind::kPath;
  event.scope = Scope::kPath;
  event.code = 421;
  event.stage = Stage::kBanner;
  event.reply = "stop-path by rule yahoo-ts03: 4.7.0 [TS03] deferred: see rule x: y";
  const auto logged = ParseLogReply(LineOf(event));
  ASSERT_TRUE(logged && *logged);
  EXPECT_FALSE((*logged)->about_recipient);
  EXPECT_EQ((*logged)->reply.text, "4.7.0 [TS03] deferred: see rule x: y");
  event.reply = "Refused by rule 7: go away";
  EXPECT_EQ((**ParseLogReply(LineOf(event))).reply.text, "Refused by rule 7: go away");
  // The recipient's own line tells of this one.
  event.scope = Scope::kRecipient;
  event.reply = "lower-rate by rule x: 4.7.0 slow down";
  EXPECT_FALSE(*ParseLogReply(LineOf(event)));
}

TEST(LogReply, RefusesWhatIsNoLineOfALog) {
  for (const char* line : {"", "{", "[]", "5", "null", "{}", "ana@example.org", "{\"event\":\"bounced\",\"code\":7}",
                           "{\"event\":\"bounced\",\"code\":99999999999}", "{\"event\":\"bounced\",\"code\":-550}"}) {
    EXPECT_FALSE(ParseLogReply(line)) << line;
  }
  for (const char* line : {"{\"event\":5}", "{\"event\":\"bounced\",\"code\":\"550\"}",
                           "{\"event\":\"bounced\",\"code\":1.5}", "{\"event\":\"bounced\",\"code\":250}"}) {
    const auto logged = ParseLogReply(line);
    EXPECT_TRUE(logged && !*logged) << line;
  }
  // Fields of other types are as if they were not there.
  const auto odd =
      ParseLogReply(R"({"event":"bounced","code":550,"reply":5,"recipient":[],"time":"soon","stage":"x"})");
  ASSERT_TRUE(odd && *odd);
  EXPECT_EQ((*odd)->reply.code, 550);
  EXPECT_EQ((*odd)->recipient, "");
}

TEST(LogReply, SurvivesAnyBytes) {
  std::mt19937_64 random(3);
  const std::string good = LineOf(Bounce());
  for (int i = 0; i < 5000; ++i) {
    std::string line = good;
    for (int changes = 0; changes < 3; ++changes) line[random() % line.size()] = static_cast<char>(random());
    const auto logged = ParseLogReply(line);
    if (logged && *logged) {
      EXPECT_GE((*logged)->reply.code, 400);
    }
  }
}

TEST(LogLines, AreTheSameCompressedOrNot) {
  const observe::TemporaryDirectory directory;
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i) {
    expected.push_back("line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 100), 'x'));
    text += expected.back() + "\n";
  }
  text += "the last, torn";
  expected.emplace_back("the last, torn");
  const std::filesystem::path plain = directory.path() / "a.jsonl";
  std::ofstream(plain, std::ios::binary) << text;
  EXPECT_EQ(AllLines(plain), expected);
  gzFile gz = gzopen((directory.path() / "a.jsonl.gz").c_str(), "wb");
  gzwrite(gz, text.data(), static_cast<unsigned>(text.size()));
  gzclose(gz);
  EXPECT_EQ(AllLines(directory.path() / "a.jsonl.gz"), expected);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  std::ofstream(directory.path() / "a.jsonl.zst", std::ios::binary) << packed;
  EXPECT_EQ(AllLines(directory.path() / "a.jsonl.zst"), expected);

  // One that is cut gives what it holds, and says so.
  std::ofstream(directory.path() / "b.jsonl.zst", std::ios::binary) << packed.substr(0, packed.size() / 2);
  std::string problem;
  EXPECT_LT(AllLines(directory.path() / "b.jsonl.zst", &problem).size(), expected.size());
  EXPECT_THAT(problem, testing::HasSubstr("b.jsonl.zst"));
}

TEST(LogLines, KeepsNoMoreOfALineWithoutEndThanALineMayHave) {
  const observe::TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "a.jsonl";
  std::ofstream(file, std::ios::binary) << "one\n" << std::string(5 << 20, 'x') << "\n\ntwo\n";
  const std::vector<std::string> lines = AllLines(file);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1].size(), 1u << 20);
  EXPECT_THAT((std::vector{lines[0], lines[2], lines[3]}), ElementsAre("one", "", "two"));
  std::ofstream(file, std::ios::binary).close();
  EXPECT_TRUE(AllLines(file).empty());
}

}  // namespace
}  // namespace postrider::tools
