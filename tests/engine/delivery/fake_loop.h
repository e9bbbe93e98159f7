#pragma once
// Virtual time, and the loop and network of one core under it. Nothing waits: RunOnce delivers what is due at the
// present moment, and World moves the moment on. Sockets lead to hosts (host.h) by address.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "engine/io/loop.h"

namespace postrider::delivery {

class Host;

struct VirtualTime {
  explicit VirtualTime(Wall begins = Wall(std::chrono::sys_days{std::chrono::year{2026} / 11 / 24}))
      : now{.monotonic = Monotonic(std::chrono::hours(1)), .wall = begins} {}
  Now now;
  void MoveTo(Monotonic moment);
  // Somebody sets the clock on the wall.
  void ShiftWall(std::chrono::milliseconds by) {
    wall_origin_ += by;
    now.wall += by;
  }

 private:
  Monotonic origin_ = now.monotonic;
  Wall wall_origin_ = now.wall;
};

class FakeLoop final : public io::Loop, public io::Network {
 public:
  // Which receiver listens where; none: connection refused.
  using Directory = std::map<SocketAddress, Host*>;

  // missing: addresses that this host has not. own: those of its interfaces.
  FakeLoop(VirtualTime& time, Directory& directory, const std::set<IpAddress>& missing, const std::set<IpAddress>& own)
      : time_(time), directory_(directory), missing_(missing), own_(own), timers_(time.now.monotonic) {}

  // io::Loop
  void RunOnce(std::chrono::nanoseconds max_wait) override;
  Now now() const override { return now_; }
  io::Network& network() override { return *this; }
  io::TimerWheel& timers() override { return timers_; }
  io::Waker& waker() override { return waker_; }
  const io::LoopCounts& counts() const override { return counts_; }

  // io::Network
  std::unique_ptr<io::Socket> Connect(const std::optional<IpAddress>& local, const SocketAddress& remote,
                                      io::SocketHandler& handler) override;
  Result<std::unique_ptr<io::Listener>> Listen(const SocketAddress&, bool, io::AcceptHandler&) override;
  std::unique_ptr<io::Watch> WatchDescriptor(int, io::ReadinessHandler&) override;
  Result<void> CheckLocal(const IpAddress& address) override;
  std::vector<IpAddress> LocalAddresses() override;

  // Runs work on this loop, after a delay.
  void After(std::chrono::nanoseconds delay, std::move_only_function<void()> work);
  // The moment up to which nothing will happen by itself.
  [[nodiscard]] Monotonic NextEvent() const;
  // Since it was last asked: something was delivered.
  [[nodiscard]] bool TookPart() { return std::exchange(took_part_, false); }
  [[nodiscard]] const Now& moment() const { return time_.now; }

 private:
  VirtualTime& time_;
  Directory& directory_;
  const std::set<IpAddress>& missing_;
  const std::set<IpAddress>& own_;
  io::TimerWheel timers_;
  io::Waker waker_;
  io::LoopCounts counts_;
  Now now_ = time_.now;
  Monotonic wait_until_ = Monotonic::max();
  std::map<std::pair<Monotonic, std::uint64_t>, std::move_only_function<void()>> events_;
  std::uint64_t sequence_ = 0;
  bool took_part_ = false;
};

}  // namespace postrider::delivery
