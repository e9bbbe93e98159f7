#include "engine/observe/retry_api.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/duration.h"
#include "engine/observe/rfc3339.h"

namespace postrider::observe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kOverUsual = std::chrono::minutes(5);
constexpr std::chrono::milliseconds kOverMost = std::chrono::hours(24);
constexpr std::size_t kTargetMost = 255;

struct Asked {
  std::string target;
  std::chrono::milliseconds over = kOverUsual;
};

Result<Asked> Parse(std::string_view body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return Fail(ErrorCode::kInvalid, R"(expected {"target": "NAME", "over": "5min"} as the body)");
  Asked asked;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a text", key));
    const auto& text = value.get_ref<const std::string&>();
    if (key == "target") {
      asked.target = text;
    } else if (key == "over") {
      const Result<std::chrono::milliseconds> over = ParseDuration(text);
      if (!over) return std::unexpected(over.error());
      asked.over = *over;
    } else {
      return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not known here; there are target and over", key));
    }
  }
  if (asked.target.empty() || asked.target.size() > kTargetMost) {
    return Fail(ErrorCode::kInvalid, "expected a campaign, a domain or a site as \"target\"");
  }
  if (asked.over > kOverMost) {
    return Fail(ErrorCode::kInvalid, fmt::format("over: at most {}", FormatDuration(kOverMost)));
  }
  return asked;
}

Json HoldJson(const Hold& hold) {
  Json json = {{"what", hold.what}};
  if (!hold.name.empty()) json["name"] = hold.name;
  if (!hold.source.empty()) json["source"] = hold.source;
  json["limit"] = hold.limit;
  if (hold.until) json["until"] = FormatRfc3339(*hold.until);
  if (!hold.reason.empty()) json["reason"] = hold.reason;
  return json;
}

}  // namespace

std::string_view ToString(RetryAnswer::Kind kind) {
  switch (kind) {
    case RetryAnswer::Kind::kCampaign:
      return "campaign";
    case RetryAnswer::Kind::kDomain:
      return "domain";
    case RetryAnswer::Kind::kSite:
      return "site";
  }
  return "";
}

ApiAnswer HandleRetry(RetryControl& control, const ApiRequest& request) {
  const Result<Asked> asked = Parse(request.body);
  if (!asked) return ErrorAnswer(asked.error());
  const Result<RetryAnswer> done = control.Retry(asked->target, asked->over);
  // Well asked, but not in the state it is in.
  if (!done && done.error().code == ErrorCode::kInvalid) return ErrorAnswer(409, done.error().message);
  if (!done) return ErrorAnswer(done.error());
  Json json = {{"kind", ToString(done->kind)}, {"name", done->name},       {"deferred", done->deferred},
               {"moved", done->moved},         {"untried", done->untried}, {"due_by", FormatRfc3339(done->due_by)},
               {"holds", Json::array()}};
  for (const Hold& hold : done->holds) json["holds"].push_back(HoldJson(hold));
  ApiAnswer answer;
  answer.body = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return answer;
}

}  // namespace postrider::observe
