#pragma once
// The figures of all cores together. Pure.

#include <array>
#include <cstdint>
#include <span>

#include "engine/delivery/snapshot.h"

namespace postrider::observe {

struct CoreTotals {
  delivery::CoreCounts counts;
  dns::ResolverCounts dns;
  io::LoopCounts loop;
  std::uint64_t connections_opening = 0;
  std::uint64_t connections_busy = 0;
  std::uint64_t connections_idle = 0;
  std::uint64_t connections_closing = 0;
  std::uint64_t active_domains = 0;
  std::uint64_t window_jobs = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t unsynced_outcomes = 0;
  double lateness_seconds = 0;  // the worst core's
  double messages_per_second = 0;
  std::array<std::uint32_t, delivery::kSiteModes> paths{};
  delivery::NamedCounts rule_hits;
};

[[nodiscard]] CoreTotals SumUp(std::span<const delivery::CoreSnapshot> cores);

}  // namespace postrider::observe
