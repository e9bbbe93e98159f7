#include "engine/delivery/site_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/leases.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/source_health.h"

namespace postrider::delivery {
namespace {

// A site that nothing uses is kept so long for its rate history, longer while it is in back-off, but never more than so
// many of them: about 1 KB each.
constexpr std::chrono::seconds kKeptVacant{30};
constexpr std::size_t kVacantMax = 20'000;

bool StillMatters(const Site& site, Monotonic now) {
  if (site.storm != nullptr && site.storm->KnowsUsual()) return true;
  if (std::ranges::any_of(site.target.hosts, [now](const SiteHost& host) { return host.lock_step.Blocked(now); })) {
    return true;
  }
  return std::ranges::any_of(site.paths, [now](const std::unique_ptr<Path>& path) {
    return path->account.allowance.BlockedUntil() > now ||
           std::ranges::any_of(path->hosts, [now](const PathHost& host) { return host.Blocked(now); });
  });
}

std::vector<std::string> NamesOf(const SiteTarget& target) {
  std::vector<std::string> names;
  for (const SiteHost& host : target.hosts) names.push_back(host.name);
  return names;
}

}  // namespace

std::string OwnRulesOf(const Options& options, std::string_view domain, std::span<const std::string> mx_names) {
  std::string patterns;
  for (const RuleOptions& rule : options.rules) {
    if (NarrowerThanProvider(options, rule.match, domain, mx_names)) patterns += rule.match.Canonical() + " ";
  }
  return patterns;
}

std::string SiteTable::KeyOf(const SiteTarget& target, std::string_view own_rules) {
  const RouteOptions& route = target.route;
  return fmt::format("{}|{}|{},{},{}|{}{}{}|{}", target.base_key, target.provider, route.auth_user,
                     route.auth_secret_file.native(), static_cast<int>(route.auth_mechanism),
                     route.auth_without_tls ? 'w' : '-', route.allow_private ? 'p' : '-', route.use_ipv6 ? '6' : '-',
                     own_rules);
}

bool SiteTable::Belongs(std::string_view domain, const SiteTarget& target, const Site& site) const {
  return target.SameAs(site.target) && OwnRulesOf(*parts_.options, domain, site.mx_names) == site.own_rules;
}

std::string SiteTable::KeyFor(const SiteTarget& target, std::string_view domain) const {
  return KeyOf(target, OwnRulesOf(*parts_.options, domain, NamesOf(target)));
}

Site& SiteTable::Get(SiteTarget target, std::string_view domain) {
  std::vector<std::string> names = NamesOf(target);
  std::string own_rules = OwnRulesOf(*parts_.options, domain, names);
  auto [place, is_new] = sites_.try_emplace(KeyOf(target, own_rules));
  if (!is_new) {
    Site& known = *place->second;
    if (known.vacant_link.linked) vacant_.Remove(known);
    // The one it was made for may match other rules by now.
    if (known.domains.empty() && std::exchange(known.sample_domain, domain) != domain) Apply(known);
    return known;
  }
  place->second = std::make_unique<Site>();
  Site& site = *place->second;
  site.on_timer = [this, &site] { parts_.admission->MarkPending(site); };
  site.key = place->first;
  site.target = std::move(target);
  site.mx_names = std::move(names);
  site.sample_domain = domain;
  site.own_rules = std::move(own_rules);
  site.name = site.mx_names.empty() ? std::string(domain) : site.mx_names.front();
  site.provider = site.target.provider;
  site.rule = ResolveRule(*parts_.options, site.sample_domain, site.mx_names);
  parts_.destinations->Join(site);
  Apply(site);
  parts_.kept->Restore(site);
  return site;
}

// What the options say about a site.
void SiteTable::Apply(Site& site) {
  site.rule = ResolveRule(*parts_.options, site.sample_domain, site.mx_names);
  site.paused = parts_.admission->SitePaused(site);
  site.trouble.clear();
  site.auth_secret.clear();
  const RouteOptions& route = site.target.route;
  if (!route.auth_user.empty()) {
    std::ifstream file(route.auth_secret_file);
    if (!std::getline(file, site.auth_secret)) {
      site.trouble = fmt::format(
          "cannot read the AUTH secret of {} from {}: its mail is held; make the file readable "
          "and reload",
          site.name, route.auth_secret_file.string());
      parts_.settlement->SiteEvent(site, Stage::kAuth, Category::kBadConfiguration, site.trouble);
    }
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (site.auth_secret.starts_with(kByteOrderMark)) site.auth_secret.erase(0, kByteOrderMark.size());
    if (site.auth_secret.ends_with('\r')) site.auth_secret.pop_back();
  }
  for (const std::unique_ptr<Path>& path : site.paths) {
    const std::optional<SourceOptions> source = FindSource(*parts_.options, path->source.name);
    path->retired = !source.has_value();
    path->paused = parts_.admission->PathPaused(*path);
    if (source) path->source = *source;
  }
  parts_.destinations->Refresh(site);
  for (const std::unique_ptr<Feed>& feed : site.feeds) {
    SetSources(*feed, SourcesOf(*parts_.options, feed->pool));
    if (std::ranges::find(feed->sources, feed->preferred) == feed->sources.end()) feed->preferred.clear();
  }
}

Feed& SiteTable::FeedOf(Site& site, const std::string& pool, const std::string& preferred) {
  std::vector<std::string> sources = SourcesOf(*parts_.options, pool);
  // A source that left the pool can no longer be preferred.
  const bool known = std::ranges::find(sources, preferred) != sources.end();
  const std::string& wanted = known ? preferred : std::string();
  for (const std::unique_ptr<Feed>& feed : site.feeds) {
    if (feed->pool == pool && feed->preferred == wanted) return *feed;
  }
  Feed& feed = *site.feeds.emplace_back(std::make_unique<Feed>());
  feed.site = &site;
  feed.pool = pool;
  feed.preferred = wanted;
  feed.pool_lease = &parts_.leases->Get(SharedLimits::Kind::kPool, pool);
  SetSources(feed, std::move(sources));
  if (feed.sources.empty()) {
    parts_.settlement->SiteEvent(
        site, Stage::kNone, Category::kBadConfiguration,
        fmt::format("pool {} is not configured: the mail of its campaigns waits; add [[pool]] {} and reload", pool,
                    pool));
  } else {
    // So that a thousand sites of one message each do not all go to the first source.
    feed.credit[parts_.random.Next() % feed.sources.size()] = 1;
  }
  return feed;
}

// A path that exists already is the feed's too: what is known of it holds for every pool.
void SiteTable::SetSources(Feed& feed, std::vector<std::string> sources) {
  feed.sources = std::move(sources);
  feed.weights = WeightsOf(*parts_.options, feed.pool, feed.sources.size());
  feed.credit.assign(feed.sources.size(), 0);
  feed.paths.assign(feed.sources.size(), nullptr);
  for (std::size_t i = 0; i < feed.sources.size(); ++i) feed.paths[i] = feed.site->FindPath(feed.sources[i]);
}

Path* SiteTable::PathOf(Feed& feed, std::size_t source) {
  if (feed.paths[source] == nullptr) {
    Path* path = MakePath(*feed.site, feed.sources[source]);
    if (path == nullptr) return nullptr;
    for (const std::unique_ptr<Feed>& other : feed.site->feeds) {
      for (std::size_t i = 0; i < other->sources.size(); ++i) {
        if (other->sources[i] == path->source.name) other->paths[i] = path;
      }
    }
  }
  return feed.paths[source];
}

Path* SiteTable::MakePath(Site& site, std::string_view source) {
  if (Path* known = site.FindPath(source)) return known;
  std::optional<SourceOptions> options = FindSource(*parts_.options, source);
  if (!options) return nullptr;
  Account& own = parts_.destinations->AccountOf(*site.destination, source);
  Account* at_provider = site.provider_destination == site.destination
                             ? nullptr
                             : &parts_.destinations->AccountOf(*site.provider_destination, source);
  LeaseEntry& lease = parts_.leases->Get(SharedLimits::Kind::kSource, source);
  Path& path = *site.paths.emplace_back(std::make_unique<Path>(parts_.now(), site, *std::move(options),
                                                               parts_.sources->StateOf(source), own, at_provider, lease,
                                                               parts_.leases->sender(), site.target.hosts.size()));
  path.paused = parts_.admission->PathPaused(path);
  return &path;
}

void SiteTable::BelieveAgain(std::string_view name) {
  for (const auto& [key, site] : sites_) {
    if (site->name == name && site->storm != nullptr && site->storm->tripped()) {
      site->storm->Resume();
      parts_.kept->KeepStorm(*site);
    }
  }
}

void SiteTable::ForgetFailures(std::string_view source, std::string_view place) {
  for (const auto& [key, site] : sites_) {
    if (!place.empty() && site->name != place && site->provider != place) continue;
    for (const std::unique_ptr<Path>& path : site->paths) {
      if (!source.empty() && path->source.name != source) continue;
      for (PathHost& host : path->hosts) host.Forget();
    }
  }
}

void SiteTable::MaybeVacant(Site& site) {
  if (!site.domains.empty() || site.HasConnections() || site.vacant_link.linked) return;
  site.vacant_since = parts_.now();
  vacant_.PushBack(site);
}

void SiteTable::Tick(Monotonic now) {
  Site* next = nullptr;
  for (Site* site = vacant_.front(); site != nullptr; site = next) {
    next = vacant_.Next(*site);
    if (now - site->vacant_since < kKeptVacant && vacant_.size() <= kVacantMax) break;
    if (StillMatters(*site, now) && vacant_.size() <= kVacantMax) continue;
    if (site->pending_link.linked) continue;
    parts_.admission->Forget(*site);
    vacant_.Remove(*site);
    parts_.kept->Leave(*site);
    parts_.destinations->Leave(*site);
    sites_.erase(site->key);
  }
}

void SiteTable::Reload() {
  // A site is what it is by the patterns that match its domains: values that changed are applied to it, and a domain
  // that other patterns match now leaves (Windows::Reload), unless they match all of its domains alike.
  std::vector<Site*> sites;
  for (auto& [key, site] : sites_) sites.push_back(site.get());
  for (Site* site : sites) {
    Rekey(*site);
    Apply(*site);
  }
}

// A rule for a domain that has its site to itself, as `throttle set` makes one, is no reason to close its connections
// and to forget what was sent: site and account go on under another key. Where a provider counts as well, the account
// is another one, and the domain moves.
void SiteTable::Rekey(Site& site) {
  std::string own_rules = OwnRulesOf(*parts_.options, site.sample_domain, site.mx_names);
  if (own_rules == site.own_rules) return;
  bool all_alike = true;
  for (const Domain* domain = site.domains.front(); domain != nullptr; domain = site.domains.Next(*domain)) {
    const std::string others = OwnRulesOf(*parts_.options, domain->name, site.mx_names);
    all_alike &= others == own_rules;
    if (others != site.own_rules) continue;
    site.sample_domain = domain->name;  // one that stays
    return;
  }
  if (!all_alike || !site.provider.empty()) return;
  std::string key = KeyOf(site.target, own_rules);
  if (sites_.contains(key) || !parts_.destinations->Rekey(*site.destination, key)) return;
  auto node = sites_.extract(site.key);
  node.key() = key;
  sites_.insert(std::move(node));
  const std::string old_key = std::exchange(site.key, std::move(key));
  site.own_rules = std::move(own_rules);
  parts_.kept->Rekeyed(site, old_key);
}

}  // namespace postrider::delivery
