#include "engine/retry_door.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "config/duration.h"
#include "config/provider.h"
#include "queue/lifecycle.h"

namespace postrider::engine {
namespace {

using observe::Hold;
using observe::RetryAnswer;
using Target = delivery::CoreCommand::Target;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return lower;
}

void AppendEvent(StoreTurn& turn, const RetryAnswer& asked, queue::CampaignId campaign, std::uint64_t moved,
                 std::chrono::milliseconds over) {
  queue::Event event;
  event.kind = asked.kind == RetryAnswer::Kind::kCampaign ? queue::EventKind::kCampaign : queue::EventKind::kPath;
  event.time = turn.now;
  event.job.campaign = campaign;
  if (asked.kind == RetryAnswer::Kind::kCampaign) event.campaign = asked.name;
  if (asked.kind == RetryAnswer::Kind::kDomain) event.domain = asked.name;
  if (asked.kind == RetryAnswer::Kind::kSite) event.site = asked.name;
  event.reply =
      fmt::format("{} deferred recipients brought forward by the operator, over {}", moved, FormatDuration(over));
  turn.log.Append(event);
}

bool Stands(delivery::SiteMode mode) {
  return mode == delivery::SiteMode::kBackingOff || mode == delivery::SiteMode::kStopped ||
         mode == delivery::SiteMode::kPaused;
}

// The same thing is told by each path that it holds, and by its allowance.
void AddHold(std::vector<Hold>& holds, Hold hold) {
  const auto same = [&hold](const Hold& other) {
    return other.what == hold.what && other.name == hold.name && other.source == hold.source &&
           other.limit == hold.limit;
  };
  if (std::ranges::none_of(holds, same)) holds.push_back(std::move(hold));
}

}  // namespace

Result<RetryAnswer> RetryDoor::Retry(std::string_view target, std::chrono::milliseconds over) {
  RetryAnswer answer;
  answer.name = target;
  const queue::CampaignPtr campaign = store_.FindCampaign(target);
  if (campaign != nullptr && queue::HasEnded(*campaign)) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("campaign {} is {}: nothing of it waits for a retry", target, ToString(campaign->state)));
  }
  queue::ForwardRequest request{.campaign = campaign != nullptr ? campaign->id : 0, .over = over};
  if (campaign == nullptr) {
    answer.kind = RetryAnswer::Kind::kDomain;
    answer.name = request.domain = Lower(target);
  }
  Result<Sum> sum = BringForward(request, answer);
  if (sum && campaign == nullptr && sum->deferred == 0) {
    answer.kind = RetryAnswer::Kind::kSite;
    request.site = std::exchange(request.domain, {});
    sum = BringForward(request, answer);
    if (sum) sum->sites.insert(request.site);
  }
  if (!sum) return std::unexpected(std::move(sum).error());
  const observe::Snapshot snapshot = control_.CollectWithDomains();
  if (campaign == nullptr && sum->deferred == 0) {
    if (const Result<void> counted = CountUntried(snapshot, *sum, answer); !counted) {
      return std::unexpected(counted.error());
    }
    if (answer.untried == 0) {
      return Fail(ErrorCode::kNotFound,
                  fmt::format("no campaign is called \"{}\", and nothing waits at a domain or site of that name; "
                              "`postrider status` names campaigns, `postrider queue` domains and sites",
                              target));
    }
  }
  answer.deferred = sum->deferred;
  answer.moved = sum->moved;
  answer.due_by = clock_.Read().wall + over;
  FindHolds(snapshot, *sum, campaign.get(), answer);
  return answer;
}

Result<RetryDoor::Sum> RetryDoor::BringForward(queue::ForwardRequest request, const RetryAnswer& asked) {
  Sum sum;
  bool done = false;
  while (!done) {
    const Result<void> ran = door_.Run([&](StoreTurn& turn) -> Result<void> {
      request.now = turn.now;
      Result<queue::ForwardStep> step = turn.store.BringForward(request);
      if (!step) return std::unexpected(std::move(step).error());
      sum.deferred += step->deferred;
      sum.moved += step->moved;
      sum.sites.insert(step->sites.begin(), step->sites.end());
      request.domain_key = std::move(step->domain_key);
      request.retry_key = std::move(step->retry_key);
      done = step->done;
      if (done && sum.moved > 0) AppendEvent(turn, asked, request.campaign, sum.moved, request.over);
      return {};
    });
    // Another operator's piece went into the same batch; ours goes into the next.
    if (!ran && ran.error().code != ErrorCode::kBusy) return std::unexpected(ran.error());
  }
  return sum;
}

// Mail that back-off or a stop keeps from its first try is not deferred; who asks for its retry means it all the same.
Result<void> RetryDoor::CountUntried(const observe::Snapshot& snapshot, Sum& sum, RetryAnswer& answer) {
  std::set<std::string, std::less<>> at_site;
  std::set<std::string> of_domain;
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    for (const delivery::SiteSnapshot& path : core.sites) {
      if (path.site == answer.name) at_site.insert(path.domain_names.begin(), path.domain_names.end());
      if (std::ranges::find(path.domain_names, answer.name) != path.domain_names.end()) of_domain.insert(path.site);
    }
  }
  std::uint64_t there = 0;
  std::uint64_t in_domain = 0;
  const Result<void> visited = control_.VisitBacklog([&](const queue::DomainBacklog& backlog) {
    if (at_site.contains(backlog.domain)) there += backlog.waiting;
    if (backlog.domain == answer.name) in_domain = backlog.waiting;
  });
  answer.untried = there;
  if (in_domain == 0) return visited;
  answer.kind = RetryAnswer::Kind::kDomain;
  answer.untried = in_domain;
  sum.sites = std::move(of_domain);
  return visited;
}

// Back-off, stops and pauses stay as they are: an operator must hear of them.
void RetryDoor::FindHolds(const observe::Snapshot& snapshot, const Sum& sum, const queue::Campaign* campaign,
                          RetryAnswer& answer) {
  const Wall now = snapshot.time.wall;
  std::vector<Hold>& holds = answer.holds;
  if (snapshot.sending_stopped) {
    AddHold(holds, {.what = "all", .limit = "stopped", .reason = snapshot.stop_reason});
  }
  if (campaign != nullptr) {
    const queue::Readiness ready = queue::ReadinessOf(*campaign, now);
    const std::string_view limit = ready.opens_at ? "closed" : ToString(campaign->state);
    if (!ready.now) {
      AddHold(holds, {.what = "campaign",
                      .name = campaign->spec.name,
                      .limit = std::string(limit),
                      .reason = campaign->note,
                      .until = ready.opens_at});
    }
  }
  const OptionsPtr options = options_();
  std::set<std::string, std::less<>> receivers(sum.sites.begin(), sum.sites.end());
  for (const std::string& site : sum.sites) receivers.emplace(options->Providers().OfMx(site));
  for (const observe::PauseTarget& pause : control_.Pauses()) {
    if (pause.target == Target::kAll) AddHold(holds, {.what = "all", .limit = "paused"});
    if (pause.target == Target::kSite && sum.sites.contains(pause.name)) {
      AddHold(holds, {.what = "site", .name = pause.name, .limit = "paused"});
    }
    if (pause.target == Target::kSource) {
      AddHold(holds, {.what = "source", .name = pause.name, .limit = "paused"});
    }
  }
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    for (const delivery::AllowanceSnapshot& one : core.allowances) {
      if (one.receiver.empty() || !receivers.contains(one.receiver) || !Stands(one.mode)) continue;
      AddHold(holds, {.what = one.is_provider ? "provider" : "site",
                      .name = one.receiver,
                      .source = one.source,
                      .limit = std::string(ToString(one.mode)),
                      .reason = one.reason,
                      .until = one.stopped_until});
    }
    for (const delivery::SiteSnapshot& path : core.sites) {
      // A pause is named above, and whatever stands for all of a provider too.
      if (!sum.sites.contains(path.site) || !Stands(path.mode) || path.mode == delivery::SiteMode::kPaused) continue;
      const auto told = [&](const Hold& hold) { return hold.source == path.source && hold.name == path.provider; };
      if (std::ranges::any_of(holds, told)) continue;
      AddHold(holds, {.what = "site",
                      .name = path.site,
                      .source = path.source,
                      .limit = std::string(ToString(path.mode)),
                      .reason = path.last_reply,
                      .until = path.blocked_until});
    }
  }
}

}  // namespace postrider::engine
