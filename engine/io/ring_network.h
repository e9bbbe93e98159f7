#pragma once
// The Network of one ring. Private to engine/io.

#include "engine/io/network.h"
#include "engine/io/ring.h"
#include "engine/io/timer_wheel.h"

namespace postrider::io {

class RingNetwork final : public Network {
 public:
  // now reads the time of the loop's turn, for the pause of a listener that found no descriptor left.
  RingNetwork(Ring& ring, TimerWheel& timers, const Now& now) : ring_(ring), timers_(timers), now_(now) {}

  [[nodiscard]] std::unique_ptr<Socket> Connect(const std::optional<IpAddress>& local, const SocketAddress& remote,
                                                SocketHandler& handler) override;
  [[nodiscard]] Result<std::unique_ptr<Listener>> Listen(const SocketAddress& address, bool reuse_port,
                                                         AcceptHandler& handler) override;
  [[nodiscard]] std::unique_ptr<Watch> WatchDescriptor(int descriptor, ReadinessHandler& handler) override;
  [[nodiscard]] Result<void> CheckLocal(const IpAddress& address) override;
  [[nodiscard]] std::vector<IpAddress> LocalAddresses() override;

 private:
  Ring& ring_;
  TimerWheel& timers_;
  const Now& now_;
};

}  // namespace postrider::io
