#include "config/schema.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

namespace postrider {
namespace {

constexpr std::uint64_t kKiB = 1ull << 10;
constexpr std::uint64_t kMiB = 1ull << 20;
constexpr std::uint64_t kGiB = 1ull << 30;
constexpr auto kDay = hours(24);

// From one a day, the slowest that a limit is good for, to more than any host sends.
constexpr RateKind kAnyRate{1.0 / 86'400, 1'000'000};
constexpr RateKind kRateOrNone{1.0 / 86'400, 1'000'000, true};

template <typename Struct, typename Member, typename Kind>
OptionSchema Option(Member Struct::*member, std::string_view key, Kind kind, std::string_view help,
                    Presence presence = Presence::kOptional, std::string_view sample = {}) {
  OptionSchema option;
  option.key = key;
  option.about = kind.About();
  option.help = help;
  option.presence = presence;
  option.sample = sample;
  option.read = [member, kind](void* target, const FileValue& value) {
    return ReadMember(kind, value, static_cast<Struct*>(target)->*member);
  };
  option.show = [member, kind](const void* target) {
    return ShowMember(kind, static_cast<const Struct*>(target)->*member);
  };
  if constexpr (requires(Member & value) { value.reset(); }) {
    option.clear = [member](void* target) { (static_cast<Struct*>(target)->*member).reset(); };
  }
  if constexpr (std::is_same_v<Kind, PathKind>) {
    option.rebase = [member](void* target, const std::filesystem::path& base) {
      std::filesystem::path& path = static_cast<Struct*>(target)->*member;
      if (path.is_relative()) path = (base / path).lexically_normal();
    };
  }
  return option;
}

template <typename Struct>
TableSchema Table(Struct Options::*member, std::string_view name, std::string_view help,
                  std::vector<OptionSchema> options) {
  TableSchema table{.name = name, .help = help, .options = std::move(options), .target = {}, .example = {}};
  table.target = [member](Options& all) -> void* { return &(all.*member); };
  table.example = [member](const Options& all) -> const void* { return &(all.*member); };
  return table;
}

template <typename Element>
TableSchema ArrayTable(std::vector<Element> Options::*member, std::string_view name, bool shown, std::string_view help,
                       std::vector<OptionSchema> options) {
  TableSchema table{.name = name,
                    .is_array = true,
                    .shown = shown,
                    .help = help,
                    .options = std::move(options),
                    .target = {},
                    .example = {}};
  table.target = [member](Options& all) -> void* { return &(all.*member).emplace_back(); };
  table.example = [member](const Options& all) -> const void* {
    static const Element unset{};
    return (all.*member).empty() ? &unset : &(all.*member).front();
  };
  return table;
}

TableSchema TopLevel() {
  TableSchema table;
  table.target = [](Options& all) -> void* { return &all; };
  table.example = [](const Options& all) -> const void* { return &all; };
  table.options = {
      Option(
          &Options::host_name, "host_name", HostNameKind{.literal_allowed = false},
          "This host's name, for the Message-ID of what is submitted from then on, and the admin pages. Without it the "
          "system's own name is taken.",
          Presence::kOptional, "\"mail.example.org\""),
      Option(&Options::allow_short_timeouts, "allow_short_timeouts", BooleanKind(),
             "Lets timeouts.final_reply be less than 10min. For tests alone: to give up earlier doubles mail, because "
             "the receiver may have accepted the message whose reply was not awaited."),
      Option(&Options::reply_rules, "reply_rules", PathKind(),
             "File of your own rules for what receivers' replies mean, asked before the shipped ones; "
             "`postrider classify --explain` shows which rule decides.",
             Presence::kOptional, "\"reply_rules.toml\""),
  };
  return table;
}

TableSchema SourceTable() {
  return ArrayTable(
      &Options::sources, "source", true,
      "An address of this host to send from, and the name it gives. At least one is needed. Receivers expect that the "
      "name resolves to the address, and the address back to the name.",
      {
          Option(&SourceOptions::name, "name", NameKind(), "What pools, logs and commands call it.",
                 Presence::kRequired, "\"main\""),
          Option(&SourceOptions::ipv4, "ipv4", AddressKind{IpAddress::Family::kIpv4},
                 "The IPv4 address to connect from. A source has one of each family, or one alone.", Presence::kShown,
                 "\"192.0.2.10\""),
          Option(
              &SourceOptions::ipv6, "ipv6", AddressKind{IpAddress::Family::kIpv6},
              "The IPv6 address to connect from; used by routes that say use_ipv6. Receivers judge it apart from the "
              "IPv4 address, and more strictly.",
              Presence::kOptional, "\"2001:db8::10\""),
          Option(&SourceOptions::ehlo_name, "ehlo_name", HostNameKind{.literal_allowed = true}, "What it says in EHLO.",
                 Presence::kRequired, "\"mail.example.org\""),
          Option(&SourceOptions::message_rate, "message_rate", kRateOrNone,
                 "Recipients that it attempts at all receivers together.", Presence::kOptional, "\"200/s\""),
          Option(&SourceOptions::burst, "burst", IntegerKind{1, 1'000'000},
                 "So many of them may go at once after a rest; without it one second's worth.", Presence::kOptional,
                 "200"),
          Option(&SourceOptions::connections, "connections", LimitKind{1, 1'000'000},
                 "Its open connections to all receivers together.", Presence::kOptional, "500"),
          Option(&SourceOptions::warm_up, "warm_up", DateKind(),
                 "The day on which it begins to earn its receivers' trust, as [warm_up] says; what is too much for it "
                 "goes over the warm sources of its pool. Without it the source is warm. A later day begins anew.",
                 Presence::kOptional, "2026-11-23"),
      });
}

TableSchema PoolTable() {
  return ArrayTable(
      &Options::pools, "pool", false,
      "Sources that a campaign may name together. The pool \"default\" holds every source unless it is given here.",
      {
          Option(&PoolOptions::name, "name", NameKind(), "What campaigns call it.", Presence::kRequired,
                 "\"newsletter\""),
          Option(&PoolOptions::sources, "sources", NameListKind(), "Names of sources.", Presence::kRequired,
                 "[\"main\"]"),
          Option(&PoolOptions::weights, "weights", IntegerListKind{{1, 1000}},
                 "How the mail is shared among the sources, in their order: 3 is three times 1. Without it evenly.",
                 Presence::kOptional, "[1]"),
          Option(&PoolOptions::message_rate, "message_rate", kRateOrNone,
                 "Recipients attempted through the pool at all receivers together.", Presence::kOptional, "\"500/s\""),
          Option(&PoolOptions::burst, "burst", IntegerKind{1, 1'000'000},
                 "So many of them may go at once after a rest; without it one second's worth.", Presence::kOptional,
                 "500"),
          Option(&PoolOptions::connections, "connections", LimitKind{1, 1'000'000},
                 "Open connections for the pool's mail to all receivers together.", Presence::kOptional, "1000"),
      });
}

TableSchema SenderTable() {
  return Table(
      &Options::sender, "sender", "The whole of it: all sources to all receivers.",
      {
          Option(&SenderOptions::message_rate, "message_rate", kRateOrNone,
                 "Recipients attempted; what the line or a contract bears.", Presence::kOptional, "\"1000/s\""),
          Option(&SenderOptions::burst, "burst", IntegerKind{1, 1'000'000},
                 "So many of them may go at once after a rest; without it one second's worth.", Presence::kOptional,
                 "1000"),
          Option(&SenderOptions::connections, "connections", LimitKind{1, 1'000'000},
                 "Open connections; a firewall between may count them.", Presence::kOptional, "5000"),
      });
}

TableSchema WarmUpTable() {
  return Table(
      &Options::warm_up, "warm_up",
      "How a new source earns the trust of each provider (and of each site without one): by sending little at first, "
      "and more only while all goes well. For sources that have a warm_up day.",
      {
          Option(&WarmUpOptions::quotas, "quotas", IntegerListKind{{1, 1'000'000'000}},
                 "Recipients on the first day, the second, ..., each in its rule's time_zone and at most an eighth an "
                 "hour. Behind the last day the source is warm."),
          Option(&WarmUpOptions::used_share, "used_share", ShareKind{0.01, 1},
                 "So much of a day's quota must have been used to move on: a reputation comes from mail sent."),
          Option(&WarmUpOptions::deferred_share, "deferred_share", ShareKind{0, 1},
                 "And fewer than so many of the attempts put off; otherwise the day is done again."),
          Option(&WarmUpOptions::steps_back, "steps_back", IntegerKind{0, 100},
                 "Days to go back when the provider blocks the source."),
      });
}

OptionSchema Formerly(OptionSchema option, std::string_view former_key) {
  option.former_key = former_key;
  return option;
}

std::vector<OptionSchema> ConnectionRules() {
  return {
      Option(&RuleOptions::connections, "connections", IntegerKind{1, 10'000},
             "Open connections of one allowance. Google and Microsoft bear five, Orange two; who has no name is shown "
             "no more than eight."),
      Option(&RuleOptions::start_connections, "start_connections", LimitKind{1, 10'000},
             "So many at first, and one more after every 20 clean deliveries, up to connections: a receiver that "
             "does not know us should not meet all of us at once. \"none\" starts with all of them."),
      Option(&RuleOptions::site_connections, "site_connections", LimitKind{1, 10'000},
             "Open connections to one site within the allowance. At Microsoft 365 every customer is a site of its "
             "own, which bears few, while the provider bears many.",
             Presence::kOptional, "3"),
      Option(&RuleOptions::connect_rate, "connect_rate", kRateOrNone,
             "New connections of one allowance; who knocks more often is blocked by many receivers for that alone."),
      Option(&RuleOptions::messages_per_connection, "messages_per_connection", IntegerKind{1, 1'000'000},
             "Messages sent down a connection before it is closed and another opened; many receivers count."),
      Option(&RuleOptions::idle, "idle", DurationKind{seconds(0), hours(1)},
             "How long a connection without work is kept. A few seconds spare a handshake when mail follows; longer "
             "only takes the receiver's slots."),
      Option(&RuleOptions::tls, "tls",
             ChoiceKind<TlsDemand>{{{"opportunistic", TlsDemand::kOpportunistic},
                                    {"required", TlsDemand::kRequired},
                                    {"verified", TlsDemand::kVerified},
                                    {"none", TlsDemand::kNone}}},
             "Opportunistic takes TLS where it is offered, and plaintext only after a peer broke it twice; required "
             "holds the mail instead; verified also asks for a certificate of the MX host's name; none never asks."),
  };
}

std::vector<OptionSchema> RateRules() {
  return {
      Formerly(Option(&RuleOptions::message_rate, "message_rate", kRateOrNone,
                      "Recipients attempted by one allowance, as \"10/s\" or 10, \"600/min\", \"5000/h\" or \"800/d\"; "
                      "evenly, so that an hour's worth never goes in its first second.",
                      Presence::kOptional, "\"10/s\""),
               "messages_per_second"),
      Option(&RuleOptions::burst, "burst", IntegerKind{1, 1'000'000},
             "So many of them may go at once after a rest. Without it one second's worth, and at least one. It is "
             "for the message_rate of the same rule or of a less specific one.",
             Presence::kOptional, "10"),
      Option(&RuleOptions::daily_quota, "daily_quota", LimitKind{1, 1'000'000'000},
             "Recipients attempted by one allowance in a calendar day, at most an eighth of them in an hour.",
             Presence::kOptional, "50000"),
      Option(&RuleOptions::time_zone, "time_zone", TimeZoneKind(), "Whose midnight begins that day."),
      Option(&RuleOptions::total_connections, "total_connections", LimitKind{1, 1'000'000},
             "Open connections of all sources together to the provider, or to the site where it has none.",
             Presence::kOptional, "40"),
      Option(&RuleOptions::total_message_rate, "total_message_rate", kRateOrNone,
             "Recipients attempted by all sources together at the provider, or at the site where it has none.",
             Presence::kOptional, "\"50/s\""),
      Option(&RuleOptions::campaign_message_rate, "campaign_message_rate", kRateOrNone,
             "Recipients of one campaign attempted at the provider, or at the site where it has none.",
             Presence::kOptional, "\"20/s\""),
      Option(&RuleOptions::adaptive, "adaptive", BooleanKind(),
             "Lowers the rate by itself when replies ask for it, and raises it again while deliveries succeed."),
      Option(&RuleOptions::rate_floor, "rate_floor", kAnyRate,
             "Not lower than this: a receiver that is asked nothing cannot say that it is better again."),
  };
}

TableSchema RuleTable() {
  std::vector<OptionSchema> fields{
      Option(&RuleOptions::match, "match", PatternKind{.mx_allowed = true},
             "A domain, all domains below one, all domains whose MX host is below a name or has it, all whose mail "
             "a provider takes, or everything.",
             Presence::kRequired)};
  std::ranges::move(ConnectionRules(), std::back_inserter(fields));
  std::ranges::move(RateRules(), std::back_inserter(fields));
  return ArrayTable(
      &Options::rules, "rule", true,
      "Limits and TLS for the mail that a pattern matches. What a rule leaves out comes from the next less specific "
      "one; a domain is more specific than a domain suffix, that than an MX host, that than an MX suffix, that than a "
      "provider, and \"*\" matches everything. Of equally specific ones `postrider throttle set` comes before this "
      "file, this file before the providers that the program knows (`postrider config --providers`), and the earlier "
      "line before the later. An allowance is one source's at one provider, or at one site whose provider is unknown. "
      "\"none\" is no limit, also where a less specific rule has one.",
      std::move(fields));
}

TableSchema ProviderTableSchema() {
  return ArrayTable(
      &Options::providers, "provider", false,
      "Who takes the mail of many domains, known by the names of its MX hosts; rules, limits and metrics name it. The "
      "program knows the large ones (`postrider config --providers`); one of the same name here replaces its hosts "
      "and other names, and its shipped limits stay.",
      {
          Option(&ProviderOptions::name, "name", ProviderNameKind(), "What rules, metrics and commands call it.",
                 Presence::kRequired, "\"hosting-example\""),
          Option(&ProviderOptions::mx, "mx", MxListKind(),
                 "Its MX hosts. Of two suffixes that a host is below the longer counts.", Presence::kRequired,
                 "[\".mx.example.net\"]"),
          Option(&ProviderOptions::aliases, "aliases", AliasListKind(), "What people and log files call it.",
                 Presence::kOptional, "[\"example hosting\"]"),
          Option(&ProviderOptions::notes, "notes", TextKind(), "Whatever its limits rest on.", Presence::kOptional,
                 "\"limits as their postmaster page has them\""),
      });
}

TableSchema RouteTable() {
  using Transport = RouteOptions::Transport;
  using Mechanism = RouteOptions::AuthMechanism;
  return ArrayTable(
      &Options::routes, "route", false,
      "Where the mail of a pattern goes. Without a matching route: to the domain's MX hosts on port 25 with STARTTLS.",
      {
          Option(&RouteOptions::match, "match", PatternKind{.mx_allowed = false},
                 "A domain, all domains below one, or everything. Not an MX pattern: a route comes before the MX is "
                 "known.",
                 Presence::kRequired, "\"*.example.net\""),
          Option(&RouteOptions::hosts, "hosts", HostListKind(),
                 "Hosts to try in this order instead of the domain's MX hosts; the port may stand behind a colon.",
                 Presence::kShown, "[\"smtp.example.net:587\"]"),
          Option(&RouteOptions::port, "port", IntegerKind{1, 65'535}, "Port of hosts that name none."),
          Option(
              &RouteOptions::transport, "transport",
              ChoiceKind<Transport>{
                  {{"starttls", Transport::kStartTls}, {"implicit", Transport::kImplicit}, {"none", Transport::kNone}}},
              "STARTTLS as the rules demand, TLS from the first byte as on port 465, or never TLS."),
          Option(&RouteOptions::auth_user, "auth_user", TextKind(),
                 "Log in with this name. Needs hosts, so that the password goes to nobody else.", Presence::kOptional,
                 "\"mailer\""),
          Option(&RouteOptions::auth_secret_file, "auth_secret_file", PathKind(),
                 "File whose first line is the password; kept apart so that this file can be shown to others.",
                 Presence::kOptional, "\"relay.secret\""),
          Option(&RouteOptions::auth_mechanism, "auth_mechanism",
                 ChoiceKind<Mechanism>{{{"plain", Mechanism::kPlain}, {"login", Mechanism::kLogin}}},
                 "SASL mechanism; login is for old servers that offer nothing else."),
          Option(&RouteOptions::auth_without_tls, "auth_without_tls", BooleanKind(),
                 "Lets the password cross the network unencrypted."),
          Option(&RouteOptions::allow_private, "allow_private", BooleanKind(),
                 "Lets an MX or address answer point to a loopback, private or own address. Otherwise such answers are "
                 "refused, because anybody can publish them and so reach the inside of your network."),
          Option(&RouteOptions::use_ipv6, "use_ipv6", BooleanKind(),
                 "Also connects to IPv6 addresses; needs a source with an IPv6 address."),
      });
}

TableSchema RetryTable(RetryOptions Options::*member, std::string_view name, std::string_view help) {
  return Table(
      member, name, help,
      {
          Option(&RetryOptions::schedule, "schedule", DurationListKind{{seconds(1), 7 * kDay}},
                 "Wait before the second, third, ... attempt; the last one repeats. Each is lengthened by up to "
                 "a fifth at random. Greylists refuse everything before 300 s."),
          Option(&RetryOptions::expiry, "expiry", DurationKind{seconds(1), 30 * kDay},
                 "When a recipient not delivered is given up, counted from the moment it could first be sent."),
      });
}

TableSchema SpoolTable() {
  return Table(
      &Options::spool, "spool", "Where campaigns are dropped.",
      {
          Option(&SpoolOptions::directory, "directory", PathKind(),
                 "Holds tmp, new, work, done and failed; all on one file system, because a rename is the submission."),
          Option(&SpoolOptions::scan_interval, "scan_interval", DurationKind{seconds(1), hours(1)},
                 "How often new/ is read through, for what inotify did not tell."),
          Option(&SpoolOptions::row_bytes_max, "row_bytes_max", SizeKind{kKiB, 16 * kMiB},
                 "Longest line of a recipients file; a longer one is rejected unread."),
          Option(&SpoolOptions::message_bytes_max, "message_bytes_max", SizeKind{kKiB, kGiB},
                 "Largest message.eml. Large receivers take 35 to 150 MiB; it is held in memory while parsed."),
          Option(&SpoolOptions::max_reject_share, "max_reject_share", ShareKind{0, 1},
                 "A campaign with a larger share of bad rows, and more bad rows than max_rejects_free, is held until "
                 "it is resumed or cancelled: the list is probably not what was meant."),
          Option(&SpoolOptions::max_rejects_free, "max_rejects_free", IntegerKind{0, 1'000'000'000},
                 "So many bad rows are always forgiven, so that a short list is not held for one of them."),
          Option(&SpoolOptions::suppression_file, "suppression_file", PathKind(),
                 "Addresses and domains never to be sent to, one a line. A domain, as \"example.org\" or "
                 "\"@example.org\", stands for itself, not for what is below it. Case does not matter; empty lines "
                 "and lines that begin with \"#\" are comments.",
                 Presence::kOptional, "\"suppressed.txt\""),
          Option(&SpoolOptions::remember_names, "remember_names", DurationKind{hours(1), 3650 * kDay},
                 "How long a campaign's name is remembered, so that handing it in again is not sending it again."),
      });
}

TableSchema QueueTable() {
  return Table(
      &Options::queue, "queue", "The durable queue.",
      {
          Option(&QueueOptions::directory, "directory", PathKind(), "On a disk whose syncs are honest."),
          Option(&QueueOptions::shards, "shards", IntegerKind{1, 4096},
                 "Parts that cores share out among themselves; fixed when the queue is made, so more than cores ever."),
          Option(&QueueOptions::write_buffer_bytes, "write_buffer_bytes", SizeKind{kMiB, 16 * kGiB},
                 "Memory for writes not yet in table files. More means fewer, larger flushes while a list is read in."),
          Option(&QueueOptions::block_cache_bytes, "block_cache_bytes", SizeKind{kMiB, 64 * kGiB},
                 "Memory for reads. Jobs are read in order and once, so a small one does."),
          Option(&QueueOptions::unsynced_outcomes_max, "unsynced_outcomes_max", IntegerKind{1, 1'000'000},
                 "Sending pauses at so many outcomes not yet on disk. A crash may send these again, no more."),
          Option(&QueueOptions::commit_interval, "commit_interval", DurationKind{milliseconds(0), seconds(1)},
                 "The longest that an outcome waits for others to share its sync."),
      });
}

TableSchema LogTable() {
  return Table(
      &Options::log, "log", "The delivery log: JSON lines, compressed when a file is closed.",
      {
          Option(&LogOptions::directory, "directory", PathKind(), "A log that cannot be written stops sending."),
          Option(&LogOptions::rotate_bytes, "rotate_bytes", SizeKind{64 * kKiB, 1024 * kGiB},
                 "A new file is begun at this size."),
          Option(&LogOptions::rotate_age, "rotate_age", DurationKind{hours(1), 365 * kDay},
                 "A new file is begun at this age."),
      });
}

TableSchema AccountingTable() {
  return Table(
      &Options::accounting, "accounting",
      "Beside the log the CSV file that PowerMTA writes, for programs that read that.",
      {
          Option(&AccountingOptions::enabled, "enabled", BooleanKind(), "Whether it is written."),
          Option(&AccountingOptions::directory, "directory", PathKind(),
                 "Synced with the log; if it cannot be written, sending stops as it does for the log."),
          Option(&AccountingOptions::deferrals, "deferrals", BooleanKind(),
                 "Also a record of type t for each attempt that will be repeated, beside d and b for the last one."),
          Option(&AccountingOptions::rotate_bytes, "rotate_bytes", SizeKind{64 * kKiB, 1024 * kGiB},
                 "A new file is begun at this size."),
          Option(&AccountingOptions::rotate_age, "rotate_age", DurationKind{hours(1), 365 * kDay},
                 "A new file is begun at this age."),
      });
}

std::vector<OptionSchema> SenderGuards() {
  return {
      Option(&GuardOptions::campaign_tries, "campaign_tries", IntegerKind{10, 1'000'000},
             "A campaign at one provider is judged after so many attempts; fewer prove nothing."),
      Option(&GuardOptions::canary_tries, "canary_tries", IntegerKind{10, 1'000'000},
             "After so many while only its canary is out, if that is less."),
      Option(&GuardOptions::campaign_window, "campaign_window", IntegerKind{10, 10'000'000},
             "And by its last so many."),
      Option(&GuardOptions::campaign_warn_bounces, "campaign_warn_bounces", ShareKind{0, 1},
             "It is warned of at this share of hard bounces: the list is getting old."),
      Option(&GuardOptions::campaign_pause_bounces, "campaign_pause_bounces", ShareKind{0, 1},
             "It is paused at that provider at this share; bought lists have more, and one such list costs the "
             "reputation that all other mail lives on."),
      Option(&GuardOptions::campaign_pause_spam_blocks, "campaign_pause_spam_blocks", ShareKind{0, 1},
             "It is paused at that provider at this share of replies that call it spam."),
  };
}

std::vector<OptionSchema> ReceiverGuards() {
  return {
      Option(
          &GuardOptions::storm_tries, "storm_tries", IntegerKind{10, 1'000'000},
          "A bounce storm: a site that suddenly disowns its mailboxes is more likely broken than empty. It is judged "
          "after so many attempts; what it says then suppresses nobody, and is asked again later."),
      Option(&GuardOptions::storm_times_usual, "storm_times_usual", NumberKind{1.1, 1000},
             "A storm has so many times the share of bad mailboxes that the site usually has."),
      Option(&GuardOptions::storm_least_share, "storm_least_share", ShareKind{0, 1},
             "And at least this share of all attempts."),
      Option(&GuardOptions::storm_longest, "storm_longest", DurationKind{minutes(1), 30 * kDay},
             "After so long what the site says is believed. Google's storm of December 2020 lasted some hours."),
      Option(&GuardOptions::network_sites, "network_sites", IntegerKind{2, 100},
             "Our own network is taken to be down when connects fail at so many sites at once."),
      Option(&GuardOptions::network_failed_share, "network_failed_share", ShareKind{0.01, 1},
             "And when they are this share of all connects; everything is then held and nobody charged."),
      Option(&GuardOptions::network_window, "network_window", DurationKind{seconds(12), hours(1)},
             "Both are counted over this time."),
      Option(&GuardOptions::network_probe, "network_probe", DurationKind{seconds(1), minutes(10)},
             "One connect each such time finds out when it is up again."),
      Option(&GuardOptions::domains_missing, "domains_missing", IntegerKind{2, 500},
             "A resolver that says of so many domains that they do not exist is not believed: their mail waits."),
      Option(&GuardOptions::domains_missing_share, "domains_missing_share", ShareKind{0.01, 1},
             "But only if they are this share of all domains that were looked up."),
      Option(&GuardOptions::domains_window, "domains_window", DurationKind{seconds(12), hours(24)},
             "Both are counted over this time."),
  };
}

TableSchema GuardTable() {
  std::vector<OptionSchema> options = SenderGuards();
  std::ranges::move(ReceiverGuards(), std::back_inserter(options));
  return Table(&Options::guard, "guard",
               "When going on would do harm. Each guard says why it holds mail and how to go on, as an event and a "
               "metric.",
               std::move(options));
}

TableSchema EngineTable() {
  return Table(
      &Options::engine, "engine", "The cores that send; each is one thread with its own ring and connections.",
      {
          Option(&EngineOptions::cores, "cores", IntegerKind{0, 256},
                 "Threads that send; 0 means the processors less one, which is left to the store and intake."),
          Option(&EngineOptions::pin, "pin", BooleanKind(),
                 "Ties each such thread to a processor. Helps on a machine that does nothing else."),
          Option(&EngineOptions::active_domains, "active_domains", IntegerKind{1, 1'000'000},
                 "Domains that a core takes work from at once; bounds memory, whatever the queue holds."),
          Option(&EngineOptions::window_jobs, "window_jobs", IntegerKind{256, 16'777'216},
                 "Jobs that a core reads ahead, so that it never waits for the disk; about 300 bytes each."),
          Option(&EngineOptions::connections, "connections", IntegerKind{1, 1'000'000},
                 "Connections of one core to all receivers. Each takes a file descriptor and, with TLS, some 40 KiB."),
      });
}

TableSchema DnsTable() {
  return Table(
      &Options::dns, "dns", "Looking up MX hosts and addresses.",
      {
          Option(&DnsOptions::servers, "servers", NameServerListKind(),
                 "Name servers to ask; with none given, those of /etc/resolv.conf. A caching resolver on this "
                 "host or network is expected."),
          Option(&DnsOptions::timeout, "timeout", DurationKind{seconds(1), minutes(1)}, "For one try of one question."),
          Option(&DnsOptions::tries, "tries", IntegerKind{1, 10}, "Then the lookup has failed for now."),
          Option(&DnsOptions::cache_entries, "cache_entries", IntegerKind{1000, 100'000'000},
                 "Answers kept; about 200 bytes each."),
          Option(&DnsOptions::cache_min_ttl, "cache_min_ttl", DurationKind{seconds(0), hours(1)},
                 "An answer is kept at least so long; some domains publish a TTL of 0."),
          Option(&DnsOptions::cache_max_ttl, "cache_max_ttl", DurationKind{seconds(1), 7 * kDay},
                 "An answer is kept at most so long, so that a moved receiver is found within a day."),
          Option(&DnsOptions::negative_ttl, "negative_ttl", DurationKind{seconds(1), hours(3)},
                 "How long \"no such name\" is believed at most; a new domain's mail is held no longer."),
      });
}

TableSchema TlsTable() {
  return Table(
      &Options::tls, "tls", "What rules demand of TLS stands in [[rule]]; this is for all of it.",
      {
          Option(&TlsOptions::ca_file, "ca_file", PathKind(), "Certificates that tls = \"verified\" trusts."),
          Option(&TlsOptions::broken_memory, "broken_memory", DurationKind{hours(1), 30 * kDay},
                 "How long mail goes in plaintext to a peer whose TLS broke twice on fresh connections."),
          Option(&TlsOptions::worked_memory, "worked_memory", DurationKind{hours(1), 365 * kDay},
                 "How long a peer whose TLS worked is never sent plaintext: its TLS failing is then more likely "
                 "an attack or an outage than a lack."),
          Option(&TlsOptions::session_cache_entries, "session_cache_entries", IntegerKind{0, 10'000'000},
                 "Sessions kept for resumption, which saves a third to nine tenths of a handshake."),
      });
}

TableSchema TimeoutTable() {
  const auto within = [](seconds most) { return DurationKind{seconds(1), most}; };
  return Table(
      &Options::timeouts, "timeouts", "How long a receiver may take (RFC 5321 section 4.5.3.2).",
      {
          Option(&TimeoutOptions::connect, "connect", within(minutes(5)),
                 "For one address. Who has not answered in 30 s rarely does later."),
          Option(&TimeoutOptions::connect_addresses, "connect_addresses", IntegerKind{1, 32},
                 "Addresses tried in one round; some receivers publish dozens that are down together."),
          Option(&TimeoutOptions::connect_round, "connect_round", within(hours(1)),
                 "For all addresses of one round together."),
          Option(&TimeoutOptions::banner, "banner", within(minutes(10)),
                 "For the greeting; some receivers make strangers wait half a minute."),
          Option(&TimeoutOptions::ehlo, "ehlo", within(minutes(10)), "For the reply to EHLO or HELO."),
          Option(&TimeoutOptions::tls, "tls", within(minutes(5)), "For the TLS handshake."),
          Option(&TimeoutOptions::auth, "auth", within(minutes(10)), "For each reply to AUTH."),
          Option(&TimeoutOptions::mail, "mail", within(minutes(30)),
                 "For the replies to MAIL and RCPT; receivers look addresses up meanwhile."),
          Option(&TimeoutOptions::data, "data", within(minutes(30)), "For the reply to DATA."),
          Option(&TimeoutOptions::block, "block", within(minutes(30)), "For the receiver to take a block of content."),
          Option(&TimeoutOptions::final_reply, "final_reply", within(hours(1)),
                 "For the reply to the end of the content. Never less than 10min unless allow_short_timeouts is set: "
                 "receivers scan the message before they answer, and who hangs up earlier sends it twice."),
          Option(&TimeoutOptions::quit, "quit", within(minutes(1)), "For the reply to QUIT; nothing depends on it."),
          Option(
              &TimeoutOptions::shutdown, "shutdown", within(minutes(30)),
              "For running conversations when the program is told to stop; what still awaits its final reply then is "
              "unknown."),
      });
}

TableSchema AdminTable() {
  return Table(
      &Options::admin, "admin", "HTTP for commands, Prometheus and health checks.",
      {
          Option(&AdminOptions::listen, "listen", SocketAddressKind(),
                 "Address and port; port 0 takes any that is free."),
          Option(&AdminOptions::allow_remote, "allow_remote", BooleanKind(),
                 "Lets it listen beyond loopback. It asks nobody for a password: who reaches it can stop mail."),
      });
}

TableSchema MetricsTable() {
  return Table(&Options::metrics, "metrics", "What /metrics names.",
               {
                   Option(&MetricsOptions::named_sites, "named_sites", IntegerKind{0, 10'000},
                          "Sites beyond the known providers that get a label of their own; all others count under "
                          "\"other\", so that a long list of domains does not flood Prometheus."),
               });
}

TableSchema DiskTable() {
  return Table(&Options::disk, "disk", "What happens before the disk is full, as shares of it that are free.",
               {
                   Option(&DiskOptions::stop_intake_below, "stop_intake_below", ShareKind{0, 0.9},
                          "No campaign is read in below this; sending goes on and makes room."),
                   Option(&DiskOptions::stop_sending_below, "stop_sending_below", ShareKind{0, 0.9},
                          "Sending stops below this, while outcomes can still be written. Must be less than "
                          "stop_intake_below."),
               });
}

TableSchema UnknownTable() {
  return Table(&Options::unknown, "unknown",
               "Mail sent to its last byte whose final reply never came: it may or may not have arrived.",
               {
                   Option(&UnknownOptions::retry_after, "retry_after", DurationKind{seconds(1), 7 * kDay},
                          "It is sent again no sooner, unless its campaign says to report it instead. Receivers that "
                          "accepted it can drop the repeat, which is the same byte for byte."),
                   Option(&UnknownOptions::repeats, "repeats", IntegerKind{0, 10}, "After so many it is final."),
               });
}

std::vector<TableSchema> MakeSchema() {
  std::vector<TableSchema> tables;
  tables.push_back(TopLevel());
  tables.push_back(SourceTable());
  tables.push_back(PoolTable());
  tables.push_back(SenderTable());
  tables.push_back(WarmUpTable());
  tables.push_back(RuleTable());
  tables.push_back(ProviderTableSchema());
  tables.push_back(RouteTable());
  tables.push_back(RetryTable(&Options::retry_bulk, "retry.bulk", "Trying again, for bulk mail."));
  tables.push_back(
      RetryTable(&Options::retry_transactional, "retry.transactional",
                 "Trying again, for transactional mail: somebody waits for it, and late it is worthless."));
  tables.push_back(SpoolTable());
  tables.push_back(QueueTable());
  tables.push_back(LogTable());
  tables.push_back(AccountingTable());
  tables.push_back(GuardTable());
  tables.push_back(EngineTable());
  tables.push_back(DnsTable());
  tables.push_back(TlsTable());
  tables.push_back(TimeoutTable());
  tables.push_back(AdminTable());
  tables.push_back(MetricsTable());
  tables.push_back(DiskTable());
  tables.push_back(UnknownTable());
  return tables;
}

// Edits that turn one name into the other: insert, delete, replace, swap neighbours.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

const OptionSchema* TableSchema::Find(std::string_view key) const {
  const auto found = std::ranges::find(options, key, &OptionSchema::key);
  return found == options.end() ? nullptr : &*found;
}

std::span<const TableSchema> Schema() {
  static const std::vector<TableSchema> schema = MakeSchema();
  return schema;
}

const TableSchema* FindTable(std::string_view name) {
  const auto found = std::ranges::find(Schema(), name, &TableSchema::name);
  return found == Schema().end() ? nullptr : &*found;
}

std::string_view NearestName(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kNameMax = 64;  // no option's name is near half as long
  if (name.size() > kNameMax) return {};
  std::string_view nearest;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (std::string_view candidate : known) {
    const std::size_t distance = EditDistance(name, candidate);
    // More than a third of it wrong is another word.
    if (distance < least && distance * 3 <= std::max(name.size(), candidate.size())) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

}  // namespace postrider
