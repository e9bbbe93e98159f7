#pragma once
// A path: one source towards one site. Limits, back-off and reputation belong to it. It knows its connections, which of
// its MX hosts are in back-off, and what keeps it from sending now. Owned by its Site; single-threaded.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "config/reply.h"
#include "config/time.h"
#include "engine/delivery/connection.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/snapshot.h"
#include "throttle/backoff.h"
#include "throttle/path_limits.h"

namespace postrider::delivery {

struct Site;

// What keeps a path with ready work from sending, for the operator and the metrics.
enum class Binding : std::uint8_t { kNone, kConnections, kRate, kCampaignRate, kBackoff, kUnsynced, kPaused };
[[nodiscard]] std::string_view ToString(Binding binding);

// One MX host as this path meets it: another source may fare better there.
class PathHost {
 public:
  // It could not be reached or did not let us in.
  void Fail(Monotonic now, std::uint64_t random) { down_.Fail(now, random); }
  // It is there, but has no time for us now (421).
  void FailBusy(Monotonic now, std::uint64_t random) { busy_.Fail(now, random); }
  void Succeed();
  [[nodiscard]] Monotonic until() const { return std::max(down_.until(), busy_.until()); }
  [[nodiscard]] bool Blocked(Monotonic now) const { return now < until(); }
  [[nodiscard]] bool failing() const { return down_.failures() + busy_.failures() > 0; }

  bool troubled = false;                   // its trouble was told, its recovery not yet
  Monotonic failed_at = Monotonic::min();  // connections begun before this say nothing new

 private:
  Backoff down_;
  Backoff busy_{std::chrono::seconds(15), std::chrono::minutes(5)};
};

// Messages over the last ten seconds.
class Meter {
 public:
  void Count(Monotonic now);
  [[nodiscard]] double PerSecond(Monotonic now) const;

 private:
  static constexpr std::int64_t kSeconds = 10;
  void Advance(std::int64_t second);
  std::array<std::uint32_t, kSeconds> counts_{};
  std::int64_t second_ = 0;
};

struct Path {
  Path(Monotonic now, Site& of_site, SourceOptions from, const EffectiveRule& rule, std::size_t host_count);

  // May a message start now; else what binds and until when (Monotonic::max(): until something else happens).
  struct Answer {
    Binding binding = Binding::kNone;
    Monotonic not_before{};
  };
  [[nodiscard]] Answer AskMessage(Monotonic now) const;
  [[nodiscard]] Answer AskConnect(Monotonic now) const;
  // Connections that may be opening at once: few until the path has proven that it leads somewhere.
  [[nodiscard]] std::uint32_t OpeningLimit() const;
  [[nodiscard]] bool Troubled() const;
  // Back-off about the path is over, but nothing was taken since: one message goes ahead of all others.
  [[nodiscard]] bool Probing() const { return limits.backoff().failures() > 0 || breaker.failures() > 0; }

  // Accounts the time spent under the last binding, then remembers this one.
  void Bind(Binding now_binding, Monotonic now, CoreCounts& counts);

  // What the receiver said, for the operator: code and text.
  void Remember(const Reply& reply);

  Site& site;
  SourceOptions source;
  PathLimits limits;
  Backoff breaker;  // long, for a path down which nothing but refusals come back
  std::vector<PathHost> hosts;
  int refusals = 0;     // in a row, not about a recipient
  bool proven = false;  // a conversation got through since the last trouble
  bool paused = false;
  bool retired = false;   // its source is no longer configured
  bool troubled = false;  // its back-off was told, its end not yet
  std::uint32_t opening = 0;
  std::uint32_t in_flight = 0;  // messages
  std::size_t host_turn = 0;    // whose turn it is among hosts of equal preference
  IntrusiveList<Connection, &Connection::path_link> connections;
  IntrusiveList<Connection, &Connection::idle_link> idle;  // the one used last in front
  Binding binding = Binding::kNone;
  Monotonic bound_since{};
  Meter meter;
  std::string last_reply;
};

}  // namespace postrider::delivery
