#include "config/consistency.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/duration.h"
#include "config/email_address.h"
#include "config/rules.h"
#include "config/schema.h"
#include "config/unknown_key.h"

namespace postrider {
namespace {

constexpr std::string_view kDefaultPool = "default";
constexpr seconds kFinalReplyLeast{600};  // RFC 5321 section 4.5.3.2.6

class Check {
 public:
  Check(Options& options, const Places& places, Diagnostics& diagnostics)
      : options_(options), places_(places), diagnostics_(diagnostics) {}

  void Run() {
    CheckHostName();
    CheckSources();
    CheckPools();
    CheckProviders();
    const ProviderTablePtr& shipped = ProviderTable::Shipped();
    options_.provider_table =
        options_.providers.empty()
            ? shipped
            : std::make_shared<const ProviderTable>(shipped.get(), options_.providers, std::vector<RuleOptions>());
    CheckRules(RuleLayer::kFile, *options_.provider_table);
    for (std::size_t i = 0; i < options_.routes.size(); ++i) CheckRoute(i);
    CheckGuards();
    CheckLimits();
    CheckDirectories();
  }

  ProviderTablePtr RunForProviders() {
    CheckProviders();
    const ProviderTable without_rules(nullptr, options_.providers, {});
    CheckRules(RuleLayer::kShipped, without_rules);
    return std::make_shared<const ProviderTable>(
        nullptr, options_.providers, std::vector<RuleOptions>(options_.rules.begin() + 1, options_.rules.end()));
  }

 private:
  void Report(std::string_view what, std::string message) {
    diagnostics_.push_back({places_.Find(what), std::move(message)});
  }

  // An unreadable value was reported when it was read; what stands in its place is a default.
  bool Reported(std::string_view what) const {
    const Location where = places_.Find(what);
    return !places_.Has(what) || std::ranges::any_of(diagnostics_, [&](const Diagnostic& diagnostic) {
      return diagnostic.where.line == where.line && diagnostic.where.column == where.column;
    });
  }

  // Names of one kind of table must differ. An empty name was reported when it was read.
  template <typename Element, typename Name>
  void CheckUnique(const std::vector<Element>& elements, std::string_view table, std::string_view key, const Name& name,
                   std::size_t first) {
    for (std::size_t i = first; i < elements.size(); ++i) {
      for (std::size_t j = first; j < i; ++j) {
        if (name(elements[i]).empty() || name(elements[i]) != name(elements[j])) continue;
        const Location other = places_.Find(fmt::format("{}[{}]", table, j));
        Report(fmt::format("{}[{}].{}", table, i, key),
               fmt::format("{} = {} is taken by the [[{}]] of line {}; give each its own", key,
                           Quote(name(elements[i])), table, other.line));
        break;
      }
    }
  }

  void CheckHostName() {
    if (!options_.host_name.empty()) return;
    std::array<char, 256> buffer{};
    const bool known = gethostname(buffer.data(), buffer.size() - 1) == 0;
    Result<std::string> name = ParseDomain(known ? buffer.data() : "");
    if (name) {
      options_.host_name = *std::move(name);
    } else {
      Report("host_name", "the system's own name is not a domain name; set host_name = \"mail.example.org\"");
    }
  }

  void CheckSources() {
    if (options_.sources.empty()) {
      Report("source", "expected at least one [[source]] with an address to send from, found none");
    }
    CheckUnique(
        options_.sources, "source", "name", [](const SourceOptions& source) { return std::string_view(source.name); },
        0);
    // A receiver that counts by address would see the limits of each.
    const auto text = [](const std::optional<IpAddress>& address) {
      return address ? ToString(*address) : std::string();
    };
    CheckUnique(
        options_.sources, "source", "ipv4", [&](const SourceOptions& source) { return text(source.ipv4); }, 0);
    CheckUnique(
        options_.sources, "source", "ipv6", [&](const SourceOptions& source) { return text(source.ipv6); }, 0);
    for (std::size_t i = 0; i < options_.sources.size(); ++i) {
      const std::string place = fmt::format("source[{}]", i);
      CheckBurst(options_.sources[i], place);
      if (places_.Has(place + ".ipv4") || places_.Has(place + ".ipv6")) continue;
      Report(place, "a [[source]] needs ipv4 or ipv6, the local address to send from");
    }
  }

  template <typename Limits>
  void CheckBurst(const Limits& limits, const std::string& place) {
    if (!limits.burst || limits.Rate()) return;
    if (places_.Has(place + ".message_rate") && !limits.message_rate) return;  // it was reported when it was read
    Report(place + ".burst", "burst needs a message_rate, of which so many may go at once");
  }

  void CheckPools() {
    CheckBurst(options_.sender, "sender");
    std::vector<std::string_view> names;
    for (const SourceOptions& source : options_.sources) names.push_back(source.name);
    CheckUnique(
        options_.pools, "pool", "name", [](const PoolOptions& pool) { return std::string_view(pool.name); }, 0);
    for (std::size_t i = 0; i < options_.pools.size(); ++i) {
      const PoolOptions& pool = options_.pools[i];
      const std::vector<std::string>& sources = pool.sources;
      CheckBurst(pool, fmt::format("pool[{}]", i));
      if (!pool.weights.empty() && !sources.empty() && pool.weights.size() != sources.size()) {
        Report(fmt::format("pool[{}].weights", i), fmt::format("expected a weight for each of the {} sources, found {}",
                                                               sources.size(), pool.weights.size()));
      }
      for (auto source = sources.begin(); source != sources.end(); ++source) {
        const std::string what = fmt::format("pool[{}].sources", i);
        if (std::find(sources.begin(), source, *source) != source) {
          Report(what, fmt::format("the source {} is named twice", Quote(*source)));
        } else if (std::ranges::find(names, *source) == names.end()) {
          const std::string_view nearest = NearestName(*source, names);
          Report(what,
                 fmt::format("no [[source]] has the name {}{}", Quote(*source),
                             nearest.empty() ? std::string() : fmt::format("; did you mean {}?", Quote(nearest))));
        }
      }
    }
    if (std::ranges::find(options_.pools, kDefaultPool, &PoolOptions::name) == options_.pools.end()) {
      PoolOptions& pool = options_.pools.emplace_back();
      pool.name = kDefaultPool;
      pool.sources.assign(names.begin(), names.end());
    }
  }

  // What one provider is known by must not be another's.
  void CheckProviders() {
    std::map<std::string, std::pair<std::string, int>> owners;  // the provider and its line
    const auto claim = [&](const std::string& what, const ProviderOptions& provider, std::string_view key,
                           std::string_view place) {
      const auto [owner, is_new] = owners.try_emplace(what, provider.name, provider.line);
      if (is_new || (key == "aliases" && owner->second.second == provider.line)) return;
      Report(fmt::format("{}.{}", place, key), fmt::format("{} is taken by the [[provider]] {} of line {}", Quote(what),
                                                           owner->second.first, owner->second.second));
    };
    for (std::size_t i = 0; i < options_.providers.size(); ++i) {
      ProviderOptions& provider = options_.providers[i];
      const std::string place = fmt::format("provider[{}]", i);
      const Location where = places_.Find(place);
      provider.file = where.file;
      provider.line = where.line;
      if (!provider.name.empty()) claim(provider.name, provider, "name", place);
      for (const std::string& mx : provider.mx) claim("mx:" + mx, provider, "mx", place);
    }
    for (std::size_t i = 0; i < options_.providers.size(); ++i) {
      const ProviderOptions& provider = options_.providers[i];
      for (const std::string& alias : provider.aliases)
        claim(alias, provider, "aliases", fmt::format("provider[{}]", i));
    }
  }

  void CheckProviderOf(const RuleOptions& rule, const std::string& place, const ProviderTable& providers) {
    const std::string_view name = rule.match.provider();
    if (name.empty() || providers.Find(name) != nullptr) return;
    Report(place + ".match", UnknownProvider(providers, name));
  }

  // rules[0] is the built-in "*"; the file's own rules follow it as rule[0], rule[1], ...
  void CheckRules(RuleLayer layer, const ProviderTable& providers) {
    std::vector<RuleOptions>& rules = options_.rules;
    std::map<std::string, int> lines;  // of the patterns so far
    for (std::size_t i = 1; i < rules.size(); ++i) {
      RuleOptions& rule = rules[i];
      const std::string place = fmt::format("rule[{}]", i - 1);
      const Location where = places_.Find(place);
      rule.origin = {.layer = layer, .file = where.file, .line = where.line, .set_by = {}};
      const auto [other, is_new] = lines.try_emplace(rule.match.Canonical(), where.line);
      if (!is_new && !Reported(place + ".match")) {
        Report(place + ".match", fmt::format("{} has the [[rule]] of line {} already; make them one",
                                             Quote(rule.match.text()), other->second));
      }
      CheckProviderOf(rule, place, providers);
      for (const auto& [key, problem] : ProblemsOf(rule)) Report(fmt::format("{}.{}", place, key), problem);
    }
  }

  void CheckRoute(std::size_t index) {
    const RouteOptions& route = options_.routes[index];
    const auto place = [&](std::string_view key) { return fmt::format("route[{}].{}", index, key); };
    for (std::size_t j = 0; j < index; ++j) {
      if (options_.routes[j].match.Canonical() != route.match.Canonical()) continue;
      Report(place("match"), fmt::format("{} has the [[route]] of line {} already; make them one",
                                         Quote(route.match.text()), places_.Find(fmt::format("route[{}]", j)).line));
      break;
    }
    const bool has_user = places_.Has(place("auth_user"));
    const bool has_secret = places_.Has(place("auth_secret_file"));
    if (has_user && !has_secret) Report(place("auth_user"), "auth_user needs auth_secret_file, the password's file");
    if (has_secret && !has_user) Report(place("auth_secret_file"), "auth_secret_file needs auth_user, the login name");
    if (has_user && route.hosts.empty()) {
      Report(place("auth_user"), "auth_user needs hosts, so that the password goes only to hosts that you name");
    }
    if (has_user && route.transport == RouteOptions::Transport::kNone && !route.auth_without_tls) {
      Report(place("transport"),
             "AUTH over transport = \"none\" sends the password unencrypted; use \"starttls\" or \"implicit\", or say "
             "auth_without_tls = true");
    }
    const bool has_ipv6_source =
        std::ranges::any_of(options_.sources, [](const SourceOptions& source) { return source.ipv6.has_value(); });
    if (route.use_ipv6 && !has_ipv6_source) {
      Report(place("use_ipv6"), "use_ipv6 needs a [[source]] with ipv6, the local address to connect from");
    }
  }

  void CheckGuards() {
    const GuardOptions& guard = options_.guard;
    if (guard.campaign_window < guard.campaign_tries) {
      Report("guard.campaign_window", "campaign_window must not be less than campaign_tries");
    }
    if (guard.campaign_warn_bounces > guard.campaign_pause_bounces) {
      Report("guard.campaign_warn_bounces", "campaign_warn_bounces must not be more than campaign_pause_bounces");
    }
  }

  void CheckLimits() {
    if (options_.timeouts.final_reply < kFinalReplyLeast && !options_.allow_short_timeouts) {
      Report(
          "timeouts.final_reply",
          fmt::format("expected at least \"10min\" (RFC 5321 section 4.5.3.2.6), found {}: who hangs up earlier sends "
                      "the same mail twice; a test may say allow_short_timeouts = true at the top",
                      Quote(FormatDuration(options_.timeouts.final_reply))));
    }
    if (options_.timeouts.connect_round < options_.timeouts.connect) {
      Report("timeouts.connect_round", "connect_round is for several addresses and must not be less than connect");
    }
    if (options_.dns.cache_max_ttl < options_.dns.cache_min_ttl) {
      Report("dns.cache_max_ttl", "cache_max_ttl must not be less than cache_min_ttl");
    }
    if (options_.disk.stop_sending_below >= options_.disk.stop_intake_below && options_.disk.stop_sending_below > 0) {
      Report("disk.stop_sending_below",
             "stop_sending_below must be less than stop_intake_below, or sending could not make room");
    }
    if (!options_.admin.listen.ip.IsLoopback() && !options_.admin.allow_remote) {
      Report(
          "admin.listen",
          "the admin pages ask nobody for a password and listen on loopback (127.0.0.1) only; say allow_remote = true "
          "to change that");
    }
  }

  // Each keeps its own things in its directory, and takes what else lies there for its own or for damage. The log and
  // the accounting file know each other's files.
  void CheckDirectories() {
    struct Kept {
      std::string_view what;
      const std::filesystem::path& directory;
    };
    const Kept all[] = {{"queue.directory", options_.queue.directory},
                        {"spool.directory", options_.spool.directory},
                        {"log.directory", options_.log.directory},
                        {"accounting.directory", options_.accounting.directory}};
    for (std::size_t i = 1; i < std::size(all); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const bool logs = j == 2 || (i == 3 && !options_.accounting.enabled);
        if (logs || !(Contains(all[i].directory, all[j].directory) || Contains(all[j].directory, all[i].directory))) {
          continue;
        }
        const bool place_i = places_.Has(all[i].what);
        const Kept& told = place_i ? all[i] : all[j];
        const Kept& other = place_i ? all[j] : all[i];
        Report(told.what, fmt::format("{} and {} ({}) must lie beside each other, neither in the other", told.what,
                                      other.what, other.directory.string()));
      }
    }
  }

  static bool Contains(const std::filesystem::path& outer, const std::filesystem::path& inner) {
    const auto parts = [](const std::filesystem::path& path) {
      std::vector<std::string> names;
      for (const auto& part : path.lexically_normal()) {
        if (!part.empty()) names.push_back(part.string());
      }
      return names;
    };
    const std::vector<std::string> of_outer = parts(outer);
    const std::vector<std::string> of_inner = parts(inner);
    return of_outer.size() <= of_inner.size() && std::equal(of_outer.begin(), of_outer.end(), of_inner.begin());
  }

  Options& options_;
  const Places& places_;
  Diagnostics& diagnostics_;
};

}  // namespace

void Places::Remember(std::string_view what, int line, int column) {
  places_.insert_or_assign(std::string(what), Location{file_, line, column});
}

Location Places::Find(std::string_view what) const {
  while (!what.empty()) {
    if (const auto found = places_.find(what); found != places_.end()) return found->second;
    const std::size_t dot = what.rfind('.');
    what = dot == what.npos ? std::string_view() : what.substr(0, dot);
  }
  return {file_, 0, 0};
}

void CompleteOptions(Options& options, const Places& places, Diagnostics& diagnostics) {
  Check(options, places, diagnostics).Run();
}

ProviderTablePtr CompleteProviders(Options& options, const Places& places, Diagnostics& diagnostics) {
  return Check(options, places, diagnostics).RunForProviders();
}

}  // namespace postrider
