#include "queue/campaign.h"

namespace postrider::queue {

std::string_view ToString(CampaignState state) {
  switch (state) {
    case CampaignState::kLoading:
      return "loading";
    case CampaignState::kHeld:
      return "held";
    case CampaignState::kRunning:
      return "running";
    case CampaignState::kPaused:
      return "paused";
    case CampaignState::kCancelled:
      return "cancelled";
    case CampaignState::kFailed:
      return "failed";
    case CampaignState::kDone:
      return "done";
  }
  return "";
}

std::string_view ToString(CanaryPhase phase) {
  switch (phase) {
    case CanaryPhase::kNone:
      return "none";
    case CanaryPhase::kSending:
      return "sending";
    case CanaryPhase::kWaiting:
      return "waiting";
    case CanaryPhase::kStopped:
      return "stopped";
    case CanaryPhase::kReleased:
      return "released";
  }
  return "";
}

}  // namespace postrider::queue
