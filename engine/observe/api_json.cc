#include "engine/observe/api_json.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "engine/observe/build_info.h"
#include "engine/observe/core_totals.h"
#include "engine/observe/metrics.h"
#include "engine/observe/process_usage.h"
#include "engine/observe/rfc3339.h"
#include "queue/lifecycle.h"

namespace postrider::observe {
namespace {

using Json = nlohmann::ordered_json;

// Ended campaigns that a status shows beside all others.
constexpr std::size_t kEndedShown = 20;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

void PutTime(Json& json, const char* key, const std::optional<Wall>& time) {
  if (time) json[key] = FormatRfc3339(*time);
}

Json Totals(const queue::CampaignTotals& totals) {
  return {{"rows", totals.rows},
          {"accepted", totals.accepted},
          {"rejected", totals.rejected},
          {"duplicate", totals.duplicate},
          {"suppressed_at_intake", totals.suppressed_at_intake},
          {"delivered", totals.delivered},
          {"bounced", totals.bounced},
          {"expired", totals.expired},
          {"suppressed", totals.suppressed},
          {"cancelled", totals.cancelled},
          {"unknown", totals.unknown},
          {"deferrals", totals.deferrals},
          {"queued", totals.queued()}};
}

void PutWindows(Json& json, const queue::Campaign& campaign, Wall now) {
  if (campaign.spec.windows.empty()) return;
  json["windows"] = Json::array();
  for (const SendWindow& window : campaign.spec.windows) json["windows"].push_back(ToString(window));
  json["time_zone"] = campaign.spec.time_zone;
  PutTime(json, "closed_until", queue::ReadinessOf(campaign, now).opens_at);
}

void PutCanary(Json& json, const queue::Canary& canary) {
  if (canary.phase == queue::CanaryPhase::kNone) return;
  Json one = {{"phase", ToString(canary.phase)},
              {"recipients", canary.recipients},
              {"tried", canary.recipients - canary.untried}};
  PutTime(one, "rest_at", canary.rest_at);
  json["canary"] = std::move(one);
}

Json OneCampaign(const queue::Campaign& campaign, Wall now) {
  Json json = {{"name", campaign.spec.name},
               {"id", campaign.id},
               {"state", ToString(campaign.state)},
               {"class", ToString(campaign.spec.mail_class)},
               {"standing", campaign.spec.standing},
               {"pool", campaign.spec.pool},
               {"priority", campaign.spec.priority},
               {"envelope_from", campaign.spec.envelope_from},
               {"accepted_at", FormatRfc3339(campaign.accepted_at)}};
  PutTime(json, "not_before", campaign.spec.not_before);
  PutTime(json, "released_at", campaign.released_at);
  PutTime(json, "expires_at", campaign.expires_at);
  PutTime(json, "paused_at", campaign.paused_at);
  PutTime(json, "ended_at", campaign.ended_at);
  PutWindows(json, campaign, now);
  PutCanary(json, campaign.canary);
  if (!campaign.note.empty()) json["note"] = campaign.note;
  json["totals"] = Totals(campaign.totals);
  return json;
}

void PutStandstill(Json& json, const std::optional<Standstill>& standstill) {
  if (!standstill) return;
  Json one = {{"reason", standstill->reason}};
  PutTime(one, "next", standstill->next);
  json["standstill"] = std::move(one);
}

Json Campaigns(std::span<const queue::CampaignPtr> campaigns, bool all, Wall now) {
  std::vector<queue::CampaignPtr> shown(campaigns.begin(), campaigns.end());
  std::ranges::sort(shown, {}, [](const queue::CampaignPtr& campaign) { return campaign->id; });
  const auto ended = [](const queue::CampaignPtr& campaign) { return campaign->ended_at.has_value(); };
  auto ended_count = static_cast<std::size_t>(std::ranges::count_if(shown, ended));
  if (!all) {
    // The oldest ended ones go first, for they come first.
    std::erase_if(shown, [&](const auto& campaign) { return ended(campaign) && ended_count-- > kEndedShown; });
  }
  Json json = Json::array();
  for (const queue::CampaignPtr& campaign : shown) json.push_back(OneCampaign(*campaign, now));
  return json;
}

Json Pauses(std::span<const PauseTarget> pauses) {
  using Target = delivery::CoreCommand::Target;
  Json json = Json::array();
  for (const PauseTarget& pause : pauses) {
    if (pause.target == Target::kAll) json.push_back({{"all", true}});
    if (pause.target == Target::kSite) json.push_back({{"site", pause.name}});
    if (pause.target == Target::kSource) json.push_back({{"source", pause.name}});
    if (pause.target == Target::kSourceAt) json.push_back({{"source", pause.name}, {"at", pause.at}});
  }
  return json;
}

// What guards hold or warn of, each once though several cores may say the same.
Json Guards(std::span<const delivery::CoreSnapshot> cores) {
  Json json = Json::array();
  for (const delivery::CoreSnapshot& core : cores) {
    for (const delivery::GuardSnapshot& guard : core.guards) {
      Json one = {{"guard", ToString(guard.kind)}, {"state", ToString(guard.state)}};
      if (!guard.campaign.empty()) one["campaign"] = guard.campaign;
      if (!guard.receiver.empty()) one["receiver"] = guard.receiver;
      if (!guard.source.empty()) one["source"] = guard.source;
      one["reason"] = guard.reason;
      if (std::ranges::any_of(json, [&one](const Json& other) {
            Json without_time = other;
            without_time.erase("since");
            return without_time == one;
          })) {
        continue;
      }
      one["since"] = FormatRfc3339(guard.since);
      json.push_back(std::move(one));
    }
  }
  return json;
}

void PutMail(Json& json, const MailWaiting& mail) {
  json["waiting"] = mail.waiting;
  json["deferred"] = mail.deferred;
  PutTime(json, "oldest", mail.oldest);
  PutTime(json, "next_due", mail.next_due);
}

Json Site(const SiteRow& row) {
  const delivery::SiteSnapshot& path = row.path;
  Json json = {
      {"site", path.site},   {"provider", path.provider},       {"source", path.source},
      {"core", row.core},    {"mode", ToString(path.mode)},     {"domains", path.domains},
      {"ready", path.ready}, {"connections", path.connections}, {"messages_per_second", path.messages_per_second}};
  if (path.rate_limit > 0) json["rate_limit"] = path.rate_limit;
  if (!path.binding_limit.empty()) json["binding_limit"] = path.binding_limit;
  PutTime(json, "blocked_until", path.blocked_until);
  PutTime(json, "oldest_due", path.oldest_due);
  if (!path.last_reply.empty()) json["last_reply"] = path.last_reply;
  PutMail(json, row.mail);
  if (row.drain_seconds) json["drain_seconds"] = *row.drain_seconds;
  return json;
}

Json Domain(const DomainRow& row) {
  const queue::DomainBacklog& backlog = row.backlog;
  Json json = {{"domain", backlog.domain}};
  if (!row.site.empty()) json["site"] = row.site;
  json["waiting"] = backlog.waiting;
  json["deferred"] = backlog.deferred;
  PutTime(json, "oldest", backlog.oldest);
  PutTime(json, "next_due", backlog.next_due);
  json["by_age"] = backlog.by_age;
  return json;
}

Json Mail(const MailWaiting& mail) {
  Json json = {{"domains", mail.domains}};
  PutMail(json, mail);
  json["by_age"] = mail.by_age;
  return json;
}

}  // namespace

std::string StatusJson(const StatusAnswer& answer) {
  const Snapshot& snapshot = answer.snapshot;
  const CoreTotals cores = SumUp(snapshot.cores);
  const Conservation conservation = CheckConservation(snapshot.totals, answer.campaigns);
  const ProcessUsage usage = ReadProcessUsage();
  const Wall now = snapshot.time.wall;
  Json json = {
      {"version", kVersion},
      {"host_name", answer.host_name},
      {"time", FormatRfc3339(now)},
      {"started", FormatRfc3339(snapshot.started)},
      {"uptime_seconds", std::chrono::duration<double>(now - snapshot.started).count()},
      {"healthy", answer.trouble.empty()},
      {"trouble", answer.trouble},
      {"sending_stopped", snapshot.sending_stopped},
      {"stop_reason", snapshot.stop_reason},
      {"intake_stopped", snapshot.intake.stopped_by_disk},
      {"totals", Totals(snapshot.totals)},
      {"conservation",
       {{"intake_difference", conservation.intake_difference}, {"queue_difference", conservation.queue_difference}}},
      {"messages_per_second", cores.messages_per_second},
      {"lateness_seconds", cores.lateness_seconds},
      {"in_flight", cores.in_flight},
      {"attempts", cores.counts.attempts},
      {"connections",
       {{"opening", cores.connections_opening},
        {"busy", cores.connections_busy},
        {"idle", cores.connections_idle},
        {"closing", cores.connections_closing},
        {"begun", cores.counts.connects},
        {"failed", cores.counts.connect_failures}}},
      {"handshakes",
       {{"full", cores.counts.handshakes_full},
        {"resumed", cores.counts.handshakes_resumed},
        {"failed", cores.counts.handshake_failures}}},
      {"process",
       {{"cpu_seconds", usage.cpu_seconds},
        {"resident_bytes", usage.resident_bytes},
        {"peak_resident_bytes", usage.peak_resident_bytes}}},
      {"queue",
       {{"disk_bytes", snapshot.store.disk_bytes},
        {"commits", snapshot.store.commits},
        {"free_share", snapshot.queue_free_share}}},
      {"last_reload", {{"time", FormatRfc3339(snapshot.last_reload)}, {"good", snapshot.last_reload_good}}},
      {"pauses", Pauses(answer.pauses)},
      {"guards", Guards(snapshot.cores)},
  };
  PutStandstill(json, answer.standstill);
  json["campaigns"] = Campaigns(answer.campaigns, answer.all_campaigns, now);
  return Dump(json);
}

std::string CampaignJson(const queue::Campaign& campaign, const std::optional<Standstill>& standstill, Wall now) {
  Json json = OneCampaign(campaign, now);
  PutStandstill(json, standstill);
  return Dump(json);
}

std::string QueueJson(const QueuePage& page, std::span<const delivery::CoreSnapshot> cores) {
  Json json = {{"sites", Json::array()}, {"elsewhere", Mail(page.elsewhere)}, {"total", Mail(page.total)}};
  for (const SiteRow& row : page.sites) json["sites"].push_back(Site(row));
  json["guards"] = Guards(cores);
  json["age_limits_minutes"] = Json::array();
  for (const std::chrono::minutes limit : queue::kAgeLimits) json["age_limits_minutes"].push_back(limit.count());
  json["domains"] = Json::array();
  for (const DomainRow& row : page.domains) json["domains"].push_back(Domain(row));
  return Dump(json);
}

std::string FindJson(std::string_view address, std::span<const FoundJob> jobs, const FoundInLog& found) {
  Json json = {{"address", address}, {"jobs", Json::array()}, {"events", Json::array()}};
  for (const FoundJob& job : jobs) {
    Json one = {{"campaign", job.campaign}, {"row", job.row}, {"row_id", job.row_id}, {"attempts", job.attempts}};
    PutTime(one, "next_due", job.next_due);
    if (!job.last_reply.empty()) one["last_reply"] = job.last_reply;
    json["jobs"].push_back(std::move(one));
  }
  for (const std::string& line : found.lines) {
    Json event = Json::parse(line, nullptr, false);
    if (!event.is_discarded()) json["events"].push_back(std::move(event));
  }
  if (!found.problems.empty()) json["problems"] = found.problems;
  return Dump(json);
}

std::string UnmatchedJson(const UnmatchedReplies& replies, std::size_t most) {
  Json json = {{"total", replies.total()}, {"clusters", Json::array()}};
  for (const UnmatchedReplies::Cluster& cluster : replies.Top(most)) {
    json["clusters"].push_back({{"count", cluster.count},
                                {"provider", cluster.provider},
                                {"stage", ToString(cluster.stage)},
                                {"text", cluster.text},
                                {"example", cluster.example},
                                {"first", FormatRfc3339(cluster.first)},
                                {"last", FormatRfc3339(cluster.last)}});
  }
  return Dump(json);
}

std::string TextJson(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  Json json = Json::object();
  for (const auto& [key, value] : fields) json[std::string(key)] = value;
  return Dump(json);
}

}  // namespace postrider::observe
