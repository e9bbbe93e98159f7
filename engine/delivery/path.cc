#include "engine/delivery/path.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "engine/delivery/site.h"

namespace postrider::delivery {
namespace {

// A path down which nothing but refusals come back is held for this long, doubling.
constexpr std::chrono::minutes kBreakerFirst{15};
constexpr std::chrono::hours kBreakerLongest{4};
// An unproven path opens so many connections at once; a dead site among thousands then holds few of the core's.
constexpr std::uint32_t kUnprovenOpening = 2;

}  // namespace

std::string_view ToString(Binding binding) {
  switch (binding) {
    case Binding::kNone:
      return "";
    case Binding::kConnections:
      return "connections";
    case Binding::kRate:
      return "message rate";
    case Binding::kCampaignRate:
      return "campaign rate";
    case Binding::kBackoff:
      return "back-off";
    case Binding::kUnsynced:
      return "unsynced outcomes";
    case Binding::kPaused:
      return "paused";
  }
  return "";
}

std::string_view ToString(SiteMode mode) {
  switch (mode) {
    case SiteMode::kNormal:
      return "normal";
    case SiteMode::kBackingOff:
      return "backing off";
    case SiteMode::kPaused:
      return "paused";
    case SiteMode::kIdle:
      return "idle";
    case SiteMode::kStopped:
      return "stopped";
  }
  return "idle";
}

std::string_view ToString(GuardKind kind) {
  switch (kind) {
    case GuardKind::kCampaign:
      return "campaign";
    case GuardKind::kBounceStorm:
      return "bounce storm";
    case GuardKind::kPathBreaker:
      return "path breaker";
    case GuardKind::kOwnNetwork:
      return "own network";
    case GuardKind::kNoDomains:
      return "no domains";
  }
  return "";
}

std::string_view ToString(GuardState state) { return state == GuardState::kTripped ? "tripped" : "warning"; }

void Path::Remember(const Reply& reply) {
  last_reply.clear();
  if (reply.code != 0) fmt::format_to(std::back_inserter(last_reply), "{} ", reply.code);
  last_reply += reply.text;
}

void Meter::Advance(std::int64_t second) {
  if (second - second_ >= kSeconds) {
    counts_ = {};
  } else {
    for (std::int64_t past = second_ + 1; past <= second; ++past)
      counts_[static_cast<std::size_t>(past % kSeconds)] = 0;
  }
  second_ = std::max(second_, second);
}

void Meter::Count(Monotonic now) {
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  Advance(second);
  ++counts_[static_cast<std::size_t>(second % kSeconds)];
}

double Meter::PerSecond(Monotonic now) const {
  Meter aged = *this;
  aged.Advance(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  double sum = 0;
  for (const std::uint32_t count : aged.counts_) sum += count;
  return sum / static_cast<double>(kSeconds);
}

void PathHost::Succeed() {
  down_.Succeed();
  busy_.Succeed();
}

Path::Path(Monotonic now, Site& of_site, SourceOptions from, const EffectiveRule& rule, std::size_t host_count)
    : site(of_site),
      source(std::move(from)),
      limits(now, rule),
      breaker(kBreakerFirst, kBreakerLongest),
      hosts(host_count),
      bound_since(now) {}

Path::Answer Path::AskMessage(Monotonic now) const {
  if (paused || site.paused || retired || !site.trouble.empty()) return {Binding::kPaused, Monotonic::max()};
  const postrider::Admission asked = limits.AskMessage(now);
  Answer answer;
  if (!asked.Go()) {
    answer.binding = asked.limit == Limit::kMessageRate ? Binding::kRate : Binding::kBackoff;
    answer.not_before = asked.not_before;
  }
  if (breaker.Blocked(now) && breaker.until() > answer.not_before) answer = {Binding::kBackoff, breaker.until()};
  return answer;
}

Path::Answer Path::AskConnect(Monotonic now) const {
  const Answer message = AskMessage(now);
  if (message.binding != Binding::kNone) return message;
  Monotonic earliest = Monotonic::max();
  for (const PathHost& host : hosts) {
    earliest = std::min(earliest, std::max(now, host.until()));
  }
  if (earliest > now) return {Binding::kBackoff, earliest};
  const postrider::Admission connect = limits.AskConnect(now);
  if (!connect.Go()) return {Binding::kConnections, connect.not_before};
  return {};
}

std::uint32_t Path::OpeningLimit() const {
  if (proven) return static_cast<std::uint32_t>(std::max(1, limits.rule().connections));
  return Troubled() ? 1 : kUnprovenOpening;
}

bool Path::Troubled() const {
  return Probing() || std::ranges::any_of(hosts, [](const PathHost& host) { return host.failing(); });
}

void Path::Bind(Binding now_binding, Monotonic now, CoreCounts& counts) {
  const double seconds = std::chrono::duration<double>(now - std::exchange(bound_since, now)).count();
  switch (std::exchange(binding, now_binding)) {
    case Binding::kConnections:
      counts.limited_seconds_connections += seconds;
      break;
    case Binding::kRate:
    case Binding::kCampaignRate:
      counts.limited_seconds_rate += seconds;
      break;
    case Binding::kBackoff:
      counts.limited_seconds_backoff += seconds;
      break;
    case Binding::kUnsynced:
      counts.limited_seconds_unsynced += seconds;
      break;
    case Binding::kNone:
    case Binding::kPaused:
      break;
  }
}

}  // namespace postrider::delivery
