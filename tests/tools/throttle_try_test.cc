#include "tools/throttle_try.h"
#include "tests/tools/run_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/engine/observe/temporary_directory.h"

namespace postrider::tools {
namespace {

using testing::HasSubstr;

constexpr std::string_view kRules = R"(format = 1
[[rule]]
name = "cake"
pattern = "no cake"
category = "inactive-mailbox"
scope = "recipient"
fate = "bounced"
suppress = "at-once"
samples = ["450 no cake"]
)";

class ThrottleTryTest : public testing::Test {
 protected:
  ThrottleTryTest() {
    Write("rules.toml", kRules);
    Write("postrider.toml",
          "host_name = \"sender.example.org\"\n[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = "
          "\"sender.example.org\"\n");
  }
  std::string Write(const std::string& name, std::string_view text) const {
    std::ofstream(directory_.path() / name, std::ios::binary) << text;
    return (directory_.path() / name).string();
  }
  std::string Path(const std::string& name) const { return (directory_.path() / name).string(); }
  Outcome Try(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"throttle", "try"});
    arguments.insert(arguments.end(), {"--config", Path("postrider.toml")});
    return RunProgram(arguments);
  }
  static std::string Line(int i, std::string_view reply) {
    return "{\"v\":1,\"event\":\"deferred\",\"time\":\"2026-11-24T10:00:00.000Z\",\"recipient\":\"ana" +
           std::to_string(i) +
           "@example.org\",\"site\":\"mx.example.org\",\"stage\":\"rcpt\",\"code\":450,\"reply\":\"" +
           std::string(reply) + "\",\"category\":\"other\",\"scope\":\"recipient\"}\n";
  }

  observe::TemporaryDirectory directory_;
};

TEST_F(ThrottleTryTest, ShowsWhatARuleWouldHaveChanged) {
  std::string log;
  for (int i = 0; i < 100; ++i) log += Line(i, i % 2 == 0 ? "no cake today" : "come back later");
  log += "{\"v\":1,\"event\":\"delivered\",\"code\":250}\n\n";
  const Outcome outcome = Try({Path("rules.toml"), "--log", Write("a.jsonl", log)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("50 of 100 replies would be judged otherwise\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("50 more recipients would have bounced:\n  ana0@example.org (mx.example.org): 450 no "
                        "cake today\n"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("suppressed at once +0 +50\n"));
  EXPECT_EQ(nlohmann::json::parse(Try({Path("rules.toml"), "--log", Path("a.jsonl"), "--json"}).out)["changed"], 50);
}

TEST_F(ThrottleTryTest, ReadsADirectoryOfLogFilesCompressedOnesToo) {
  const std::string text = Line(1, "no cake");
  Write("delivery-20261124T054405.007Z-1.jsonl", text);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  Write("delivery-20261124T044405.007Z-1.jsonl.zst", packed);
  EXPECT_THAT(Try({Path("rules.toml"), "--log", directory_.path().string()}).out, HasSubstr("2 of 2 replies"));
}

TEST_F(ThrottleTryTest, TakesAPathAsItWasGiven) {
  Write("a.jsonl", Line(1, "no cake"));
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  EXPECT_THAT(Try({"rules.toml", "--log", "a.jsonl"}).out, HasSubstr("1 of 1 replies"));
  std::filesystem::current_path(before);
}

TEST_F(ThrottleTryTest, ComparesWithTheLogWithoutOtherRules) {
  const std::string file = Write("a.jsonl", Line(1, "5.1.1 no such user"));
  const Outcome outcome = Try({"--log", file});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("1 of 1 replies would be judged otherwise\n"));
  EXPECT_THAT(outcome.out, HasSubstr("(the log)"));
  EXPECT_THAT(Try({Path("rules.toml"), "--against-log", "--log", file}).out, HasSubstr("(the log)"));
}

TEST_F(ThrottleTryTest, NamesBadLinesAndGoesOn) {
  std::string log = "this is no log\n";
  for (int i = 0; i < 20; ++i) log += "{\n";
  log += Line(1, "no cake");
  const std::string file = Write("a.jsonl", log);
  const Outcome outcome = Try({Path("rules.toml"), "--log", file});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("postrider throttle try: " + file + ":1: expected a line of the delivery log"));
  EXPECT_THAT(outcome.err, HasSubstr("... and 11 problems more\n"));
  EXPECT_THAT(outcome.out, HasSubstr("1 of 1 replies"));
}

TEST_F(ThrottleTryTest, SaysWhatIsWrongWithWhatItIsGiven) {
  const std::string log = Write("a.jsonl", Line(1, "no cake"));
  const Outcome bad = Try({Write("bad.toml", "[[rule]]\nname = \"x\"\n"), "--log", log});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("bad.toml:"));
  EXPECT_EQ(Try({Path("rules.toml")}).exit_code, 2);
  EXPECT_EQ(Try({Path("rules.toml"), "--log", Path("nothing.jsonl")}).exit_code, 1);
  std::filesystem::create_directory(directory_.path() / "empty");
  EXPECT_EQ(Try({Path("rules.toml"), "--log", Path("empty")}).exit_code, 1);
}

}  // namespace
}  // namespace postrider::tools
