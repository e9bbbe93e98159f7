#pragma once
// A site: the exact MX set that domains point to, in its order of preference (or the fixed hosts of a route), with the
// port, the transport and the rule of its mail; what connections are opened to. It holds the feeds, the lines of jobs
// that may go down the same paths, and its paths, one per source in use. SiteTable owns all sites of a core.
// Single-threaded.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "config/rules.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/domain.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/path.h"
#include "engine/delivery/window.h"
#include "engine/dns/resolver.h"
#include "engine/io/loop.h"
#include "throttle/backoff.h"

namespace postrider::delivery {

struct SiteHost {
  std::string name;
  std::uint16_t port = 25;
  std::uint16_t preference = 0;
  std::optional<IpAddress> literal;  // the host was named by its address
  // It breaks under our flights: it is spoken to in lock-step for a while, each time for longer until it has answered
  // many messages in flights.
  Backoff lock_step{std::chrono::minutes(30), std::chrono::hours(24)};
  int flight_breaks = 0;               // since it last proved itself, or was last spoken to in lock-step
  std::uint32_t flights_answered = 0;  // messages since the last break
};

// What decides where a domain's mail goes: equal for domains of one site.
struct SiteTarget {
  std::vector<SiteHost> hosts;  // by preference, then name
  RouteOptions route;           // pattern and hosts apart
  std::string provider;         // of its first host; "" if unknown
  std::string base_key;         // hosts in their order of preference, ports and transport

  // What decides the owner core: all sites of a provider live on one, so that its limits are plain integers there.
  [[nodiscard]] const std::string& owner_key() const { return provider.empty() ? base_key : provider; }

  // The same hosts are reached in the same way.
  [[nodiscard]] bool SameAs(const SiteTarget& other) const;
};

// The core that owns what has this key: the same on every run and every core.
[[nodiscard]] std::uint32_t OwnerOf(std::string_view owner_key, std::uint32_t cores);

// The target of a domain under these options. mx is not looked at if the route has fixed hosts.
[[nodiscard]] SiteTarget TargetOf(const Options& options, std::string_view domain, const dns::MxAnswer* mx);

struct CampaignPart;

// What one campaign has had of a site, against the others of its class there: who has had the least for its weight goes
// next. What it could not use while it had nothing to send is not made up for.
struct Share {
  CampaignEntry* campaign = nullptr;
  CampaignPart* part = nullptr;  // what it may do at the site's provider; found when first needed
  std::uint64_t used = 0;        // grows by kShareUnit / weight with each message
  std::uint32_t lines = 0;
};
inline constexpr std::uint64_t kShareUnit = 1 << 20;

// A campaign's lanes in one feed, in turns: so many domains it has at a site gain it nothing against a campaign with
// one.
struct Line {
  Share* share = nullptr;
  IntrusiveList<Lane, &Lane::feed_link> lanes;  // with jobs that may go now
  std::uint32_t members = 0;                    // lanes that belong here, also empty ones
};

// Jobs that may use the same paths: those of one pool, or retries that want one source of it again.
struct Feed {
  Site* site = nullptr;
  std::string pool;
  LeaseEntry* pool_lease = nullptr;
  std::string preferred;             // a source's name, or empty
  std::vector<std::string> sources;  // of the pool
  std::vector<Path*> paths;          // by source; null until one is needed
  std::vector<std::unique_ptr<Line>> lines;
  std::uint32_t ready = 0;                // jobs in those lanes
  std::uint32_t ready_transactional = 0;  // of these
  std::uint32_t lanes_throttled = 0;      // that wait for their campaign's rate ...
  std::uint32_t lanes_held = 0;           // ... or for what it may do at the provider
  std::vector<std::uint32_t> weights;     // of the sources
  std::vector<std::int64_t> credit;       // smooth weighted turns: the source with most goes next

  [[nodiscard]] bool HasReady() const { return ready != 0; }
  // The source whose turn it is to get a connection.
  [[nodiscard]] std::size_t NextSource();
  // The line of that class whose turn it is; null: no job of it may go now.
  [[nodiscard]] Line* NextLine(MailClass mail_class) const;
  // Lanes belong to lines from their first job to their end.
  void Enter(Lane& lane);
  void Leave(Lane& lane);
  // A lane gets in line, or out of it.
  void PushBack(Lane& lane);
  void Remove(Lane& lane);
  void AddReady(const Lane& lane, std::uint32_t jobs);
  void RemoveReady(const Lane& lane, std::uint32_t jobs);
};

// A receiver may change its mind about what a connection takes; then that is found anew.
inline constexpr std::chrono::hours kCapHolds{24};

// What went wrong last before any mail was sent there: what mail that ends without an attempt is told.
struct SiteFailure {
  Stage stage = Stage::kNone;  // kNone: nothing has
  Reply reply;
  std::string host;
  std::string source;
};

struct Site {
  Site() : timer([this] { on_timer(); }) {}

  [[nodiscard]] Path* FindPath(std::string_view source);
  [[nodiscard]] bool HasReady() const;
  [[nodiscard]] bool HasConnections() const;
  // What it told us itself, while that holds; 0: nothing.
  [[nodiscard]] int LearnedCap(Wall now) const { return now - cap_learned_at < kCapHolds ? learned_cap : 0; }
  // By the rule, or what it told us, if that is less.
  [[nodiscard]] int MessagesPerConnection(Wall now) const {
    const int cap = LearnedCap(now);
    return cap == 0 ? rule.messages_per_connection : std::min(rule.messages_per_connection, cap);
  }

  std::string key;
  std::string name;  // its first MX host
  std::string provider;
  std::string sample_domain;  // by whose name the rule is found again after a reload
  SiteTarget target;
  std::vector<std::string> mx_names;  // of all hosts, for the rules
  std::string own_rules;  // patterns of the rules that are about its domains or single hosts alone; most have none
  EffectiveRule rule;
  Destination* destination = nullptr;           // with own rules its own, else where the provider counts
  Destination* provider_destination = nullptr;  // the same, if it has none of its own
  std::string auth_secret;
  std::string trouble;  // what the configuration lacks for it; nothing is sent meanwhile
  SiteFailure last_failure;
  bool paused = false;
  int learned_cap = 0;  // messages a connection, found by its refusals; 0: none found
  Wall cap_learned_at{};
  std::unique_ptr<BounceStorm> storm;  // since its first bad mailbox
  std::vector<std::unique_ptr<Path>> paths;
  std::vector<std::unique_ptr<Feed>> feeds;
  std::vector<std::unique_ptr<Share>> shares;
  std::array<std::uint64_t, 2> used{};  // by class: what the campaign served last has had
  IntrusiveList<Domain, &Domain::site_link> domains;
  std::move_only_function<void()> on_timer;
  io::Timer timer;  // when a limit of its own ends, such as a host's back-off
  Monotonic wakes_at{};

  ListLink<Site> pending_link;   // to be looked at this turn
  ListLink<Site> unsynced_link;  // waits for outcomes to be durable
  ListLink<Site> slot_link;      // waits for one of the core's connections
  ListLink<Site> vacant_link;    // has neither domains nor connections
  Monotonic vacant_since{};
};

// The sources of a pool, in its order; all of them for "default" unless configured; none for a pool nobody configured.
[[nodiscard]] std::vector<std::string> SourcesOf(const Options& options, std::string_view pool);
// How its connections are shared out among them, in the same order.
[[nodiscard]] std::vector<std::uint32_t> WeightsOf(const Options& options, std::string_view pool, std::size_t sources);
// The options' source of that name, or the system's own choice of address if no source is configured at all.
[[nodiscard]] std::optional<SourceOptions> FindSource(const Options& options, std::string_view name);

}  // namespace postrider::delivery
