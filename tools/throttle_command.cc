// `postrider throttle show|set|unset|list` and `postrider source list`.

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/url_text.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/throttle_text.h"
#include "tools/throttle_view.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "throttle";

// Who works here, for the record.
std::string UserName() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return fmt::format("uid {}", getuid());
}

Wall WallNow() { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

// The answer as it is, or as render makes it of what parse makes of it.
template <typename Parse, typename Render>
int Show(const char* command, const Result<std::string>& answer, bool json, Parse parse, Render render) {
  // What is wrong with a pattern or a limit is wrong with the command line.
  if (!answer && answer.error().code == ErrorCode::kInvalid) return ReportUsage(command, answer.error());
  if (!answer) return Report(command, answer.error());
  if (json) return Print(*answer) ? kExitDone : kExitFailed;
  const auto view = parse(*answer);
  if (!view) return Report(command, view.error());
  return Print(render(*view, WallNow(), Terminal::Detect())) ? kExitDone : kExitFailed;
}

int Change(const AdminClient& client, const ThrottleRequest& request) {
  const bool set = request.action == ThrottleRequest::Action::kSet;
  nlohmann::json body = {{"match", request.name}, {"by", UserName()}, {set ? "set" : "keys", request.fields}};
  if (set && !request.duration.empty()) body["for"] = request.duration;
  const std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return Show(kName, client.Post(set ? "/api/v1/throttle/set" : "/api/v1/throttle/unset", text), request.json,
              ParseLimitChange, RenderLimitChange);
}

}  // namespace

int RunThrottle(const ThrottleRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  switch (request.action) {
    case ThrottleRequest::Action::kShow:
      return Show(kName, client->Get("/api/v1/throttle?domain=" + observe::PercentEncode(request.name)), request.json,
                  ParseDomainLimits, RenderDomainLimits);
    case ThrottleRequest::Action::kList:
      return Show(kName, client->Get("/api/v1/throttle"), request.json, ParseOverrideList, RenderOverrides);
    case ThrottleRequest::Action::kSet:
    case ThrottleRequest::Action::kUnset:
      break;
  }
  return Change(*client, request);
}

int RunSourceList(const SourceListRequest& request) {
  constexpr const char* kSource = "source";
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kSource, client.error());
  return Show(kSource, client->Get("/api/v1/sources"), request.json, ParseSources, RenderSources);
}

}  // namespace postrider::tools
