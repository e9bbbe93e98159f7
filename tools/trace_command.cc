// `postrider trace`: conversations with a site as they go on, or the last ones that failed.

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/trace_text.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "trace";
// The daemon keeps what passes for a few seconds; four times a second looks live.
constexpr std::chrono::milliseconds kInterval{250};

std::string PathOf(const TraceRequest& request) {
  std::string path = "/api/v1/trace?site=" + observe::PercentEncode(request.site);
  if (!request.source.empty()) path += "&source=" + observe::PercentEncode(request.source);
  return path;
}

int ShowFailures(const TraceRequest& request, const AdminClient& client, const Terminal& terminal) {
  const Result<std::string> answer = client.Get(fmt::format("{}&last={}", PathOf(request), request.last));
  if (!answer) return Report(kName, answer.error());
  const Result<std::string> text = RenderFailures(*answer, request.json, terminal);
  if (!text) return Report(kName, text.error());
  if (text->empty()) {
    fmt::print(stderr, "postrider trace: no failed conversation{} is remembered since the daemon's start\n",
               request.site.empty() ? "" : " with " + Printable(request.site));
  }
  return Print(*text) ? kExitDone : kExitFailed;
}

int ShowLive(const TraceRequest& request, const AdminClient& client, const Terminal& terminal) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(request.seconds);
  std::string next;
  for (bool first = true, anything = false;; first = false) {
    const Result<std::string> answer =
        client.Get(PathOf(request) + (next.empty() ? "" : "&after=" + observe::PercentEncode(next)));
    if (!answer) return Report(kName, answer.error());
    const Result<TracePage> page = RenderTrace(*answer, request.json, terminal);
    if (!page) return Report(kName, page.error());
    if (first && !page->site_known) {
      fmt::print(stderr,
                 "postrider trace: no site {} has mail or connections now (`postrider queue` names those that have); "
                 "waiting for one\n",
                 Printable(request.site));
    }
    if (!page->text.empty() && !Print(page->text)) return kExitFailed;
    anything |= !page->text.empty();
    next = page->next;
    if (std::chrono::steady_clock::now() >= end) {
      if (!anything) fmt::print(stderr, "postrider trace: nothing passed within {} s\n", request.seconds);
      return kExitDone;
    }
    if (!page->more) std::this_thread::sleep_for(kInterval);
  }
}

}  // namespace

int RunTrace(const TraceRequest& request) {
  if (request.site.empty() && request.last == 0) {
    return ReportUsage(
        kName, {ErrorCode::kInvalid, "name the SITE to watch, as `postrider queue` does; only --last goes without"});
  }
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Terminal terminal = Terminal::Detect();
  return request.last > 0 ? ShowFailures(request, *client, terminal) : ShowLive(request, *client, terminal);
}

}  // namespace postrider::tools
