#include "tools/status_view.h"

#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"
#include "tools/answer.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

// These throw nlohmann's exception where a thing is missing or of another type; ReadAnswer catches it.
std::uint64_t Count(const json& object, const char* key) { return object.at(key).get<std::uint64_t>(); }
double Number(const json& object, const char* key) { return object.at(key).get<double>(); }
std::string Text(const json& object, const char* key) { return object.value(key, std::string()); }

std::optional<Wall> Time(const json& object, const char* key) {
  return observe::ParseRfc3339(object.value(key, std::string()));
}

TotalsView Totals(const json& object) {
  return {.rows = Count(object, "rows"),
          .accepted = Count(object, "accepted"),
          .rejected = Count(object, "rejected"),
          .duplicate = Count(object, "duplicate"),
          .suppressed_at_intake = Count(object, "suppressed_at_intake"),
          .delivered = Count(object, "delivered"),
          .bounced = Count(object, "bounced"),
          .expired = Count(object, "expired"),
          .suppressed = Count(object, "suppressed"),
          .cancelled = Count(object, "cancelled"),
          .unknown = Count(object, "unknown"),
          .deferrals = Count(object, "deferrals"),
          .queued = Count(object, "queued")};
}

std::string Windows(const json& object) {
  std::string text;
  for (const json& window : object.value("windows", json::array())) {
    text += (text.empty() ? "" : ", ") + window.get<std::string>();
  }
  return text.empty() ? text : text + " " + Text(object, "time_zone");
}

std::optional<CanaryView> Canary(const json& object) {
  const auto canary = object.find("canary");
  if (canary == object.end()) return std::nullopt;
  return CanaryView{.phase = Text(*canary, "phase"),
                    .recipients = Count(*canary, "recipients"),
                    .tried = Count(*canary, "tried"),
                    .rest_at = Time(*canary, "rest_at")};
}

std::optional<StandstillView> Standstill(const json& object) {
  const auto standstill = object.find("standstill");
  if (standstill == object.end()) return std::nullopt;
  return StandstillView{.reason = Text(*standstill, "reason"), .next = Time(*standstill, "next")};
}

CampaignView Campaign(const json& object) {
  return {.name = object.at("name").get<std::string>(),
          .state = object.at("state").get<std::string>(),
          .mail_class = Text(object, "class"),
          .totals = Totals(object.at("totals")),
          .released_at = Time(object, "released_at"),
          .expires_at = Time(object, "expires_at"),
          .ended_at = Time(object, "ended_at"),
          .closed_until = Time(object, "closed_until"),
          .windows = Windows(object),
          .canary = Canary(object),
          .note = Text(object, "note"),
          .standstill = Standstill(object)};
}

std::string Pause(const json& object) {
  if (object.contains("site")) return "site " + Text(object, "site");
  if (object.contains("at")) return "source " + Text(object, "source") + " at " + Text(object, "at");
  if (object.contains("source")) return "source " + Text(object, "source");
  return "all";
}

std::vector<GuardView> Guards(const json& array) {
  std::vector<GuardView> guards;
  for (const json& one : array) {
    guards.push_back({.guard = Text(one, "guard"),
                      .tripped = Text(one, "state") == "tripped",
                      .source = Text(one, "source"),
                      .reason = Text(one, "reason")});
  }
  return guards;
}

StatusView Status(const json& object) {
  StatusView view;
  view.version = Text(object, "version");
  view.host_name = Text(object, "host_name");
  view.time = Time(object, "time").value_or(Wall());
  view.uptime_seconds = Number(object, "uptime_seconds");
  view.trouble = Text(object, "trouble");
  view.sending_stopped = object.value("sending_stopped", false);
  view.stop_reason = Text(object, "stop_reason");
  view.intake_stopped = object.value("intake_stopped", false);
  view.totals = Totals(object.at("totals"));
  view.intake_difference = object.at("conservation").at("intake_difference").get<std::int64_t>();
  view.queue_difference = object.at("conservation").at("queue_difference").get<std::int64_t>();
  view.messages_per_second = Number(object, "messages_per_second");
  view.lateness_seconds = Number(object, "lateness_seconds");
  view.in_flight = Count(object, "in_flight");
  const json& connections = object.at("connections");
  view.connections_opening = Count(connections, "opening");
  view.connections_busy = Count(connections, "busy");
  view.connections_idle = Count(connections, "idle");
  view.resident_bytes = Count(object.at("process"), "resident_bytes");
  view.last_reload_good = object.at("last_reload").value("good", true);
  for (const json& pause : object.at("pauses")) view.pauses.push_back(Pause(pause));
  view.guards = Guards(object.at("guards"));
  for (const json& campaign : object.at("campaigns")) {
    view.campaigns.push_back(Campaign(campaign));
    view.campaigns.back().standstill = Standstill(object);
  }
  return view;
}

MailView Mail(const json& object) {
  return {.domains = object.value("domains", std::uint64_t{0}),
          .waiting = Count(object, "waiting"),
          .deferred = Count(object, "deferred"),
          .oldest = Time(object, "oldest"),
          .next_due = Time(object, "next_due"),
          .by_age = object.value("by_age", std::vector<std::uint64_t>())};
}

SiteView Site(const json& object) {
  SiteView site;
  site.site = Text(object, "site");
  site.core = Count(object, "core");
  site.provider = Text(object, "provider");
  site.source = Text(object, "source");
  site.mode = Text(object, "mode");
  site.domains = Count(object, "domains");
  site.ready = Count(object, "ready");
  site.connections = Count(object, "connections");
  site.messages_per_second = Number(object, "messages_per_second");
  site.binding_limit = Text(object, "binding_limit");
  site.blocked_until = Time(object, "blocked_until");
  site.last_reply = Text(object, "last_reply");
  site.mail = Mail(object);
  if (object.contains("drain_seconds")) site.drain_seconds = Number(object, "drain_seconds");
  return site;
}

QueueView Queue(const json& object) {
  QueueView view;
  for (const json& site : object.at("sites")) view.sites.push_back(Site(site));
  view.guards = Guards(object.at("guards"));
  view.elsewhere = Mail(object.at("elsewhere"));
  view.total = Mail(object.at("total"));
  view.age_limits_minutes = object.at("age_limits_minutes").get<std::vector<std::uint64_t>>();
  for (const json& domain : object.at("domains")) {
    view.domains.push_back({.domain = Text(domain, "domain"), .site = Text(domain, "site"), .mail = Mail(domain)});
  }
  return view;
}

FoundView Found(const json& object) {
  FoundView view;
  view.address = Text(object, "address");
  for (const json& job : object.at("jobs")) {
    view.jobs.push_back({.campaign = Text(job, "campaign"),
                         .row = Count(job, "row"),
                         .row_id = Text(job, "row_id"),
                         .attempts = Count(job, "attempts"),
                         .next_due = Time(job, "next_due"),
                         .last_reply = Text(job, "last_reply")});
  }
  for (const json& event : object.at("events")) {
    view.events.push_back({.time = Text(event, "time"),
                           .event = Text(event, "event"),
                           .campaign = Text(event, "campaign"),
                           .mx_host = Text(event, "mx_host"),
                           .attempt = event.value("attempt", std::uint64_t{0}),
                           .code = event.value("code", std::uint64_t{0}),
                           .reply = Text(event, "reply"),
                           .final = event.value("final", false)});
  }
  view.problems = object.value("problems", std::vector<std::string>());
  return view;
}

}  // namespace

Result<StatusView> ParseStatus(std::string_view text) { return ReadAnswer<json>(text, Status); }
Result<CampaignView> ParseCampaign(std::string_view text) { return ReadAnswer<json>(text, Campaign); }
Result<QueueView> ParseQueue(std::string_view text) { return ReadAnswer<json>(text, Queue); }
Result<FoundView> ParseFound(std::string_view text) { return ReadAnswer<json>(text, Found); }

}  // namespace postrider::tools
