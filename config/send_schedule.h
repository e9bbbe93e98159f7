#pragma once
// When a campaign may be sent: its windows in its time zone. Keeps the last answer until it changes, since to work one
// out takes tens of microseconds and each lap over the queue asks for every domain. Any thread; a clock that is set to
// another time is simply another question.

#include <mutex>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "config/time_zone.h"

namespace postrider {

class SendSchedule {
 public:
  SendSchedule(std::vector<SendWindow> windows, std::string_view time_zone)
      : windows_(std::move(windows)), zone_(TimeZone::FindOrUtc(time_zone)) {}

  [[nodiscard]] WindowState At(Wall moment) const {
    if (windows_.empty()) return {};
    const std::lock_guard lock(mutex_);
    if (moment < from_ || moment >= state_.until) {
      state_ = StateOf(windows_, zone_, moment);
      from_ = moment;
    }
    return state_;
  }

 private:
  const std::vector<SendWindow> windows_;
  const TimeZone zone_;
  mutable std::mutex mutex_;
  mutable Wall from_ = Wall::max();  // state_ is true from here
  mutable WindowState state_;
};

}  // namespace postrider
