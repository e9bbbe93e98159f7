#include "engine/observe/throttle_json.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"

namespace postrider::observe {
namespace {

using Json = nlohmann::ordered_json;

// Of one source; where it is stopped in more places, a count says so.
constexpr std::size_t kTroublesShown = 50;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

void PutTime(Json& json, const char* key, const std::optional<Wall>& time) {
  if (time) json[key] = FormatRfc3339(*time);
}

void PutText(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

Json Value(const ExplainedField& field) {
  return {{"value", field.value}, {"pattern", field.pattern}, {"from", ToString(field.origin)}};
}

Json Path(const delivery::SiteSnapshot& path) {
  Json json = {{"source", path.source},
               {"mode", ToString(path.mode)},
               {"messages_per_second", path.messages_per_second},
               {"connections", path.connections},
               {"domains", path.domains},
               {"ready", path.ready}};
  PutText(json, "binding_limit", path.binding_limit);
  PutTime(json, "blocked_until", path.blocked_until);
  PutText(json, "last_reply", path.last_reply);
  return json;
}

Json Allowance(const delivery::AllowanceSnapshot& allowance) {
  Json json = {{"source", allowance.source},
               {"at", allowance.receiver},
               {"counts", allowance.is_provider ? "provider" : "site"},
               {"mode", ToString(allowance.mode)},
               {"measured_rate", allowance.measured_rate},
               {"connections", allowance.connections},
               {"connection_limit", allowance.connection_limit}};
  if (allowance.rate_limit > 0) json["message_rate"] = allowance.rate_limit;
  if (allowance.adaptive_rate > 0) json["adaptive_rate"] = allowance.adaptive_rate;
  PutText(json, "reason", allowance.reason);
  PutTime(json, "since", allowance.since);
  PutTime(json, "blocked_until", allowance.stopped_until);
  if (allowance.quota > 0) {
    json["quota"] = allowance.quota;
    json["quota_used"] = allowance.quota_used;
  }
  if (allowance.warm_up_day > 0) {
    json["warm_up"] = {
        {"day", allowance.warm_up_day}, {"quota", allowance.warm_up_quota}, {"used", allowance.warm_up_used}};
  }
  if (!allowance.last_replies.empty()) json["last_replies"] = allowance.last_replies;
  return json;
}

bool HasTrouble(const delivery::AllowanceSnapshot& allowance) {
  return allowance.mode == delivery::SiteMode::kStopped || allowance.mode == delivery::SiteMode::kBackingOff ||
         allowance.adaptive_rate > 0;
}

std::string DayText(std::chrono::sys_days moment) {
  const std::chrono::year_month_day day(moment);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

Json Source(const SourceOptions& source, const Snapshot& snapshot, const std::vector<PauseTarget>& pauses) {
  using Target = delivery::CoreCommand::Target;
  Json json = {{"name", source.name}};
  if (source.ipv4) json["ipv4"] = ToString(*source.ipv4);
  if (source.ipv6) json["ipv6"] = ToString(*source.ipv6);
  json["ehlo_name"] = source.ehlo_name;
  delivery::SourceCounts counts;
  std::size_t troubles = 0;
  Json stopped = Json::array();
  std::optional<std::uint32_t> least_day;
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    if (const auto found = core.sources.find(source.name); found != core.sources.end()) {
      counts.connections += found->second.connections;
      counts.messages_per_second += found->second.messages_per_second;
    }
    for (const delivery::AllowanceSnapshot& allowance : core.allowances) {
      if (allowance.source != source.name) continue;
      if (allowance.warm_up_day > 0)
        least_day = std::min(least_day.value_or(allowance.warm_up_day), allowance.warm_up_day);
      if (HasTrouble(allowance) && ++troubles <= kTroublesShown) stopped.push_back(Allowance(allowance));
    }
  }
  json["connections"] = counts.connections;
  json["messages_per_second"] = counts.messages_per_second;
  if (source.message_rate.value_or(0) > 0) json["message_rate"] = *source.message_rate;
  if (source.connections.value_or(0) > 0) json["connection_limit"] = *source.connections;
  if (source.warm_up) {
    json["warm_up"] = {{"since", DayText(*source.warm_up)}};
    if (least_day) json["warm_up"]["least_day"] = *least_day;
  }
  Json paused = Json::array();
  for (const PauseTarget& pause : pauses) {
    if (pause.target == Target::kAll) paused.push_back("everywhere, as all sending is");
    if (pause.name != source.name) continue;
    if (pause.target == Target::kSource) paused.push_back("everywhere");
    if (pause.target == Target::kSourceAt) paused.push_back(pause.at);
  }
  json["paused"] = std::move(paused);
  json["stopped"] = std::move(stopped);
  json["stopped_count"] = troubles;
  return json;
}

}  // namespace

std::string OverridesJson(const Overrides& overrides) {
  Json json = {{"overrides", Json::array()}};
  for (const RuleOptions& rule : overrides) {
    Json one = {{"match", rule.match.text()}, {"set", Json::object()}};
    for (const SetField& field : FieldsOf(rule)) one["set"][std::string(field.key)] = field.value;
    PutText(one, "set_by", rule.origin.set_by);
    PutTime(one, "set_at", rule.origin.set_at);
    PutTime(one, "until", rule.origin.until);
    json["overrides"].push_back(std::move(one));
  }
  return Dump(json);
}

std::string ChangeJson(const DomainPattern& pattern, std::span<const ChangedField> fields,
                       const std::optional<Wall>& until) {
  Json json = {{"match", pattern.text()}};
  PutTime(json, "until", until);
  json["fields"] = Json::array();
  for (const ChangedField& field : fields) {
    json["fields"].push_back({{"field", field.now.name}, {"before", Value(field.before)}, {"now", Value(field.now)}});
  }
  return Dump(json);
}

std::string DomainLimitsJson(const DomainLimits& limits) {
  Json json = {{"domain", limits.domain}, {"hosts", limits.hosts}, {"fixed_hosts", limits.fixed_hosts}};
  PutText(json, "problem", limits.problem);
  PutText(json, "provider", limits.rule.provider);
  if (limits.place) {
    PutText(json, "site", limits.place->site);
    if (limits.place->learned_messages_per_connection > 0) {
      json["learned_messages_per_connection"] = limits.place->learned_messages_per_connection;
    }
    PutText(json, "trouble", limits.place->trouble);
  }
  json["rule"] = Json::array();
  for (const ExplainedField& field : limits.rule.fields) {
    Json one = {{"field", field.name}};
    one.update(Value(field));
    json["rule"].push_back(std::move(one));
  }
  json["paths"] = Json::array();
  json["allowances"] = Json::array();
  if (limits.place) {
    for (const delivery::SiteSnapshot& path : limits.place->paths) json["paths"].push_back(Path(path));
    for (const delivery::AllowanceSnapshot& one : limits.place->allowances) {
      json["allowances"].push_back(Allowance(one));
    }
  }
  return Dump(json);
}

std::string SourcesJson(const Options& options, const Snapshot& snapshot, const std::vector<PauseTarget>& pauses) {
  std::vector<SourceOptions> sources = options.sources;
  // Without any the system chooses the address.
  if (sources.empty()) {
    sources.push_back({.name = "default", .ipv4 = {}, .ipv6 = {}, .ehlo_name = options.host_name});
  }
  Json json = {{"sources", Json::array()}};
  for (const SourceOptions& source : sources) json["sources"].push_back(Source(source, snapshot, pauses));
  return Dump(json);
}

}  // namespace postrider::observe
