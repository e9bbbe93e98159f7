#pragma once
// The rate that a receiver's replies allow, between the operator's floor and ceiling. It is halved at once when replies
// say "too fast", at most once in 60 s (they come in bursts, and those on their way say nothing new), and raised by 5 %
// for each 5 minutes in which mail was taken and nothing throttled.
//
// After a stop, or a reply that named a rate to go down to, that would take days (1/min to 10/s: 131 steps of 5
// minutes, 11 hours; from a stop at a floor of 1/h, more). A switch back would repeat the cause of the stop at full
// speed. So it resumes at half the rate at which the trouble came and rises by 5 % for each clean MINUTE until it has
// that rate again (15 minutes from a half, 131 minutes from 1/min to 10/s); beyond, and after any new trouble, at the
// usual pace: where it was throttled before, it goes carefully.
//
// One owner, one thread; time is an argument.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/rate_limit.h"
#include "config/time.h"
#include "throttle/state_record.h"

namespace postrider {

class AdaptiveRate {
 public:
  // ceiling 0: the operator sets no rate. Floor and ceiling are messages a second; a floor above the ceiling is the
  // ceiling.
  AdaptiveRate(double floor, double ceiling) { SetBounds(floor, ceiling); }

  void SetBounds(double floor, double ceiling);

  // Lowered: it binds. Else the operator's rate alone does.
  [[nodiscard]] bool active() const { return rate_ > 0; }
  // Messages a second while active.
  [[nodiscard]] double rate() const { return rate_; }

  // A reply said "too fast". measured is what was sent a second over the last minute: the rate to start from where none
  // is set. `to` is a rate the reply's rule names: at once down to it. True: the rate is lower now.
  bool Throttled(Monotonic now, double measured, std::optional<double> to = std::nullopt);
  // Nothing may go for a while; what follows begins at half the rate there was.
  void Stopped(Monotonic now, double measured);
  // A message was taken. True: the rate is higher now, or no longer lowered at all.
  bool Accepted(Monotonic now);
  // As if nothing had ever happened.
  void Forget();

  // Since when it has been lowered.
  [[nodiscard]] Monotonic since() const { return since_; }
  // It is on its way back from a stop or a named rate, at the faster pace.
  [[nodiscard]] bool resuming() const { return resuming_; }
  // At which the last trouble came.
  [[nodiscard]] double troubled_at() const { return troubled_at_; }

  void Encode(StateWriter& writer, const Now& now) const;
  [[nodiscard]] bool Restore(std::string_view record, const Now& now);

 private:
  [[nodiscard]] double Begin(Monotonic now, double measured);
  [[nodiscard]] double Top() const;

  double floor_ = 0;
  double ceiling_ = 0;
  double rate_ = 0;         // 0: not lowered
  double troubled_at_ = 0;  // the rate in force at the last trouble
  double begun_at_ = 0;     // and at the first, when it was last not lowered
  bool resuming_ = false;
  bool stopped_ = false;  // and nothing was taken since
  Monotonic since_{};
  Monotonic lowered_at_{};
  Monotonic clean_since_{};  // start of the clean minutes that count now
};

}  // namespace postrider
