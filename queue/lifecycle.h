#pragma once
// A campaign's life: which steps lead from state to state, and what each state lets happen to its jobs. Pure: both
// implementations of JobStore ask here, so that they cannot differ.

#include <chrono>
#include <optional>

#include "config/error.h"
#include "config/time.h"
#include "queue/campaign.h"

namespace postrider::queue {

// Takes the campaign to another state and sets the moments that go with the step; kInvalid, with a sentence that names
// both states, if there is no such step. A release takes expiry unless the manifest said a moment. kDone is not to be
// asked for: see IsFinished.
[[nodiscard]] Result<void> Step(Campaign& campaign, CampaignState to, Wall now, std::chrono::seconds expiry);

// Rows may still be put in.
[[nodiscard]] bool TakesRows(const Campaign& campaign);
[[nodiscard]] inline bool HasEnded(const Campaign& campaign) {
  return campaign.state == CampaignState::kDone || campaign.state == CampaignState::kFailed ||
         (campaign.state == CampaignState::kCancelled && campaign.ended_at);
}
// Nothing is left to do: it ends in the commit that makes this true, as kDone, or as kCancelled if it was cancelled.
[[nodiscard]] bool IsFinished(const Campaign& campaign);

// When its jobs end unsent; that of the manifest already counts while it is loading. None: never by age.
[[nodiscard]] inline std::optional<Wall> ExpiryOf(const Campaign& campaign) {
  return campaign.expires_at ? campaign.expires_at : campaign.spec.expires;
}

// Whether it is within its send windows then, and when that changes. A campaign without windows always is.
[[nodiscard]] WindowState WindowsAt(const Campaign& campaign, Wall moment);

// What may be done with a campaign's jobs.
struct Readiness {
  bool now = false;              // they may be taken
  bool ending = false;           // all of them, due or not, because it was cancelled or has expired; implies now
  std::optional<Wall> opens_at;  // not now, but from this moment by itself
};
[[nodiscard]] Readiness ReadinessOf(const Campaign& campaign, Wall now);

}  // namespace postrider::queue
