#pragma once
// The MX of many domains at once, as the daemon resolves them. Blocking; one thread.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/dns/resolver.h"

namespace postrider::tools {

// In the order of the domains. progress is told how many are done, now and then. An error: no resolver could be made.
[[nodiscard]] Result<std::vector<dns::MxAnswer>> LookUpMx(const DnsOptions& options,
                                                          std::span<const std::string> domains,
                                                          const std::function<void(std::size_t done)>& progress);

}  // namespace postrider::tools
