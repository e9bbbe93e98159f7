#include "engine/io/timer_wheel.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <utility>

#include "config/check.h"

namespace postrider::io {
namespace {

constexpr std::chrono::nanoseconds kTick = std::chrono::milliseconds(8);
constexpr unsigned kSlotBits = 6;  // 64 slots a level, so that one word says which of them are occupied
constexpr unsigned kSlots = 1U << kSlotBits;
constexpr unsigned kLevels = 7;  // 2^42 ticks: every moment the monotonic clock can express

}  // namespace

// A timer due at tick d stands, while the wheel is at tick n, in the level of the highest digit (base 64) in which d
// and n differ, in the slot of d's digit there. So every occupied slot lies ahead, none wraps around, and the lowest
// occupied level always holds the earliest timer. When the wheel reaches a slot above level 0, its timers move down.
struct TimerWheel::Slots {
  struct List : TimerLink {
    List() { Clear(); }
    void Clear() { previous_ = next_ = this; }
    [[nodiscard]] bool empty() const { return next_ == this; }
    void Append(TimerLink& link) {
      link.previous_ = previous_;
      link.next_ = this;
      previous_->next_ = &link;
      previous_ = &link;
    }
    Timer& TakeFirst() {
      TimerLink* first = next_;
      Unlink(*first);
      return static_cast<Timer&>(*first);
    }
    // Moves all of other's timers here; this list must be empty.
    void Take(List& other) {
      if (other.empty()) return;
      next_ = other.next_;
      previous_ = other.previous_;
      next_->previous_ = this;
      previous_->next_ = this;
      other.Clear();
    }
  };

  struct Place {
    unsigned level;
    unsigned slot;
    std::uint64_t tick;  // at which the slot begins
  };

  explicit Slots(Monotonic now) : epoch(now) {}

  static void Unlink(TimerLink& link) {
    link.previous_->next_ = link.next_;
    link.next_->previous_ = link.previous_;
    link.previous_ = link.next_ = nullptr;
  }

  [[nodiscard]] std::uint64_t TickAtOrBefore(Monotonic moment) const {
    return moment <= epoch ? 0 : static_cast<std::uint64_t>((moment - epoch) / kTick);
  }
  [[nodiscard]] std::uint64_t TickAtOrAfter(Monotonic moment) const {
    if (moment <= epoch) return 0;
    const std::uint64_t tick = TickAtOrBefore(moment);
    return epoch + tick * kTick < moment ? tick + 1 : tick;
  }

  void Insert(Timer& timer) {
    const std::uint64_t due = TickAtOrAfter(timer.due_);
    if (due <= current) return overdue.Append(timer);
    const auto highest = static_cast<unsigned>(std::bit_width(due ^ current)) - 1;
    const unsigned level = highest / kSlotBits;
    const auto slot = static_cast<unsigned>(due >> (level * kSlotBits)) % kSlots;
    lists[level][slot].Append(timer);
    occupied[level] |= std::uint64_t{1} << slot;
  }

  // The occupied slot that begins first. Cancelled timers leave their slot's bit behind; it is cleared here.
  [[nodiscard]] std::optional<Place> First() {
    for (unsigned level = 0; level < kLevels; ++level) {
      while (occupied[level] != 0) {
        const auto slot = static_cast<unsigned>(std::countr_zero(occupied[level]));
        if (lists[level][slot].empty()) {
          occupied[level] &= occupied[level] - 1;
          continue;
        }
        const unsigned shift = level * kSlotBits;
        const std::uint64_t above = current >> (shift + kSlotBits) << (shift + kSlotBits);
        return Place{level, slot, above + (static_cast<std::uint64_t>(slot) << shift)};
      }
    }
    return std::nullopt;
  }

  // Runs the callback from outside the timer, which it may destroy.
  static void Fire(Timer& timer) {
    bool destroyed = false;
    timer.destroyed_ = &destroyed;
    auto fire = std::move(timer.fire_);
    fire();
    if (destroyed) return;
    timer.fire_ = std::move(fire);
    timer.destroyed_ = nullptr;
  }

  static std::size_t FireAll(List& due) {
    std::size_t fired = 0;
    for (; !due.empty(); ++fired) Fire(due.TakeFirst());
    return fired;
  }

  // Moves the timers of a slot that the wheel has reached to lower levels; those due at this very tick go to due.
  void Spread(List& slot, List& due) {
    while (!slot.empty()) {
      Timer& timer = slot.TakeFirst();
      if (TickAtOrAfter(timer.due_) <= current) {
        due.Append(timer);
      } else {
        Insert(timer);
      }
    }
  }

  Monotonic epoch;  // tick 0
  std::uint64_t current = 0;
  bool advancing = false;
  List overdue;  // set to a moment that had passed already; waits for the next Advance
  std::array<std::uint64_t, kLevels> occupied{};
  std::array<std::array<List, kSlots>, kLevels> lists;
};

Timer::~Timer() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  Cancel();
}

void Timer::Cancel() {
  if (set()) TimerWheel::Slots::Unlink(*this);
}

TimerWheel::TimerWheel(Monotonic now) : slots_(std::make_unique<Slots>(now)) {}

TimerWheel::~TimerWheel() {
  while (!slots_->overdue.empty()) slots_->overdue.TakeFirst();
  for (auto& level : slots_->lists) {
    for (auto& list : level) {
      while (!list.empty()) list.TakeFirst();
    }
  }
}

void TimerWheel::Set(Timer& timer, Monotonic due) {
  timer.Cancel();
  timer.due_ = due;
  slots_->Insert(timer);
}

std::size_t TimerWheel::Advance(Monotonic now) {
  CHECK(!slots_->advancing);
  slots_->advancing = true;
  const std::uint64_t target = slots_->TickAtOrBefore(now);
  Slots::List due;
  due.Take(slots_->overdue);
  std::size_t fired = Slots::FireAll(due);
  for (auto place = slots_->First(); place && place->tick <= target; place = slots_->First()) {
    slots_->current = place->tick;
    Slots::List slot;
    slot.Take(slots_->lists[place->level][place->slot]);
    slots_->Spread(slot, due);
    fired += Slots::FireAll(due);
  }
  if (slots_->current < target) slots_->current = target;
  slots_->advancing = false;
  return fired;
}

std::optional<Monotonic> TimerWheel::NextDue() const {
  if (!slots_->overdue.empty()) return slots_->epoch + slots_->current * kTick;
  const auto place = slots_->First();
  if (!place) return std::nullopt;
  return slots_->epoch + place->tick * kTick;
}

}  // namespace postrider::io
