#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <regex>
#include <sstream>
#include <string>

#include "config/load.h"
#include "config/rules.h"
#include "config/schema.h"

namespace postrider {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

OptionsPtr Load(std::string_view toml) {
  auto options = ParseOptions(toml, "test.toml", "/etc/postrider");
  if (options) return *options;
  for (const Diagnostic& diagnostic : options.error()) ADD_FAILURE() << ToString(diagnostic);
  return std::make_shared<const Options>();
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "#name = value" and "#[[table]]" lines are what the example leaves out; prose has a blank after its "#".
std::string Uncomment(const std::string& text) {
  return std::regex_replace(text, std::regex("(^|\n)#([^ \n])"), "$1$2");
}

TEST(Example, IsExactlyWhatExplainPrints) {
  EXPECT_EQ(ReadFile(std::filesystem::path(POSTRIDER_TEST_DATA) / "../../config/example.toml"), ExplainOptions());
}

TEST(Example, SaysThatACampaignWithTooManyBadRowsIsHeld) {
  const std::string text = std::regex_replace(ExplainOptions(), std::regex("\n# "), " ");
  EXPECT_NE(text.find("more bad rows than max_rejects_free, is held until it is resumed"), std::string::npos);
  EXPECT_EQ(text.find("fails as a whole"), std::string::npos);
}

TEST(Example, LoadsAsItIsAndHoldsTheDefaults) {
  const OptionsPtr example = Load(ExplainOptions());
  const Options defaults;
  // What the schema shows of the one it must show of the other.
  for (const TableSchema& table : Schema()) {
    if (table.is_array) continue;
    for (const OptionSchema& option : table.options) {
      if (option.key == "host_name") continue;  // the system's
      EXPECT_EQ(option.show(table.example(*example)), option.show(table.example(defaults)))
          << table.name << "." << option.key;
    }
  }
  EXPECT_EQ(example->timeouts.final_reply, seconds(600));
  EXPECT_THAT(example->retry_bulk.schedule,
              ElementsAre(minutes(7), minutes(15), minutes(30), hours(1), hours(2), hours(4)));
  EXPECT_THAT(example->sources, SizeIs(1));
  EXPECT_THAT(example->routes, IsEmpty());
  // The example's "*" says what the built-in one says.
  ASSERT_THAT(example->rules, SizeIs(2));
  EXPECT_EQ(example->rules[1].match.text(), "*");
  EXPECT_EQ(ResolveRule(*example, "example.org", {}), ResolveRule(defaults, "example.org", {}));
}

TEST(Example, LoadsWithEveryLineTakenIn) {
  const OptionsPtr options = Load(Uncomment(ExplainOptions()));
  EXPECT_EQ(options->host_name, "mail.example.org");
  EXPECT_EQ(options->sources[0].ipv6.has_value(), true);
  ASSERT_THAT(options->routes, SizeIs(1));
  EXPECT_EQ(options->routes[0].auth_user, "mailer");
  EXPECT_EQ(options->rules[1].message_rate, 10.0);
  EXPECT_EQ(options->rules[1].daily_quota, 50'000);
  EXPECT_EQ(options->pools[0].name, "newsletter");
}

TEST(Example, NamesEveryOptionWithItsReason) {
  const std::string lines = "\n" + Uncomment(ExplainOptions());
  for (const TableSchema& table : Schema()) {
    EXPECT_EQ(table.help.empty(), table.name.empty()) << table.name;
    for (const OptionSchema& option : table.options) {
      EXPECT_THAT(lines, HasSubstr("\n" + std::string(option.key) + " = ")) << table.name;
      EXPECT_THAT(option.help, testing::EndsWith(".")) << table.name << "." << option.key;
    }
  }
}

TEST(Load, MangledExamplesNeverDoWorseThanADiagnostic) {
  const std::string example = ExplainOptions();
  std::mt19937 random(7);
  const std::string bytes = "[]\"'=#.,{}\n\\ 0azZ-\x01\xff";
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = example;
    for (int i = 0; i < 5; ++i) text[random() % text.size()] = bytes[random() % bytes.size()];
    if (random() % 3 == 0) text.resize(random() % text.size());
    const auto options = ParseOptions(text, "x", "/");
    if (options) continue;
    ++refused;
    EXPECT_FALSE(options.error().empty());
  }
  EXPECT_GT(refused, 100);
}

TEST(Schema, FindsTheNameThatWasMeant) {
  const std::string_view known[] = {"connect", "connect_round", "banner"};
  EXPECT_EQ(NearestName("conect", known), "connect");
  EXPECT_EQ(NearestName("conenct", known), "connect");
  EXPECT_EQ(NearestName("connect_rounds", known), "connect_round");
  EXPECT_EQ(NearestName("queue", known), "");
  EXPECT_EQ(NearestName("", known), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'a'), known), "");
}

TEST(Schema, KeysDifferWithinATableAndTablesDiffer) {
  for (const TableSchema& table : Schema()) {
    EXPECT_EQ(FindTable(table.name), &table);
    for (const OptionSchema& option : table.options) EXPECT_EQ(table.Find(option.key), &option) << option.key;
  }
}

}  // namespace
}  // namespace postrider
