#pragma once
// So many in a calendar day, and in any hour at most an eighth of them (one, if the eighth is less): a day's quota is
// never sent in its first minutes. The counter is saved ahead: what a crash brings back is never lower than the truth,
// and at most 1 % of the quota (at least 1) higher. One owner, one thread; time and the day are arguments.

#include <cstdint>
#include <optional>

#include "config/time.h"
#include "throttle/calendar_day.h"
#include "throttle/gcra.h"
#include "throttle/state_record.h"

namespace postrider {

class DailyQuota {
 public:
  // Nothing goes before the first Saved.
  DailyQuota(const Now& now, std::uint64_t per_day, const CalendarDay& day);

  // What was used counts against the new quota; 0: nothing goes.
  void SetQuota(Monotonic now, std::uint64_t per_day);
  // A new day begins at nothing. Where the clock or the zone was changed, what was counted goes on to count: in a day
  // that overlaps this one, in one before it (the clock was ahead, or is behind), and in the one that was left last.
  void SetDay(Monotonic now, const CalendarDay& day);
  [[nodiscard]] const CalendarDay& day() const { return day_; }
  // The day is over, or the clock went back before it: SetDay is due.
  [[nodiscard]] bool DayIsOver(Wall now) const { return !day_.Holds(now); }

  enum class Binds : std::uint8_t { kNothing, kPace, kFull, kUnsaved };
  struct Answer {
    Binds binds = Binds::kNothing;
    Monotonic not_before{};  // max() for kUnsaved
  };
  [[nodiscard]] Answer Ask(const Now& now) const;
  void Take(Monotonic now);
  void Return(Monotonic now, Monotonic taken_at);

  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t per_day() const { return per_day_; }
  [[nodiscard]] bool FullToday() const { return used_ >= per_day_; }

  // ---- saving
  // A save soon will let it go on without a stop; half of what was saved ahead is used.
  [[nodiscard]] bool WantsSave() const;
  // The counter to save now: ahead of the truth. Saved(it) once that is durable.
  [[nodiscard]] std::uint64_t Ahead() const;
  void Saved(const CalendarDay& day, std::uint64_t ahead);

  // counter is used() or Ahead().
  void Encode(StateWriter& writer, const Now& now, std::uint64_t counter) const;
  // Also takes up the day it was saved in: SetDay with today's must follow. False: not understood, nothing changed.
  [[nodiscard]] bool Restore(std::string_view record, const Now& now);

 private:
  struct Count {
    CalendarDay day;
    std::uint64_t used = 0;
  };
  void SetPace(Monotonic now);

  std::uint64_t per_day_;
  std::uint64_t used_ = 0;
  std::uint64_t saved_ = 0;  // a durable counter of this day
  CalendarDay day_;
  std::optional<Count> left_;  // the other day it was last in
  Monotonic began_{};          // when this count began
  Gcra pace_;
};

}  // namespace postrider
