#include "engine/observe/throttle_api.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/duration.h"
#include "engine/observe/throttle_json.h"
#include "engine/observe/url_text.h"

namespace postrider::observe {
namespace {

// A limit for longer belongs into the configuration.
constexpr std::chrono::hours kLongest{24 * 366};
constexpr std::size_t kNameBytesMax = 64;  // of who sets it

ApiAnswer WrongMethod(std::string_view allow) {
  ApiAnswer answer = ErrorAnswer(405, fmt::format("this path knows only {}", allow));
  answer.allow = allow;
  return answer;
}

// What the body of a change says; a name that is not known is refused, for it may be a misspelt condition.
struct Wish {
  std::string match;
  std::vector<std::string> fields;  // key=value, or keys
  std::string by;
  std::string duration;  // "2h"; empty: without end
};

Result<Wish> ParseWish(std::string_view body, std::string_view fields_name, bool may_last) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return Fail(ErrorCode::kInvalid, "expected a JSON object as the body");
  Wish wish;
  for (const auto& [name, value] : json.items()) {
    if (name == fields_name && value.is_array() &&
        std::ranges::all_of(value, [](const nlohmann::json& one) { return one.is_string(); })) {
      wish.fields = value.get<std::vector<std::string>>();
      continue;
    }
    std::string* const text = name == "match"             ? &wish.match
                              : name == "by"              ? &wish.by
                              : name == "for" && may_last ? &wish.duration
                                                          : nullptr;
    if (text == nullptr || !value.is_string()) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format(R"(expected "match", "{}" (a list of texts), {}and "by", found "{}")", fields_name,
                              may_last ? "\"for\" " : "", name.substr(0, 40)));
    }
    *text = value.get<std::string>();
  }
  if (wish.match.empty()) return Fail(ErrorCode::kInvalid, R"("match" is missing: a pattern as in [[rule]])");
  wish.by.resize(std::min(wish.by.size(), kNameBytesMax));
  return wish;
}

Result<RuleOptions> RuleOf(const Wish& wish, Wall now) {
  Result<DomainPattern> match = DomainPattern::Parse(wish.match);
  if (!match) return std::unexpected(std::move(match).error());
  RuleOptions rule;
  rule.match = *std::move(match);
  for (const std::string& field : wish.fields) {
    if (auto set = SetRuleField(rule, field); !set) return std::unexpected(std::move(set).error());
  }
  rule.origin.set_by = wish.by;
  rule.origin.set_at = now;
  if (wish.duration.empty()) return rule;
  const Result<std::chrono::milliseconds> duration = ParseDuration(wish.duration);
  if (!duration || *duration < std::chrono::seconds(1) || *duration > kLongest) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("for: expected a time from \"1s\" to \"{}\" such as \"2h\", found \"{}\"",
                            FormatDuration(kLongest), wish.duration.substr(0, 40)));
  }
  rule.origin.until = now + *duration;
  return rule;
}

}  // namespace

ApiAnswer ThrottleApi::Handle(const ApiRequest& request, const std::vector<std::string>& path) {
  if (path.size() == 3) {
    const bool read = request.method == "GET" || request.method == "HEAD";
    return read ? Look(request) : WrongMethod("GET, HEAD");
  }
  if (path.size() != 4 || (path[3] != "set" && path[3] != "unset")) {
    return ErrorAnswer(404, "there are /api/v1/throttle, /api/v1/throttle/set and /api/v1/throttle/unset");
  }
  if (request.method != "POST") return WrongMethod("POST");
  return path[3] == "set" ? Set(request) : Unset(request);
}

ApiAnswer ThrottleApi::Look(const ApiRequest& request) {
  ApiAnswer answer;
  if (request.query.empty()) {
    answer.body = OverridesJson(control_.List());
    return answer;
  }
  const std::optional<QueryFields> fields = ParseQuery(request.query);
  if (!fields || fields->size() != 1 || fields->front().first != "domain") {
    return ErrorAnswer(400, "expected ?domain=example.org, or nothing for the list of what is set");
  }
  const Result<DomainLimits> limits = control_.Show(fields->front().second);
  if (!limits) return ErrorAnswer(limits.error());
  answer.body = DomainLimitsJson(*limits);
  return answer;
}

ApiAnswer ThrottleApi::Set(const ApiRequest& request) {
  const Result<Wish> wish = ParseWish(request.body, "set", true);
  if (!wish) return ErrorAnswer(wish.error());
  Result<RuleOptions> rule = RuleOf(*wish, control_.now());
  if (!rule) return ErrorAnswer(rule.error());
  const DomainPattern pattern = rule->match;
  const std::optional<Wall> until = rule->origin.until;
  const auto changed = control_.Set(*std::move(rule));
  if (!changed) return ErrorAnswer(changed.error());
  ApiAnswer answer;
  answer.body = ChangeJson(pattern, *changed, until);
  return answer;
}

ApiAnswer ThrottleApi::Unset(const ApiRequest& request) {
  const Result<Wish> wish = ParseWish(request.body, "keys", false);
  if (!wish) return ErrorAnswer(wish.error());
  const Result<DomainPattern> pattern = DomainPattern::Parse(wish->match);
  if (!pattern) return ErrorAnswer(pattern.error());
  const auto changed = control_.Unset(*pattern, wish->fields, wish->by);
  if (!changed) return ErrorAnswer(changed.error());
  ApiAnswer answer;
  answer.body = ChangeJson(*pattern, *changed, std::nullopt);
  return answer;
}

}  // namespace postrider::observe
