#pragma once
// The admin's HTTP on CivetServer: /metrics (Prometheus text), /healthz, /api/v1/... (JSON; see observe/README.md).
// Plain HTTP on loopback unless the configuration says otherwise; its threads are CivetServer's own, few and bounded.

#include <cstdint>
#include <memory>

#include "config/error.h"
#include "config/options.h"
#include "engine/observe/controls.h"
#include "engine/observe/event_tally.h"

namespace postrider::observe {

class AdminServer {
 public:
  virtual ~AdminServer() = default;                      // stops it
  [[nodiscard]] virtual std::uint16_t port() const = 0;  // the one the system chose, if 0 was configured
};

// Fails with a clear sentence when the address is in use or not allowed.
[[nodiscard]] Result<std::unique_ptr<AdminServer>> MakeAdminServer(const Options& options, const Controls& controls,
                                                                   EventTally& tally);

}  // namespace postrider::observe
