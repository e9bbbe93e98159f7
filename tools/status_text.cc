#include "tools/status_text.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "engine/observe/rfc3339.h"
#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Align = Table::Align;
constexpr std::size_t kBarColumns = 22;
constexpr std::size_t kFullTableColumns = 120;  // what the table of campaigns takes with counts in the millions

double ShareDone(const TotalsView& totals) {
  return totals.accepted == 0 ? 0 : static_cast<double>(totals.ended()) / static_cast<double>(totals.accepted);
}

// Rounded down: 100 % means all.
std::string Percent(const TotalsView& totals) { return fmt::format("{} %", static_cast<int>(ShareDone(totals) * 100)); }

std::uint64_t EndedOtherwise(const TotalsView& totals) {
  return totals.expired + totals.suppressed + totals.cancelled + totals.unknown;
}

std::string Rate(const std::optional<double>& rate) { return rate ? FormatRate(*rate) + "/s" : ""; }

// Nothing of its own holds it.
bool MayGo(const CampaignView& campaign) {
  return !IsOver(campaign) && campaign.state == "running" && !campaign.closed_until &&
         (!campaign.canary || campaign.canary->phase == "released");
}

// With all other mail; empty: it goes on.
std::string Standstill(const CampaignView& campaign, Wall now) {
  if (!MayGo(campaign) || !campaign.standstill || campaign.totals.queued == 0) return "";
  const StandstillView& standstill = *campaign.standstill;
  const std::string next = FormatUntil(standstill.next, now);
  return fmt::format("stands still: {}{}{}", Printable(standstill.reason), next.empty() ? "" : "; next ", next);
}

std::string Left(const CampaignView& campaign, const std::optional<double>& rate) {
  if (!MayGo(campaign) || campaign.standstill || !rate) return "";
  const std::optional<std::chrono::seconds> left = TimeLeft(campaign.totals.queued, *rate);
  return left ? FormatSpan(*left) : "";
}

std::string Connections(const StatusView& status) {
  return fmt::format("{} connections ({} busy, {} idle, {} opening)",
                     FormatCount(status.connections_busy + status.connections_idle + status.connections_opening),
                     FormatCount(status.connections_busy), FormatCount(status.connections_idle),
                     FormatCount(status.connections_opening));
}

std::string Outcomes(const TotalsView& totals) {
  std::string text = fmt::format("{} accepted, {} delivered, {} bounced", FormatCount(totals.accepted),
                                 FormatCount(totals.delivered), FormatCount(totals.bounced));
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) fmt::format_to(std::back_inserter(text), ", {} {}", FormatCount(count), what);
  };
  add(totals.expired, "expired");
  add(totals.suppressed, "suppressed");
  add(totals.cancelled, "cancelled");
  add(totals.unknown, "unknown");
  return text + fmt::format(", {} queued", FormatCount(totals.queued));
}

// Outside its send windows.
std::string Closed(const CampaignView& campaign) {
  return fmt::format("closed until {} ({})", observe::FormatRfc3339(*campaign.closed_until),
                     Printable(campaign.windows));
}

// What a rate is made of: to end with the campaign is no work.
std::uint64_t Worked(const TotalsView& totals) { return totals.ended() - totals.cancelled; }

// Where its canary stands; empty: it has none, or that is over.
std::string CanaryLine(const CampaignView& campaign) {
  if (!campaign.canary || IsOver(campaign) || campaign.canary->phase == "released") return "";
  const CanaryView& canary = *campaign.canary;
  const std::string sent =
      fmt::format("canary: {} of {} sent", FormatCount(canary.tried), FormatCount(campaign.totals.accepted));
  if (canary.phase == "waiting" && canary.rest_at) {
    return fmt::format("{}, the rest at {}", sent, observe::FormatRfc3339(*canary.rest_at));
  }
  if (canary.phase == "stopped") return sent + ", the rest when it is resumed";
  return fmt::format("{}, {} of the canary are left to be tried first", sent,
                     FormatCount(canary.recipients - std::min(canary.tried, canary.recipients)));
}

// Why it does not go on, and what goes on with it; empty if it does.
std::string WhyHeld(const CampaignView& campaign) {
  const std::string name = Printable(campaign.name);
  if (campaign.state == "paused") {
    return fmt::format("{}{}`postrider resume {}` lets it go on; until then its expiry stands still",
                       Printable(campaign.note), campaign.note.empty() ? "" : ": ", name);
  }
  if (campaign.state == "cancelled" && campaign.note.empty()) {
    return "what was not sent by then never is; to send it after all, submit it under another name";
  }
  if (campaign.state != "held") return Printable(campaign.note);
  return fmt::format("{}: `postrider resume {}` sends it, `postrider cancel {}` drops it",
                     campaign.note.empty() ? "it waits for you" : Printable(campaign.note), name, name);
}

// What else is to be known of a campaign that stands in the table; empty: nothing.
std::string WhyStill(const CampaignView& campaign, Wall now) {
  if (campaign.state == "held" || campaign.state == "paused") return "is " + campaign.state + ": " + WhyHeld(campaign);
  const std::string canary = CanaryLine(campaign);
  if (const std::string standstill = Standstill(campaign, now); !standstill.empty()) return standstill;
  if (!campaign.closed_until) return canary;
  return "is " + Closed(campaign) + (canary.empty() ? "" : "; " + canary);
}

Tone ToneOf(std::string_view event) {
  if (event == "delivered") return Tone::kGood;
  if (event == "bounced" || event == "expired") return Tone::kBad;
  return Tone::kWarning;
}

}  // namespace

bool IsOver(const CampaignView& campaign) {
  return campaign.ended_at.has_value() || campaign.state == "done" || campaign.state == "failed" ||
         (campaign.state == "cancelled" && campaign.totals.queued == 0);
}

void CampaignRates::Observe(std::chrono::steady_clock::time_point at, std::span<const CampaignView> campaigns) {
  for (const CampaignView& campaign : campaigns) meters_[campaign.name].Observe(at, Worked(campaign.totals));
}

std::optional<double> CampaignRates::Of(const CampaignView& campaign, Wall now) const {
  const auto meter = meters_.find(campaign.name);
  if (meter != meters_.end() && !IsOver(campaign)) {
    if (const std::optional<double> rate = meter->second.PerSecond()) return rate;
  }
  if (!campaign.released_at || Worked(campaign.totals) == 0) return std::nullopt;
  const std::chrono::duration<double> span = campaign.ended_at.value_or(now) - *campaign.released_at;
  if (span.count() <= 0) return std::nullopt;
  return static_cast<double>(Worked(campaign.totals)) / span.count();
}

std::string RenderGuards(std::span<const GuardView> guards, const Terminal& terminal) {
  std::string out;
  for (const GuardView& guard : guards) {
    const std::string what = guard.source.empty() ? guard.guard : guard.guard + " " + guard.source;
    const std::string line = fmt::format("{}{}: {}", guard.tripped ? "" : "warning, ", what, guard.reason);
    out += terminal.Paint(guard.tripped ? Tone::kBad : Tone::kWarning, Printable(line)) + "\n";
  }
  return out;
}

std::string RenderSummary(const StatusView& status, const Terminal& terminal) {
  const auto uptime = std::chrono::seconds(static_cast<std::int64_t>(status.uptime_seconds));
  std::string out =
      fmt::format("postrider {}{}, up {}: {}\n", Printable(status.version),
                  status.host_name.empty() ? "" : " on " + Printable(status.host_name), FormatSpan(uptime),
                  status.trouble.empty() ? terminal.Paint(Tone::kGood, "healthy")
                                         : terminal.Paint(Tone::kBad, Printable(status.trouble)));
  out += fmt::format("{}/s, {}, {} in flight, {}\n", FormatRate(status.messages_per_second), Connections(status),
                     FormatCount(status.in_flight), FormatBytes(status.resident_bytes));
  out += Outcomes(status.totals) + "\n";
  const auto warn = [&](Tone tone, const std::string& line) { out += terminal.Paint(tone, Printable(line)) + "\n"; };
  if (status.sending_stopped) warn(Tone::kBad, "sending is stopped: " + status.stop_reason);
  if (status.intake_stopped) warn(Tone::kBad, "intake is stopped: too little free disk");
  if (!status.last_reload_good)
    warn(Tone::kWarning,
         "the last reload was refused, `postrider check` says why; the configuration before it is in force");
  for (const std::string& pause : status.pauses) warn(Tone::kWarning, "paused: " + pause);
  out += RenderGuards(status.guards, terminal);
  if (status.lateness_seconds >= 10) {
    warn(Tone::kWarning,
         fmt::format("late: a job is due for {} and no limit holds it",
                     FormatSpan(std::chrono::seconds(static_cast<std::int64_t>(status.lateness_seconds)))));
  }
  if (status.intake_difference != 0 || status.queue_difference != 0) {
    warn(Tone::kBad,
         fmt::format("THE BOOKS DO NOT BALANCE: {} rows at intake, {} recipients in the queue; please report it",
                     status.intake_difference, status.queue_difference));
  }
  return out;
}

std::string RenderCampaigns(std::span<const CampaignView> campaigns, Wall now, const CampaignRates& rates,
                            const Terminal& terminal) {
  if (campaigns.empty()) return "no campaigns; `postrider submit DIRECTORY` brings one\n";
  // On a narrow terminal the columns that matter while watching: rate and time left stay, the breakdown goes.
  const bool narrow = terminal.interactive && terminal.columns < kFullTableColumns;
  const std::size_t bar_columns = narrow ? kBarColumns / 2 : kBarColumns;
  std::vector<Table::Column> columns = {{"campaign", Align::kLeft, narrow ? 20u : 32u},
                                        {"state", Align::kLeft, 10},
                                        {"progress", Align::kLeft, bar_columns},
                                        {"", Align::kRight, 6}};
  for (const char* title : {"accepted", "delivered", "bounced", "other", "queued"}) {
    if (!narrow || std::string_view(title) == "queued") columns.push_back({title, Align::kRight, 16});
  }
  columns.push_back({"rate", Align::kRight, 12});
  columns.push_back({"left", Align::kRight, 14});
  Table table(std::move(columns));
  for (const CampaignView& campaign : campaigns) {
    const TotalsView& totals = campaign.totals;
    const std::optional<double> rate = rates.Of(campaign, now);
    std::vector<std::string> cells = {campaign.name, campaign.state, ProgressBar(ShareDone(totals), bar_columns),
                                      Percent(totals)};
    if (!narrow) {
      for (const std::uint64_t count : {totals.accepted, totals.delivered, totals.bounced, EndedOtherwise(totals)}) {
        cells.push_back(FormatCount(count));
      }
    }
    for (std::string cell : {FormatCount(totals.queued), Rate(rate), Left(campaign, rate)}) {
      cells.push_back(std::move(cell));
    }
    table.AddRow(cells);
  }
  std::string out = table.Render(terminal);
  for (const CampaignView& campaign : campaigns) {
    const std::string why = WhyStill(campaign, now);
    if (why.empty()) continue;
    out += terminal.Paint(Tone::kWarning, Printable(campaign.name) + " " + why) + "\n";
  }
  return out;
}

std::string RenderCampaign(const CampaignView& campaign, Wall now, const CampaignRates& rates,
                           const Terminal& terminal) {
  const TotalsView& totals = campaign.totals;
  const std::optional<double> rate = rates.Of(campaign, now);
  const std::string left = Left(campaign, rate);
  std::string out = fmt::format("{}  {}  {}\n", terminal.Paint(Tone::kStrong, Printable(campaign.name)),
                                Printable(campaign.state), Printable(campaign.mail_class));
  if (const std::string why = WhyHeld(campaign); !why.empty()) out += terminal.Paint(Tone::kWarning, why) + "\n";
  if (campaign.closed_until) out += terminal.Paint(Tone::kWarning, Closed(campaign)) + "\n";
  if (const std::string canary = CanaryLine(campaign); !canary.empty()) out += canary + "\n";
  if (const std::string standstill = Standstill(campaign, now); !standstill.empty()) {
    out += terminal.Paint(Tone::kWarning, standstill) + "\n";
  }
  out += fmt::format("{} {}  {}{}\n", ProgressBar(ShareDone(totals), 2 * kBarColumns), Percent(totals), Rate(rate),
                     left.empty() ? "" : ", " + left + " left");
  out += fmt::format("rows       {} read: {} accepted, {} rejected, {} duplicate, {} suppressed\n",
                     FormatCount(totals.rows), FormatCount(totals.accepted), FormatCount(totals.rejected),
                     FormatCount(totals.duplicate), FormatCount(totals.suppressed_at_intake));
  out += "recipients " + Outcomes(totals) + "\n";
  out += fmt::format("deferred   {} attempts\n", FormatCount(totals.deferrals));
  const auto moment = [&](std::string_view what, const std::optional<Wall>& time) {
    if (time) fmt::format_to(std::back_inserter(out), "{:<10} {}\n", what, observe::FormatRfc3339(*time));
  };
  moment("released", campaign.released_at);
  moment("expires", campaign.expires_at);
  moment("ended", campaign.ended_at);
  return out;
}

std::string RenderProgressLine(const CampaignView& campaign, Wall now, const CampaignRates& rates) {
  const std::optional<double> rate = rates.Of(campaign, now);
  const std::string left = Left(campaign, rate);
  std::string line = fmt::format("{} {} {} {} {} of {}", observe::FormatRfc3339(now), Printable(campaign.name),
                                 Printable(campaign.state), Percent(campaign.totals),
                                 FormatCount(campaign.totals.ended()), FormatCount(campaign.totals.accepted));
  if (rate) line += " " + Rate(rate);
  if (!left.empty()) line += " " + left + " left";
  if (campaign.closed_until) line += " " + Closed(campaign);
  if (const std::string canary = CanaryLine(campaign); !canary.empty()) line += " " + canary;
  if (const std::string standstill = Standstill(campaign, now); !standstill.empty()) line += " " + standstill;
  return line + "\n";
}

std::string RenderFound(const FoundView& found, Wall now, const Terminal& terminal) {
  std::string out;
  for (const FoundJobView& job : found.jobs) {
    out += fmt::format("queued     {} row {}{}, {} attempts{}{}\n", Printable(job.campaign), job.row,
                       job.row_id.empty() ? "" : " (" + Printable(job.row_id) + ")", job.attempts,
                       job.next_due ? ", due " + FormatUntil(job.next_due, now) : "",
                       job.last_reply.empty() ? "" : ", last: " + Printable(job.last_reply));
  }
  for (const FoundEventView& event : found.events) {
    out += fmt::format("{} {} {}", Printable(event.time),
                       terminal.Paint(ToneOf(event.event), fmt::format("{:<10}", Printable(event.event))),
                       Printable(event.campaign));
    if (event.attempt > 0) fmt::format_to(std::back_inserter(out), " attempt {}", event.attempt);
    if (!event.mx_host.empty()) out += " at " + Printable(event.mx_host);
    if (event.code > 0) fmt::format_to(std::back_inserter(out), ": {}", event.code);
    if (!event.reply.empty()) out += (event.code > 0 ? " " : ": ") + Printable(event.reply);
    out += event.final || event.event == "path" ? "\n" : " (goes on)\n";
  }
  if (out.empty()) out = fmt::format("nothing is known of {}\n", Printable(found.address));
  return out;
}

}  // namespace postrider::tools
