#include "engine/delivery/source_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/io/network.h"

namespace postrider::delivery {
namespace {

constexpr std::chrono::seconds kLookAgainEvery{30};
// Connections fail by the dozen when a network does; the kernel is asked once for all of them.
constexpr std::chrono::seconds kLookAtMostEach{1};

}  // namespace

std::string SourceState::Problem() const {
  if (ipv4_problem.empty() || ipv6_problem.empty()) return ipv4_problem + ipv6_problem;
  return ipv4_problem + ", and " + ipv6_problem;
}

SourceState& SourceHealth::Get(std::string_view source) {
  const auto place = states_.find(source);
  if (place != states_.end()) return *place->second;
  return *states_.emplace(std::string(source), std::make_unique<SourceState>()).first->second;
}

bool SourceHealth::Look(const SourceOptions& source) {
  SourceState& state = Get(source.name);
  if (state.looked_at == Monotonic::min() || parts_.now() >= state.looked_at + kLookAtMostEach) Check(source, state);
  return state.troubled();
}

bool SourceHealth::IsOurs(const IpAddress& address) {
  const bool of_a_source = std::ranges::any_of(parts_.options->sources, [&address](const SourceOptions& source) {
    return source.ipv4 == address || source.ipv6 == address;
  });
  if (of_a_source) return true;
  if (own_looked_at_ == Monotonic::min() || parts_.now() >= own_looked_at_ + kLookAgainEvery) {
    own_ = parts_.loop.network().LocalAddresses();
    own_looked_at_ = parts_.now();
  }
  return std::ranges::find(own_, address) != own_.end();
}

void SourceHealth::Check(const SourceOptions& source, SourceState& state) {
  const auto problem_of = [this](const std::optional<IpAddress>& address) -> std::string {
    if (!address) return {};
    const Result<void> checked = parts_.loop.network().CheckLocal(*address);
    return checked ? std::string() : checked.error().message;
  };
  const bool was_gone = state.gone;
  const bool was_troubled = state.troubled();
  state.ipv4_problem = problem_of(source.ipv4);
  state.ipv6_problem = problem_of(source.ipv6);
  const auto lost = [&state](const std::optional<IpAddress>& address, bool ipv4) {
    return !address || !state.Usable(ipv4);
  };
  state.gone = state.troubled() && lost(source.ipv4, true) && lost(source.ipv6, false);
  if (state.troubled() && !was_troubled) state.since = parts_.now();
  state.looked_at = parts_.now();
  state.next_look = state.looked_at + kLookAgainEvery;
  Tell(source, state, was_gone, was_troubled);
  if (was_troubled && !state.gone) parts_.admission->MarkAllPending();
}

void SourceHealth::Tell(const SourceOptions& source, const SourceState& state, bool was_gone, bool was_troubled) {
  const std::uint32_t core = parts_.settings.core;
  if (state.gone && !was_gone) {
    parts_.settlement->SourceEvent(
        source.name,
        fmt::format("source {} is disabled on core {}: {}; mail goes by the other sources of its pools, or "
                    "waits; it is looked at again every {} s",
                    source.name, core, state.Problem(), kLookAgainEvery.count()));
  } else if (state.troubled() && !state.gone && (!was_troubled || was_gone)) {
    parts_.settlement->SourceEvent(
        source.name,
        fmt::format("source {} sends by its other address on core {}: {}; that is looked at again every {} "
                    "s",
                    source.name, core, state.Problem(), kLookAgainEvery.count()));
  } else if (was_troubled && !state.troubled()) {
    parts_.settlement->SourceEvent(
        source.name, fmt::format("source {} is used again on core {}: this host has its addresses", source.name, core));
  }
}

void SourceHealth::Tick() {
  for (const auto& [name, state] : states_) {
    if (!state->troubled() || parts_.now() < state->next_look) continue;
    if (const std::optional<SourceOptions> source = FindSource(*parts_.options, name)) Check(*source, *state);
  }
}

void SourceHealth::Reload() {
  for (const auto& [name, state] : states_) {
    if (!state->troubled()) continue;
    // One that is no longer configured has nothing to be wrong with.
    Check(FindSource(*parts_.options, name)
              .value_or(SourceOptions{.name = name, .ipv4 = {}, .ipv6 = {}, .ehlo_name = {}}),
          *state);
  }
}

}  // namespace postrider::delivery
