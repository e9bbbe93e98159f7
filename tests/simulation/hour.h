#pragma once
// Hours of virtual time: the real cores of the delivery, with the shipped provider profiles and reply rules, against
// providers that enforce limits in their own words: Gmail, Yahoo, Microsoft 365 with its many tenants, Orange, QQ, and
// one that no profile knows. Each enforces what our rules say of it, to the message, unless it is made stricter; more
// mail than it bears waits for each. Rates are scaled to what a test can compute: a real sender's are tens of times
// higher, the limits and their arithmetic the same.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/engine/delivery/world.h"
#include "tests/simulation/provider.h"

namespace postrider::simulation {

struct HourSettings {
  std::uint32_t cores = 1;
  std::uint64_t seed = 1;
  // The real limits of messages are so large a part of those that our rules know of.
  double real_share = 1;
  // Of the players to be met; empty: all.
  std::vector<std::string> players{};
  // The mail that waits for each suffices for so long.
  std::chrono::minutes supply{60};
};

class Hour {
 public:
  explicit Hour(const HourSettings& settings);
  ~Hour();

  void RunFor(std::chrono::minutes duration);
  // Begins no further message and lets those under way end: what is taken and what is settled then agree.
  void Drain();

  // What one provider saw.
  struct Usage {
    std::string player;
    std::string bound_by;        // what its allowance is made of
    double allowance = 0;        // messages a second, or open connections
    double used = 0;             // of the same, since the last look
    std::uint64_t attempts = 0;  // the rest since the beginning
    std::uint64_t breaches = 0;
    sink::Counts counts;
    std::chrono::duration<double> over{};  // what `used` is a mean of

    [[nodiscard]] double share() const { return used / allowance; }
  };
  // A look at all of them; `used` is of the time since the look before.
  [[nodiscard]] std::vector<Usage> Look();

  // Once drained: empty, or what is wrong: a recipient unaccounted for, taken twice, bounced or suppressed though the
  // receiver knows it.
  [[nodiscard]] std::string Check() const;
  // Of all events, in their order.
  [[nodiscard]] std::uint64_t Digest() const;

  [[nodiscard]] delivery::World& world() { return world_; }

 private:
  struct Player;
  void AddPlayers(const HourSettings& settings);
  void Add(std::unique_ptr<Player> player, const HourSettings& settings);
  [[nodiscard]] std::string CheckEnd(const queue::Event& event) const;
  [[nodiscard]] const Player* PlayerOf(std::string_view address) const;

  std::vector<std::unique_ptr<Player>> players_;  // outlive the connections in world_
  delivery::World world_;
};

// The most messages that a rate lets through within any time shorter than this window.
[[nodiscard]] sink::WindowLimit WindowOf(const RateLimit& rate, std::chrono::milliseconds window);

// The text of a look, a line for each player.
[[nodiscard]] std::string ToText(const std::vector<Hour::Usage>& usages);

}  // namespace postrider::simulation
