// What the sink says of a recipient, judged by the rules the daemon judges by: a share of refused recipients must not
// slow down or stop the path, or a dry run measures a punishment instead of the sender.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/engine/observe/temporary_directory.h"
#include "tests/tools/run_program.h"
#include "tools/sink/personality.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

TEST(SinkRefusals, OfARecipientAreJudgedToBeAboutThatRecipient) {
  const observe::TemporaryDirectory directory;
  const std::string file = (directory.path() / "replies.jsonl").string();
  sink::ReplyFields fields;
  fields.to = "c@d.example";
  fields.client = "192.0.2.1";
  fields.host = "mx.d.example";
  std::size_t count = 0;
  {
    std::ofstream out(file);
    for (const std::string_view name : sink::PersonalityNames()) {
      const auto personality = sink::MakePersonality(name);
      ASSERT_TRUE(personality);
      for (const sink::Personality::Refusals* refusals : {&personality->permanent, &personality->temporary}) {
        for (const sink::ReplyText& text : refusals->at_rcpt) {
          std::string reply;
          text.Append(reply, fields);
          out << json{{"reply", reply}, {"stage", "rcpt"}}.dump() << "\n";
          ++count;
        }
      }
    }
  }
  const Outcome outcome = RunProgram({"classify", file, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  std::size_t judged = 0;
  for (std::string line; std::getline(lines, line); ++judged) {
    EXPECT_EQ(json::parse(line).at("scope"), "recipient") << line;
  }
  EXPECT_EQ(judged, count);
}

}  // namespace
}  // namespace postrider::tools
