#include "engine/observe/admin_api.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/email_address.h"
#include "engine/observe/api_json.h"
#include "engine/observe/build_info.h"
#include "engine/observe/delivery_log.h"
#include "engine/observe/metrics.h"
#include "engine/observe/queue_page.h"
#include "engine/observe/retry_api.h"
#include "engine/observe/suppression_api.h"
#include "engine/observe/throttle_api.h"
#include "engine/observe/throttle_json.h"
#include "engine/observe/trace_api.h"
#include "engine/observe/url_text.h"

namespace postrider::observe {
namespace {

constexpr std::size_t kDomainsShown = 50;
constexpr std::size_t kDomainsMost = 1000;
constexpr std::size_t kEventsShown = 100;
constexpr std::size_t kEventsMost = 1000;
constexpr std::size_t kClustersShown = 50;
constexpr std::size_t kClustersMost = 1000;

ApiAnswer WrongMethod(std::string_view allow) {
  ApiAnswer answer = ErrorAnswer(405, fmt::format("this path knows only {}", allow));
  answer.allow = allow;
  return answer;
}

ApiAnswer NoSuchPath() {
  return ErrorAnswer(404, "no such page; there are /metrics, /healthz, /api/v1/status, /api/v1/queue, ...");
}

bool IsRead(const ApiRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

// A query's field; nullopt if it is missing, or nothing in the query can be read.
std::optional<std::string> QueryField(std::string_view query, std::string_view name) {
  const std::optional<QueryFields> fields = ParseQuery(query);
  if (!fields) return std::nullopt;
  const auto found = std::ranges::find(*fields, name, &QueryFields::value_type::first);
  return found == fields->end() ? std::nullopt : std::optional(found->second);
}

// A count from the query, within 1..most; nullopt if what stands there is no such number.
std::optional<std::size_t> CountField(std::string_view query, std::string_view name, std::size_t otherwise,
                                      std::size_t most) {
  const std::optional<std::string> text = QueryField(query, name);
  if (!text) return otherwise;
  std::size_t count = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), count);
  if (error != std::errc() || stop != text->data() + text->size() || count == 0 || count > most) return std::nullopt;
  return count;
}

ApiAnswer WrongCount(std::string_view name, std::size_t most) {
  return ErrorAnswer(400, fmt::format("expected {}= a number from 1 to {}", name, most));
}

int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 400;
    case ErrorCode::kDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kExists:
      return 409;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kBusy:
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kNoSpace:
      return 507;
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
      return 500;
  }
  return 500;
}

// {"source": "...", "at": "..."} or {"campaign": "...", "at": "..."}.
std::optional<PauseTarget> ParseTargetAt(const nlohmann::json& json) {
  using Target = delivery::CoreCommand::Target;
  const bool campaign = json.contains("campaign");
  PauseTarget target{campaign ? Target::kCampaignAt : Target::kSourceAt, {}, {}};
  for (const auto& [key, member] :
       {std::pair(campaign ? "campaign" : "source", &target.name), std::pair("at", &target.at)}) {
    if (!json.contains(key) || !json[key].is_string()) return std::nullopt;
    *member = json[key].get<std::string>();
    if (member->empty()) return std::nullopt;
  }
  return target;
}

// {"all": true} or {"site": "..."} or {"source": "..."}, one of them, or one of those above.
std::optional<PauseTarget> ParseTarget(std::string_view body) {
  using Target = delivery::CoreCommand::Target;
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.size() == 2) return ParseTargetAt(json);
  if (!json.is_object() || json.size() != 1) return std::nullopt;
  const std::string& key = json.begin().key();
  const nlohmann::json& value = json.begin().value();
  if (key == "all" && value.is_boolean() && value.get<bool>()) return PauseTarget{};
  if ((key != "site" && key != "source") || !value.is_string()) return std::nullopt;
  const auto& name = value.get_ref<const std::string&>();
  if (name.empty()) return std::nullopt;
  return PauseTarget{key == "site" ? Target::kSite : Target::kSource, name};
}

}  // namespace

ApiAnswer ErrorAnswer(int status, std::string_view sentence) {
  ApiAnswer answer;
  answer.status = status;
  answer.body = TextJson({{"error", sentence}});
  return answer;
}

ApiAnswer ErrorAnswer(const Error& error) { return ErrorAnswer(StatusOf(error.code), error.message); }

AdminApi::AdminApi(const Options& options, const Controls& controls, EventTally& tally)
    : host_name_(options.host_name),
      log_(options.log),
      control_(controls.control),
      throttle_control_(controls.throttle),
      trace_(controls.trace),
      retry_(controls.retry),
      tally_(tally),
      suppressions_(std::make_unique<SuppressionApi>(controls.suppression, [this] { return stopping_.load(); })),
      throttle_(std::make_unique<ThrottleApi>(controls.throttle)) {}

AdminApi::~AdminApi() = default;

bool AdminApi::StreamsBody(std::string_view method, std::string_view path) {
  return method == "POST" && path == "/api/v1/suppressions/import";
}

ApiAnswer AdminApi::Handle(const ApiRequest& request) {
  const std::optional<std::vector<std::string>> parsed = ParsePath(request.path);
  if (!parsed) return ErrorAnswer(400, "the path holds a broken %-escape");
  const std::vector<std::string>& path = *parsed;
  const bool read = IsRead(request);
  if (path.size() == 1 && path[0] == "metrics") return read ? Metrics() : WrongMethod("GET, HEAD");
  if (path.size() == 1 && path[0] == "healthz") return read ? Health() : WrongMethod("GET, HEAD");
  if (path.size() < 3 || path[0] != "api" || path[1] != "v1") return NoSuchPath();
  if (path[2] == "campaigns") return Campaign(request, path);
  if (path[2] == "suppressions") return suppressions_->Handle(request, path);
  if (path[2] == "throttle") return throttle_->Handle(request, path);
  if (path.size() != 3) return NoSuchPath();

  const std::string_view page = path[2];
  if (page == "pause" || page == "resume" || page == "reload" || page == "retry") {
    if (request.method != "POST") return WrongMethod("POST");
    if (page == "retry") return HandleRetry(retry_, request);
    return page == "reload" ? Reload() : SetPause(request, page == "pause");
  }
  if (page == "trace") return request.method == "GET" ? AnswerTrace(request, trace_) : WrongMethod("GET");
  constexpr std::string_view kPages[] = {"status", "queue", "find", "unmatched", "sources", "version"};
  if (std::ranges::find(kPages, page) == std::end(kPages)) return NoSuchPath();
  if (!read) return WrongMethod("GET, HEAD");
  if (page == "status") return Status(request);
  if (page == "queue") return Queue(request);
  if (page == "find") return Find(request);
  if (page == "sources") return Sources();
  if (page == "unmatched") return Unmatched(request);
  return {.status = 200,
          .content_type = "application/json",
          .body = TextJson({{"version", kVersion}, {"compiler", kCompiler}}),
          .allow = {},
          .stream = {}};
}

ApiAnswer AdminApi::Metrics() {
  ApiAnswer answer;
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  const Snapshot snapshot = control_.Collect();
  answer.body = RenderMetrics(snapshot, control_.Campaigns(), tally_.Copy());
  return answer;
}

ApiAnswer AdminApi::Health() {
  const std::string trouble = control_.Trouble();
  ApiAnswer answer;
  answer.status = trouble.empty() ? 200 : 503;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = (trouble.empty() ? "ok" : trouble) + "\n";
  return answer;
}

ApiAnswer AdminApi::Status(const ApiRequest& request) {
  const Snapshot snapshot = control_.Collect();
  const std::vector<queue::CampaignPtr> campaigns = control_.Campaigns();
  const std::vector<PauseTarget> pauses = control_.Pauses();
  const std::string trouble = control_.Trouble();
  ApiAnswer answer;
  answer.body = StatusJson({.snapshot = snapshot,
                            .campaigns = campaigns,
                            .pauses = pauses,
                            .host_name = host_name_,
                            .trouble = trouble,
                            .standstill = StandstillNow(snapshot, pauses),
                            .all_campaigns = QueryField(request.query, "all") == "1"});
  return answer;
}

// The queue is walked only where nothing else is done.
std::optional<Standstill> AdminApi::StandstillNow(const Snapshot& snapshot, std::span<const PauseTarget> pauses) {
  if (snapshot.totals.queued() == 0 || MailMoves(snapshot, pauses)) return std::nullopt;
  MailWaiting queued;
  const Result<void> visited = control_.VisitBacklog([&](const queue::DomainBacklog& backlog) { queued.Add(backlog); });
  return visited ? StandstillOf(snapshot, pauses, queued) : std::nullopt;
}

ApiAnswer AdminApi::Queue(const ApiRequest& request) {
  const auto most = CountField(request.query, "domains", kDomainsShown, kDomainsMost);
  if (!most) return WrongCount("domains", kDomainsMost);
  const Snapshot snapshot = control_.CollectWithDomains();
  QueuePageBuilder builder(snapshot.cores, *most);
  const Result<void> visited =
      control_.VisitBacklog([&](const queue::DomainBacklog& backlog) { builder.Add(backlog); });
  if (!visited) return ErrorAnswer(visited.error());
  ApiAnswer answer;
  answer.body = QueueJson(std::move(builder).Finish(snapshot.time.wall), snapshot.cores);
  return answer;
}

ApiAnswer AdminApi::Sources() {
  ApiAnswer answer;
  answer.body = SourcesJson(*throttle_control_.InForce(), control_.Collect(), control_.Pauses());
  return answer;
}

ApiAnswer AdminApi::Find(const ApiRequest& request) {
  const auto most = CountField(request.query, "events", kEventsShown, kEventsMost);
  if (!most) return WrongCount("events", kEventsMost);
  const std::optional<std::string> text = QueryField(request.query, "address");
  if (!text) return ErrorAnswer(400, "expected ?address=local@domain");
  const Result<EmailAddress> address = EmailAddress::Parse(*text);
  if (!address) return ErrorAnswer(address.error());
  // As the queue and the log spell it.
  const std::string recipient = ToString(*address);
  const Result<std::vector<FoundJob>> jobs = control_.Find(recipient);
  if (!jobs) return ErrorAnswer(jobs.error());
  const Result<FoundInLog> found = FindInLog(log_, recipient, *most, [this] { return !stopping_.load(); });
  if (!found) return ErrorAnswer(found.error());
  ApiAnswer answer;
  answer.body = FindJson(recipient, *jobs, *found);
  return answer;
}

ApiAnswer AdminApi::Unmatched(const ApiRequest& request) {
  const auto most = CountField(request.query, "top", kClustersShown, kClustersMost);
  if (!most) return WrongCount("top", kClustersMost);
  ApiAnswer answer;
  answer.body = UnmatchedJson(control_.Unmatched(), *most);
  return answer;
}

queue::CampaignPtr AdminApi::FindCampaign(std::string_view name) {
  // The latest of that name: a failed one may have been submitted again.
  queue::CampaignPtr found;
  for (queue::CampaignPtr& campaign : control_.Campaigns()) {
    if (campaign->spec.name == name && (found == nullptr || campaign->id > found->id)) found = std::move(campaign);
  }
  return found;
}

ApiAnswer AdminApi::Campaign(const ApiRequest& request, const std::vector<std::string>& path) {
  if (path.size() < 4 || path.size() > 5 || path[3].empty()) return NoSuchPath();
  const std::string& name = path[3];
  const std::string_view action = path.size() == 5 ? std::string_view(path[4]) : std::string_view();
  if (action.empty() && path.size() == 4) {
    if (!IsRead(request)) return WrongMethod("GET, HEAD");
    const queue::CampaignPtr campaign = FindCampaign(name);
    if (campaign == nullptr) return ErrorAnswer(404, fmt::format("there is no campaign \"{}\"", name));
    ApiAnswer answer;
    const Snapshot snapshot = control_.Collect();
    answer.body = CampaignJson(*campaign, StandstillNow(snapshot, control_.Pauses()), snapshot.time.wall);
    return answer;
  }
  if (action == "remaining") return request.method == "GET" ? Remaining(name) : WrongMethod("GET");
  if (action != "pause" && action != "resume" && action != "cancel") return NoSuchPath();
  return request.method == "POST" ? SetState(name, action) : WrongMethod("POST");
}

ApiAnswer AdminApi::SetState(const std::string& name, std::string_view action) {
  const queue::CampaignState state = action == "pause"    ? queue::CampaignState::kPaused
                                     : action == "cancel" ? queue::CampaignState::kCancelled
                                                          : queue::CampaignState::kRunning;
  if (const Result<void> set = control_.SetCampaignState(name, state); !set) {
    // Well asked, but not in the state it is in.
    if (set.error().code == ErrorCode::kInvalid) return ErrorAnswer(409, set.error().message);
    return ErrorAnswer(set.error());
  }
  ApiAnswer answer;
  answer.body = TextJson({{"name", name}, {"state", ToString(state)}});
  return answer;
}

ApiAnswer AdminApi::Remaining(const std::string& name) {
  if (FindCampaign(name) == nullptr) return ErrorAnswer(404, fmt::format("there is no campaign \"{}\"", name));
  ApiAnswer answer;
  answer.content_type = "application/x-ndjson";
  answer.stream = [this, name](const ApiAnswer::Write& write) {
    return control_.ExportRemaining(
        name, [&](std::string_view line) { return line.ends_with('\n') ? write(line) : write(line) && write("\n"); });
  };
  return answer;
}

// What a resumption of all leaves in place, and a pause of all that outlasts a narrower one; empty: nothing.
std::string AdminApi::StillPaused(const PauseTarget& resumed) {
  using Target = delivery::CoreCommand::Target;
  std::string names;
  const auto add = [&](std::string_view what, std::string_view name) {
    fmt::format_to(std::back_inserter(names), "{}{} {}", names.empty() ? "" : ", ", what, name);
  };
  for (const PauseTarget& pause : control_.Pauses()) {
    if (pause.target == Target::kAll) return "all sending is paused still: `postrider resume --all`";
    if (pause.target == Target::kSite) add("--site", pause.name);
    if (pause.target == Target::kSource) add("--source", pause.name);
    if (pause.target == Target::kSourceAt) add("source", fmt::format("{} at {}", pause.name, pause.at));
  }
  if (resumed.target != Target::kAll) return {};
  for (const queue::CampaignPtr& campaign : control_.Campaigns()) {
    if (campaign->state == queue::CampaignState::kPaused) add("campaign", campaign->spec.name);
  }
  if (names.empty()) return {};
  return fmt::format("paused still, each until a `postrider resume` of its own: {}", names);
}

ApiAnswer AdminApi::SetPause(const ApiRequest& request, bool pause) {
  const std::optional<PauseTarget> target = ParseTarget(request.body);
  if (!target) {
    return ErrorAnswer(400, R"(expected {"all": true}, {"site": "NAME"}, {"source": "NAME"}, {"source": "NAME", "at": )"
                            R"("PLACE"} or, to resume, {"campaign": "NAME", "at": "PLACE"} as the body)");
  }
  std::string name = target->name.empty() ? "all" : target->name;
  if (!target->at.empty()) name += " at " + target->at;
  ApiAnswer answer;
  if (!pause) {
    if (const Result<void> done = control_.Resume(*target); !done) return ErrorAnswer(done.error());
    const std::string note = StillPaused(*target);
    answer.body = note.empty() ? TextJson({{"resumed", name}}) : TextJson({{"resumed", name}, {"note", note}});
    return answer;
  }
  const Result<std::string> note = control_.Pause(*target);
  if (!note) return ErrorAnswer(note.error());
  answer.body = note->empty() ? TextJson({{"paused", name}}) : TextJson({{"paused", name}, {"note", *note}});
  return answer;
}

ApiAnswer AdminApi::Reload() {
  const Result<std::string> note = control_.Reload();
  if (!note) {
    // The daemon runs on with what it had, so this is the asker's to mend whatever the code.
    return ErrorAnswer(note.error().code == ErrorCode::kInvalid ? 422 : StatusOf(note.error().code),
                       note.error().message);
  }
  ApiAnswer answer;
  answer.body = note->empty() ? TextJson({{"reloaded", "yes"}}) : TextJson({{"reloaded", "yes"}, {"note", *note}});
  return answer;
}

}  // namespace postrider::observe
