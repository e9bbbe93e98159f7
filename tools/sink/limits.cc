#include "tools/sink/limits.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/check.h"

namespace postrider::sink {
namespace {

bool AnyFull(std::vector<WindowCount>& counts, Monotonic now) {
  return std::ranges::any_of(counts, [now](WindowCount& count) { return count.Full(now); });
}

}  // namespace

void WindowCount::Age(Monotonic now) {
  while (!moments_.empty() && now - moments_.front() >= limit_.window) moments_.pop_front();
}

bool WindowCount::Full(Monotonic now) {
  Age(now);
  return moments_.size() >= limit_.count;
}

bool WindowCount::Empty(Monotonic now) {
  Age(now);
  return moments_.empty();
}

ClientLimits::Client& ClientLimits::ClientOf(std::string_view address, Monotonic now) {
  const auto known = clients_.find(address);
  if (known != clients_.end()) return known->second;
  if (clients_.size() >= sweep_at_) Sweep(now);
  Client client;
  client.connects = std::vector<WindowCount>(limits_.connects.begin(), limits_.connects.end());
  client.messages = std::vector<WindowCount>(limits_.messages.begin(), limits_.messages.end());
  return clients_.emplace(address, std::move(client)).first->second;
}

// Forgets clients of whom nothing is left to count.
void ClientLimits::Sweep(Monotonic now) {
  const auto empty = [now](WindowCount& count) { return count.Empty(now); };
  for (auto place = clients_.begin(); place != clients_.end();) {
    Client& client = place->second;
    const bool matters = client.open > 0 || client.refused_until > now ||
                         !std::ranges::all_of(client.connects, empty) || !std::ranges::all_of(client.messages, empty);
    place = matters ? std::next(place) : clients_.erase(place);
  }
  sweep_at_ = std::max(kClientsMany, 2 * clients_.size());
}

Passed ClientLimits::Connect(std::string_view client_address, std::uint16_t site, Monotonic now) {
  const std::scoped_lock lock(mutex_);
  Client& client = ClientOf(client_address, now);
  if (limits_.connections != 0 && client.open >= limits_.connections) return Passed::kConnections;
  std::uint32_t& open_here = client.open_at[site];
  if (limits_.site_connections != 0 && open_here >= limits_.site_connections) return Passed::kSiteConnections;
  if (AnyFull(client.connects, now)) return Passed::kConnects;
  for (WindowCount& count : client.connects) count.Add(now);
  ++client.open;
  ++open_here;
  return Passed::kNothing;
}

void ClientLimits::Disconnected(std::string_view client_address, std::uint16_t site) {
  const std::scoped_lock lock(mutex_);
  const auto known = clients_.find(client_address);
  CHECK(known != clients_.end() && known->second.open > 0);
  Client& client = known->second;
  --client.open;
  if (--client.open_at[site] == 0) client.open_at.erase(site);
}

std::size_t ClientLimits::clients() {
  const std::scoped_lock lock(mutex_);
  return clients_.size();
}

Passed ClientLimits::Message(std::string_view client_address, Monotonic now) {
  const std::scoped_lock lock(mutex_);
  Client& client = ClientOf(client_address, now);
  if (now < client.refused_until) return Passed::kPenalty;
  if (AnyFull(client.messages, now)) {
    client.refused_until = now + limits_.penalty;
    return Passed::kMessages;
  }
  for (WindowCount& count : client.messages) count.Add(now);
  return Passed::kNothing;
}

}  // namespace postrider::sink
