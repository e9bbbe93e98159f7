#pragma once
// What a receiver bears of one client address, and who keeps count of it. The addresses of one provider may count
// together, and each core of the sink asks for each message, so ClientLimits has a mutex; addresses without limits
// never come here. Time is an argument. Counts exactly, by a list of moments, and so differs on purpose from how a
// sender paces itself.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/time.h"

namespace postrider::sink {

// At most so many within any such span: the next one comes a whole window after the one so many before it.
struct WindowLimit {
  std::uint32_t count = 0;
  std::chrono::milliseconds window{};
  bool operator==(const WindowLimit&) const = default;
};

struct Limits {
  std::uint32_t connections = 0;         // open at once; 0: any number
  std::uint32_t site_connections = 0;    // of these, at one address; 0: any number
  std::vector<WindowLimit> connects;     // new connections; all of the list hold
  std::vector<WindowLimit> messages;     // attempted
  std::chrono::milliseconds penalty{0};  // once one of `messages` is passed, all messages are refused for so long

  [[nodiscard]] bool any() const {
    return connections != 0 || site_connections != 0 || !connects.empty() || !messages.empty();
  }
  bool operator==(const Limits&) const = default;
};

enum class Passed : std::uint8_t { kNothing, kConnections, kSiteConnections, kConnects, kMessages, kPenalty };

// Moments of the last window of one limit.
class WindowCount {
 public:
  explicit WindowCount(const WindowLimit& limit) : limit_(limit) {}
  [[nodiscard]] bool Full(Monotonic now);
  void Add(Monotonic now) { moments_.push_back(now); }
  [[nodiscard]] bool Empty(Monotonic now);

 private:
  void Age(Monotonic now);

  WindowLimit limit_;
  std::deque<Monotonic> moments_;
};

class ClientLimits {
 public:
  explicit ClientLimits(Limits limits) : limits_(std::move(limits)) {}

  // A connection that is not refused counts as open until Disconnected. site: the listen address.
  [[nodiscard]] Passed Connect(std::string_view client, std::uint16_t site, Monotonic now);
  void Disconnected(std::string_view client, std::uint16_t site);
  // What is refused is not counted.
  [[nodiscard]] Passed Message(std::string_view client, Monotonic now);

  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] std::size_t clients();  // remembered

 private:
  struct Client {
    std::uint32_t open = 0;
    std::map<std::uint16_t, std::uint32_t> open_at;
    std::vector<WindowCount> connects, messages;
    Monotonic refused_until{};
  };
  static constexpr std::size_t kClientsMany = 10'000;

  [[nodiscard]] Client& ClientOf(std::string_view address, Monotonic now);
  void Sweep(Monotonic now);

  const Limits limits_;
  std::mutex mutex_;
  std::map<std::string, Client, std::less<>> clients_;
  std::size_t sweep_at_ = kClientsMany;
};

}  // namespace postrider::sink
