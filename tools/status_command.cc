// `postrider status`: once, or again and again.

#include <chrono>
#include <thread>

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/status_text.h"
#include "tools/terminal.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "status";

std::string PathOf(const StatusRequest& request) {
  if (request.campaign.empty()) return request.all ? "/api/v1/status?all=1" : "/api/v1/status";
  return "/api/v1/campaigns/" + observe::PercentEncode(request.campaign);
}

class StatusPages {
 public:
  StatusPages(const StatusRequest& request, const Terminal& terminal) : request_(request), terminal_(terminal) {}

  // The page of one answer. `over` says that there is nothing more to watch.
  Result<std::string> Page(const std::string& answer, bool& over) {
    const auto now = std::chrono::steady_clock::now();
    if (request_.campaign.empty()) {
      Result<StatusView> status = ParseStatus(answer);
      if (!status) return std::unexpected(std::move(status.error()));
      rates_.Observe(now, status->campaigns);
      over = false;
      if (request_.json) return answer;
      if (request_.watch && !terminal_.interactive) return Lines(status->campaigns, status->time);
      return RenderSummary(*status, terminal_) + "\n" +
             RenderCampaigns(status->campaigns, status->time, rates_, terminal_);
    }
    const Result<CampaignView> campaign = ParseCampaign(answer);
    if (!campaign) return std::unexpected(campaign.error());
    const std::span<const CampaignView> one(&*campaign, 1);
    rates_.Observe(now, one);
    over = IsOver(*campaign);
    if (request_.json) return answer;
    const Wall wall = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    if (request_.watch && !terminal_.interactive) return RenderProgressLine(*campaign, wall, rates_);
    return RenderCampaign(*campaign, wall, rates_, terminal_);
  }

 private:
  std::string Lines(std::span<const CampaignView> campaigns, Wall now) const {
    std::string lines;
    for (const CampaignView& campaign : campaigns) {
      if (!IsOver(campaign)) lines += RenderProgressLine(campaign, now, rates_);
    }
    return lines;
  }

  const StatusRequest& request_;
  const Terminal terminal_;
  CampaignRates rates_;
};

}  // namespace

int RunStatus(const StatusRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Terminal terminal = Terminal::Detect();
  StatusPages pages(request, terminal);
  Display display(terminal);
  for (;;) {
    const Result<std::string> answer = client->Get(PathOf(request));
    if (!answer) return Report(kName, answer.error());
    bool over = false;
    const Result<std::string> page = pages.Page(*answer, over);
    if (!page) return Report(kName, page.error());
    if (!Print(request.watch && !request.json ? display.Show(*page) : *page)) return kExitFailed;
    if (!request.watch || over) return kExitDone;
    std::this_thread::sleep_for(request.interval);
  }
}

}  // namespace postrider::tools
