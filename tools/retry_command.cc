// `postrider retry`: deferred mail is tried sooner.

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"
#include "tools/answer.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

// "mx.example.org from a is backing off until in 5 min: 421 try later"
std::string HoldLine(const json& hold, Wall now) {
  const std::string what = hold.value("what", "");
  const std::string name = Printable(hold.value("name", ""));
  std::string line = what == "all" ? "all sending" : fmt::format("{} {}", what, name);
  if (const std::string source = hold.value("source", ""); !source.empty()) line += " from " + Printable(source);
  line += " is " + Printable(hold.value("limit", ""));
  if (const auto until = observe::ParseRfc3339(hold.value("until", ""))) {
    line += fmt::format(" until {} ({})", observe::FormatRfc3339(*until), FormatUntil(until, now));
  }
  if (const std::string reason = hold.value("reason", ""); !reason.empty()) line += ": " + Printable(reason);
  return line + "\n";
}

// The command that ends a hold at once; empty: none does.
std::string RemedyOf(const json& hold) {
  const std::string what = hold.value("what", "");
  const std::string name = Printable(hold.value("name", ""));
  const std::string source = Printable(hold.value("source", ""));
  const bool paused = hold.value("limit", "") == "paused";
  if (what == "site") return "postrider resume --site " + name;
  if (what == "provider" && !source.empty()) return fmt::format("postrider source resume {} --at {}", source, name);
  if (what == "source") return "postrider resume --source " + name;
  if (what == "all" && paused) return "postrider resume --all";
  return what == "campaign" && paused ? "postrider resume " + name : "";
}

// What keeps the mail, and what would let it go now.
std::string RenderHolds(const json& holds, Wall now) {
  std::string text;
  std::vector<std::string> remedies;
  for (const json& hold : holds) {
    text += "but " + HoldLine(hold, now);
    std::string remedy = RemedyOf(hold);
    if (!remedy.empty() && std::ranges::find(remedies, remedy) == remedies.end()) remedies.push_back(std::move(remedy));
  }
  for (const std::string& remedy : remedies) text += fmt::format("`{}` lets it go now\n", remedy);
  return text;
}

std::string Render(const json& answer, Wall now) {
  const auto deferred = answer.at("deferred").get<std::uint64_t>();
  const auto moved = answer.at("moved").get<std::uint64_t>();
  const std::string what =
      fmt::format("{} {}", answer.at("kind").get<std::string>(), Printable(answer.at("name").get<std::string>()));
  const std::string holds = RenderHolds(answer.at("holds"), now);
  if (const auto untried = answer.value("untried", std::uint64_t{0}); untried > 0) {
    return fmt::format("{}: nothing is deferred; {} {} for the first try\n{}", what, FormatCount(untried),
                       untried == 1 ? "recipient waits" : "recipients wait", holds);
  }
  if (deferred == 0) return fmt::format("{}: no recipient waits for a retry\n", what);
  std::string text = fmt::format("{}: {} of {} deferred recipients are brought forward", what, FormatCount(moved),
                                 FormatCount(deferred));
  if (moved > 0) text += ", all of them due by " + Printable(answer.at("due_by").get<std::string>());
  text += moved == deferred ? "\n" : "; the others are due sooner, or being tried\n";
  return text + holds;
}

}  // namespace

int RunRetry(const RetryRequest& request) {
  constexpr const char* kName = "retry";
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const json body = {{"target", request.target}, {"over", request.over}};
  const Result<std::string> answer =
      client->Post("/api/v1/retry", body.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!answer) return Report(kName, answer.error());
  if (request.json) return Print(*answer) ? kExitDone : kExitFailed;
  const Wall now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Result<std::string> text = ReadAnswer<json>(*answer, [now](const json& told) { return Render(told, now); });
  if (!text) return Report(kName, text.error());
  return Print(*text) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
