#include "tests/simulation/hour.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "config/rules.h"
#include "throttle/reply_classifier.h"
#include "tools/sink/hash.h"

namespace postrider::simulation {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<milliseconds, 4> kWindows{seconds(1), seconds(10), minutes(1), hours(1)};
constexpr int kTenants = 40;
// Beyond what the allowance lets through.
constexpr double kSupplyOver = 1.15;

Options OptionsOf(const std::vector<RuleOptions>& rules) {
  Options options;
  options.host_name = "mail.sender.test";
  SourceOptions source;
  source.name = "first";
  source.ipv4 = IpAddress{IpAddress::Family::kIpv4, {11, 0, 0, 1}};
  source.ehlo_name = "first.sender.test";
  options.sources.push_back(source);
  options.rules.insert(options.rules.end(), rules.begin(), rules.end());
  return options;
}

RuleOptions RuleFor(std::string_view pattern) {
  RuleOptions rule;
  rule.match = DomainPattern::Parse(pattern).value();
  rule.origin.layer = RuleLayer::kFile;
  return rule;
}

// What an operator adds to the shipped profiles: the rates that each receiver was found to bear.
std::vector<RuleOptions> Rules() {
  std::vector<RuleOptions> rules;
  rules.push_back(RuleFor("provider:google"));
  rules.back().message_rate = 8;
  rules.push_back(RuleFor("provider:yahoo"));
  rules.back().message_rate = 5;
  rules.push_back(RuleFor("provider:microsoft365"));
  rules.back().message_rate = 10;
  rules.push_back(RuleFor("provider:qq"));
  rules.back().daily_quota = 28'800;
  return rules;
}

ReplyClassifierPtr ShippedRules() {
  auto classifier = ReplyClassifier::Load({}, *ProviderTable::Shipped());
  CHECK(classifier.has_value());
  return *classifier;
}

delivery::WorldSettings WorldOf(const HourSettings& settings) {
  delivery::WorldSettings world;
  world.options = OptionsOf(Rules());
  world.cores = settings.cores;
  world.seed = settings.seed;
  world.classifier = ShippedRules();
  return world;
}

SiteSetting SiteOf(std::string host, std::vector<std::string> domains) {
  return {.host = std::move(host), .domains = std::move(domains)};
}

}  // namespace

sink::WindowLimit WindowOf(const RateLimit& rate, milliseconds window) {
  // A full bucket at once, then one whenever one more has leaked; the one that would come at its very end is outside.
  const double most = rate.per_second * std::chrono::duration<double>(window).count() + rate.BurstOrDefault();
  return {.count = static_cast<std::uint32_t>(std::ceil(most - 1e-6)) - 1, .window = window};
}

struct Hour::Player {
  std::string name;
  ProviderSetting setting;
  std::vector<double> weights{};  // of the sites; empty: all alike
  double expected_rate = 0;       // of messages, for the supply; 0: that of the rule
  bool bound_by_connections = false;

  std::unique_ptr<Provider> provider{};
  double allowance = 0;
  double looked_at_used = 0;
  Monotonic looked_at{};

  // Messages, or seconds of connections.
  [[nodiscard]] double UsedSoFar() const {
    return bound_by_connections ? provider->ConnectionTime().count() : static_cast<double>(provider->attempts());
  }
};

Hour::Hour(const HourSettings& settings) : world_(WorldOf(settings)) { AddPlayers(settings); }

Hour::~Hour() = default;

void Hour::AddPlayers(const HourSettings& settings) {
  const auto player = [&](std::string name, std::string personality, std::vector<SiteSetting> sites) {
    auto made = std::make_unique<Player>();
    made->name = std::move(name);
    made->setting = {.name = made->name, .personality = std::move(personality), .sites = std::move(sites)};
    made->setting.behaviour.permanent_share = 0.01;
    return made;
  };
  // One address of ours at all of Gmail and Workspace; refuses what is too fast after the content, and for ten minutes.
  auto gmail = player("gmail", "gmail",
                      {SiteOf("gmail-smtp-in.l.google.com", {"gmail.com", "googlemail.com"}),
                       SiteOf("aspmx.l.google.com", {"workspace-a.test", "workspace-b.test"})});
  gmail->setting.behaviour.limits.penalty = minutes(10);
  gmail->weights = {3, 1};
  Add(std::move(gmail), settings);

  // Few messages a connection; who was too fast is deferred for minutes.
  auto yahoo =
      player("yahoo", "yahoo",
             {SiteOf("mta5.am0.yahoodns.net", {"yahoo.com", "ymail.com"}), SiteOf("mx-aol.yahoodns.net", {"aol.com"})});
  yahoo->setting.behaviour.limits.penalty = minutes(5);
  yahoo->setting.behaviour.temporary_share = 0.02;
  yahoo->setting.round_trip = milliseconds(90);
  Add(std::move(yahoo), settings);

  // Each tenant has an MX of its own; the largest has forty times the mail of the smallest.
  std::vector<SiteSetting> tenants;
  std::vector<double> weights;
  for (int i = 0; i < kTenants; ++i) {
    tenants.push_back(
        SiteOf(fmt::format("tenant{}-test.mail.protection.outlook.com", i), {fmt::format("tenant{}.test", i)}));
    weights.push_back(1.0 / (1 + i));
  }
  auto microsoft = player("microsoft365", "microsoft", std::move(tenants));
  microsoft->setting.round_trip = milliseconds(60);
  microsoft->weights = std::move(weights);
  Add(std::move(microsoft), settings);

  // Two connections, and slow ones: they are the allowance.
  auto orange = player("orange", "orange", {SiteOf("smtp-in.orange.fr", {"orange.fr", "wanadoo.fr"})});
  orange->setting.round_trip = milliseconds(30);
  orange->setting.work = milliseconds(400);
  orange->bound_by_connections = true;
  orange->expected_rate = 5;
  Add(std::move(orange), settings);

  // So many a day, an eighth of them in an hour; eight a connection.
  auto qq = player("qq", "qq", {SiteOf("mx1.qq.com", {"qq.com", "foxmail.com"})});
  qq->setting.round_trip = milliseconds(250);
  Add(std::move(qq), settings);

  // No profile knows it. Greylists, and is full at times.
  auto stranger = player("stranger", "plain", {SiteOf("mx.stranger.test", {"stranger.test"})});
  stranger->setting.behaviour.greylist = minutes(5);
  stranger->setting.behaviour.temporary_share = 0.03;
  stranger->setting.work = seconds(2);
  stranger->bound_by_connections = true;
  stranger->expected_rate = 4;
  Add(std::move(stranger), settings);
}

// Takes the limits that our rules have of it.
void Hour::Add(std::unique_ptr<Player> player, const HourSettings& settings) {
  if (!settings.players.empty() && std::ranges::find(settings.players, player->name) == settings.players.end()) return;
  const SiteSetting& first = player->setting.sites.front();
  const std::vector<std::string> hosts{first.host};
  const EffectiveRule rule = ResolveRule(OptionsOf(Rules()), first.domains.front(), hosts);
  sink::Behaviour& behaviour = player->setting.behaviour;
  sink::Limits& limits = behaviour.limits;
  limits.connections = static_cast<std::uint32_t>(rule.connections);
  limits.site_connections = static_cast<std::uint32_t>(rule.site_connections.value_or(0));
  behaviour.message_cap = static_cast<std::uint32_t>(rule.messages_per_connection);
  std::optional<RateLimit> connects = rule.connect_rate;
  // So many at once to begin with.
  if (connects) connects->burst = std::max<double>(connects->BurstOrDefault(), rule.start_connections);
  for (const milliseconds window : kWindows) {
    if (connects) limits.connects.push_back(WindowOf(*connects, window));
    if (!rule.message_rate) continue;
    const RateLimit real{rule.message_rate->per_second * settings.real_share,
                         rule.message_rate->BurstOrDefault() * settings.real_share};
    limits.messages.push_back(WindowOf(real, window));
  }
  if (rule.daily_quota) {
    const auto real = static_cast<std::uint32_t>(static_cast<double>(*rule.daily_quota) * settings.real_share);
    limits.messages.push_back({real / 8, hours(1)});
    limits.messages.push_back({real, hours(24)});
  }

  double rate = player->expected_rate;
  if (player->bound_by_connections) {
    player->allowance = rule.connections;
  } else {
    rate = rule.daily_quota ? static_cast<double>(*rule.daily_quota) / 8 / 3600 : rule.message_rate->per_second;
    player->allowance = rate;
  }
  player->provider = std::make_unique<Provider>(world_, player->setting, settings.seed);
  player->looked_at = world_.now().monotonic;

  // Its mail: two campaigns that differ in size.
  double weight_sum = 0;
  for (std::size_t i = 0; i < player->setting.sites.size(); ++i) {
    weight_sum += player->weights.empty() ? 1 : player->weights[i];
  }
  const double supply = rate * kSupplyOver * std::chrono::duration<double>(settings.supply).count();
  for (const auto& [campaign, share] : {std::pair("large", 0.8), std::pair("small", 0.2)}) {
    delivery::CampaignPlan plan;
    plan.spec.name = fmt::format("{}-{}", campaign, player->name);
    plan.spec.envelope_from = fmt::format("{}@sender.test", campaign);
    for (std::size_t i = 0; i < player->setting.sites.size(); ++i) {
      const double weight = (player->weights.empty() ? 1 : player->weights[i]) / weight_sum;
      std::vector<std::string> more =
          delivery::Recipients(static_cast<std::size_t>(supply * share * weight), player->setting.sites[i].domains);
      for (std::string& address : more) address.insert(0, campaign);
      std::ranges::move(more, std::back_inserter(plan.recipients));
    }
    world_.Submit(plan);
  }
  players_.push_back(std::move(player));
}

void Hour::RunFor(minutes duration) { world_.RunFor(duration); }

void Hour::Drain() { CHECK(world_.Drain(seconds(60), minutes(5))); }

std::vector<Hour::Usage> Hour::Look() {
  std::vector<Usage> usages;
  for (const std::unique_ptr<Player>& player : players_) {
    Usage& usage = usages.emplace_back();
    usage.player = player->name;
    usage.bound_by = player->bound_by_connections ? "connections" : "messages/s";
    usage.allowance = player->allowance;
    usage.over = world_.now().monotonic - std::exchange(player->looked_at, world_.now().monotonic);
    const double used = player->UsedSoFar();
    usage.used = (used - std::exchange(player->looked_at_used, used)) / std::max(1e-9, usage.over.count());
    usage.attempts = player->provider->attempts();
    usage.breaches = player->provider->breaches();
    usage.counts = player->provider->Sum();
  }
  return usages;
}

// ---- what must hold

const Hour::Player* Hour::PlayerOf(std::string_view address) const {
  const std::string_view domain = address.substr(address.rfind('@') + 1);
  for (const std::unique_ptr<Player>& player : players_) {
    for (const SiteSetting& site : player->setting.sites) {
      if (std::ranges::find(site.domains, domain) != site.domains.end()) return player.get();
    }
  }
  return nullptr;
}

// Whoever the receiver knows is not given up for what is ours to mend.
std::string Hour::CheckEnd(const queue::Event& event) const {
  const Player* player = PlayerOf(event.recipient);
  if (player == nullptr || event.kind == queue::EventKind::kDelivered) return {};
  if (event.kind == queue::EventKind::kBounced && player->provider->Refuses(event.recipient)) return {};
  return fmt::format("{} ended as {}: {} {}", event.recipient, queue::ToString(event.kind), event.code, event.reply);
}

std::string Hour::Check() const {
  if (std::string problem = world_.CheckQueue(); !problem.empty()) return problem;
  std::uint64_t delivered = 0;
  for (const queue::Event& event : world_.queue.events()) {
    if (!event.final) continue;
    delivered += event.kind == queue::EventKind::kDelivered ? 1 : 0;
    if (std::string problem = CheckEnd(event); !problem.empty()) return problem;
  }
  for (const std::string& address : world_.queue.suppressions()) {
    const Player* player = PlayerOf(address);
    if (player == nullptr || !player->provider->Refuses(address)) return address + " was suppressed";
  }
  std::uint64_t taken = 0;
  for (const std::unique_ptr<Player>& player : players_) {
    taken += player->provider->Sum().messages;
    if (const std::uint64_t repeats = player->provider->repeats(); repeats != 0) {
      return fmt::format("{} took {} messages twice", player->name, repeats);
    }
  }
  if (taken != delivered) return fmt::format("{} were taken, but {} delivered", taken, delivered);
  return {};
}

std::uint64_t Hour::Digest() const {
  std::uint64_t digest = 0;
  std::string line;
  for (const queue::Event& event : world_.queue.events()) {
    line.clear();
    fmt::format_to(std::back_inserter(line), "{} {} {} {} {} {}", event.time.time_since_epoch().count(),
                   static_cast<int>(event.kind), event.recipient, event.attempt, event.code, event.reply);
    digest = sink::Hash64(digest, line);
  }
  return digest;
}

std::string ToText(const std::vector<Hour::Usage>& usages) {
  std::string text = fmt::format("{:<13} {:<11} {:>9} {:>9} {:>7} {:>9} {:>9} {:>8} {:>8}\n", "provider", "bound by",
                                 "allowance", "used", "share", "attempts", "accepted", "connects", "breaches");
  for (const Hour::Usage& usage : usages) {
    fmt::format_to(std::back_inserter(text), "{:<13} {:<11} {:>9.3f} {:>9.3f} {:>6.1f}% {:>9} {:>9} {:>8} {:>8}\n",
                   usage.player, usage.bound_by, usage.allowance, usage.used, 100 * usage.share(), usage.attempts,
                   usage.counts.messages, usage.counts.connections, usage.breaches);
  }
  return text;
}

}  // namespace postrider::simulation
