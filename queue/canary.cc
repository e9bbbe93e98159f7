#include "queue/canary.h"

#include <cmath>

namespace postrider::queue {

namespace {

// SplitMix64's finish: spreads consecutive numbers evenly.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace

bool IsCanaryRow(CampaignId campaign, std::uint64_t number, double share) {
  if (!(share > 0)) return false;
  if (share >= 1) return true;
  const auto begin = [share](std::uint64_t stretch) {
    return static_cast<std::uint64_t>(std::ceil(static_cast<double>(stretch) / share));
  };
  // A product of doubles may be off by one; the stretches themselves may not.
  auto stretch = static_cast<std::uint64_t>(static_cast<double>(number) * share);
  while (begin(stretch) > number) --stretch;
  while (begin(stretch + 1) <= number) ++stretch;
  if (stretch == 0) return number == 0;
  const std::uint64_t first = begin(stretch);
  return number == first + Mix(Mix(campaign) ^ stretch) % (begin(stretch + 1) - first);
}

}  // namespace postrider::queue
