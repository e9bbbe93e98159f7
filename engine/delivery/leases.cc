#include "engine/delivery/leases.h"

#include <algorithm>
#include <optional>

#include "engine/delivery/parts.h"

namespace postrider::delivery {

Leases::Leases(Parts& parts) : parts_(parts) {}

LeaseEntry& Leases::Get(SharedLimits::Kind kind, std::string_view name) {
  std::unique_ptr<LeaseEntry>& entry = entries_[Key(kind, std::string(name))];
  if (entry == nullptr) entry = std::make_unique<LeaseEntry>(parts_, parts_.settings.limits->Get(kind, name));
  return *entry;
}

void Leases::ReturnUnused() {
  for (auto& [key, entry] : entries_) {
    if (entry->lease.holds()) entry->lease.ReturnUnused(parts_.now());
  }
}

void Leases::Configure(const Options& options) {
  using Kind = SharedLimits::Kind;
  SharedLimits& limits = *parts_.settings.limits;
  const Monotonic now = parts_.now();
  limits.Set(Kind::kSender, {}, now, options.sender.Rate(), options.sender.connections);
  for (const SourceOptions& source : options.sources) {
    limits.Set(Kind::kSource, source.name, now, source.Rate(), source.connections);
  }
  for (const PoolOptions& pool : options.pools) {
    limits.Set(Kind::kPool, pool.name, now, pool.Rate(), pool.connections);
  }
  for (const auto& [key, entry] : entries_) {
    const auto& [kind, name] = key;
    const auto is_named = [&wanted = name](const auto& one) { return one.name == wanted; };
    const bool known = kind == Kind::kSender ||
                       (kind == Kind::kSource && std::ranges::any_of(options.sources, is_named)) ||
                       (kind == Kind::kPool && std::ranges::any_of(options.pools, is_named));
    // What is configured no more binds no more.
    if (!known) limits.Set(kind, name, now, std::nullopt, std::nullopt);
    entry->messages.CallNext();
    entry->connects.CallNext();
  }
}

}  // namespace postrider::delivery
