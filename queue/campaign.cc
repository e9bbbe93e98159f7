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

}  // namespace postrider::queue
