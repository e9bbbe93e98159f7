#pragma once
// The limits there are, and what asking them answers: go, or the earliest moment and the limit that binds. Every limit
// is asked, and the answers are joined: what goes must be allowed by all, and what waits waits for the latest. Pure.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/time.h"

namespace postrider {

enum class Limit : std::uint8_t {
  kNone,
  // of an allowance: one source at one provider, or at one site whose provider is unknown
  kPaused,   // by the operator
  kStopped,  // by a reply's action or by the breaker
  kBackoff,  // after refusals
  kProbing,  // a stop or back-off is over; one message goes ahead of all others
  kMessageRate,
  kAdaptiveRate,  // what replies have made of the rate
  kDailyQuota,
  kWarmUp,   // the quota of a source that warms up
  kUnsaved,  // the daily counter is not yet on disk far enough ahead
  kConnectRate,
  kConnections,
  // of others
  kSiteConnections,
  kTotalConnections,  // of all sources at the provider
  kTotalRate,
  kCampaignRate,
  kCampaignAtProvider,
  kSourceRate,
  kPoolRate,
  kSenderRate,
  kSourceConnections,
  kPoolConnections,
  kSenderConnections,
  kGuard,       // a guard of throttle/guard.h holds it
  kWindow,      // outside the campaign's hours
  kSourceGone,  // this host has not the source's address now
  // of the core
  kUnsynced,         // too many outcomes are not durable yet
  kCoreConnections,  // all that one core may have open
};
inline constexpr std::size_t kLimits = static_cast<std::size_t>(Limit::kCoreConnections) + 1;

// "none", "message-rate", "daily-quota", ...: for metrics and for people.
[[nodiscard]] std::string_view ToString(Limit limit);

struct Admission {
  // When to ask again. Monotonic::max(): only an event of the limit's owner can change the answer (a connection closed,
  // a message ended, a pause lifted, a save done).
  Monotonic not_before{};
  Limit limit = Limit::kNone;  // what binds longest

  [[nodiscard]] bool Go() const { return limit == Limit::kNone; }
  // Both must be met: keeps the later.
  void Join(const Admission& other) {
    if (!other.Go() && (Go() || other.not_before > not_before)) *this = other;
  }
};

}  // namespace postrider
