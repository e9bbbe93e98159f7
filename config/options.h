#pragma once
// Everything an operator may set, as plain values with their defaults. The schema (config/schema.h) gives each its name
// in the TOML file, unit, range and help; config/load.h reads and checks a file. Once read, Options is an immutable
// snapshot, shared as shared_ptr<const Options>; a reload makes a new one. Defaults come from what receivers do
// (time-outs: RFC 5321 section 4.5.3.2) and from measurements; the reason stands beside each in the schema's help.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/domain_pattern.h"
#include "config/ip_address.h"
#include "config/mail_class.h"
#include "config/provider.h"
#include "config/rate_limit.h"
#include "config/time.h"

namespace postrider {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// 0 is the word "none".
[[nodiscard]] inline std::optional<RateLimit> MakeRate(std::optional<double> per_second, std::optional<int> burst) {
  if (!per_second || *per_second == 0) return std::nullopt;
  return RateLimit{.per_second = *per_second, .burst = static_cast<double>(burst.value_or(0))};
}

// [[source]]: one local address of each family and the name it says in EHLO.
struct SourceOptions {
  std::string name;
  std::optional<IpAddress> ipv4;
  std::optional<IpAddress> ipv6;
  std::string ehlo_name;
  // Over all receivers; unset: no limit of its own. Rates here and below are per second.
  std::optional<double> message_rate{};
  std::optional<int> burst{};
  std::optional<int> connections{};
  std::optional<std::chrono::sys_days> warm_up{};  // the day it began to warm up; unset: it is warm

  [[nodiscard]] std::optional<RateLimit> Rate() const { return MakeRate(message_rate, burst); }
};

// [[pool]]: sources a campaign may name together. The pool "default" holds every source unless configured.
struct PoolOptions {
  std::string name;
  std::vector<std::string> sources;
  std::vector<int> weights{};  // of the sources, in their order; empty: all alike
  std::optional<double> message_rate{};
  std::optional<int> burst{};
  std::optional<int> connections{};

  [[nodiscard]] std::optional<RateLimit> Rate() const { return MakeRate(message_rate, burst); }
};

// [sender]: all sources together.
struct SenderOptions {
  std::optional<double> message_rate{};
  std::optional<int> burst{};
  std::optional<int> connections{};

  [[nodiscard]] std::optional<RateLimit> Rate() const { return MakeRate(message_rate, burst); }
};

// [retry.bulk], [retry.transactional]
struct RetryOptions {
  std::vector<seconds> schedule;  // wait before attempt 2, 3, ...; the last repeats
  seconds expiry{};               // from release (bulk) or acceptance to the final "expired"
};

enum class TlsDemand : std::uint8_t {
  kOpportunistic,  // STARTTLS where offered, unverified; plaintext only after the peer broke it twice
  kRequired,       // no mail without TLS; certificate not verified
  kVerified,       // TLS with a certificate valid for the MX host name
  kNone,           // never STARTTLS
};

// Who wrote a rule. Of two rules that are equally specific about a field, the higher one here wins.
enum class RuleLayer : std::uint8_t {
  kBuiltIn,   // the defaults of the program
  kShipped,   // config/providers.toml, built into the program
  kFile,      // the operator's configuration
  kOverride,  // `postrider throttle set`
};

struct RuleOrigin {
  RuleLayer layer = RuleLayer::kBuiltIn;
  std::string file;
  int line = 0;
  // Of overrides alone.
  std::string set_by;
  std::optional<Wall> set_at{};
  std::optional<Wall> until{};  // unset: until it is taken back
};

// [[rule]]: limits and TLS policy of the mail a pattern matches. Unset fields come from the less specific rule; the
// most specific wins field by field; the rule "*" always exists and holds the defaults. A limit of 0 is the word
// "none": no limit, also where a less specific rule has one. An allowance is one source's at one provider, or at one
// site whose provider is unknown. What each field means stands in the schema's help.
struct RuleOptions {
  DomainPattern match;
  std::optional<int> connections;
  std::optional<int> start_connections;
  std::optional<int> site_connections;
  std::optional<double> connect_rate;  // this and the other rates: per second
  std::optional<int> messages_per_connection;
  std::optional<double> message_rate;
  std::optional<int> burst;
  std::optional<std::uint64_t> daily_quota;
  std::optional<std::string> time_zone;
  std::optional<int> total_connections;
  std::optional<double> total_message_rate;
  std::optional<double> campaign_message_rate;
  std::optional<bool> adaptive;
  std::optional<double> rate_floor;
  std::optional<seconds> idle;
  std::optional<TlsDemand> tls;
  RuleOrigin origin;
};

// [[route]]: where the mail of a pattern goes. Without a matching route: MX lookup, port 25, STARTTLS.
struct RouteOptions {
  enum class Transport : std::uint8_t { kStartTls, kImplicit, kNone };
  enum class AuthMechanism : std::uint8_t { kPlain, kLogin };
  struct Host {
    std::string name;  // a name or an address in text form
    std::optional<std::uint16_t> port;
  };

  DomainPattern match;
  std::vector<Host> hosts;  // fixed hosts, tried in order; empty means MX lookup
  std::uint16_t port = 25;
  Transport transport = Transport::kStartTls;
  std::string auth_user;                   // empty: no AUTH
  std::filesystem::path auth_secret_file;  // its first line is the password
  AuthMechanism auth_mechanism = AuthMechanism::kPlain;
  bool auth_without_tls = false;
  bool allow_private = false;  // answers may point to loopback, private or our own addresses
  bool use_ipv6 = false;       // also AAAA; needs a source with an IPv6 address
};

struct DnsOptions {
  std::vector<SocketAddress> servers;  // empty: those of /etc/resolv.conf
  seconds timeout{5};
  int tries = 3;
  std::size_t cache_entries = 200'000;  // bounded; about 200 bytes each
  seconds cache_min_ttl{5};
  seconds cache_max_ttl{86'400};
  seconds negative_ttl{300};
};

struct TimeoutOptions {
  seconds connect{30};
  int connect_addresses = 4;  // at most so many addresses of one round
  seconds connect_round{90};  // and no longer than this over all of them
  seconds banner{60};
  seconds ehlo{60};
  seconds tls{30};
  seconds auth{60};
  seconds mail{120};         // MAIL and RCPT
  seconds data{120};         // DATA's own reply
  seconds block{180};        // a block of content accepted by the peer's TCP
  seconds final_reply{600};  // RFC 5321 section 4.5.3.2.6; less only with allow_short_timeouts
  seconds quit{2};
  seconds shutdown{30};  // conversations at SIGTERM
};

struct TlsOptions {
  std::filesystem::path ca_file{"/etc/ssl/certs/ca-certificates.crt"};
  hours broken_memory{24};       // how long plaintext is used with a peer whose TLS broke twice
  hours worked_memory{24 * 30};  // how long a peer whose TLS worked is never sent plaintext
  std::size_t session_cache_entries = 50'000;
};

struct QueueOptions {
  std::filesystem::path directory{"/var/lib/postrider/queue"};
  int shards = 64;  // fixed when the queue is made
  std::size_t write_buffer_bytes = 64 << 20;
  std::size_t block_cache_bytes = 32 << 20;
  std::size_t unsynced_outcomes_max = 4096;  // admission stops at this many; what a crash may repeat
  milliseconds commit_interval{5};           // the longest an outcome waits for company in a batch
};

struct SpoolOptions {
  std::filesystem::path directory{"/var/spool/postrider"};
  seconds scan_interval{30};                   // beside inotify
  std::uint64_t row_bytes_max = 64 << 10;      // one line of a recipients file
  std::uint64_t message_bytes_max = 50 << 20;  // message.eml
  double max_reject_share = 0.01;              // hold a campaign beyond this share of bad rows ...
  std::uint64_t max_rejects_free = 100;        // ... and this many
  std::filesystem::path suppression_file;      // one address or domain a line; empty: none
  hours remember_names{24 * 30};               // how long a name and digest answer "already accepted"
};

struct LogOptions {
  std::filesystem::path directory{"/var/log/postrider"};
  std::uint64_t rotate_bytes = 256ull << 20;
  hours rotate_age{24};
};

// [accounting]: the CSV that PowerMTA writes, beside the log.
struct AccountingOptions {
  bool enabled = false;
  std::filesystem::path directory{"/var/log/postrider"};
  bool deferrals = false;  // records of type t too
  std::uint64_t rotate_bytes = 256ull << 20;
  hours rotate_age{24};
};

// [warm_up]: how a new source earns trust, for every provider apart.
struct WarmUpOptions {
  // Messages on the first day, the second, ...: cautious at first, then about 15 % more each day; behind it: warm.
  std::vector<std::uint64_t> quotas{50,     100,    200,    400,    800,    1500,   3000,    5000,    7500,    10'000,
                                    11'500, 13'300, 15'400, 17'700, 20'500, 23'600, 27'200,  31'400,  36'300,  41'800,
                                    48'300, 55'700, 64'300, 74'200, 85'600, 98'700, 113'900, 131'400, 151'700, 175'000};
  double used_share = 0.70;      // of a day's quota, to move on to the next
  double deferred_share = 0.05;  // of what was sent, to stay below
  std::uint32_t steps_back = 2;  // days, when blocked
};

// [guard]: when going on would do harm.
struct GuardOptions {
  // A campaign at a provider. The shares are of the last campaign_window tries; fewer than campaign_tries prove
  // nothing.
  std::uint32_t campaign_tries = 500;
  std::uint32_t canary_tries = 100;  // while its canary is out: that is small, and to ask too early costs little
  std::uint32_t campaign_window = 2000;
  double campaign_warn_bounces = 0.02;
  double campaign_pause_bounces = 0.05;
  double campaign_pause_spam_blocks = 0.01;
  // A site's bad-mailbox share: a storm is so many times its usual share, at least so large, over so many tries.
  std::uint32_t storm_tries = 100;
  double storm_times_usual = 4;
  double storm_least_share = 0.2;
  minutes storm_longest{24 * 60};  // then what it says is believed
  // Our own network.
  std::uint32_t network_sites = 20;
  double network_failed_share = 0.8;
  seconds network_window{60};
  seconds network_probe{5};  // one connect each while it holds
  // Domains that do not exist.
  std::uint32_t domains_missing = 50;
  double domains_missing_share = 0.5;
  seconds domains_window{300};
};

struct AdminOptions {
  SocketAddress listen{IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, 8025};
  bool allow_remote = false;  // may listen beyond loopback
};

struct MetricsOptions {
  int named_sites = 200;  // beyond the known providers, so many sites get a label of their own; the rest are "other"
};

struct EngineOptions {
  int cores = 0;                     // 0: processors - 1, at least 1
  bool pin = false;                  // pin each core's thread to a processor
  int active_domains = 8192;         // per core; work is taken from so many domains at once
  std::size_t window_jobs = 65'536;  // per core; jobs read ahead of need
  int connections = 4000;            // per core, all sites together
};

struct DiskOptions {
  double stop_intake_below = 0.10;  // share of free space
  double stop_sending_below = 0.03;
};

struct UnknownOptions {
  seconds retry_after{1800};  // never sooner
  int repeats = 2;            // then final
};

struct Options {
  std::string host_name;              // for Message-ID and the like; default: the system's
  bool allow_short_timeouts = false;  // a test may wait less than 600 s for a final reply
  std::filesystem::path reply_rules;  // the operator's own, asked before the shipped ones; empty: none
  std::vector<SourceOptions> sources;
  std::vector<PoolOptions> pools;
  SenderOptions sender;
  WarmUpOptions warm_up;
  // rules[0] is the built-in "*": all that must have a value has one. The file's own rules follow it, then overrides.
  // An unknown receiver is met with 2 connections, 8 when it has shown that it likes our mail.
  std::vector<RuleOptions> rules{RuleOptions{.match = {},
                                             .connections = 8,
                                             .start_connections = 2,
                                             .site_connections = {},
                                             .connect_rate = 20.0 / 60,
                                             .messages_per_connection = 50,
                                             .message_rate = {},
                                             .burst = {},
                                             .daily_quota = {},
                                             .time_zone = "UTC",
                                             .total_connections = {},
                                             .total_message_rate = {},
                                             .campaign_message_rate = {},
                                             .adaptive = true,
                                             .rate_floor = 1.0 / 60,
                                             .idle = seconds(5),
                                             .tls = TlsDemand::kOpportunistic,
                                             .origin = {}}};
  std::vector<ProviderOptions> providers;  // the file's own
  ProviderTablePtr provider_table;         // these over the shipped ones; null: only those
  std::vector<RouteOptions> routes;
  // The first or second retry comes after the 300 s that greylists ask for.
  RetryOptions retry_bulk{{minutes(7), minutes(15), minutes(30), hours(1), hours(2), hours(4)}, hours(48)};
  RetryOptions retry_transactional{{minutes(2), minutes(6), minutes(12), minutes(30), hours(1)}, hours(24)};
  SpoolOptions spool;
  QueueOptions queue;
  LogOptions log;
  AccountingOptions accounting;
  GuardOptions guard;
  EngineOptions engine;
  DnsOptions dns;
  TlsOptions tls;
  TimeoutOptions timeouts;
  AdminOptions admin;
  MetricsOptions metrics;
  DiskOptions disk;
  UnknownOptions unknown;

  [[nodiscard]] const ProviderTable& Providers() const {
    return provider_table != nullptr ? *provider_table : *ProviderTable::Shipped();
  }
  [[nodiscard]] const RetryOptions& RetryFor(MailClass mail_class) const {
    return mail_class == MailClass::kBulk ? retry_bulk : retry_transactional;
  }
};

using OptionsPtr = std::shared_ptr<const Options>;

}  // namespace postrider
