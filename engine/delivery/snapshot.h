#pragma once
// What a core tells of itself when asked: a copy of its plain counts and of its sites' states, all of one moment.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/histogram.h"
#include "config/time.h"
#include "engine/dns/resolver.h"
#include "engine/io/loop.h"

namespace postrider::delivery {

enum class SiteMode : std::uint8_t { kNormal, kBackingOff, kPaused, kIdle };
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
  std::string last_reply;          // the last that was not positive, or the last failure's sentence
  std::optional<Wall> oldest_due;  // of a job that is due and not limited
};

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
  double limited_seconds_connections = 0;  // time that paths with work stood still, by the limit that bound
  double limited_seconds_rate = 0;
  double limited_seconds_backoff = 0;
  double limited_seconds_unsynced = 0;  // admission stopped by unsynced_outcomes_max
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
};

inline constexpr std::size_t kMaxSitesShown = 1000;

}  // namespace postrider::delivery
