#include "engine/delivery/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "config/provider.h"
#include "engine/delivery/campaign_cache.h"

namespace postrider::delivery {
namespace {

std::string_view ToText(RouteOptions::Transport transport) {
  switch (transport) {
    case RouteOptions::Transport::kStartTls:
      return "starttls";
    case RouteOptions::Transport::kImplicit:
      return "implicit";
    case RouteOptions::Transport::kNone:
      return "none";
  }
  return "none";
}

SiteHost HostOf(std::string_view name, std::uint16_t port, std::uint16_t preference) {
  SiteHost host;
  host.name = name;
  host.port = port;
  host.preference = preference;
  if (const Result<IpAddress> literal = IpAddress::Parse(name)) host.literal = *literal;
  return host;
}

}  // namespace

std::uint32_t OwnerOf(std::string_view owner_key, std::uint32_t cores) {
  // FNV-1a: std::hash does not promise to be the same.
  std::uint64_t hash = 14695981039346656037ull;
  for (const char byte : owner_key) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ull;
  return static_cast<std::uint32_t>(hash % cores);
}

SiteTarget TargetOf(const Options& options, std::string_view domain, const dns::MxAnswer* mx) {
  SiteTarget target;
  if (const RouteOptions* route = FindRoute(options, domain)) target.route = *route;
  const RouteOptions& route = target.route;
  std::string names;
  if (!route.hosts.empty()) {
    // The operator's order is the order of preference.
    std::uint16_t preference = 0;
    for (const RouteOptions::Host& host : route.hosts) {
      target.hosts.push_back(HostOf(host.name, host.port.value_or(route.port), preference++));
      names += fmt::format("{}:{},", host.name, host.port.value_or(route.port));
    }
  } else if (mx != nullptr) {
    for (const dns::MxHost& host : mx->hosts) target.hosts.push_back(HostOf(host.name, route.port, host.preference));
    // The resolver shuffles equals; a site must look the same whoever asked. Connections take turns among equals.
    std::ranges::sort(target.hosts, {}, [](const SiteHost& host) { return std::tie(host.preference, host.name); });
    // What is preferred to what is a part of the site, the numbers are not.
    for (std::size_t i = 0; i < target.hosts.size(); ++i) {
      if (i > 0 && target.hosts[i].preference != target.hosts[i - 1].preference) names += '>';
      names += fmt::format("{}:{},", target.hosts[i].name, route.port);
    }
  }
  target.base_key = fmt::format("{}{}", names, ToText(route.transport));
  if (!target.hosts.empty()) target.provider = options.Providers().OfMx(target.hosts.front().name);
  return target;
}

bool SiteTarget::SameAs(const SiteTarget& other) const {
  return base_key == other.base_key && provider == other.provider && route.auth_user == other.route.auth_user &&
         route.auth_secret_file == other.route.auth_secret_file && route.auth_mechanism == other.route.auth_mechanism &&
         route.auth_without_tls == other.route.auth_without_tls && route.allow_private == other.route.allow_private &&
         route.use_ipv6 == other.route.use_ipv6;
}

Line* Feed::NextLine(MailClass mail_class) const {
  Line* next = nullptr;
  for (const std::unique_ptr<Line>& line : lines) {
    if (line->lanes.empty() || line->share->campaign->spec().mail_class != mail_class) continue;
    if (next == nullptr || line->share->used < next->share->used) next = line.get();
  }
  return next;
}

void Feed::Enter(Lane& lane) {
  auto line = std::ranges::find(lines, lane.campaign, [](const auto& one) { return one->share->campaign; });
  if (line == lines.end()) {
    std::vector<std::unique_ptr<Share>>& shares = site->shares;
    auto share = std::ranges::find(shares, lane.campaign, [](const auto& one) { return one->campaign; });
    if (share == shares.end()) {
      share = shares.insert(shares.end(), std::make_unique<Share>());
      (*share)->campaign = lane.campaign;
    }
    ++(*share)->lines;
    line = lines.insert(lines.end(), std::make_unique<Line>());
    (*line)->share = share->get();
  }
  lane.feed = this;
  lane.line = line->get();
  ++lane.line->members;
}

void Feed::Leave(Lane& lane) {
  Line* line = std::exchange(lane.line, nullptr);
  lane.feed = nullptr;
  if (line == nullptr || --line->members > 0) return;
  if (line->share->lines == 1 && line->share->part != nullptr) --line->share->part->shares;
  if (--line->share->lines == 0) {
    std::erase_if(site->shares, [line](const auto& share) { return share.get() == line->share; });
  }
  std::erase_if(lines, [line](const auto& one) { return one.get() == line; });
}

void Feed::PushBack(Lane& lane) {
  Line& line = *lane.line;
  if (line.lanes.empty()) {
    const std::uint64_t now = site->used[static_cast<std::size_t>(lane.campaign->spec().mail_class)];
    line.share->used = std::max(line.share->used, now);
  }
  line.lanes.PushBack(lane);
}

void Feed::Remove(Lane& lane) { lane.line->lanes.Remove(lane); }

void Feed::AddReady(const Lane& lane, std::uint32_t jobs) {
  ready += jobs;
  if (lane.campaign->transactional()) ready_transactional += jobs;
}

void Feed::RemoveReady(const Lane& lane, std::uint32_t jobs) {
  ready -= jobs;
  if (lane.campaign->transactional()) ready_transactional -= jobs;
}

std::size_t Feed::NextSource() {
  std::size_t next = 0;
  std::int64_t all = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    credit[i] += weights[i];
    all += weights[i];
    if (credit[i] > credit[next]) next = i;
  }
  credit[next] -= all;
  return next;
}

Path* Site::FindPath(std::string_view source) {
  for (const std::unique_ptr<Path>& path : paths) {
    if (path->source.name == source) return path.get();
  }
  return nullptr;
}

bool Site::HasReady() const {
  return std::ranges::any_of(feeds, [](const auto& feed) { return feed->HasReady(); });
}

bool Site::HasConnections() const {
  return std::ranges::any_of(paths, [](const auto& path) { return !path->connections.empty(); });
}

std::vector<std::string> SourcesOf(const Options& options, std::string_view pool) {
  for (const PoolOptions& one : options.pools) {
    if (one.name == pool) return one.sources;
  }
  std::vector<std::string> all;
  if (pool == "default" || pool.empty()) {
    for (const SourceOptions& source : options.sources) all.push_back(source.name);
    if (all.empty()) all.emplace_back("default");
  }
  return all;
}

std::vector<std::uint32_t> WeightsOf(const Options& options, std::string_view pool, std::size_t sources) {
  std::vector<std::uint32_t> weights(sources, 1);
  for (const PoolOptions& one : options.pools) {
    if (one.name != pool) continue;
    for (std::size_t i = 0; i < std::min(sources, one.weights.size()); ++i) {
      weights[i] = static_cast<std::uint32_t>(std::max(1, one.weights[i]));
    }
  }
  return weights;
}

std::optional<SourceOptions> FindSource(const Options& options, std::string_view name) {
  for (const SourceOptions& source : options.sources) {
    if (source.name == name) return source;
  }
  if (options.sources.empty() && name == "default") {
    return SourceOptions{.name = "default", .ipv4 = {}, .ipv6 = {}, .ehlo_name = options.host_name};
  }
  return std::nullopt;
}

}  // namespace postrider::delivery
