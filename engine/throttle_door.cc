#include "engine/throttle_door.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/delivery/site.h"
#include "engine/mx_lookup.h"

namespace postrider::engine {
namespace {

// Where the mail of a domain goes by these options.
struct Hosts {
  std::shared_ptr<const dns::MxAnswer> mx;  // null: by a route
  std::vector<std::string> names;
  std::string problem;
};

std::string_view WhyNone(const dns::MxAnswer& answer) {
  switch (answer.status) {
    case dns::MxStatus::kFound:
      return "";
    case dns::MxStatus::kNullMx:
      return "it accepts no mail: its MX record says so (RFC 7505)";
    case dns::MxStatus::kNoDomain:
      return "the domain does not exist";
    case dns::MxStatus::kNoMail:
      return "it has neither MX nor address";
    case dns::MxStatus::kFailed:
      return "its MX cannot be looked up";
  }
  return "";
}

Hosts HostsOf(const Options& options, const std::string& domain) {
  Hosts hosts;
  const RouteOptions* route = FindRoute(options, domain);
  if (route == nullptr || route->hosts.empty()) {
    hosts.mx = LookUpMx(options.dns, domain);
    hosts.problem = WhyNone(*hosts.mx);
    if (!hosts.problem.empty() && !hosts.mx->problem.empty()) hosts.problem += ": " + hosts.mx->problem;
  }
  if (!hosts.problem.empty()) return hosts;
  for (const delivery::SiteHost& host : delivery::TargetOf(options, domain, hosts.mx.get()).hosts) {
    hosts.names.push_back(host.name);
  }
  return hosts;
}

}  // namespace

Result<observe::DomainLimits> ThrottleDoor::Show(std::string_view domain) {
  Result<std::string> name = ParseMailDomain(domain);
  if (!name) return std::unexpected(std::move(name).error());
  const OptionsPtr options = live_.get();
  observe::DomainLimits limits;
  limits.domain = *std::move(name);
  Hosts hosts = HostsOf(*options, limits.domain);
  limits.fixed_hosts = hosts.mx == nullptr;
  limits.problem = std::move(hosts.problem);
  limits.rule = ExplainRule(*options, limits.domain, hosts.names);
  if (!hosts.names.empty()) limits.place = describe_(limits.domain, hosts.mx);
  limits.hosts = std::move(hosts.names);
  return limits;
}

Result<std::vector<observe::ChangedField>> ThrottleDoor::Set(RuleOptions rule) {
  const DomainPattern pattern = rule.match;
  std::vector<std::string> keys;
  for (const SetField& field : FieldsOf(rule)) keys.emplace_back(field.key);
  auto changed = live_.Set(std::move(rule));
  if (!changed) return std::unexpected(std::move(changed).error());
  return FieldsOfChange(*changed, pattern, keys);
}

Result<std::vector<observe::ChangedField>> ThrottleDoor::Unset(const DomainPattern& pattern,
                                                               std::span<const std::string> keys, std::string_view by) {
  auto changed = live_.Unset(pattern, keys, by);
  if (!changed) return std::unexpected(std::move(changed).error());
  return FieldsOfChange(*changed, pattern, keys);
}

// The named ones, or else all that are different now.
std::vector<observe::ChangedField> ThrottleDoor::FieldsOfChange(const LiveOptions::Change& change,
                                                                const DomainPattern& pattern,
                                                                std::span<const std::string> keys) {
  // The change is in force already, so that it does not wait for name servers. Where the mail of a single domain goes
  // decides which other rules are about it.
  std::vector<std::string> hosts;
  const std::string name = pattern.Canonical();
  if (pattern.provider().empty() && !name.starts_with("mx:") && !name.starts_with('*')) {
    hosts = HostsOf(*change.now, name).names;
  }
  const ExplainedRule before = ExplainPattern(*change.before, pattern, hosts);
  const ExplainedRule now = ExplainPattern(*change.now, pattern, hosts);
  std::vector<observe::ChangedField> fields;
  for (std::size_t i = 0; i < std::min(before.fields.size(), now.fields.size()); ++i) {
    const ExplainedField& was = before.fields[i];
    const ExplainedField& is = now.fields[i];
    const bool named = std::ranges::find(keys, is.name) != keys.end();
    const bool differs = was.value != is.value || was.pattern != is.pattern || was.origin.layer != is.origin.layer;
    if (named || (keys.empty() && differs)) fields.push_back({was, is});
  }
  return fields;
}

}  // namespace postrider::engine
