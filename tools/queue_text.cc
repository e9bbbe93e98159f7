#include "tools/queue_text.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/status_text.h"
#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Align = Table::Align;
constexpr std::size_t kFullTableColumns = 130;  // what the table of paths takes with counts in the millions

// When a site is done; what takes longer than this is as good as never.
std::string DoneIn(const std::optional<double>& seconds) {
  constexpr double kMost = 30.0 * 86'400;
  if (!seconds || !(*seconds >= 0)) return "";
  if (*seconds > kMost) return "> 30 d";
  return FormatSpan(std::chrono::seconds(std::llround(std::ceil(*seconds))));
}

// Back-off and stops end at a moment of their own; else the next thing to happen is a retry.
std::string Next(const SiteView& site, Wall now) {
  return FormatUntil(site.blocked_until ? site.blocked_until : site.mail.next_due, now);
}

std::string Amount(const MailView& mail) {
  return fmt::format("{} waiting, {} deferred in {} {}", FormatCount(mail.waiting), FormatCount(mail.deferred),
                     FormatCount(mail.domains), mail.domains == 1 ? "domain" : "domains");
}

std::string RenderSites(const QueueView& queue, Wall now, const Terminal& terminal) {
  // On a narrow terminal what answers "why" stays.
  const bool narrow = terminal.interactive && terminal.columns < kFullTableColumns;
  std::vector<Table::Column> columns = {{"site", Align::kLeft, narrow ? 24u : 36u}};
  if (!narrow) {
    columns.push_back({"provider", Align::kLeft, 12});
    columns.push_back({"source", Align::kLeft, 12});
  }
  columns.push_back({"mode", Align::kLeft, 12});
  columns.push_back({"waiting", Align::kRight, 16});
  if (!narrow) {
    columns.push_back({"deferred", Align::kRight, 16});
    columns.push_back({"oldest", Align::kRight, 14});
    columns.push_back({"conns", Align::kRight, 8});
  }
  columns.push_back({"rate", Align::kRight, 12});
  columns.push_back({"bound by", Align::kLeft, 18});
  if (!narrow) columns.push_back({"next", Align::kRight, 16});
  columns.push_back({"done in", Align::kRight, 14});
  Table table(std::move(columns));
  std::set<std::pair<std::string_view, std::uint64_t>> shown;
  for (const SiteView& site : queue.sites) {
    // The mail is the whole site's, whichever path takes it: each once.
    const bool first = shown.emplace(site.site, site.core).second;
    const auto of_site = [first](std::string cell) { return first ? std::move(cell) : std::string(); };
    std::vector<std::string> cells = {site.site};
    if (!narrow) {
      cells.push_back(site.provider);
      cells.push_back(site.source);
    }
    cells.push_back(site.mode);
    cells.push_back(of_site(FormatCount(narrow ? site.mail.total() : site.mail.waiting)));
    if (!narrow) {
      cells.push_back(of_site(FormatCount(site.mail.deferred)));
      cells.push_back(of_site(FormatSince(site.mail.oldest, now)));
      cells.push_back(FormatCount(site.connections));
    }
    cells.push_back(FormatRate(site.messages_per_second) + "/s");
    cells.push_back(site.binding_limit);
    if (!narrow) cells.push_back(Next(site, now));
    cells.push_back(of_site(DoneIn(site.drain_seconds)));
    table.AddRow(cells);
    table.AddNote(site.last_reply);
  }
  return table.Render(terminal);
}

std::string RenderDomains(const QueueView& queue, Wall now, const Terminal& terminal) {
  Table table({{"domain", Align::kLeft, 48},
               {"waiting", Align::kRight, 16},
               {"deferred", Align::kRight, 16},
               {"oldest", Align::kRight, 14},
               {"next due", Align::kRight, 16},
               {"site", Align::kLeft, 36}});
  for (const DomainView& domain : queue.domains) {
    table.AddRow({domain.domain, FormatCount(domain.mail.waiting), FormatCount(domain.mail.deferred),
                  FormatSince(domain.mail.oldest, now), FormatUntil(domain.mail.next_due, now), domain.site});
  }
  return table.Render(terminal);
}

}  // namespace

std::string RenderQueue(const QueueView& queue, Wall now, const Terminal& terminal) {
  if (queue.sites.empty() && queue.domains.empty()) return "the queue is empty\n";
  std::string out;
  if (!queue.guards.empty()) out = RenderGuards(queue.guards, terminal) + "\n";
  if (!queue.sites.empty()) out += RenderSites(queue, now, terminal) + "\n";
  if (!queue.domains.empty()) out += RenderDomains(queue, now, terminal) + "\n";
  out += Amount(queue.total);
  if (queue.total.oldest) out += ", the oldest for " + FormatSince(queue.total.oldest, now);
  out += "\n";
  if (queue.elsewhere.total() > 0) {
    out += "of these no path has " + Amount(queue.elsewhere) + ": not due yet, paused, or their MX not known";
    if (queue.elsewhere.next_due) out += "; next " + FormatUntil(queue.elsewhere.next_due, now);
    out += "\n";
  }
  return out;
}

std::string RenderAges(const QueueView& queue, const Terminal& terminal) {
  if (queue.total.total() == 0) return "the queue is empty\n";
  std::vector<Table::Column> columns = {{"minutes", Align::kLeft, 36}, {"total", Align::kRight, 16}};
  for (const std::uint64_t limit : queue.age_limits_minutes) {
    columns.push_back({fmt::format("<{}", limit), Align::kRight, 12});
  }
  columns.push_back({"older", Align::kRight, 12});
  Table table(std::move(columns));
  const auto add = [&](const std::string& name, const MailView& mail) {
    std::vector<std::string> cells = {name, FormatCount(mail.total())};
    // Noughts would hide where the mail is.
    for (const std::uint64_t count : mail.by_age) cells.push_back(count == 0 ? "." : FormatCount(count));
    table.AddRow(cells);
  };
  add("TOTAL", queue.total);
  for (const DomainView& domain : queue.domains) add(domain.domain, domain.mail);
  return table.Render(terminal);
}

}  // namespace postrider::tools
