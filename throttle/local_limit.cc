#include "throttle/local_limit.h"

#include "config/check.h"

namespace postrider {

void LocalLimit::Set(Monotonic now, const std::optional<RateLimit>& rate, std::optional<int> connections) {
  if (rate) rate_.SetRate(now, rate->per_second, rate->BurstOrDefault());
  if (rate && !has_rate_) rate_.Restore(now, 0);
  has_rate_ = rate.has_value();
  most_connections_ = connections;
}

void LocalLimit::Restore(Monotonic now, const SavedBucket& saved) {
  if (has_rate_) saved.Restore(rate_, now);
  saved_.Found(saved);
}

Admission LocalLimit::AskMessage(Monotonic now, double reserve) const {
  if (!has_rate_) return {now, Limit::kNone};
  const Monotonic earliest = rate_.Earliest(now, rate_.ReserveOf(reserve));
  if (earliest > now) return {earliest, rate_name_};
  return {now, Limit::kNone};
}

Admission LocalLimit::AdmitMessage(Monotonic now, double reserve) {
  const Admission answer = AskMessage(now, reserve);
  if (answer.Go() && has_rate_) rate_.Take(now);
  return answer;
}

void LocalLimit::ReturnMessage(Monotonic now, Monotonic admitted) {
  if (has_rate_) rate_.Return(now, admitted);
}

Admission LocalLimit::AskConnect(Monotonic now) const {
  if (most_connections_ && connections_ >= *most_connections_) return {Monotonic::max(), connections_name_};
  return {now, Limit::kNone};
}

void LocalLimit::Disconnected() {
  CHECK(connections_ > 0);
  --connections_;
}

}  // namespace postrider
