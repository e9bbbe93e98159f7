#pragma once
// How far a campaign is: a bar, its rate, the time left. Pure; time is an argument.

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace postrider::tools {

// "[########------------]", width with the brackets; share is cut to 0..1.
[[nodiscard]] std::string ProgressBar(double share, std::size_t width);

// How fast a count rises: over the last ten seconds of what it was shown.
class RateMeter {
 public:
  void Observe(std::chrono::steady_clock::time_point at, std::uint64_t count);
  // nullopt until two moments are known.
  [[nodiscard]] std::optional<double> PerSecond() const;

 private:
  struct Sample {
    std::chrono::steady_clock::time_point at;
    std::uint64_t count;
  };
  std::deque<Sample> samples_;
};

// What is left at that rate; nullopt if it would never end.
[[nodiscard]] std::optional<std::chrono::seconds> TimeLeft(std::uint64_t left, double per_second);

}  // namespace postrider::tools
