#include "engine/observe/event_tally.h"

namespace postrider::observe {
namespace {

// Providers come from a list in the configuration and the program, never from the network; this bounds a mistake there.
constexpr std::size_t kProvidersMax = 256;

// The receiver's word, or the want of one, on an attempt or a path.
bool TellsACategory(queue::EventKind kind) {
  switch (kind) {
    case queue::EventKind::kDeferred:
    case queue::EventKind::kBounced:
    case queue::EventKind::kUnknown:
    case queue::EventKind::kPath:
      return true;
    default:
      return false;
  }
}

bool IsHard(Category category) {
  return category == Category::kBadMailbox || category == Category::kBadDomain ||
         category == Category::kInactiveMailbox;
}

}  // namespace

EventTally::LabelCounts& EventTally::CountsOf(const queue::Event& event) {
  auto& labels = event.provider.empty() ? sites_ : providers_;
  const std::string& label = event.provider.empty() ? event.site : event.provider;
  const std::size_t most = event.provider.empty() ? static_cast<std::size_t>(named_sites_) : kProvidersMax;
  if (label.empty()) return other_;
  const auto found = labels.find(label);
  if (found != labels.end()) return found->second;
  return labels.size() < most ? labels[label] : other_;
}

void EventTally::Add(const queue::Event& event) {
  if (event.kind == queue::EventKind::kCampaign) return;
  const std::scoped_lock lock(mutex_);
  LabelCounts& counts = CountsOf(event);
  ++counts.kinds[static_cast<std::size_t>(event.kind)];
  if (TellsACategory(event.kind)) ++counts.categories[static_cast<std::size_t>(event.category)];
  if (event.kind == queue::EventKind::kBounced && IsHard(event.category)) ++counts.hard_bounces;
  if (event.kind == queue::EventKind::kPath) return;
  const auto mail_class = static_cast<std::size_t>(event.mail_class);
  // An end without an attempt carries the number of the last one, and was on no connection.
  const bool attempted = !event.final || event.connection != 0;
  if (attempted && event.attempt == 1) first_attempt_seconds_[mail_class].Observe(event.queued_seconds);
  if (event.final) queue_seconds_[mail_class].Observe(event.queued_seconds + event.smtp_seconds);
}

EventCounts EventTally::Copy() const {
  EventCounts copy;
  const auto add = [&](const std::string& label, const LabelCounts& counts) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (counts.kinds[kind] > 0) copy.by_label[{label, static_cast<queue::EventKind>(kind)}] += counts.kinds[kind];
    }
    // kNone, the first, says nothing.
    for (std::size_t category = 1; category < kCategories; ++category) {
      const std::uint64_t count = counts.categories[category];
      if (count > 0) copy.by_category[{label, static_cast<Category>(category)}] += count;
    }
    if (counts.hard_bounces > 0) copy.hard_bounces[label] += counts.hard_bounces;
  };
  const std::scoped_lock lock(mutex_);
  for (const auto& [label, counts] : providers_) add(label, counts);
  for (const auto& [label, counts] : sites_) add(label, counts);
  add("other", other_);
  copy.first_attempt_seconds = first_attempt_seconds_;
  copy.queue_seconds = queue_seconds_;
  return copy;
}

}  // namespace postrider::observe
