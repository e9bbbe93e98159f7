// `postrider queue`: what waits where, for how long, and why.

#include <chrono>

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/queue_text.h"
#include "tools/status_view.h"
#include "tools/terminal.h"

namespace postrider::tools {

int RunQueue(const QueueRequest& request) {
  constexpr const char* kName = "queue";
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Result<std::string> answer = client->Get(fmt::format("/api/v1/queue?domains={}", request.domains));
  if (!answer) return Report(kName, answer.error());
  if (request.json) return Print(*answer) ? kExitDone : kExitFailed;
  const Result<QueueView> queue = ParseQueue(*answer);
  if (!queue) return Report(kName, queue.error());
  const Wall now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Terminal terminal = Terminal::Detect();
  const std::string text = request.age ? RenderAges(*queue, terminal) : RenderQueue(*queue, now, terminal);
  return Print(text) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
