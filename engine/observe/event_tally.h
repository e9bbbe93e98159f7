#pragma once
// Counts events for the metrics on their way to the log: by kind and by category, each by provider or site (bounded
// labels), and the times that recipients waited. Add is called by the store thread when a batch is committed; Copy by a
// scrape.

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "config/histogram.h"
#include "config/verdict.h"
#include "queue/event.h"

namespace postrider::observe {

struct EventCounts {
  // (label, kind) -> events about recipients and paths; label is a provider's name, a named site, or "other".
  std::map<std::pair<std::string, queue::EventKind>, std::uint64_t> by_label;
  // (label, category) -> events with that category, deliveries and ends without an attempt apart.
  std::map<std::pair<std::string, Category>, std::uint64_t> by_category;
  // label -> bounces that say that the address takes no mail, now or ever.
  std::map<std::string, std::uint64_t> hard_bounces;
  std::array<Histogram, 2> first_attempt_seconds;  // by class: acceptance to the first attempt
  std::array<Histogram, 2> queue_seconds;          // by class: acceptance to the final event
};

class EventTally {
 public:
  // named_sites: how many sites that belong to no known provider get a label of their own (MetricsOptions).
  explicit EventTally(int named_sites) : named_sites_(named_sites) {}
  void Add(const queue::Event& event);
  [[nodiscard]] EventCounts Copy() const;

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(queue::EventKind::kCampaign) + 1;
  static constexpr std::size_t kCategories = static_cast<std::size_t>(Category::kOther) + 1;
  struct LabelCounts {
    std::array<std::uint64_t, kKinds> kinds{};
    std::array<std::uint64_t, kCategories> categories{};
    std::uint64_t hard_bounces = 0;
  };

  LabelCounts& CountsOf(const queue::Event& event);

  const int named_sites_;
  mutable std::mutex mutex_;
  // A site once named keeps its name until restart, so that no series ends and begins again.
  std::map<std::string, LabelCounts, std::less<>> sites_;
  std::map<std::string, LabelCounts, std::less<>> providers_;
  LabelCounts other_;
  std::array<Histogram, 2> first_attempt_seconds_;
  std::array<Histogram, 2> queue_seconds_;
};

}  // namespace postrider::observe
