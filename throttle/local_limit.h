#pragma once
// A rate and a number of connections that one core alone accounts for: all sources at a provider, one campaign at a
// provider. Answers as the others do, so that all can be asked in one way. Either part may be unset and then never
// binds. One owner, one thread; time is an argument.

#include <optional>
#include <string>

#include "config/rate_limit.h"
#include "config/time.h"
#include "throttle/gcra.h"
#include "throttle/limit.h"
#include "throttle/saved_bucket.h"

namespace postrider {

class LocalLimit {
 public:
  // What it answers with: kTotalRate and kTotalConnections, kCampaignAtProvider, ...
  explicit LocalLimit(Limit rate_name, Limit connections_name = Limit::kNone)
      : rate_name_(rate_name), connections_name_(connections_name) {}

  // Keeps the history. A rate set where there was none starts with nothing taken.
  void Set(Monotonic now, const std::optional<RateLimit>& rate, std::optional<int> connections = std::nullopt);

  // reserve: leaves so large a share of the burst untouched (bulk, for transactional mail); as in an allowance, never
  // so much that nothing could go.
  [[nodiscard]] Admission AskMessage(Monotonic now, double reserve = 0) const;
  [[nodiscard]] Admission AdmitMessage(Monotonic now, double reserve = 0);
  void ReturnMessage(Monotonic now, Monotonic admitted);

  [[nodiscard]] Admission AskConnect(Monotonic now) const;
  void Connecting() { ++connections_; }
  void Disconnected();
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] bool limited() const { return has_rate_ || most_connections_.has_value(); }
  [[nodiscard]] const Gcra& bucket() const { return rate_; }
  // Nothing taken is still to leak away.
  [[nodiscard]] bool AtRest(Monotonic now) const { return !has_rate_ || rate_.Depth(now) + rate_.Aside(now) <= 0; }

  // As BucketWriter::Write.
  [[nodiscard]] std::optional<std::string> Unsaved(const Now& now) {
    return saved_.Write(now, has_rate_ ? &rate_ : nullptr);
  }
  // As BucketWriter::Move.
  [[nodiscard]] bool MoveSaved() { return saved_.Move(); }
  // Once its rate is set.
  void Restore(Monotonic now, const SavedBucket& saved);

 private:
  Limit rate_name_;
  Limit connections_name_;
  bool has_rate_ = false;
  Gcra rate_;
  BucketWriter saved_;
  std::optional<int> most_connections_;
  int connections_ = 0;
};

}  // namespace postrider
