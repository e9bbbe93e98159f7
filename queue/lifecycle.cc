#include "queue/lifecycle.h"

#include <algorithm>

#include <fmt/format.h>

namespace postrider::queue {

namespace {

bool IsStep(CampaignState from, CampaignState to) {
  using enum CampaignState;
  switch (to) {
    case kRunning:
      return from == kLoading || from == kHeld || from == kPaused;
    case kHeld:
    case kFailed:
      return from == kLoading;
    case kPaused:
      return from == kRunning;
    case kCancelled:
      return from == kLoading || from == kHeld || from == kRunning || from == kPaused;
    case kLoading:
    case kDone:
      return false;
  }
  return false;
}

std::string_view WhatNow(CampaignState state) {
  using enum CampaignState;
  switch (state) {
    case kLoading:
      return "its list is still being read: wait for its release, or cancel it";
    case kHeld:
      return "too many of its rows were bad: resume or cancel it";
    case kRunning:
      return "it can be paused or cancelled";
    case kPaused:
      return "it can be resumed or cancelled";
    case kCancelled:
    case kFailed:
    case kDone:
      return "nothing can change that; submit it anew under another name";
  }
  return "";
}

}  // namespace

Result<void> Step(Campaign& campaign, CampaignState to, Wall now, std::chrono::seconds expiry) {
  if (campaign.state == to) {
    return Fail(ErrorCode::kInvalid, fmt::format("campaign {} is {} already: {}", campaign.spec.name,
                                                 ToString(campaign.state), WhatNow(campaign.state)));
  }
  if (!IsStep(campaign.state, to)) {
    return Fail(ErrorCode::kInvalid, fmt::format("campaign {} is {} and cannot become {}: {}", campaign.spec.name,
                                                 ToString(campaign.state), ToString(to), WhatNow(campaign.state)));
  }
  if (to == CampaignState::kRunning && campaign.state == CampaignState::kPaused) {
    // The expiry clock stood still, and so did its canary's.
    if (campaign.paused_at && now > *campaign.paused_at) {
      const auto stood = now - *campaign.paused_at;
      if (campaign.expires_at) *campaign.expires_at += stood;
      if (campaign.canary.rest_at && campaign.canary.RestWaits()) *campaign.canary.rest_at += stood;
    }
    if (campaign.canary.phase == CanaryPhase::kStopped) ReleaseRest(campaign, now);
  } else if (to == CampaignState::kRunning) {
    campaign.released_at = now;
    campaign.expires_at = campaign.spec.expires;
    // A standing campaign has no age of its own: each of its messages has.
    if (!campaign.expires_at && !campaign.spec.standing) {
      campaign.expires_at = std::max(now, campaign.spec.not_before.value_or(now)) + expiry;
    }
  }
  campaign.paused_at.reset();
  if (to == CampaignState::kPaused) campaign.paused_at = now;
  if (to == CampaignState::kFailed) campaign.ended_at = now;
  campaign.state = to;
  return {};
}

void CanaryTried(Campaign& campaign, Wall now) {
  constexpr std::uint64_t kOneIn = 10;  // may still be untried
  Canary& canary = campaign.canary;
  if (canary.untried > 0) --canary.untried;
  if (canary.phase != CanaryPhase::kSending) return;
  if (canary.untried <= std::max<std::uint64_t>(1, canary.recipients / kOneIn)) canary.phase = CanaryPhase::kWaiting;
  // While it is being sent, each that is tried puts that off.
  if (canary.untried * 2 <= canary.recipients) canary.rest_at = now + campaign.spec.canary_wait;
}

void ReleaseRest(Campaign& campaign, Wall now) {
  campaign.canary.phase = CanaryPhase::kReleased;
  campaign.canary.rest_at = now;
}

bool StopCanary(Campaign& campaign, Wall now) {
  const CanaryPhase phase = campaign.canary.phase;
  if (phase != CanaryPhase::kSending && phase != CanaryPhase::kWaiting) return false;
  // What was under way when the operator paused it counts too.
  if (campaign.state != CampaignState::kPaused && !Step(campaign, CampaignState::kPaused, now, {})) return false;
  campaign.canary.phase = CanaryPhase::kStopped;
  campaign.canary.rest_at.reset();
  return true;
}

bool TakesRows(const Campaign& campaign) {
  if (campaign.state == CampaignState::kLoading) return true;
  return campaign.spec.standing &&
         (campaign.state == CampaignState::kRunning || campaign.state == CampaignState::kPaused);
}

bool IsFinished(const Campaign& campaign) {
  if (campaign.totals.queued() != 0 || HasEnded(campaign)) return false;
  return campaign.state == CampaignState::kCancelled ||
         (campaign.state == CampaignState::kRunning && !campaign.spec.standing);
}

WindowState WindowsAt(const Campaign& campaign, Wall moment) {
  if (campaign.spec.windows.empty()) return {};
  if (campaign.schedule != nullptr) return campaign.schedule->At(moment);
  return StateOf(campaign.spec.windows, TimeZone::FindOrUtc(campaign.spec.time_zone), moment);
}

Readiness ReadinessOf(const Campaign& campaign, Wall now) {
  if (campaign.state == CampaignState::kCancelled)
    return {.now = true, .ending = true, .without_rest = false, .opens_at = std::nullopt};
  const bool streaming = campaign.state == CampaignState::kLoading && campaign.spec.start == StartMode::kStreaming;
  if (campaign.state != CampaignState::kRunning && !streaming) return {};
  const std::optional<Wall> expires = ExpiryOf(campaign);
  if (expires && *expires <= now) return {.now = true, .ending = true, .without_rest = false, .opens_at = std::nullopt};
  const Wall begins = std::max(now, campaign.spec.not_before.value_or(now));
  const WindowState windows = WindowsAt(campaign, begins);
  const Wall opens = windows.open ? begins : windows.until;
  if (opens > now) return {.now = false, .ending = false, .without_rest = false, .opens_at = opens};
  return {.now = true, .ending = false, .without_rest = campaign.canary.RestWaits(), .opens_at = std::nullopt};
}

}  // namespace postrider::queue
