#pragma once
// An allowance: what one source may do at one provider, or at one site whose provider is unknown. All sites of the
// provider share it, so it lives with them on one core. It holds every limit of that scope (message rate, what replies
// have made of it, daily quota, warm-up, connect rate, connections with their ramp-up), and the stops, the back-off
// and the breaker that replies cause. All are asked at once; the answer is a permit, or the earliest moment and the
// limit that binds. Plain integers, no lock, no clock.
//
// Transactional mail: while some was seen within 10 minutes, bulk leaves a fifth of each bucket's burst and one
// connection free for it. Only depth is set aside: in the long run bulk may use the whole rate.
//
// After a stop, a back-off or the breaker, one message goes as a probe; the others follow once the receiver has taken
// it or has answered about its recipient alone.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/mail_class.h"
#include "config/reply.h"
#include "config/rules.h"
#include "config/time.h"
#include "throttle/adaptive_rate.h"
#include "throttle/backoff.h"
#include "throttle/calendar_day.h"
#include "throttle/daily_quota.h"
#include "throttle/gcra.h"
#include "throttle/limit.h"
#include "throttle/minute_meter.h"
#include "throttle/warm_up.h"

namespace postrider {

// How a message that was admitted ended.
enum class MessageEnd : std::uint8_t {
  kAccepted,  // the receiver took it
  kBounced,   // refused for good, for a reason of the recipient or the message alone
  kDeferred,  // refused for now, for such a reason
  kTroubled,  // a reply about us, the host or the path, or none: nothing is proven
};

class Allowance {
 public:
  Allowance(const Now& now, const EffectiveRule& rule, CalendarDayFunction day_of);
  ~Allowance();
  Allowance(const Allowance&) = delete;
  Allowance& operator=(const Allowance&) = delete;

  // A new rule applies from now on. What was sent counts on; stops, back-off and the lowered rate stay, within the new
  // bounds; connections above a new limit are the caller's to close.
  void SetRule(const Now& now, const EffectiveRule& rule);
  // Null: the source is warm.
  void SetWarmUp(const Now& now, const WarmUpPlan* plan);

  // ---- messages
  [[nodiscard]] Admission AskMessage(const Now& now, MailClass mail_class);
  // Takes a permit if it may go. A permit is given up exactly once: by ReturnMessage or by EndMessage.
  [[nodiscard]] Admission AdmitMessage(const Now& now, MailClass mail_class);
  // It was not attempted. admitted: when the permit was taken; what has leaked from the buckets since is not returned,
  // or the rate would be passed.
  void ReturnMessage(const Now& now, Monotonic admitted);
  // True: this ended a trouble (see Probing); mail flows again.
  bool EndMessage(const Now& now, MessageEnd end);
  // Transactional mail waits or was sent here: its reserve holds for 10 minutes. Admitting it says so too.
  void TransactionalSeen(Monotonic now) { transactional_until_ = now + kReserveHolds; }
  [[nodiscard]] int in_flight() const { return in_flight_; }
  // A quota of the day (or of the warm-up) is used up: mail is for another source today.
  [[nodiscard]] bool FullToday(const Now& now);

  // ---- connections
  [[nodiscard]] Admission AskConnect(const Now& now, MailClass mail_class);
  // A connect begins; it counts until Disconnected. Connected: the conversation may carry messages.
  void Connecting(Monotonic now);
  void Connected();
  void Disconnected(bool was_connected);
  [[nodiscard]] int connections() const { return connections_; }
  // What the ramp-up allows now.
  [[nodiscard]] int ConnectionLimit() const;
  [[nodiscard]] bool UsedUp(int messages_on_connection) const { return messages_on_connection >= per_connection_; }

  // ---- what replies cause. The reply is remembered for the operator, shortened; `why` is a reply rule's name or a few
  // words.
  struct Refusal {
    bool began = false;    // the first since all was well
    bool blocked = false;  // nothing was blocked before
    bool tripped = false;  // the breaker
    Monotonic until{};
  };
  // About us or the path as a whole: back-off, doubling; 20 in a row trip the breaker (15 min doubling to 4 h).
  Refusal Refused(const Now& now, std::string_view why, const Reply& reply, std::uint64_t random);
  // "Too fast": the adaptive rate is halved, or goes down to `to`. False: it was halved within the last minute, or the
  // rule is not adaptive.
  bool Throttled(const Now& now, std::string_view why, const Reply& reply, std::optional<double> to = std::nullopt);
  // Half the connections in use, for so long, then up again one by one. False: that was done within the last minute.
  bool LowerConnections(const Now& now, std::chrono::seconds duration, std::string_view why, const Reply& reply);
  // Nothing goes for so long; a stop that follows one before mail flowed again lasts twice as long as that, up to 4 h
  // (or `duration`, if longer). Returns its end. Stops that come while it is stopped are of messages sent before: they
  // lengthen it to now + duration at most. Also steps a warm-up back.
  Monotonic Stop(const Now& now, std::chrono::seconds duration, std::string_view why, const Reply& reply);

  // ---- operator
  // As if no reply had ever stopped or slowed it: stop, back-off, breaker, lowered rate and connections end. A probe
  // goes first, and connections begin as after a start.
  void Resume(Monotonic now);

  // ---- what it tells
  // Stopped or refused, and not yet proven to be well again.
  [[nodiscard]] bool Probing() const { return troubled_; }
  // Nothing is stopped, lowered or in doubt: but for what it has sent, it is as new.
  [[nodiscard]] bool AtRest(Monotonic now) const {
    return !Lowered(now) && BlockedUntil() <= now && connections_ == 0 && in_flight_ == 0;
  }
  // Nothing goes before this; a moment in the past: no stop, back-off or breaker.
  [[nodiscard]] Monotonic BlockedUntil() const;

  enum class Mode : std::uint8_t { kNormal, kBackingOff, kStopped };
  struct State {
    Mode mode = Mode::kNormal;
    double message_rate = 0;   // the rule's; 0: none
    double adaptive_rate = 0;  // 0: not lowered
    double measured_rate = 0;  // messages a second over the last minute
    std::string reason;        // of what is lowered or stopped: the rule's name or words; empty: nothing is
    Monotonic since{};         // of that
    Monotonic until{};         // of stop, back-off or breaker; in the past: none
    bool breaker = false;      // it is the breaker that stops it
    int connections = 0;
    int connection_limit = 0;
    std::uint64_t quota_used = 0;
    std::uint64_t quota = 0;         // 0: none
    std::uint32_t warm_up_day = 0;   // from 1; 0: does not warm up, or is warm
    std::uint64_t warm_up_used = 0;  // of that day's quota
    std::uint64_t warm_up_quota = 0;
    std::vector<std::string> last_replies;  // newest first, that lowered or stopped it; at most 3
  };
  [[nodiscard]] State Describe(const Now& now) const;

  // ---- saving
  // Something changed that must survive; save it within a second. SaveNow: at once, for mail waits for it or soon will.
  [[nodiscard]] bool Unsaved() const;
  [[nodiscard]] bool SaveNow() const;
  // The state to make durable, its daily counters ahead of the truth; Saved(number) then, or SaveFailed().
  struct Save {
    std::string bytes;
    std::uint64_t number = 0;
  };
  [[nodiscard]] Save BeginSave(const Now& now);
  void Saved(std::uint64_t number);
  void SaveFailed();
  // The exact state, for an orderly stop.
  [[nodiscard]] std::string Encode(const Now& now) const;
  // Into a new allowance, before its first message. An error's sentence says why nothing was restored.
  Result<void> Restore(const Now& now, std::string_view record);
  // When the buckets of that record will have leaked away, whatever rule comes to hold.
  [[nodiscard]] static Wall SavedEmptyAt(std::string_view record);

 private:
  static constexpr std::chrono::minutes kReserveHolds{10};
  struct Daily;     // quota and warm-up; few have any
  struct Troubles;  // words and replies; made with the first trouble
  struct Record;    // what Restore has read

  [[nodiscard]] Admission AskBlocked(Monotonic now) const;
  [[nodiscard]] Admission AskDaily(const Now& now);
  [[nodiscard]] bool ReserveHolds(Monotonic now, MailClass mail_class) const;
  [[nodiscard]] bool Lowered(Monotonic now) const;
  Daily& DailyPart(const Now& now);
  [[nodiscard]] CalendarDay DayOf(Wall moment) const;
  void SetDaily(const Now& now, const EffectiveRule& rule);
  void SetDay(const Now& now, const CalendarDay& day);
  void RollDay(const Now& now);
  void SetAdaptiveBucket(Monotonic now);
  void StartAdaptiveBucket(Monotonic now, bool was_active);
  void CountClean(Monotonic now);
  bool Recover(Monotonic now);
  void Halt(Monotonic now);
  void FallBack();
  void Remember(const Now& now, std::string_view why, const Reply& reply);
  [[nodiscard]] std::string EncodeWith(const Now& now, bool ahead) const;

  CalendarDayFunction day_of_;
  // of the rule
  std::string time_zone_ = "UTC";
  bool has_rate_ = false;
  bool has_connect_rate_ = false;
  bool adaptive_on_ = true;
  int most_connections_ = 0;
  int start_connections_ = 0;
  int per_connection_ = 0;

  Gcra rate_;
  Gcra adaptive_bucket_;  // while adaptive_ is active
  Gcra connect_rate_;
  AdaptiveRate adaptive_{0, 0};
  MinuteMeter meter_;
  std::unique_ptr<Daily> daily_;
  std::unique_ptr<Troubles> troubles_;

  Backoff backoff_;
  Backoff breaker_;
  Monotonic stopped_until_ = Monotonic::min();
  std::chrono::seconds last_stop_{};  // its length; 0: mail flowed since
  int refusals_ = 0;                  // in a row
  bool troubled_ = false;

  int connections_ = 0;
  int opening_ = 0;  // of these
  int in_flight_ = 0;
  int ramp_ = 0;   // connections it has earned
  int clean_ = 0;  // deliveries since the last step
  Monotonic ramp_held_until_ = Monotonic::min();
  Monotonic ramp_lowered_at_ = Monotonic::min();
  Monotonic transactional_until_ = Monotonic::min();

  bool unsaved_ = false;
  std::uint64_t save_number_ = 0;
};

}  // namespace postrider
