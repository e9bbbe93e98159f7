#include "throttle/minute_meter.h"

#include <algorithm>

namespace postrider {
namespace {

double Seconds(Monotonic now) { return std::chrono::duration<double>(now.time_since_epoch()).count(); }

}  // namespace

void MinuteMeter::Advance(std::int64_t slot) {
  if (slot - slot_ >= kSlots) {
    counts_ = {};
  } else {
    for (std::int64_t past = slot_ + 1; past <= slot; ++past) counts_[static_cast<std::size_t>(past % kSlots)] = 0;
  }
  slot_ = std::max(slot_, slot);
}

void MinuteMeter::Count(Monotonic now) {
  const std::int64_t slot =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() / kSlotSeconds;
  if (slot > slot_) Advance(slot);
  if (first_slot_ < 0) first_slot_ = slot;
  ++counts_[static_cast<std::size_t>(slot_ % kSlots)];
}

double MinuteMeter::PerSecond(Monotonic now) const {
  if (first_slot_ < 0) return 0;
  MinuteMeter aged = *this;
  aged.Advance(
      std::max(slot_, std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() / kSlotSeconds));
  double sum = 0;
  for (const std::uint32_t count : aged.counts_) sum += count;
  const std::int64_t oldest = std::max(first_slot_, aged.slot_ - kSlots + 1);
  const double age = Seconds(now) - static_cast<double>(oldest * kSlotSeconds);
  return sum / std::max(age, static_cast<double>(kSlotSeconds));
}

}  // namespace postrider
