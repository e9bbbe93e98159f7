#pragma once
// A mailbox provider in the virtual network. Its sites speak with the sink's own conversation (tools/sink), in the
// words of a personality, over the stand-in for TLS; its limits count each client over all of its sites, at the very
// instant at which a command arrives.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/engine/delivery/world.h"
#include "tools/sink/receiver.h"
#include "tools/sink/session.h"

namespace postrider::simulation {

struct SiteSetting {
  std::string host;  // its MX
  std::vector<std::string> domains;
};

struct ProviderSetting {
  std::string name;
  std::string personality;
  sink::Behaviour behaviour{};  // with the limits
  std::vector<SiteSetting> sites;
  std::chrono::microseconds round_trip{40'000};
  std::chrono::microseconds work{0};  // before each answer leaves
};

class Provider {
 public:
  Provider(delivery::World& world, ProviderSetting setting, std::uint64_t seed);
  ~Provider();

  // Does not know this address, and never will.
  [[nodiscard]] bool Refuses(std::string_view address) const;
  [[nodiscard]] sink::Counts Sum() const;
  // What reached a recipient's turn, whatever was answered.
  [[nodiscard]] std::uint64_t attempts() const;
  // What clients did beyond the limits, messages on one connection included.
  [[nodiscard]] std::uint64_t breaches() const;
  // Messages taken for recipients that had one before.
  [[nodiscard]] std::uint64_t repeats() const;
  // The sum over all connections of how long they have been open.
  [[nodiscard]] std::chrono::duration<double> ConnectionTime() const;
  [[nodiscard]] const ProviderSetting& setting() const { return setting_; }

 private:
  class Site;
  class End;

  delivery::World& world_;
  const ProviderSetting setting_;
  sink::Tally tally_;
  sink::SessionContext context_;
  std::vector<sink::Receiver> receivers_;
  sink::ClientLimitsList limits_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::uint64_t last_connection_ = 0;
  std::uint64_t open_ = 0;
  Monotonic counted_until_{};
  std::chrono::nanoseconds connection_time_{};
};

}  // namespace postrider::simulation
