#pragma once
// The daemon's state as a person reads it. Pure.

#include <map>
#include <optional>
#include <span>
#include <string>

#include "tools/progress.h"
#include "tools/status_view.h"
#include "tools/terminal.h"

namespace postrider::tools {

// Messages a second that a campaign finishes: what the watcher measured, else its average since its release.
class CampaignRates {
 public:
  void Observe(std::chrono::steady_clock::time_point at, std::span<const CampaignView> campaigns);
  [[nodiscard]] std::optional<double> Of(const CampaignView& campaign, Wall now) const;

 private:
  std::map<std::string, RateMeter, std::less<>> meters_;
};

// A campaign that goes nowhere from here.
[[nodiscard]] bool IsOver(const CampaignView& campaign);

// A line per guard that holds something or warns of it; empty: none does.
[[nodiscard]] std::string RenderGuards(std::span<const GuardView> guards, const Terminal& terminal);
// The lines about the whole: health, rate, connections, totals, what is paused.
[[nodiscard]] std::string RenderSummary(const StatusView& status, const Terminal& terminal);
// The table of campaigns with bar, rate and time left.
[[nodiscard]] std::string RenderCampaigns(std::span<const CampaignView> campaigns, Wall now, const CampaignRates& rates,
                                          const Terminal& terminal);
// One campaign in full.
[[nodiscard]] std::string RenderCampaign(const CampaignView& campaign, Wall now, const CampaignRates& rates,
                                         const Terminal& terminal);
// One line of one campaign, for those who watch without a terminal.
[[nodiscard]] std::string RenderProgressLine(const CampaignView& campaign, Wall now, const CampaignRates& rates);

[[nodiscard]] std::string RenderFound(const FoundView& found, Wall now, const Terminal& terminal);

}  // namespace postrider::tools
