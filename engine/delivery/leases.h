#pragma once
// This core's leases of the limits that span cores (sources, pools, the whole sender), each with those who wait for
// it. The limits themselves are shared by all cores; campaigns keep their own lease in CampaignEntry. Single-threaded.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "config/options.h"
#include "engine/delivery/wait_line.h"
#include "throttle/shared_limit.h"

namespace postrider::delivery {

struct LeaseEntry {
  LeaseEntry(Parts& parts, std::shared_ptr<SharedLimit> limit)
      : lease(std::move(limit)), messages(parts), connects(parts) {}

  Lease lease;
  WaitLine messages;
  WaitLine connects;
};

class Leases {
 public:
  explicit Leases(Parts& parts);

  [[nodiscard]] LeaseEntry& sender() { return Get(SharedLimits::Kind::kSender, {}); }
  // Made if new; lives as long as the core.
  [[nodiscard]] LeaseEntry& Get(SharedLimits::Kind kind, std::string_view name);
  // What is not used goes back while nothing is asked.
  void ReturnUnused();
  // The options' rates; every core says the same, so it does not matter who is first.
  void Configure(const Options& options);

 private:
  using Key = std::pair<SharedLimits::Kind, std::string>;
  Parts& parts_;
  std::map<Key, std::unique_ptr<LeaseEntry>> entries_;
};

}  // namespace postrider::delivery
