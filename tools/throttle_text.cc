#include "tools/throttle_text.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Align = Table::Align;
constexpr std::size_t kHostsShown = 4;

std::string Hosts(const DomainLimitsView& limits) {
  std::string text;
  for (std::size_t i = 0; i < std::min(limits.hosts.size(), kHostsShown); ++i) {
    text += (i == 0 ? "" : ", ") + Printable(limits.hosts[i]);
  }
  if (limits.hosts.size() > kHostsShown) text += fmt::format(" and {} more", limits.hosts.size() - kHostsShown);
  return text;
}

std::string Head(const DomainLimitsView& limits) {
  std::string text = Printable(limits.domain);
  if (limits.hosts.empty()) {
    text += ": where its mail goes is not known: " + Printable(limits.problem);
  } else {
    text += fmt::format(": mail goes to {}{}", Hosts(limits), limits.fixed_hosts ? ", by a [[route]]" : "");
  }
  text += "\n";
  if (!limits.provider.empty()) {
    text += fmt::format("provider {}: it counts the mail of all its sites together\n", Printable(limits.provider));
  } else if (!limits.hosts.empty()) {
    text += "its provider is not known: mail is counted by this site\n";
  }
  if (limits.learned_messages_per_connection > 0) {
    text +=
        fmt::format("it has shown that it takes {} messages on a connection\n", limits.learned_messages_per_connection);
  }
  if (!limits.trouble.empty()) text += Printable(limits.trouble) + "\n";
  return text;
}

std::string RenderRule(const std::vector<LimitView>& rule, const Terminal& terminal) {
  Table table({{"limit", Align::kLeft, 24},
               {"value", Align::kLeft, 16},
               {"pattern", Align::kLeft, 40},
               {"from", Align::kLeft, 80}});
  for (const LimitView& limit : rule) table.AddRow({limit.field, limit.value, limit.pattern, limit.from});
  return table.Render(terminal);
}

std::string RenderPaths(const std::vector<LimitPathView>& paths, Wall now, const Terminal& terminal) {
  Table table({{"source", Align::kLeft, 20},
               {"mode", Align::kLeft, 12},
               {"bound now by", Align::kLeft, 20},
               {"rate", Align::kRight, 12},
               {"conns", Align::kRight, 8},
               {"ready", Align::kRight, 12},
               {"next", Align::kRight, 16}});
  for (const LimitPathView& path : paths) {
    table.AddRow({path.source, path.mode, path.binding_limit.empty() ? "nothing" : path.binding_limit,
                  FormatRate(path.messages_per_second) + "/s", FormatCount(path.connections), FormatCount(path.ready),
                  FormatUntil(path.blocked_until, now)});
    table.AddNote(path.last_reply);
  }
  return table.Render(terminal);
}

// Why it stands still or goes slower than its rule, and since when.
std::string Why(const AllowanceView& allowance, Wall now) {
  if (allowance.reason.empty()) return {};
  const std::string since = FormatSince(allowance.since, now);
  return allowance.reason + (since.empty() ? "" : fmt::format(", for {}", since));
}

std::string RenderAllowances(const std::vector<AllowanceView>& allowances, Wall now, const Terminal& terminal) {
  Table table({{"source", Align::kLeft, 20},
               {"counted at", Align::kLeft, 36},
               {"mode", Align::kLeft, 12},
               {"rule", Align::kRight, 10},
               {"lowered to", Align::kRight, 10},
               {"last minute", Align::kRight, 12},
               {"conns", Align::kRight, 10},
               {"today", Align::kRight, 20},
               {"next", Align::kRight, 16}});
  for (const AllowanceView& one : allowances) {
    std::string today;
    if (one.quota > 0) today = fmt::format("{} of {}", FormatCount(one.quota_used), FormatCount(one.quota));
    if (one.warm_up_day > 0) {
      today += fmt::format("{}day {}: {} of {}", today.empty() ? "" : "; ", one.warm_up_day,
                           FormatCount(one.warm_up_used), FormatCount(one.warm_up_quota));
    }
    table.AddRow({one.source, one.at, one.mode, one.message_rate > 0 ? FormatLimit(one.message_rate) : "none",
                  one.adaptive_rate > 0 ? FormatLimit(one.adaptive_rate) : "", FormatLimit(one.measured_rate),
                  fmt::format("{} of {}", one.connections, one.connection_limit), today,
                  FormatUntil(one.blocked_until, now)});
    table.AddNote(Why(one, now));
    for (const std::string& reply : one.last_replies) table.AddNote(reply);
  }
  return table.Render(terminal);
}

std::string Until(const std::optional<Wall>& until, Wall now) {
  return until ? FormatUntil(until, now) : "until unset";
}

std::string Ago(const std::optional<Wall>& time, Wall now) { return time ? FormatSince(time, now) + " ago" : ""; }

}  // namespace

std::string FormatLimit(double per_second) {
  if (!(per_second > 0)) return "0";
  constexpr std::pair<double, const char*> kUnits[] = {{1, "s"}, {60, "min"}, {3600, "h"}};
  for (const auto& [seconds, unit] : kUnits) {
    const double rate = per_second * seconds;
    if (rate >= 0.995) return FormatRate(rate) + "/" + unit;
  }
  return FormatRate(per_second * 86'400) + "/d";
}

std::string RenderDomainLimits(const DomainLimitsView& limits, Wall now, const Terminal& terminal) {
  std::string text = Head(limits) + "\n" + RenderRule(limits.rule, terminal);
  if (!limits.paths.empty()) text += "\n" + RenderPaths(limits.paths, now, terminal);
  if (!limits.allowances.empty()) text += "\n" + RenderAllowances(limits.allowances, now, terminal);
  if (limits.paths.empty() && !limits.hosts.empty()) text += "\nno mail is on its way there now\n";
  return text;
}

std::string RenderOverrides(const std::vector<OverrideView>& overrides, Wall now, const Terminal& terminal) {
  if (overrides.empty()) return "nothing is set; the configuration alone holds\n";
  Table table({{"pattern", Align::kLeft, 48},
               {"limit", Align::kLeft, 24},
               {"value", Align::kLeft, 16},
               {"set by", Align::kLeft, 20},
               {"set", Align::kRight, 18},
               {"ends", Align::kRight, 16}});
  for (const OverrideView& one : overrides) {
    for (const auto& [field, value] : one.set) {
      table.AddRow({one.match, field, value, one.set_by, Ago(one.set_at, now), Until(one.until, now)});
    }
  }
  return table.Render(terminal);
}

std::string RenderLimitChange(const LimitChangeView& change, Wall now, const Terminal& terminal) {
  std::string text = Printable(change.match);
  text += change.until
              ? fmt::format(", for {}:\n", FormatSpan(std::chrono::ceil<std::chrono::seconds>(*change.until - now)))
              : std::string(":\n");
  Table table({{"limit", Align::kLeft, 24},
               {"before", Align::kLeft, 16},
               {"now", Align::kLeft, 16},
               {"from", Align::kLeft, 80}});
  std::string elsewhere;
  for (const auto& [before, now_in_force] : change.fields) {
    table.AddRow({now_in_force.field, before.value, now_in_force.value, now_in_force.from});
    // A rule that speaks of the same mail more specifically goes before this one.
    if (now_in_force.pattern != change.match && before.value == now_in_force.value &&
        before.from == now_in_force.from && !before.from.starts_with("throttle set")) {
      elsewhere += fmt::format("{} stays: the rule for {} decides it\n", Printable(now_in_force.field),
                               Printable(now_in_force.pattern));
    }
  }
  return text + table.Render(terminal) + elsewhere;
}

std::string RenderSources(const std::vector<SourceView>& sources, Wall now, const Terminal& terminal) {
  Table table({{"source", Align::kLeft, 20},
               {"address", Align::kLeft, 40},
               {"EHLO", Align::kLeft, 36},
               {"conns", Align::kRight, 12},
               {"rate", Align::kRight, 10},
               {"limit", Align::kRight, 10},
               {"warm-up", Align::kLeft, 18},
               {"paused", Align::kLeft, 40}});
  for (const SourceView& source : sources) {
    std::string address = source.ipv4;
    if (!source.ipv6.empty()) address += (address.empty() ? "" : ", ") + source.ipv6;
    if (address.empty()) address = "the system's choice";
    std::string conns = FormatCount(source.connections);
    if (source.connection_limit > 0) conns += " of " + FormatCount(source.connection_limit);
    std::string warm_up;
    if (!source.warm_up_since.empty()) {
      warm_up = source.warm_up_day > 0 ? fmt::format("day {}", source.warm_up_day) : "since " + source.warm_up_since;
    }
    std::string paused;
    for (const std::string& at : source.paused) paused += (paused.empty() ? "" : ", ") + at;
    table.AddRow({source.name, address, source.ehlo_name, conns, FormatRate(source.messages_per_second) + "/s",
                  source.message_rate > 0 ? FormatLimit(source.message_rate) : "", warm_up, paused});
    for (const AllowanceView& one : source.stopped) {
      std::string note = fmt::format("{} at {}", one.mode == "normal" ? "slower" : one.mode, one.at);
      if (one.adaptive_rate > 0) note += fmt::format(", lowered to {}", FormatLimit(one.adaptive_rate));
      if (one.blocked_until) note += fmt::format(", goes on {}", FormatUntil(one.blocked_until, now));
      if (const std::string why = Why(one, now); !why.empty()) note += ": " + why;
      table.AddNote(note);
    }
    if (source.stopped_count > source.stopped.size()) {
      table.AddNote(fmt::format("and at {} more places", source.stopped_count - source.stopped.size()));
    }
  }
  return table.Render(terminal);
}

}  // namespace postrider::tools
