#pragma once
// Deadlines of one core: a hierarchical wheel of intrusive timers, O(1) to set and cancel, no allocation. A Timer is
// owned by the object whose deadline it is and may be destroyed while set. Fires within one tick (8 ms) after its
// moment, never before. Single-threaded.

#include <cstddef>
#include <functional>
#include <optional>

#include "config/time.h"

namespace postrider::io {

class TimerWheel;

class Timer {
 public:
  // The callback is set once, by the owner; it may set this timer again or destroy it.
  explicit Timer(std::move_only_function<void()> fire) : fire_(std::move(fire)) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] bool set() const { return wheel_ != nullptr; }
  void Cancel();

 private:
  friend class TimerWheel;
  std::move_only_function<void()> fire_;
  TimerWheel* wheel_ = nullptr;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  Monotonic due_{};
};

class TimerWheel {
 public:
  explicit TimerWheel(Monotonic now);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Sets the timer, or moves it if it is set already. A moment in the past fires at the next Advance.
  void Set(Timer& timer, Monotonic due);
  // Fires what is due; returns how many fired.
  std::size_t Advance(Monotonic now);
  // A moment no later than the earliest timer's, for the wait of the loop; nothing set: nullopt.
  [[nodiscard]] std::optional<Monotonic> NextDue() const;

 private:
  friend class Timer;
  // The implementation's own: slots per level, current tick, count.
  struct Slots;
  Slots* slots_;
};

}  // namespace postrider::io
