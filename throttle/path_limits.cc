#include "throttle/path_limits.h"

#include <algorithm>

#include "config/check.h"

namespace postrider {

PathLimits::PathLimits(Monotonic now, const EffectiveRule& rule, Backoff backoff) : backoff_(backoff) {
  SetRule(now, rule);
}

void PathLimits::SetRule(Monotonic now, const EffectiveRule& rule) {
  rule_ = rule;
  // A burst of one second's worth: an hour's allowance is never sent in its first second.
  if (rule.message_rate) rate_.SetRate(now, rule.message_rate->per_second, rule.message_rate->BurstOrDefault());
}

Admission PathLimits::AskMessage(Monotonic now) const {
  Admission answer{now, Limit::kNone};
  if (rule_.message_rate) {
    const Monotonic earliest = rate_.Earliest(now);
    if (earliest > now) answer = {earliest, Limit::kMessageRate};
  }
  if (backoff_.Blocked(now) && backoff_.until() > answer.not_before) answer = {backoff_.until(), Limit::kBackoff};
  return answer;
}

Admission PathLimits::AdmitMessage(Monotonic now) {
  const Admission answer = AskMessage(now);
  if (answer.Go() && rule_.message_rate) rate_.Take(now);
  return answer;
}

void PathLimits::ReturnMessage(Monotonic now) {
  if (rule_.message_rate) rate_.Return(now);
}

Admission PathLimits::AskConnect(Monotonic now) const {
  if (connections_ >= rule_.connections) return {Monotonic::max(), Limit::kConnections};
  if (backoff_.Blocked(now)) return {backoff_.until(), Limit::kBackoff};
  return {now, Limit::kNone};
}

void PathLimits::Connected() { ++connections_; }

void PathLimits::Disconnected() {
  CHECK(connections_ > 0);
  --connections_;
}

}  // namespace postrider
