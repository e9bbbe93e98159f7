#pragma once
// What the daemon's answers about limits and sources say, as plain values. Parsing refuses what it does not understand
// instead of guessing.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::tools {

struct LimitView {
  std::string field;
  std::string value;
  std::string pattern;
  std::string from;
};

struct LimitPathView {
  std::string source;
  std::string mode;
  double messages_per_second = 0;
  std::uint64_t connections = 0;
  std::uint64_t ready = 0;
  std::string binding_limit;
  std::optional<Wall> blocked_until;
  std::string last_reply;
};

struct AllowanceView {
  std::string source;
  std::string at;
  std::string counts;  // "provider" or "site"
  std::string mode;
  double message_rate = 0;   // 0: none
  double adaptive_rate = 0;  // 0: not lowered
  double measured_rate = 0;
  std::string reason;
  std::optional<Wall> since;
  std::optional<Wall> blocked_until;
  std::uint64_t connections = 0;
  std::uint64_t connection_limit = 0;
  std::uint64_t quota = 0;  // 0: none
  std::uint64_t quota_used = 0;
  std::uint64_t warm_up_day = 0;  // 0: does not warm up
  std::uint64_t warm_up_quota = 0;
  std::uint64_t warm_up_used = 0;
  std::vector<std::string> last_replies;
};

struct DomainLimitsView {
  std::string domain;
  std::vector<std::string> hosts;
  bool fixed_hosts = false;
  std::string problem;
  std::string provider;
  std::string site;
  std::uint64_t learned_messages_per_connection = 0;
  std::string trouble;
  std::vector<LimitView> rule;
  std::vector<LimitPathView> paths;
  std::vector<AllowanceView> allowances;
};

struct OverrideView {
  std::string match;
  std::vector<std::pair<std::string, std::string>> set;
  std::string set_by;
  std::optional<Wall> set_at;
  std::optional<Wall> until;
};

struct LimitChangeView {
  std::string match;
  std::optional<Wall> until;
  std::vector<std::pair<LimitView, LimitView>> fields;  // before, now
};

struct SourceView {
  std::string name;
  std::string ipv4;
  std::string ipv6;
  std::string ehlo_name;
  std::uint64_t connections = 0;
  std::uint64_t connection_limit = 0;  // 0: none of its own
  double messages_per_second = 0;
  double message_rate = 0;        // 0: none of its own
  std::string warm_up_since;      // empty: it is warm
  std::uint64_t warm_up_day = 0;  // the least of all places
  std::vector<std::string> paused;
  std::vector<AllowanceView> stopped;
  std::uint64_t stopped_count = 0;
};

[[nodiscard]] Result<DomainLimitsView> ParseDomainLimits(std::string_view json);
[[nodiscard]] Result<std::vector<OverrideView>> ParseOverrideList(std::string_view json);
[[nodiscard]] Result<LimitChangeView> ParseLimitChange(std::string_view json);
[[nodiscard]] Result<std::vector<SourceView>> ParseSources(std::string_view json);

}  // namespace postrider::tools
