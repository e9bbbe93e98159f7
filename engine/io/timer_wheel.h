#pragma once
// Deadlines of one core: a hierarchical wheel of intrusive timers, O(1) to set and cancel, no allocation. A Timer is
// owned by the object whose deadline it is and may be destroyed while set. Fires within one tick (8 ms) after its
// moment, never before. Single-threaded.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "config/time.h"

namespace postrider::io {

class TimerWheel;

// A place in one of the wheel's circular lists; unlinked when next_ is null.
class TimerLink {
 protected:
  TimerLink() = default;
  ~TimerLink() = default;

 private:
  friend class TimerWheel;
  friend class Timer;
  TimerLink* previous_ = nullptr;
  TimerLink* next_ = nullptr;
};

class Timer : private TimerLink {
 public:
  // The callback is set once, by the owner; it may set this timer again or destroy it.
  explicit Timer(std::move_only_function<void()> fire) : fire_(std::move(fire)) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] bool set() const { return next_ != nullptr; }
  void Cancel();

 private:
  friend class TimerWheel;
  std::move_only_function<void()> fire_;
  bool* destroyed_ = nullptr;  // while fire_ runs: set by the destructor
  Monotonic due_{};
};

class TimerWheel {
 public:
  explicit TimerWheel(Monotonic now);
  ~TimerWheel();  // timers still set are simply no longer set
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Sets the timer, or moves it if it is set already. A moment in the past fires at the next Advance.
  void Set(Timer& timer, Monotonic due);
  // Fires what is due; returns how many fired. Not to be called from a timer's callback.
  std::size_t Advance(Monotonic now);
  // A moment no later than the earliest timer's, for the wait of the loop; nothing set: nullopt.
  [[nodiscard]] std::optional<Monotonic> NextDue() const;

 private:
  friend class Timer;
  struct Slots;
  std::unique_ptr<Slots> slots_;
};

}  // namespace postrider::io
