// `postrider pause`, `resume`, `cancel` and `reload`: what changes the running daemon.

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

// What was done, in the past tense of `pause`, `resume`, `cancel`.
std::string_view Done(std::string_view action) {
  if (action == "pause") return "paused";
  return action == "resume" ? "resumed" : "cancelled";
}

// What the daemon adds to its yes, with a line end; else empty.
std::string NoteOf(const std::string& answer) {
  const nlohmann::json told = nlohmann::json::parse(answer, nullptr, false);
  if (!told.is_object() || !told.contains("note") || !told["note"].is_string()) return {};
  return Printable(told["note"].get_ref<const std::string&>()) + "\n";
}

}  // namespace

int RunChange(const ChangeRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(request.action, client.error());
  std::string path = "/api/v1/" + request.action;
  std::string what;
  nlohmann::json body = nlohmann::json::object();
  if (request.all) {
    body["all"] = true;
    what = "all sending";
  } else if (!request.site.empty()) {
    body["site"] = request.site;
    what = "site " + request.site;
  } else if (!request.source.empty()) {
    body["source"] = request.source;
    what = "source " + request.source;
  } else if (!request.at.empty()) {
    body["campaign"] = request.campaign;
    body["at"] = request.at;
    what = request.campaign + " at " + request.at;
  } else {
    path = fmt::format("/api/v1/campaigns/{}/{}", observe::PercentEncode(request.campaign), request.action);
    what = request.campaign;
  }
  const std::string text = body.empty() ? "" : body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const Result<std::string> answer = client->Post(path, text);
  if (!answer) return Report(request.action, answer.error());
  const std::string said = fmt::format("{} {}\n", Done(request.action), Printable(what)) + NoteOf(*answer);
  return Print(said) ? kExitDone : kExitFailed;
}

int RunReload(const AdminPlace& daemon) {
  constexpr const char* kName = "reload";
  const Result<AdminClient> client = AdminClient::Find(daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Result<std::string> answer = client->Post("/api/v1/reload", "");
  if (!answer) {
    // What the daemon refuses is the configuration.
    if (answer.error().code == ErrorCode::kInvalid) return ReportUsage(kName, answer.error());
    return Report(kName, answer.error());
  }
  return Print("configuration reloaded\n" + NoteOf(*answer)) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
