#pragma once
// How long a campaign takes under its limits: mail as a fluid. At each moment every receiver gets its fair share of
// what all limits that hold for it allow; that lasts until a receiver is done, a day's quota is used up, a day ends or
// a send window opens or closes, and is then worked out anew. Pure arithmetic: no clock, no network, no configuration
// file.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/rules.h"
#include "config/time.h"
#include "config/time_zone.h"
#include "throttle/limit.h"

namespace postrider::tools {

// Rates are messages a second; unset: no limit.
struct PlanLimits {
  std::optional<double> rate{};
  std::optional<int> connections{};
};

// One or more sources that are limited in the same way.
struct PlanSource {
  std::string name;
  int alike = 1;
  PlanLimits limits{};                         // of each
  std::optional<std::uint32_t> warm_up_day{};  // from 0, on the day of the start; unset: warm
};

// What each source may do at one receiver. Several receivers may share one, as a provider's sites do.
struct PlanAllowance {
  std::string name;
  EffectiveRule rule;
  std::uint32_t sites = 1;  // for the limit of connections per site
  // Of many receivers in one: how many like the largest of them it is, each with these limits.
  double parallel = 1;
};

struct PlanReceiver {
  std::string name;
  bool is_provider = false;
  std::uint64_t recipients = 0;
  std::uint64_t domains = 0;
  std::vector<std::size_t> allowances;  // all of them hold
};

struct PlanInput {
  Wall start{};
  std::vector<PlanSource> sources;
  std::vector<PlanAllowance> allowances;
  std::vector<PlanReceiver> receivers;
  PlanLimits pool;
  PlanLimits sender;
  double campaign_rate = 0;  // 0: no limit
  std::vector<SendWindow> windows;
  TimeZone zone;  // of the windows
  double canary_share = 0;
  std::chrono::milliseconds canary_wait{};
  std::vector<std::uint64_t> warm_up_quotas;  // by day; behind the last: warm
  double seconds_per_message = 0;             // on a connection, from one message to the next
  double seconds_per_connection = 0;          // to open one
};

struct PlanOutcome {
  struct Receiver {
    std::optional<Wall> done;      // unset: never, or not within ten years
    double rate = 0;               // in the first stretch
    Limit decides = Limit::kNone;  // what held it up for the longest time
  };
  std::vector<Receiver> receivers;  // as in the input
  std::optional<Wall> canary_done;
  std::optional<Wall> done;
  std::optional<std::size_t> last;  // the receiver that is done last
};

[[nodiscard]] PlanOutcome Forecast(const PlanInput& input);

}  // namespace postrider::tools
