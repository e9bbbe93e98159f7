#pragma once
// What a core tells of itself when asked: a copy of its plain counts and of its sites' states, all of one moment.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/histogram.h"
#include "config/reply_rules.h"
#include "config/time.h"
#include "engine/dns/resolver.h"
#include "engine/io/loop.h"
#include "throttle/limit.h"
#include "throttle/unmatched_replies.h"

namespace postrider::delivery {

enum class SiteMode : std::uint8_t {
  kNormal,
  kBackingOff,  // after failures: it tries again by itself, soon
  kPaused,      // by the operator
  kIdle,
  kStopped,  // by a reply's action or a breaker, until blocked_until
};
inline constexpr std::size_t kSiteModes = static_cast<std::size_t>(SiteMode::kStopped) + 1;
[[nodiscard]] std::string_view ToString(SiteMode mode);

struct SiteSnapshot {
  std::string site;      // the exact MX set's name: its first MX host
  std::string provider;  // "" if unknown
  std::string source;
  SiteMode mode = SiteMode::kIdle;
  std::uint32_t domains = 0;       // active ones
  std::uint64_t ready = 0;         // jobs in windows, due now
  std::uint32_t connections = 0;   // open or opening
  double messages_per_second = 0;  // over the last 10 s
  std::string binding_limit;       // what keeps it from sending now: "", "connections", "message rate", "back-off", ...
  std::optional<Wall> blocked_until;
  std::string last_reply;          // the last that was not positive, code included, or the last failure's sentence
  std::optional<Wall> oldest_due;  // of a job that is due and not limited
  double rate_limit = 0;           // messages a second that its limits allow now; 0: no limit, or not known
  std::vector<std::string> domain_names;  // of `domains`; only if asked (CoreCommand::with_domains)
};

// What one source may do at one provider (or site) now: throttle/allowance.h as an operator sees it.
struct AllowanceSnapshot {
  std::string source;
  std::string receiver;  // the provider's name, else the site's
  bool is_provider = false;
  SiteMode mode = SiteMode::kNormal;
  double rate_limit = 0;      // configured, messages a second; 0: none
  double adaptive_rate = 0;   // what replies have made of it; 0: not lowered
  double measured_rate = 0;   // messages a second over the last minute
  std::string reason;         // why it is lowered or stopped; empty: it is not
  std::optional<Wall> since;  // of that
  std::optional<Wall> stopped_until;
  std::uint32_t connections = 0;
  std::uint32_t connection_limit = 0;  // what its ramp-up allows now
  std::uint64_t quota_used = 0;        // of today's quota
  std::uint64_t quota = 0;             // 0: none
  std::uint32_t warm_up_day = 0;       // from 1; 0: does not warm up
  std::uint64_t warm_up_used = 0;      // of that day's quota
  std::uint64_t warm_up_quota = 0;
  std::vector<std::string> last_replies;  // newest first, those that lowered or stopped it
};

// Where one domain's mail goes, and what is known of the ways there; also of limits whose mail is gone for now.
struct PlaceSnapshot {
  std::string domain;
  std::string site;
  std::string provider;                               // "" if unknown
  std::uint32_t learned_messages_per_connection = 0;  // by its refusals; 0: none learned
  std::string trouble;                                // what the configuration lacks for it
  std::vector<SiteSnapshot> paths;                    // one per source that has had mail for it lately
  std::vector<AllowanceSnapshot> allowances;          // of its own, and of its provider
};

// One source over all paths of a core.
struct SourceCounts {
  std::uint32_t connections = 0;
  double messages_per_second = 0;
};

enum class GuardKind : std::uint8_t {
  kCampaign,     // hard-bounce or spam-block share of a campaign at a provider
  kBounceStorm,  // a site's bad-mailbox share far above its usual
  kPathBreaker,  // nothing but refusals down a path
  kOwnNetwork,   // most connects fail over many sites
  kNoDomains,    // many domains suddenly do not exist
  kSourceGone,   // this host has not a source's address, or its interface is down
};
inline constexpr std::size_t kGuardKinds = static_cast<std::size_t>(GuardKind::kSourceGone) + 1;
enum class GuardState : std::uint8_t { kWarning, kTripped };  // what is well is not listed
[[nodiscard]] std::string_view ToString(GuardKind kind);
[[nodiscard]] std::string_view ToString(GuardState state);

struct GuardSnapshot {
  GuardKind kind = GuardKind::kCampaign;
  GuardState state = GuardState::kWarning;
  std::string campaign;  // of kCampaign
  std::string receiver;  // provider or site; empty: everywhere
  std::string source;    // of kPathBreaker and kSourceGone
  std::string reason;    // with its figures, and how to go on
  Wall since{};
};

// Under a name that configuration or program gives: a reply rule's, a limit's. Few.
using NamedCounts = std::map<std::string, std::uint64_t, std::less<>>;

inline constexpr std::size_t kActionKinds = static_cast<std::size_t>(ActionKind::kBounceDomain) + 1;

struct CoreCounts {
  std::uint64_t attempts = 0;  // transactions begun
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t handshakes_full = 0;
  std::uint64_t handshakes_resumed = 0;
  std::uint64_t handshake_failures = 0;
  std::uint64_t messages_reusing = 0;  // on a connection that had carried one before
  std::uint64_t bytes_sent = 0;
  std::uint64_t render_failures = 0;
  std::uint64_t path_backoffs = 0;
  std::array<double, kLimits> limited_seconds{};      // time that paths with work stood still, by the Limit that bound
  std::array<std::uint64_t, kActionKinds> actions{};  // that replies caused, by ActionKind
  std::uint64_t unmatched_replies = 0;                // negative ones that no reply rule knew
  std::uint64_t suppressions_held = 0;                // that a rule asked for and a bounce storm put off
  Histogram connect_seconds;
  Histogram tls_seconds;
  Histogram message_seconds;  // MAIL to the final reply
};

struct CoreSnapshot {
  std::uint32_t core = 0;
  CoreCounts counts;
  std::uint32_t connections_opening = 0;
  std::uint32_t connections_busy = 0;
  std::uint32_t connections_idle = 0;
  std::uint32_t connections_closing = 0;
  std::uint64_t active_domains = 0;
  std::uint64_t window_jobs = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t unsynced_outcomes = 0;
  double lateness_seconds = 0;  // age of the oldest job that is due and not limited
  dns::ResolverCounts dns;
  io::LoopCounts loop;
  std::vector<SiteSnapshot> sites;  // one per path with work or connections; at most kMaxSitesShown, busiest first
  std::array<std::uint32_t, kSiteModes> paths{};  // all of them, by SiteMode
  std::vector<AllowanceSnapshot> allowances;      // those in use
  std::vector<GuardSnapshot> guards;              // those that do not rest
  std::map<std::string, SourceCounts> sources;    // those with paths
  std::optional<PlaceSnapshot> place;             // if asked, and if it is this core's
  NamedCounts rule_hits;                          // replies that a rule decided, by its name
  std::optional<UnmatchedReplies> unmatched;      // only if asked (CoreCommand::with_unmatched)
};

inline constexpr std::size_t kMaxSitesShown = 1000;

}  // namespace postrider::delivery
