#pragma once
// What one path (source x provider or site) may do now: open connections, the message rate, messages per connection,
// and the back-off after failures. All limits are asked at once, and the answer is a permit or the moment and the limit
// that binds. Owned by one core's delivery; plain integers, no lock, no clock.

#include "config/rules.h"
#include "config/time.h"
#include "throttle/backoff.h"
#include "throttle/gcra.h"
#include "throttle/limit.h"

namespace postrider {

class PathLimits {
 public:
  PathLimits(Monotonic now, const EffectiveRule& rule, Backoff backoff = Backoff());

  // A new rule applies from now on and keeps the history of the rate; open connections above a new limit run out.
  void SetRule(Monotonic now, const EffectiveRule& rule);
  [[nodiscard]] const EffectiveRule& rule() const { return rule_; }

  // Takes a permit for one message if it may go now.
  [[nodiscard]] Admission AdmitMessage(Monotonic now);
  // The same answer, taking nothing.
  [[nodiscard]] Admission AskMessage(Monotonic now) const;
  // The message did not go after all.
  void ReturnMessage(Monotonic now);

  // May one more connection be opened; not_before is max() where only a Disconnected can change the answer.
  [[nodiscard]] Admission AskConnect(Monotonic now) const;
  [[nodiscard]] bool MayConnect(Monotonic now) const { return AskConnect(now).Go(); }
  // From the start of the connect to the close.
  void Connected();
  void Disconnected();
  [[nodiscard]] int connections() const { return connections_; }

  // A connection that carried so many messages is to be closed.
  [[nodiscard]] bool UsedUp(int messages_on_connection) const {
    return messages_on_connection >= rule_.messages_per_connection;
  }

  // Fail() for what is about the path as a whole; Succeed() when a message was delivered down it.
  [[nodiscard]] Backoff& backoff() { return backoff_; }
  [[nodiscard]] const Backoff& backoff() const { return backoff_; }

 private:
  EffectiveRule rule_;
  Gcra rate_;  // unused while the rule has no rate
  Backoff backoff_;
  int connections_ = 0;
};

}  // namespace postrider
