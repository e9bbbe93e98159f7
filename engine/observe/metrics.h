#pragma once
// The Prometheus page, made anew for each scrape from one snapshot: names and meanings in observe/README.md. Pure but
// for what it asks the system about this process.

#include <cstdint>
#include <span>
#include <string>

#include "engine/observe/control.h"
#include "engine/observe/event_tally.h"
#include "queue/campaign.h"

namespace postrider::observe {

// The two equations of queue/campaign.h; each difference must be 0.
struct Conservation {
  std::int64_t intake_difference = 0;  // rows - (accepted + rejected + duplicate + suppressed)
  // Recipients for whom accepted = ended + queued cannot hold: ended more often than accepted, or without an end in a
  // campaign that is done.
  std::int64_t queue_difference = 0;
};
[[nodiscard]] Conservation CheckConservation(const queue::CampaignTotals& totals,
                                             std::span<const queue::CampaignPtr> campaigns);

// Text exposition format 0.0.4.
[[nodiscard]] std::string RenderMetrics(const Snapshot& snapshot, std::span<const queue::CampaignPtr> campaigns,
                                        const EventCounts& events);

}  // namespace postrider::observe
