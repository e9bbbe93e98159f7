#include "tools/throttle_view.h"

#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"
#include "tools/answer.h"

namespace postrider::tools {
namespace {

using nlohmann::ordered_json;
using json = ordered_json;  // what is set is shown in its order

// These throw nlohmann's exception where a thing is missing or of another type; ReadAnswer catches it.
std::uint64_t Count(const json& object, const char* key) { return object.value(key, std::uint64_t{0}); }
double Number(const json& object, const char* key) { return object.value(key, 0.0); }
std::string Text(const json& object, const char* key) { return object.value(key, std::string()); }
std::optional<Wall> Time(const json& object, const char* key) {
  return observe::ParseRfc3339(object.value(key, std::string()));
}

LimitView Limit(const json& object, std::string field) {
  return {.field = std::move(field),
          .value = object.at("value").get<std::string>(),
          .pattern = Text(object, "pattern"),
          .from = Text(object, "from")};
}

AllowanceView Allowance(const json& object) {
  AllowanceView view{.source = object.at("source").get<std::string>(),
                     .at = Text(object, "at"),
                     .counts = Text(object, "counts"),
                     .mode = Text(object, "mode"),
                     .message_rate = Number(object, "message_rate"),
                     .adaptive_rate = Number(object, "adaptive_rate"),
                     .measured_rate = Number(object, "measured_rate"),
                     .reason = Text(object, "reason"),
                     .since = Time(object, "since"),
                     .blocked_until = Time(object, "blocked_until"),
                     .connections = Count(object, "connections"),
                     .connection_limit = Count(object, "connection_limit"),
                     .quota = Count(object, "quota"),
                     .quota_used = Count(object, "quota_used"),
                     .warm_up_day = 0,
                     .warm_up_quota = 0,
                     .warm_up_used = 0,
                     .last_replies = object.value("last_replies", std::vector<std::string>())};
  if (object.contains("warm_up")) {
    const json& warm_up = object.at("warm_up");
    view.warm_up_day = warm_up.at("day").get<std::uint64_t>();
    view.warm_up_quota = Count(warm_up, "quota");
    view.warm_up_used = Count(warm_up, "used");
  }
  return view;
}

DomainLimitsView Limits(const json& object) {
  DomainLimitsView view;
  view.domain = object.at("domain").get<std::string>();
  view.hosts = object.at("hosts").get<std::vector<std::string>>();
  view.fixed_hosts = object.value("fixed_hosts", false);
  view.problem = Text(object, "problem");
  view.provider = Text(object, "provider");
  view.site = Text(object, "site");
  view.learned_messages_per_connection = Count(object, "learned_messages_per_connection");
  view.trouble = Text(object, "trouble");
  for (const json& one : object.at("rule")) view.rule.push_back(Limit(one, one.at("field").get<std::string>()));
  for (const json& path : object.at("paths")) {
    view.paths.push_back({.source = path.at("source").get<std::string>(),
                          .mode = Text(path, "mode"),
                          .messages_per_second = Number(path, "messages_per_second"),
                          .connections = Count(path, "connections"),
                          .ready = Count(path, "ready"),
                          .binding_limit = Text(path, "binding_limit"),
                          .blocked_until = Time(path, "blocked_until"),
                          .last_reply = Text(path, "last_reply")});
  }
  for (const json& one : object.at("allowances")) view.allowances.push_back(Allowance(one));
  return view;
}

std::vector<OverrideView> Overrides(const json& object) {
  std::vector<OverrideView> overrides;
  for (const json& one : object.at("overrides")) {
    OverrideView& view = overrides.emplace_back();
    view.match = one.at("match").get<std::string>();
    for (const auto& [key, value] : one.at("set").items()) view.set.emplace_back(key, value.get<std::string>());
    view.set_by = Text(one, "set_by");
    view.set_at = Time(one, "set_at");
    view.until = Time(one, "until");
  }
  return overrides;
}

LimitChangeView Change(const json& object) {
  LimitChangeView view{.match = object.at("match").get<std::string>(), .until = Time(object, "until"), .fields = {}};
  for (const json& one : object.at("fields")) {
    const auto field = one.at("field").get<std::string>();
    view.fields.emplace_back(Limit(one.at("before"), field), Limit(one.at("now"), field));
  }
  return view;
}

std::vector<SourceView> Sources(const json& object) {
  std::vector<SourceView> sources;
  for (const json& one : object.at("sources")) {
    SourceView& view = sources.emplace_back();
    view.name = one.at("name").get<std::string>();
    view.ipv4 = Text(one, "ipv4");
    view.ipv6 = Text(one, "ipv6");
    view.ehlo_name = Text(one, "ehlo_name");
    view.connections = Count(one, "connections");
    view.connection_limit = Count(one, "connection_limit");
    view.messages_per_second = Number(one, "messages_per_second");
    view.message_rate = Number(one, "message_rate");
    if (one.contains("warm_up")) {
      view.warm_up_since = Text(one.at("warm_up"), "since");
      view.warm_up_day = Count(one.at("warm_up"), "least_day");
    }
    view.paused = one.at("paused").get<std::vector<std::string>>();
    for (const json& allowance : one.at("stopped")) view.stopped.push_back(Allowance(allowance));
    view.stopped_count = Count(one, "stopped_count");
  }
  return sources;
}

}  // namespace

Result<DomainLimitsView> ParseDomainLimits(std::string_view text) { return ReadAnswer<json>(text, Limits); }
Result<std::vector<OverrideView>> ParseOverrideList(std::string_view text) { return ReadAnswer<json>(text, Overrides); }
Result<LimitChangeView> ParseLimitChange(std::string_view text) { return ReadAnswer<json>(text, Change); }
Result<std::vector<SourceView>> ParseSources(std::string_view text) { return ReadAnswer<json>(text, Sources); }

}  // namespace postrider::tools
