// Open addressing with linear probing, a power of two of slots, at most 7 in 10 used; nothing is ever removed.

#include "tools/sink/tally.h"

#include <limits>

#include "config/check.h"
#include "tools/sink/hash.h"

namespace postrider::sink {
namespace {

constexpr std::size_t kFirstSlots = 1 << 12;  // 96 KB; doubles from there

}  // namespace

Tally::Tally(std::uint64_t seed, std::size_t max_recipients)
    : seed_(seed), max_recipients_(max_recipients), slots_(kFirstSlots) {}

Tally::Key Tally::KeyOf(std::string_view address) const {
  const std::uint64_t low = Hash64(seed_, address);
  return {low, static_cast<std::uint32_t>(Hash64(seed_ + kMixB, address) >> 32)};
}

Tally::Attempt Tally::CountAttempt(Key key, std::uint32_t now_ms) {
  std::size_t at = Find(key);
  if (slots_[at].attempts == 0) {
    if (used_ >= max_recipients_) {
      ++untracked_;
      return {1, 0};
    }
    if ((used_ + 1) * 10 > slots_.size() * 7) {
      Grow();
      at = Find(key);
    }
    slots_[at] = {key.low, key.high, now_ms, 0, 0, 0};
    ++used_;
  }
  Slot& slot = slots_[at];
  if (slot.attempts < std::numeric_limits<std::uint16_t>::max()) ++slot.attempts;
  return {slot.attempts, now_ms - slot.first_attempt_ms};
}

std::uint32_t Tally::CountAccepted(Key key, std::uint16_t receiver) {
  if (taken_.size() <= receiver) taken_.resize(receiver + 1u);
  Slot& slot = slots_[Find(key)];
  if (slot.attempts == 0) {  // not remembered: taken for new
    ++taken_[receiver].unique;
    return 1;
  }
  if (slot.accepted == 0) {
    slot.receiver = receiver;
    ++taken_[receiver].unique;
  } else {
    ++taken_[receiver].repeats;
  }
  if (slot.accepted < std::numeric_limits<std::uint32_t>::max()) ++slot.accepted;
  return slot.accepted;
}

Tally::Merged Tally::Merge(std::span<const Tally* const> cores, std::size_t receivers) {
  Merged merged;
  merged.taken.resize(receivers);
  for (std::size_t core = 0; core < cores.size(); ++core) {
    const Tally& tally = *cores[core];
    CHECK(tally.seed_ == cores[0]->seed_);
    for (std::size_t i = 0; i < tally.taken_.size(); ++i) {
      merged.taken[i].unique += tally.taken_[i].unique;
      merged.taken[i].repeats += tally.taken_[i].repeats;
    }
    merged.recipients += tally.used_;
    if (core == 0) continue;
    for (const Slot& slot : tally.slots_) {
      if (slot.attempts == 0) continue;
      bool attempted = false, accepted = false;
      for (const Tally* earlier : cores.first(core)) {
        const Slot& other = earlier->slots_[earlier->Find({slot.low, slot.high})];
        attempted |= other.attempts != 0;
        accepted |= other.accepted != 0;
      }
      if (attempted) --merged.recipients;
      if (!accepted || slot.accepted == 0) continue;
      --merged.taken[slot.receiver].unique;
      ++merged.taken[slot.receiver].repeats;
    }
  }
  return merged;
}

std::size_t Tally::Find(Key key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(key.low) & mask;
  while (slots_[at].attempts != 0 && (slots_[at].low != key.low || slots_[at].high != key.high)) at = (at + 1) & mask;
  return at;
}

void Tally::Grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.attempts != 0) slots_[Find({slot.low, slot.high})] = slot;
  }
}

}  // namespace postrider::sink
