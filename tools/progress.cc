#include "tools/progress.h"

#include <algorithm>
#include <cmath>

namespace postrider::tools {
namespace {

constexpr std::chrono::seconds kWindow{10};

}  // namespace

std::string ProgressBar(double share, std::size_t width) {
  const std::size_t inside = width > 2 ? width - 2 : 0;
  share = std::isnan(share) ? 0 : std::clamp(share, 0.0, 1.0);
  // Full only when it is: 99.9 % rounds down.
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(inside));
  return "[" + std::string(filled, '#') + std::string(inside - filled, '-') + "]";
}

void RateMeter::Observe(std::chrono::steady_clock::time_point at, std::uint64_t count) {
  // A count that falls is another one: the daemon was started again.
  if (!samples_.empty() && count < samples_.back().count) samples_.clear();
  samples_.push_back({at, count});
  while (samples_.size() > 2 && at - samples_[1].at >= kWindow) samples_.pop_front();
}

std::optional<double> RateMeter::PerSecond() const {
  if (samples_.size() < 2) return std::nullopt;
  const std::chrono::duration<double> span = samples_.back().at - samples_.front().at;
  if (span.count() <= 0) return std::nullopt;
  return static_cast<double>(samples_.back().count - samples_.front().count) / span.count();
}

std::optional<std::chrono::seconds> TimeLeft(std::uint64_t left, double per_second) {
  constexpr double kMost = 365.0 * 86'400;
  if (left == 0) return std::chrono::seconds(0);
  const double span = std::ceil(static_cast<double>(left) / per_second);
  if (!(per_second > 0) || span > kMost) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(span));
}

}  // namespace postrider::tools
