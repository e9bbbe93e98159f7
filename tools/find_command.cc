// `postrider find`: an address's jobs and events.

#include <chrono>

#include <fmt/format.h>

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/status_text.h"
#include "tools/terminal.h"

namespace postrider::tools {

int RunFind(const FindRequest& request) {
  constexpr const char* kName = "find";
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Result<std::string> answer = client->Get(
      fmt::format("/api/v1/find?address={}&events={}", observe::PercentEncode(request.address), request.events));
  if (!answer) return Report(kName, answer.error());
  if (request.json) return Print(*answer) ? kExitDone : kExitFailed;
  const Result<FoundView> found = ParseFound(*answer);
  if (!found) return Report(kName, found.error());
  for (const std::string& problem : found->problems) (void)Report(kName, {ErrorCode::kCorrupt, problem});
  const Wall now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return Print(RenderFound(*found, now, Terminal::Detect())) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
