// `postrider export --remaining`: the recipients of a campaign without a final event, as a recipients.jsonl.

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"

namespace postrider::tools {

int RunExport(const ExportRequest& request) {
  constexpr const char* kName = "export";
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  bool taken = true;
  const std::string path = "/api/v1/campaigns/" + observe::PercentEncode(request.campaign) + "/remaining";
  const Result<void> streamed = client->Stream(path, [&](std::string_view bytes) {
    taken = Print(bytes);
    return taken;
  });
  if (!streamed) return Report(kName, streamed.error());
  if (!taken) return Report(kName, {ErrorCode::kIo, "cannot write to standard output; the list is not complete"});
  return kExitDone;
}

}  // namespace postrider::tools
