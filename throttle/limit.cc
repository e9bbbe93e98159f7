#include "throttle/limit.h"

namespace postrider {

std::string_view ToString(Limit limit) {
  switch (limit) {
    case Limit::kNone:
      return "none";
    case Limit::kPaused:
      return "paused";
    case Limit::kStopped:
      return "stopped";
    case Limit::kBackoff:
      return "backoff";
    case Limit::kProbing:
      return "probing";
    case Limit::kMessageRate:
      return "message-rate";
    case Limit::kAdaptiveRate:
      return "adaptive-rate";
    case Limit::kDailyQuota:
      return "daily-quota";
    case Limit::kWarmUp:
      return "warm-up";
    case Limit::kUnsaved:
      return "unsaved";
    case Limit::kConnectRate:
      return "connect-rate";
    case Limit::kConnections:
      return "connections";
    case Limit::kSiteConnections:
      return "site-connections";
    case Limit::kTotalConnections:
      return "total-connections";
    case Limit::kTotalRate:
      return "total-rate";
    case Limit::kCampaignRate:
      return "campaign-rate";
    case Limit::kCampaignAtProvider:
      return "campaign-at-provider";
    case Limit::kSourceRate:
      return "source-rate";
    case Limit::kPoolRate:
      return "pool-rate";
    case Limit::kSenderRate:
      return "sender-rate";
    case Limit::kSourceConnections:
      return "source-connections";
    case Limit::kPoolConnections:
      return "pool-connections";
    case Limit::kSenderConnections:
      return "sender-connections";
    case Limit::kGuard:
      return "guard";
    case Limit::kWindow:
      return "window";
    case Limit::kSourceGone:
      return "source-gone";
    case Limit::kUnsynced:
      return "unsynced";
    case Limit::kCoreConnections:
      return "core-connections";
  }
  return "none";
}

}  // namespace postrider
