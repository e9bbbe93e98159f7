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

// -- A canary's way. Its recipients are tried first; canary_wait after nine in ten of them were, or all but one, the
// rest is released, unless a guard has stopped the campaign. Those whose receiver lets nobody in for hours hold the
// rest up no longer: once half of it was tried, the rest is released also when no more of it was for canary_wait.

// One of the canary has had its first attempt, or ended without one.
void CanaryTried(Campaign& campaign, Wall now);
// The wait is over. A pause holds it up.
[[nodiscard]] inline bool RestIsDue(const Campaign& campaign, Wall now) {
  return campaign.state == CampaignState::kRunning && campaign.canary.RestWaits() && campaign.canary.rest_at &&
         *campaign.canary.rest_at <= now;
}
void ReleaseRest(Campaign& campaign, Wall now);
// A guard has paused it at a provider: all of it is to be paused. False: the rest does not wait (any more), and goes on
// elsewhere.
[[nodiscard]] bool StopCanary(Campaign& campaign, Wall now);

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
  bool without_rest = false;     // now, but only its canary
  std::optional<Wall> opens_at;  // not now, but from this moment by itself
};
[[nodiscard]] Readiness ReadinessOf(const Campaign& campaign, Wall now);

}  // namespace postrider::queue
