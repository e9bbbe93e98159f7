#include "engine/delivery/leases.h"

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

}  // namespace postrider::delivery
