#include "config/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider {
namespace {

using testing::HasSubstr;

std::string Errors(std::string_view toml) {
  const auto parsed = ParseManifest(toml, "campaign.toml");
  if (parsed) return "";
  std::string all;
  for (const Diagnostic& diagnostic : parsed.error()) all += ToString(diagnostic) + "\n";
  return all;
}

TEST(Manifest, NeedsNothingButItsFormat) {
  const Manifest manifest = ParseManifest("format = 1", "m").value();
  EXPECT_EQ(manifest.mail_class, MailClass::kBulk);
  EXPECT_EQ(manifest.pool, "default");
  EXPECT_FALSE(manifest.streaming);
  EXPECT_TRUE(manifest.skip_duplicates);
  EXPECT_FALSE(manifest.envelope_from.has_value());
}

TEST(Manifest, TakesMomentsOfAnyYear) {
  const auto day = [](int year) { return Wall(std::chrono::sys_days(std::chrono::year(year) / 12 / 31)); };
  const auto expires = [](std::string_view moment) {
    return ParseManifest("format = 1\nexpires = " + std::string(moment), "m").value().expires;
  };
  EXPECT_EQ(expires("2262-12-31T00:00:00Z"), day(2262));
  EXPECT_EQ(expires("9999-12-31T00:00:00.25Z"), day(9999) + std::chrono::milliseconds(250));
  EXPECT_EQ(expires("0001-12-31T00:00:00Z"), day(1));
}

TEST(Manifest, ReadsEveryKey) {
  const Manifest manifest = ParseManifest(R"(
format = 1
class = "transactional"
from = "Shop <shop@example.com>"
envelope_from = "bounces@Example.com"
pool = "night"
list = "newsletter"
start = "streaming"
not_before = 2026-11-23T09:00:00+01:00
expires = 2026-11-25T00:00:00.5Z
rate = "600/min"
priority = -5
weight = 300
windows = ["Mon-Fri 08:00-20:00", "Sat 10:00-12:00"]
time_zone = "Europe/Paris"
duplicates = "send"
on_unknown = "report"
recipients = 1000
sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
max_reject_share = 0.05
eight_bit = true
subject = "Grüße {{name}}"
[headers]
X-Zulu = "1"
List-Unsubscribe = "<https://example.com/{{token}}>"
)",
                                          "m")
                                .value();
  EXPECT_EQ(manifest.mail_class, MailClass::kTransactional);
  EXPECT_EQ(manifest.from, "Shop <shop@example.com>");
  EXPECT_EQ(manifest.envelope_from, "bounces@example.com");
  EXPECT_EQ(manifest.pool, "night");
  EXPECT_EQ(manifest.list, "newsletter");
  EXPECT_TRUE(manifest.streaming);
  EXPECT_EQ(manifest.not_before,
            Wall(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::hours(8)));
  EXPECT_EQ(manifest.expires,
            Wall(std::chrono::sys_days(std::chrono::year(2026) / 11 / 25) + std::chrono::milliseconds(500)));
  EXPECT_DOUBLE_EQ(manifest.messages_per_second, 10);
  EXPECT_EQ(manifest.priority, -5);
  EXPECT_EQ(manifest.weight, 300);
  ASSERT_EQ(manifest.windows.size(), 2u);
  EXPECT_EQ(ToString(manifest.windows[1]), "Sat 10:00-12:00");
  EXPECT_EQ(manifest.time_zone, "Europe/Paris");
  EXPECT_EQ(manifest.canary_share, 0);
  EXPECT_FALSE(manifest.skip_duplicates);
  EXPECT_TRUE(manifest.report_unknown);
  EXPECT_EQ(manifest.recipients, 1000u);
  EXPECT_EQ(manifest.sha256.substr(0, 8), "e3b0c442");
  EXPECT_EQ(manifest.max_reject_share, 0.05);
  EXPECT_TRUE(manifest.eight_bit);
  EXPECT_EQ(manifest.subject, "Grüße {{name}}");
  EXPECT_THAT(manifest.headers,
              testing::ElementsAre(testing::Pair("X-Zulu", "1"),
                                   testing::Pair("List-Unsubscribe", "<https://example.com/{{token}}>")));
}

TEST(Manifest, TakesAnEmptySenderAsTheNullSender) {
  EXPECT_EQ(ParseManifest("format = 1\nenvelope_from = \"\"", "m").value().envelope_from, "");
  EXPECT_EQ(ParseManifest("format = 1\nenvelope_from = \"<>\"", "m").value().envelope_from, "");
}

TEST(Manifest, NamesTheListWhoseUnsubscribesCount) {
  EXPECT_EQ(ParseManifest("format = 1", "m").value().list, "");
  EXPECT_EQ(ParseManifest("format = 1\nlist = \"global\"", "m").value().list, "");
  EXPECT_EQ(ParseManifest("format = 1\nlist = \"offers\"", "m").value().list, "offers");
  EXPECT_THAT(Errors("format = 1\nlist = \"two words\""), HasSubstr("campaign.toml:2:8: list: not the name of a list"));
  EXPECT_THAT(Errors("format = 1\nlist = \"bounced-once\""), HasSubstr("list: \"bounced-once\" is the program's own"));
  EXPECT_THAT(Errors("format = 1\nlist = 5"), HasSubstr("campaign.toml:2:8: list: expected one line of text"));
}

TEST(Manifest, ReportsEverythingAtOnceInOrder) {
  const std::string errors = Errors(
      "class = \"urgent\"\nenvelope_from = \"nobody\"\nstart = 1\nnot_before = 2026-11-23T09:00:00\nrate = \"fast\"\n"
      "priority = 200\nrecipients = 0\nsha256 = \"abc\"\nmax_reject_share = 2\neight_bit = \"yes\"\nsubject = "
      "\"a\\nb\"\n"
      "pol = \"x\"\nheaders = 3\nduplicates = []\n");
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 15);
  for (const char* expected :
       {"campaign.toml:1:1: format is missing",
        "campaign.toml:1:9: class: expected \"bulk\" or \"transactional\", found \"urgent\"",
        "campaign.toml:2:17: envelope_from: \"nobody\" is not an address",
        "campaign.toml:3:9: start: expected \"whole\" or \"streaming\", found 1",
        "campaign.toml:4:14: not_before: expected a moment with its offset", "campaign.toml:5:8: rate: expected a rate",
        "campaign.toml:6:12: priority:", "campaign.toml:7:14: recipients:", "campaign.toml:8:10: sha256: expected 64",
        "campaign.toml:9:20: max_reject_share:", "campaign.toml:10:13: eight_bit:",
        "campaign.toml:11:11: subject: expected one line", "campaign.toml:12:1: unknown key \"pol\"",
        "campaign.toml:13:1: headers: expected a table", "campaign.toml:14:14: duplicates: expected"}) {
    EXPECT_THAT(errors, HasSubstr(expected));
  }
}

TEST(Manifest, RefusesWhatItCannotRead) {
  EXPECT_THAT(Errors("format = "), HasSubstr("campaign.toml:1:"));
  EXPECT_THAT(Errors("format = 2"), HasSubstr("campaign.toml:1:10: format: this program reads format = 1"));
  EXPECT_THAT(Errors(""), HasSubstr("format is missing"));
  EXPECT_THAT(Errors(std::string(2 << 20, '#')), HasSubstr("larger than"));
  EXPECT_THAT(Errors("format = 1\nnot_before = 2026-11-24T00:00:00Z\nexpires = 2026-11-24T00:00:00Z"),
              HasSubstr("campaign.toml:3:11: expires: it must come after not_before"));
  EXPECT_NE(Errors(std::string("format = 1\n\0", 12)), "");
  EXPECT_NE(Errors("format = 1\nfrom = \"\xff\""), "");
}

TEST(Manifest, SurvivesDamage) {
  const std::string whole = "format = 1\nnot_before = 2026-02-28T09:00:00Z\nrate = \"5/s\"\n[headers]\nX-A = \"b\"\n";
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'\0', '"', '[', '9', '\xff', '\n'}) {
      std::string damaged = whole;
      damaged[i] = c;
      const auto parsed = ParseManifest(damaged, "m");
      EXPECT_TRUE(parsed.has_value() || !parsed.error().empty());
    }
  }
}

TEST(Manifest, ACanaryIsAShareThatGoesFirst) {
  const Manifest manifest = ParseManifest("format = 1\ncanary = \"0.5%\"\ncanary_wait = \"2h\"\n", "m").value();
  EXPECT_DOUBLE_EQ(manifest.canary_share, 0.005);
  EXPECT_EQ(manifest.canary_wait, std::chrono::hours(2));
  EXPECT_EQ(ParseManifest("format = 1\ncanary = \"1%\"\n", "m")->canary_wait, std::chrono::minutes(30));
}

TEST(Manifest, SaysWhatIsWrongWithSendingTimesAndCanaries) {
  for (const auto& [line, said] :
       {std::pair<std::string, std::string>("weight = 0", "m:2:10: weight: expected a whole"),
        {"weight = 1001", "m:2:10: weight: expected a whole number from 1 to 1000"},
        {"canary = 1", "m:2:10: canary: expected a share"},
        {"canary = 0.01", "m:2:10: canary: expected a share"},
        {"canary = \"1\"", "m:2:10: canary: expected a share"},
        {"canary = \"%\"", "m:2:10: canary: expected a share"},
        {"canary = \"0%\"", "m:2:10: canary: expected a share"},
        {"canary = \"51%\"", "m:2:10: canary: expected a share"},
        {"canary = \"-1%\"", "m:2:10: canary: expected a share"},
        {"canary = \"nan%\"", "m:2:10: canary: expected a share"},
        {"canary = \"1 %\"", "m:2:10: canary: expected a share"},
        {"canary = \"1%\"\nstart = \"streaming\"", "m:2:10: canary: a share of the list"},
        {"canary_wait = \"1h\"", "m:2:15: canary_wait is for a canary"},
        {"canary = \"1%\"\ncanary_wait = \"8d\"", "m:3:15: canary_wait: expected"},
        {"windows = \"Mon 08:00-20:00\"", "m:2:11: windows: expected a list"},
        {"windows = []", "m:2:11: windows: expected a list"},
        {"windows = [1]", "m:2:11: windows: expected a list"},
        {"windows = [\"Monday 08:00-20:00\"]", "m:2:11: windows: expected days and times"},
        {"time_zone = \"Europe/Paris\"", "m:2:13: time_zone is for windows"},
        {"windows = [\"08:00-20:00\"]\ntime_zone = \"Mars\"", "m:3:13: time_zone: no time zone is called \"Mars\""}}) {
    const auto manifest = ParseManifest("format = 1\n" + line + "\n", "m");
    ASSERT_FALSE(manifest.has_value()) << line;
    ASSERT_EQ(manifest.error().size(), 1u) << line;
    EXPECT_TRUE(ToString(manifest.error().front()).starts_with(said)) << ToString(manifest.error().front());
  }
  std::string many = "format = 1\nwindows = [";
  for (int i = 0; i < 51; ++i) many += "\"08:00-20:00\",";
  EXPECT_FALSE(ParseManifest(many + "]\n", "m").has_value());
}

}  // namespace
}  // namespace postrider
