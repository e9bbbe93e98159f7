#pragma once
// One calendar day of some time zone as two moments: 23, 24 or 25 hours where clocks are changed. Who knows the zones
// hands in a function; nothing here does.

#include <functional>
#include <string_view>

#include "config/time.h"

namespace postrider {

struct CalendarDay {
  Wall start{};
  Wall end{};  // of which it is the first moment no more

  [[nodiscard]] bool Holds(Wall moment) const { return start <= moment && moment < end; }
  friend bool operator==(const CalendarDay&, const CalendarDay&) = default;
};

// The day in the named zone (IANA) that holds the moment. Called when a day begins, not for each message.
using CalendarDayFunction = std::function<CalendarDay(std::string_view time_zone, Wall moment)>;

}  // namespace postrider
