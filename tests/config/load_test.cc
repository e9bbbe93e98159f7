#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <regex>
#include <sstream>
#include <string>

#include "config/rules.h"
#include "config/schema.h"

namespace postrider {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::string_view kSource = R"(
[[source]]
name = "main"
ipv4 = "192.0.2.10"
ehlo_name = "mail.example.org"
)";

std::string WithSource(std::string_view text) { return std::string(text) + std::string(kSource); }

OptionsPtr Load(std::string_view toml) {
  auto options = ParseOptions(toml, "test.toml", "/etc/postrider");
  if (options) return *options;
  for (const Diagnostic& diagnostic : options.error()) ADD_FAILURE() << ToString(diagnostic);
  return std::make_shared<const Options>();
}

std::vector<std::string> Problems(std::string_view toml) {
  const auto options = ParseOptions(toml, "test.toml", "/etc/postrider");
  std::vector<std::string> problems;
  if (options) return problems;
  for (const Diagnostic& diagnostic : options.error()) problems.push_back(ToString(diagnostic));
  return problems;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Load, ASourceIsAllThatIsNeeded) {
  const OptionsPtr options = Load(kSource);
  ASSERT_THAT(options->sources, SizeIs(1));
  EXPECT_EQ(options->sources[0].name, "main");
  EXPECT_EQ(ToString(options->sources[0].ipv4.value()), "192.0.2.10");
  EXPECT_FALSE(options->sources[0].ipv6.has_value());
  EXPECT_EQ(options->sources[0].ehlo_name, "mail.example.org");
  EXPECT_FALSE(options->host_name.empty());
  EXPECT_FALSE(options->allow_short_timeouts);
}

TEST(Load, ThePoolDefaultHoldsEverySourceUnlessGiven) {
  const std::string two =
      std::string(kSource) + "[[source]]\nname = \"b\"\nipv6 = \"2001:db8::1\"\nehlo_name = \"b.example.org\"\n";
  const OptionsPtr implied = Load(two + "[[pool]]\nname = \"news\"\nsources = [\"b\"]\n");
  ASSERT_THAT(implied->pools, SizeIs(2));
  EXPECT_EQ(implied->pools[1].name, "default");
  EXPECT_THAT(implied->pools[1].sources, ElementsAre("main", "b"));

  const OptionsPtr given = Load(two + "[[pool]]\nname = \"default\"\nsources = [\"b\"]\n");
  ASSERT_THAT(given->pools, SizeIs(1));
  EXPECT_THAT(given->pools[0].sources, ElementsAre("b"));
}

TEST(Load, TheBuiltInRuleForEverythingIsFirstAndComplete) {
  const OptionsPtr untouched = Load(kSource);
  ASSERT_THAT(untouched->rules, SizeIs(1));
  const RuleOptions& everything = untouched->rules[0];
  EXPECT_EQ(everything.match.text(), "*");
  EXPECT_EQ(everything.connections, 8);
  EXPECT_EQ(everything.start_connections, 2);
  EXPECT_EQ(everything.site_connections, std::nullopt);
  EXPECT_EQ(everything.connect_rate, 20.0 / 60);
  EXPECT_EQ(everything.messages_per_connection, 50);
  EXPECT_EQ(everything.message_rate, std::nullopt);
  EXPECT_EQ(everything.daily_quota, std::nullopt);
  EXPECT_EQ(everything.time_zone, "UTC");
  EXPECT_EQ(everything.adaptive, true);
  EXPECT_EQ(everything.rate_floor, 1.0 / 60);
  EXPECT_EQ(everything.idle, seconds(5));
  EXPECT_EQ(everything.tls, TlsDemand::kOpportunistic);
  EXPECT_EQ(everything.origin.layer, RuleLayer::kBuiltIn);
}

TEST(Load, RulesOfTheFileFollowInItsOrderAndKnowWhereTheyStand) {
  const OptionsPtr options = Load(WithSource(R"([[rule]]
match = "mx:.google.com"
connections = 5
tls = "required"
[[rule]]
match = "*"
connections = 7
message_rate = "90/min"
)"));
  ASSERT_THAT(options->rules, SizeIs(3));
  EXPECT_EQ(options->rules[0].connections, 8);
  EXPECT_EQ(options->rules[1].match.text(), "mx:.google.com");
  EXPECT_EQ(options->rules[1].tls, TlsDemand::kRequired);
  EXPECT_EQ(options->rules[1].idle, std::nullopt);
  EXPECT_EQ(options->rules[1].origin.layer, RuleLayer::kFile);
  EXPECT_EQ(options->rules[1].origin.file, "test.toml");
  EXPECT_EQ(options->rules[1].origin.line, 1);
  EXPECT_EQ(options->rules[2].match.text(), "*");
  EXPECT_EQ(options->rules[2].connections, 7);
  EXPECT_EQ(options->rules[2].message_rate, 1.5);
  EXPECT_EQ(options->rules[2].messages_per_connection, std::nullopt);
  EXPECT_EQ(options->rules[2].origin.line, 5);
}

TEST(Load, ReadsEveryFieldOfARule) {
  const OptionsPtr options = Load(WithSource(R"([[rule]]
match = "provider:microsoft365"
connections = 50
start_connections = "none"
site_connections = 3
connect_rate = "10/s"
messages_per_connection = 40
message_rate = "1200/h"
burst = 6
daily_quota = 50_000
time_zone = "Europe/Paris"
total_connections = 80
total_message_rate = 12
campaign_message_rate = "none"
adaptive = false
rate_floor = "24/d"
idle = "20s"
tls = "verified"
)"));
  ASSERT_THAT(options->rules, SizeIs(2));
  const RuleOptions& rule = options->rules[1];
  EXPECT_EQ(rule.match.provider(), "microsoft365");
  EXPECT_EQ(rule.connections, 50);
  EXPECT_EQ(rule.start_connections, 0);
  EXPECT_EQ(rule.site_connections, 3);
  EXPECT_EQ(rule.connect_rate, 10);
  EXPECT_EQ(rule.messages_per_connection, 40);
  EXPECT_DOUBLE_EQ(rule.message_rate.value(), 1.0 / 3);
  EXPECT_EQ(rule.burst, 6);
  EXPECT_EQ(rule.daily_quota, 50'000);
  EXPECT_EQ(rule.time_zone, "Europe/Paris");
  EXPECT_EQ(rule.total_connections, 80);
  EXPECT_EQ(rule.total_message_rate, 12);
  EXPECT_EQ(rule.campaign_message_rate, 0);
  EXPECT_EQ(rule.adaptive, false);
  EXPECT_DOUBLE_EQ(rule.rate_floor.value(), 1.0 / 3600);
  EXPECT_EQ(rule.idle, seconds(20));
  EXPECT_EQ(rule.tls, TlsDemand::kVerified);
}

TEST(Load, ReadsEveryKindOfValue) {
  const OptionsPtr options = Load(R"(
host_name = "Sender.Example.ORG"
allow_short_timeouts = true
[[source]]
name = "a.b-c_1"
ipv4 = "127.0.0.2"
ipv6 = "::1"
ehlo_name = "[127.0.0.2]"
[[route]]
match = "*.example.net"
hosts = ["smtp.example.net:587", "10.0.0.1", "2001:db8::1", "[2001:db8::2]:465", "[2001:db8::3]:25"]
port = 2525
transport = "implicit"
auth_user = "mailer"
auth_secret_file = "relay.secret"
auth_mechanism = "login"
auth_without_tls = true
allow_private = true
use_ipv6 = true
[retry.bulk]
schedule = ["1s", "2min"]
expiry = "3h"
[spool]
directory = "spool/../spool"
row_bytes_max = "1MiB"
max_reject_share = 1
suppression_file = "/srv/suppressed"
remember_names = "2d"
[queue]
commit_interval = "250ms"
[dns]
servers = ["127.0.0.1:5353", "192.0.2.53", "2001:db8::53"]
[timeouts]
final_reply = "2s"
[admin]
listen = "[::1]:0"
[disk]
stop_intake_below = 0.2
)");
  EXPECT_EQ(options->host_name, "sender.example.org");
  EXPECT_EQ(options->sources[0].ehlo_name, "[127.0.0.2]");
  ASSERT_THAT(options->routes, SizeIs(1));
  const RouteOptions& route = options->routes[0];
  ASSERT_THAT(route.hosts, SizeIs(5));
  EXPECT_EQ(route.hosts[0].name, "smtp.example.net");
  EXPECT_EQ(route.hosts[0].port, 587);
  EXPECT_EQ(route.hosts[1].name, "10.0.0.1");
  EXPECT_EQ(route.hosts[1].port, std::nullopt);
  EXPECT_EQ(route.hosts[2].name, "2001:db8::1");
  EXPECT_EQ(route.hosts[2].port, std::nullopt);
  EXPECT_EQ(route.hosts[3].name, "2001:db8::2");
  EXPECT_EQ(route.hosts[3].port, 465);
  EXPECT_EQ(route.port, 2525);
  EXPECT_EQ(route.transport, RouteOptions::Transport::kImplicit);
  EXPECT_EQ(route.auth_user, "mailer");
  EXPECT_EQ(route.auth_secret_file, "/etc/postrider/relay.secret");
  EXPECT_EQ(route.auth_mechanism, RouteOptions::AuthMechanism::kLogin);
  EXPECT_TRUE(route.auth_without_tls && route.allow_private && route.use_ipv6);
  EXPECT_THAT(options->retry_bulk.schedule, ElementsAre(seconds(1), seconds(120)));
  EXPECT_EQ(options->retry_bulk.expiry, hours(3));
  EXPECT_EQ(options->RetryFor(MailClass::kTransactional).expiry, hours(24));
  EXPECT_EQ(options->spool.directory, "/etc/postrider/spool");
  EXPECT_EQ(options->spool.row_bytes_max, 1u << 20);
  EXPECT_EQ(options->spool.max_reject_share, 1.0);
  EXPECT_EQ(options->spool.suppression_file, "/srv/suppressed");
  EXPECT_EQ(options->spool.remember_names, hours(48));
  EXPECT_EQ(options->queue.commit_interval, milliseconds(250));
  EXPECT_EQ(options->queue.directory, "/var/lib/postrider/queue");
  ASSERT_THAT(options->dns.servers, SizeIs(3));
  EXPECT_EQ(ToString(options->dns.servers[0]), "127.0.0.1:5353");
  EXPECT_EQ(ToString(options->dns.servers[1]), "192.0.2.53:53");
  EXPECT_EQ(ToString(options->dns.servers[2]), "[2001:db8::53]:53");
  EXPECT_EQ(options->timeouts.final_reply, seconds(2));
  EXPECT_EQ(ToString(options->admin.listen), "[::1]:0");
  EXPECT_EQ(options->disk.stop_intake_below, 0.2);
}

TEST(Load, AnUnsetPathStaysUnset) { EXPECT_TRUE(Load(kSource)->spool.suppression_file.empty()); }

TEST(Load, EverythingWrongIsReportedAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(Problems(R"(host_nam = "a.example.org"
[timeouts]
connect = 30
banner = "90"
ehlo = "2d"
final_reply = "9min"
[engine]
  cores = -1
  pin = "yes"
[[source]]
name = "main"
ipv4 = "2001:db8::1"
ehlo_name = "exa_mple.org"
[[pool]]
name = "news"
sources = ["mian"]
[[route]]
transport = "tls"
)"),
              ElementsAre(AllOf(StartsWith("test.toml:1:1: "), HasSubstr("did you mean host_name?")),
                          AllOf(StartsWith("test.toml:3:11: "), HasSubstr("found 30")),
                          AllOf(StartsWith("test.toml:4:10: "), HasSubstr("without a unit")),
                          AllOf(StartsWith("test.toml:5:8: "), HasSubstr("from 1s to 10min"), HasSubstr("\"2d\"")),
                          AllOf(StartsWith("test.toml:6:15: "), HasSubstr("allow_short_timeouts")),
                          AllOf(StartsWith("test.toml:8:11: "), HasSubstr("from 0 to 256")),
                          AllOf(StartsWith("test.toml:9:9: "), HasSubstr("true or false")),
                          AllOf(StartsWith("test.toml:12:8: "), HasSubstr("IPv4 address")),
                          AllOf(StartsWith("test.toml:13:13: "), HasSubstr("exa_mple.org")),
                          AllOf(StartsWith("test.toml:16:11: "), HasSubstr("did you mean \"main\"?")),
                          AllOf(StartsWith("test.toml:17:1: "), HasSubstr("[[route]] needs match")),
                          AllOf(StartsWith("test.toml:18:13: "), HasSubstr("\"starttls\", \"implicit\" or \"none\""))));
}

TEST(Load, ASyntaxErrorHasItsPlace) {
  EXPECT_THAT(Problems("[timeouts]\nconnect = = 3\n"), ElementsAre(StartsWith("test.toml:2:")));
  EXPECT_THAT(Problems("[timeouts]\nconnect = \"30s\"\nconnect = \"40s\"\n"), ElementsAre(StartsWith("test.toml:3:")));
  EXPECT_THAT(Problems("a = \"\xff\"\n"), ElementsAre(StartsWith("test.toml:1:")));
}

struct Refused {
  std::string toml;
  std::string where;
  std::string said;
};

class RefusedOptions : public testing::TestWithParam<Refused> {};

TEST_P(RefusedOptions, AreNamedWithTheirPlace) {
  const std::string toml =
      GetParam().toml.find("[[source]]") == std::string::npos ? WithSource(GetParam().toml) : GetParam().toml;
  EXPECT_THAT(Problems(toml),
              ElementsAre(AllOf(StartsWith("test.toml:" + GetParam().where), HasSubstr(GetParam().said))));
}

constexpr std::string_view kSourceB = "[[source]]\nname = \"b\"\nipv4 = \"192.0.2.1\"\nehlo_name = \"b.org\"\n";

INSTANTIATE_TEST_SUITE_P(
    Load, RefusedOptions,
    testing::Values(
        // Keys.
        Refused{"[timeout]\n", "1:", "did you mean timeouts?"},
        Refused{"[timeouts]\nconect = \"1s\"\n", "2:1", "did you mean connect?"},
        Refused{"[engine]\nfinal_reply = \"10min\"\n", "2:1", "it belongs in [timeouts]"},
        Refused{"[spool]\nhost_name = \"a.org\"\n", "2:1", "it belongs at the top"},
        Refused{"zzzzzz = 1\n", "1:1", "unknown key \"zzzzzz\" at the top level"},
        Refused{"[retry.bulks]\nexpiry = \"1d\"\n", "1:", "did you mean retry.bulk?"},
        Refused{"[retry]\nexpiry = \"1d\"\n", "2:1", "unknown table [retry.expiry]"},
        Refused{"retry = 3\n", "1:1", "expected tables"},
        Refused{"timeouts = 3\n", "1:1", "expected the table [timeouts]"},
        Refused{"[[timeouts]]\n", "1:", "expected the table [timeouts]"},
        Refused{"rule = []\n[route]\nmatch = \"a.org\"\n", "2:", "expected [[route]] with two brackets"},
        Refused{"rule = [1]\n", "1:1", "expected [[rule]] with two brackets"},
        Refused{"[timeouts.connect]\nx = 1\n", "1:", "found a value of another type"},
        Refused{"\"a\\nb\" = 1\n", "1:1", "\"a\\u000ab\""},
        // Types and ranges, where valid turns invalid.
        Refused{"[engine]\ncores = 257\n", "2:9", "from 0 to 256"},
        Refused{"[engine]\ncores = 1.0\n", "2:9", "whole number"},
        Refused{"[engine]\ncores = \"1\"\n", "2:9", "whole number"},
        Refused{"[engine]\ncores = 99999999999999\n", "2:9", "from 0 to 256"},
        Refused{"[disk]\nstop_intake_below = 0.91\n", "2:21", "share from 0 to 0.9"},
        Refused{"[disk]\nstop_intake_below = nan\n", "2:21", "share from 0 to 0.9"},
        Refused{"[disk]\nstop_intake_below = inf\n", "2:21", "share from 0 to 0.9"},
        Refused{"[disk]\nstop_intake_below = \"10%\"\n", "2:21", "share from 0 to 0.9"},
        Refused{"[queue]\nwrite_buffer_bytes = 1048576\n", "2:22", "in quotes with its unit"},
        Refused{"[queue]\nwrite_buffer_bytes = \"64MB\"\n", "2:22", "expected a size with its unit"},
        Refused{"[queue]\nwrite_buffer_bytes = \"1023KiB\"\n", "2:22", "from 1MiB to 16GiB"},
        Refused{"[timeouts]\nconnect = \"1500ms\"\n", "2:11", "a multiple of 1s"},
        Refused{"[tls]\nworked_memory = \"90min\"\n", "2:17", "a multiple of 1h"},
        Refused{"[timeouts]\nconnect = \"0s\"\n", "2:11", "from 1s to 5min"},
        Refused{"[timeouts]\nconnect = 07:32:00\n", "2:11", "another type"},
        Refused{"[timeouts]\nfinal_reply = \"599s\"\n", "2:15", "at least \"10min\""},
        Refused{"allow_short_timeouts = true\n[timeouts]\nfinal_reply = \"61min\"\n", "3:15", "from 1s to 1h"},
        Refused{"[retry.bulk]\nschedule = []\n", "2:12", "at least one duration"},
        Refused{"[retry.bulk]\nschedule = [\"7min\", \"0s\"]\n", "2:12", "from 1s to 7d"},
        Refused{"[retry.bulk]\nschedule = [\"7min\", 1]\n", "2:12", "list of durations"},
        Refused{"[retry.bulk]\nschedule = \"7min\"\n", "2:12", "list of durations"},
        Refused{"host_name = \"a b\"\n", "1:13", "not a domain"},
        Refused{"host_name = \"[192.0.2.1]\"\n", "1:13", "not a domain"},
        Refused{"[spool]\ndirectory = \"\"\n", "2:13", "a path"},
        Refused{"[spool]\ndirectory = \"a\\u0000b\"\n", "2:13", "a path"},
        Refused{"[dns]\nservers = [\"localhost\"]\n", "2:11", "expected an address with a port"},
        Refused{"[dns]\nservers = [\"127.0.0.1:0\"]\n", "2:11", "no port 0"},
        Refused{"[admin]\nlisten = \"8025\"\n", "2:10", "expected an address with a port"},
        Refused{"[admin]\nlisten = \"192.0.2.1:8025\"\n", "2:10", "allow_remote"},
        // Rules.
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessages_per_second = 10\n", "3:1", "it is called message_rate now"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = 0\n", "3:16",
                "rate from \"1/d\" to \"1000000/s\", or \"none\""},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"10/w\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"10 / s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"None\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"nan/s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"inf/s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"1e3/s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"-5/s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"0.5/d\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"1000001/s\"\n", "3:16", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nrate_floor = \"none\"\n", "3:14", "rate from"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nconnections = \"none\"\n", "3:15", "from 1 to 10000"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nsite_connections = 0\n", "3:20", "from 1 to 10000, or \"none\""},
        Refused{"[[rule]]\nmatch = \"a.org\"\nsite_connections = \"3\"\n", "3:20", "from 1 to 10000, or \"none\""},
        Refused{"[[rule]]\nmatch = \"a.org\"\ndaily_quota = -1\n", "3:15", "from 1 to"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nburst = \"none\"\n", "3:9", "from 1 to"},
        Refused{"[[rule]]\nmatch = \"a.org\"\ntime_zone = \"\"\n", "3:13", "name of a time zone"},
        Refused{"[[rule]]\nmatch = \"a.org\"\ntime_zone = \"../../etc/passwd\"\n", "3:13", "no time zone is called"},
        Refused{"[[rule]]\nmatch = \"a.org\"\ntime_zone = 1\n", "3:13", "name of a time zone"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nconnections = 3\nsite_connections = 4\n", "4:20",
                "more than connections = 3"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nconnections = 3\nstart_connections = 4\n", "4:21",
                "more than connections = 3"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nmessage_rate = \"none\"\nburst = 4\n", "4:9", "take one of them out"},
        Refused{"[[rule]]\nmatch = \"provider:Google\"\n", "2:9", "name of a provider such as provider:google"},
        Refused{"[[rule]]\nmatch = \"provider:\"\n", "2:9", "name of a provider"},
        Refused{"[[rule]]\nmatch = \"a.org\"\nconnections = 0\n", "3:15", "from 1 to 10000"},
        Refused{"[[rule]]\nmatch = \"a.*.org\"\n", "2:9", "expected a pattern"},
        Refused{"[[rule]]\nmatch = 3\n", "2:9", "expected"},
        Refused{"[[rule]]\nconnections = 3\n", "1:", "[[rule]] needs match"},
        Refused{"[[rule]]\nmatch = \"a.org\"\n[[rule]]\nmatch = \"a.org\"\n", "4:9",
                "has the [[rule]] of line 1 already"},
        Refused{"[[rule]]\nmatch = \"*\"\n[[rule]]\nmatch = \"*\"\n", "4:9", "has the [[rule]] of line 1 already"},
        Refused{"[[rule]]\nmatch = \".a.org\"\n[[rule]]\nmatch = \"*.A.org\"\n", "4:9",
                "has the [[rule]] of line 1 already"},
        // Sources and pools.
        Refused{"[[source]]\nipv4 = \"192.0.2.1\"\nehlo_name = \"a.org\"\n", "1:", "[[source]] needs name"},
        Refused{"[[source]]\nname = \"a\"\nipv4 = \"192.0.2.1\"\n", "1:", "[[source]] needs ehlo_name"},
        Refused{"[[source]]\nname = \"a b\"\nipv4 = \"192.0.2.1\"\nehlo_name = \"a.org\"\n", "2:8", "name of letters"},
        Refused{"[[source]]\nname = \"a\"\nehlo_name = \"a.org\"\n", "1:", "ipv4 or ipv6"},
        Refused{"[[source]]\nname = \"a\"\nipv4 = \"0.0.0.0\"\nehlo_name = \"a.org\"\n", "3:8", "IPv4 address"},
        Refused{"[[source]]\nname = \"b\"\nipv4 = \"192.0.2.2\"\nehlo_name = \"a.org\"\n" + std::string(kSourceB),
                "6:8", "is taken by the [[source]] of line 1"},
        Refused{"[[source]]\nname = \"a\"\nipv4 = \"192.0.2.1\"\nehlo_name = \"a.org\"\n" + std::string(kSourceB),
                "7:8", "ipv4 = \"192.0.2.1\" is taken by the [[source]] of line 1"},
        Refused{"[[pool]]\nname = \"p\"\nsources = [\"nobody\"]\n", "3:11", "no [[source]] has the name \"nobody\""},
        Refused{"[[pool]]\nname = \"p\"\nsources = []\n", "3:11", "at least one name"},
        Refused{"[[pool]]\nname = \"p\"\nsources = [\"main\", \"main\"]\n", "3:11", "named twice"},
        Refused{"[[pool]]\nname = \"p\"\n", "1:", "[[pool]] needs sources"},
        Refused{"[[pool]]\nname = \"p\"\nsources = [\"main\"]\n[[pool]]\nname = \"p\"\nsources = [\"main\"]\n", "5:8",
                "is taken"},
        // Routes.
        Refused{"[[route]]\nmatch = \"mx:.google.com\"\n", "2:9", "expected \"example.org\""},
        Refused{"[[route]]\nmatch = \"provider:google\"\n", "2:9", "expected \"example.org\""},
        Refused{"[[route]]\nmatch = \"a.org\"\nport = 0\n", "3:8", "from 1 to 65535"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org:0\"]\n", "3:9", "a port from 1 to 65535"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org:65536\"]\n", "3:9", "a port from 1 to 65535"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b c\"]\n", "3:9", "not a domain"},
        Refused{"[[route]]\nmatch = \"a.org\"\n[[route]]\nmatch = \"a.org\"\n", "4:9",
                "has the [[route]] of line 1 already"},
        Refused{"[[route]]\nmatch = \".a.org\"\n[[route]]\nmatch = \"*.A.org\"\n", "4:9",
                "has the [[route]] of line 1 already"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org\"]\nauth_user = \"u\"\n", "4:13",
                "needs auth_secret_file"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org\"]\nauth_secret_file = \"s\"\n", "4:20",
                "needs auth_user"},
        Refused{"[[route]]\nmatch = \"a.org\"\nauth_user = \"u\"\nauth_secret_file = \"s\"\n", "3:13", "needs hosts"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org\"]\nauth_user = \"u\"\nauth_secret_file = "
                "\"s\"\ntransport = \"none\"\n",
                "6:13", "auth_without_tls = true"},
        Refused{"[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org\"]\nauth_user = \"u\\r\\nQUIT\"\nauth_secret_file = "
                "\"s\"\n",
                "4:13", "without control characters"},
        Refused{"[[route]]\nmatch = \"a.org\"\nuse_ipv6 = true\n", "3:12", "needs a [[source]] with ipv6"},
        // Limits against each other.
        Refused{"[timeouts]\nconnect_round = \"10s\"\n", "2:17", "must not be less than connect"},
        Refused{"[dns]\ncache_min_ttl = \"1h\"\ncache_max_ttl = \"1min\"\n", "3:17", "cache_min_ttl"},
        Refused{"[disk]\nstop_intake_below = 0.02\n", "1:", "must be less than stop_intake_below"}));

TEST(Load, RefusesDirectoriesOfWhichOneHoldsTheOther) {
  const auto problems = [](std::string_view queue, std::string_view spool, std::string_view log) {
    return Problems(WithSource("[queue]\ndirectory = \"" + std::string(queue) + "\"\n[spool]\ndirectory = \"" +
                               std::string(spool) + "\"\n[log]\ndirectory = \"" + std::string(log) + "\"\n"));
  };
  EXPECT_THAT(problems("/p/queue", "/p/spool", "/p/log"), IsEmpty());
  EXPECT_THAT(problems("/p/spool-queue", "/p/spool", "/p/spool.log"), IsEmpty());
  EXPECT_THAT(problems("/p/spool/new/queue", "/p/spool", "/p/log"),
              ElementsAre(AllOf(HasSubstr("spool.directory and queue.directory (/p/spool/new/queue)"),
                                HasSubstr("must lie beside each other"))));
  EXPECT_THAT(problems("/p/x", "/p/./x/", "/p/log"), SizeIs(1));
  EXPECT_THAT(problems("/p/queue", "/p/spool", "/p/spool/../queue/log"), SizeIs(1));
  EXPECT_THAT(problems("/p/queue", "/p", "/p/log"), SizeIs(2));
}

TEST(Load, WithoutASourceThereIsNoSending) {
  EXPECT_THAT(Problems(""), ElementsAre(AllOf(StartsWith("test.toml: "), HasSubstr("at least one [[source]]"))));
}

TEST(Load, AHostileFileIsRefusedQuickly) {
  EXPECT_THAT(Problems(std::string(200'000, '[')), SizeIs(1));
  EXPECT_THAT(Problems("a = " + std::string(200'000, '[')), SizeIs(1));
  EXPECT_THAT(Problems(std::string("a = 1\0b = 2\n", 12)), SizeIs(1));
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "[[rule]]\nmatch=\"a\"\n";
  EXPECT_THAT(Problems(WithSource(many)), ElementsAre(HasSubstr("at most 10000 [[rule]] are allowed")));
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

// A folder that is gone with the test.
class LoadFile : public testing::Test {
 protected:
  LoadFile() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-load-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~LoadFile() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Write(std::string_view text, mode_t mode) {
    const std::filesystem::path file = folder_ / "postrider.toml";
    std::ofstream(file) << text;
    EXPECT_EQ(chmod(file.c_str(), mode), 0);
    return file;
  }

  std::filesystem::path folder_;
};

constexpr std::string_view kSecretRoute =
    "[[route]]\nmatch = \"a.org\"\nhosts = [\"b.org\"]\nauth_user = \"u\"\nauth_secret_file = \"s\"\n";

TEST_F(LoadFile, RelativePathsAreTakenFromItsFolder) {
  const auto options = LoadOptions(Write(WithSource("[queue]\ndirectory = \"queue\"\n"), 0644));
  ASSERT_TRUE(options.has_value()) << ToString(options.error().front());
  EXPECT_EQ((*options)->queue.directory, folder_ / "queue");
}

TEST_F(LoadFile, DiagnosticsNameTheFile) {
  const std::filesystem::path file = Write("x = 1\n", 0644);
  const auto options = LoadOptions(file);
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().front().where.file, file.string());
}

TEST_F(LoadFile, AFileThatOthersMayWriteMustNotNameASecret) {
  for (mode_t mode : {0664, 0646}) {
    const auto options = LoadOptions(Write(WithSource(kSecretRoute), mode));
    ASSERT_FALSE(options.has_value());
    EXPECT_THAT(ToString(options.error().front()), HasSubstr("chmod go-w"));
    EXPECT_TRUE(LoadOptions(Write(kSource, mode)).has_value());
  }
  EXPECT_TRUE(LoadOptions(Write(WithSource(kSecretRoute), 0644)).has_value());
}

TEST_F(LoadFile, MissingFilesFoldersAndPipesAreErrors) {
  EXPECT_THAT(ToString(LoadOptions(folder_ / "none.toml").error().front()), HasSubstr("No such file"));
  EXPECT_THAT(ToString(LoadOptions(folder_).error().front()), HasSubstr("expected a file"));
  const std::filesystem::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ToString(LoadOptions(pipe).error().front()), HasSubstr("expected a file"));
}

TEST_F(LoadFile, AnEndlessFileIsNotReadToItsEnd) {
  const std::filesystem::path file = Write("", 0644);
  ASSERT_EQ(truncate(file.c_str(), off_t{1} << 40), 0);
  EXPECT_THAT(ToString(LoadOptions(file).error().front()), HasSubstr("at most 16MiB"));
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
