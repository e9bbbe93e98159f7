// The part of Settlement that acts on what replies say beyond the one recipient: rules and their actions, and the
// guards that look at many outcomes together.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"
#include "throttle/classify.h"

namespace postrider::delivery {
namespace {

// Before the MX of a domain that led to the wrong host is looked up again.
constexpr std::chrono::minutes kResolveAgainAfter{1};
constexpr std::uint32_t kResolveAgainMost = 3;

bool IsHardBounce(const Verdict& verdict) {
  if (verdict.fate != Fate::kBounced) return false;
  return verdict.category == Category::kBadMailbox || verdict.category == Category::kBadDomain ||
         verdict.category == Category::kInactiveMailbox;
}

}  // namespace

Judgement Settlement::Judge(const Site& site, const Reply& reply, Stage stage) {
  if (reply.Positive() || parts_.settings.classifier == nullptr) return {Classify(reply, stage), nullptr};
  const Judgement judgement = parts_.settings.classifier->Classify(reply, stage, site.provider);
  if (judgement.rule == nullptr) {
    ++parts_.counts.unmatched_replies;
    parts_.unmatched.Add(reply, stage, site.provider, parts_.loop.now().wall);
  } else {
    ++parts_.rule_hits[judgement.rule->name];
  }
  return judgement;
}

void Settlement::React(Connection& connection, WindowJob* job, const Judgement& judgement, Stage stage,
                       const Reply& reply) {
  if (judgement.rule == nullptr || judgement.rule->action.kind == ActionKind::kNone) return;
  const ReplyRule& rule = *judgement.rule;
  const ReplyAction& action = rule.action;
  Path& path = connection.path();
  Account& account = path.widest();
  const Now now = parts_.loop.now();
  if (action.kind == ActionKind::kPauseSender) {
    if (job != nullptr) PauseSender(*job, path, rule, reply);
    return;
  }
  // A 421 is judged when its connection has ended, also where no message was taken.
  if (action.kind == ActionKind::kReconnect && reply.code == 421 && job != nullptr) return;
  const auto host = connection.host();
  const std::string& host_name = path.site.target.hosts[host].name;
  // What is done to a host is its own replies' doing.
  const std::string_view target = action.kind == ActionKind::kSkipHost ? std::string_view(host_name) : "";
  if (!account.actions.Count(rule.name, target, action, now.monotonic)) return;
  Monotonic until{};
  switch (action.kind) {
    case ActionKind::kNone:
    case ActionKind::kPauseSender:
      return;
    case ActionKind::kReconnect:
      Reconnect(connection, job, judgement, stage, reply);
      break;
    case ActionKind::kResolveAgain:
      if (job == nullptr || ResolvedInVain(*job->lane->domain)) return;
      parts_.windows->SendElsewhere(*job->lane->domain, kResolveAgainAfter);
      break;
    case ActionKind::kSkipHost:
      until = now.monotonic + action.duration;
      path.hosts[host].Skip(until);
      break;
    case ActionKind::kLowerRate:
      if (!account.allowance.Throttled(now, rule.name, reply, action.messages_per_second)) return;
      break;
    case ActionKind::kLowerConnections:
      if (!account.allowance.LowerConnections(now, action.duration, rule.name, reply)) return;
      until = now.monotonic + action.duration;
      break;
    case ActionKind::kStopPath: {
      // Connections that were open beside the first say the same.
      const bool stopped = account.allowance.BlockedUntil() > now.monotonic && account.troubled;
      until = account.allowance.Stop(now, action.duration, rule.name, reply);
      if (std::exchange(account.troubled, true) && stopped) return;
      break;
    }
    case ActionKind::kBounceDomain:
      if (job != nullptr) {
        parts_.windows->BounceRest(*job->lane->domain, stage, judgement.verdict.category, reply);
      }
      break;
  }
  ++parts_.counts.actions[static_cast<std::size_t>(action.kind)];
  account.messages.CallNext();
  parts_.admission->MarkPending(path.site);
  Reply words = reply;
  words.text = fmt::format("{} by rule {}: {}", ToString(action.kind), rule.name, reply.text);
  PathEvent(path, host_name, connection.remote_address(), stage, judgement.verdict.category, judgement.verdict.scope,
            words, until);
}

// So many messages it took, and no more: the next connection closes in time. Who says so to the first one would say it
// to the first one of every connection.
void Settlement::Reconnect(Connection& connection, const WindowJob* job, const Judgement& judgement, Stage stage,
                           const Reply& reply) {
  Path& path = connection.path();
  const bool counted = job != nullptr && reply.code != 421;  // this refusal is among the replies
  const std::uint32_t took = connection.replied() - (counted ? 1 : 0);
  if (took > 0) {
    path.site.learned_cap = static_cast<int>(took);
    path.site.cap_learned_at = parts_.loop.now().wall;
    parts_.kept->KeepCap(path.site);
  } else if (counted) {
    HostFailed(path, connection.host(), stage, judgement.verdict.category, reply, parts_.now(),
               connection.remote_address());
  }
  connection.Quit();
}

// Its MX was looked up anew often enough, and led to hosts that say the same: it is an answer like others.
bool Settlement::ResolvedInVain(const Domain& domain) { return domain.resolved_again >= kResolveAgainMost; }

// Its sender is refused here, and nowhere else: the campaign stops at this provider; a transactional one is slowed.
void Settlement::PauseSender(WindowJob& job, Path& path, const ReplyRule& rule, const Reply& reply) {
  const Now now = parts_.loop.now();
  CampaignEntry& campaign = *job.lane->campaign;
  CampaignPart& part = parts_.destinations->PartOf(*path.site.provider_destination, campaign);
  if (!part.actions.Count(rule.name, rule.action, now.monotonic)) return;
  if (!parts_.destinations->Refuse(*path.site.provider_destination, part, campaign.transactional(), rule)) return;
  KeepStop(part, campaign, *path.site.provider_destination);
  ++parts_.counts.actions[static_cast<std::size_t>(ActionKind::kPauseSender)];
  GuardEvent(part, campaign, path, reply.text);
}

void Settlement::CountForGuards(const WindowJob& job, Path& path, Verdict& verdict) {
  const Monotonic now = parts_.now();
  Site& site = path.site;
  // Who is answered has a network.
  ConnectTried(site, true);
  const bool hard_bounce = IsHardBounce(verdict);
  const bool bad_mailbox = verdict.category == Category::kBadMailbox && verdict.fate == Fate::kBounced;
  if (bad_mailbox && site.storm == nullptr) site.storm = std::make_unique<BounceStorm>(parts_.options->guard);
  if (site.storm != nullptr && (bad_mailbox || verdict.fate == Fate::kDelivered)) {
    if (site.storm->Count(now, bad_mailbox)) {
      parts_.kept->KeepStorm(site);
      GuardEvent(Stage::kRcpt, Scope::kRecipient, site.storm->Describe(site.name), &site);
    }
    if (bad_mailbox && site.storm->tripped()) verdict.fate = Fate::kDeferred;
  }
  CampaignEntry& campaign = *job.lane->campaign;
  Destination& destination = *path.site.provider_destination;
  CampaignPart& part = parts_.destinations->PartOf(destination, campaign);
  if (verdict.fate == Fate::kDelivered) parts_.destinations->Accepted(destination, campaign.first->id, part);
  if (campaign.transactional()) return;
  const bool spam_block = verdict.category == Category::kSpamBlock && verdict.scope == Scope::kSender;
  const bool canary = campaign.latest->canary.RestWaits();
  if (!part.guard.Count(now, hard_bounce, spam_block, canary)) return;
  if (part.Paused()) KeepStop(part, campaign, destination);
  GuardEvent(part, campaign, path, {});
}

void Settlement::GuardEvent(const CampaignPart& part, const CampaignEntry& campaign, const Path& path,
                            std::string_view reply) {
  const Destination& at = *path.site.provider_destination;
  const Finding finding = part.Describe(at.name);
  std::string sentence = finding.why;
  if (!reply.empty()) sentence += fmt::format("; the last reply was: {}", reply);
  if (!finding.go_on.empty()) sentence += "; " + finding.go_on;
  queue::Event& event = BeginEvent(Stage::kNone, Category::kNone, Scope::kSender, sentence);
  event.campaign = campaign.spec().name;
  event.site = path.site.name;
  event.provider = path.site.provider;
  event.source = path.source.name;
  parts_.writer.Publish();
}

// What stops or slows a campaign at a receiver outlives a restart. A canary's end goes to the store first, so that no
// crash leaves the guard known and the campaign running on.
void Settlement::KeepStop(const CampaignPart& part, const CampaignEntry& campaign, const Destination& at) {
  if (part.Paused() && campaign.latest->canary.RestWaits()) StopCanary(part, campaign, at);
  parts_.kept->KeepPart(at, campaign.first->id, part);
}

// A guard tripped while only the canary was out: that is what it was for.
void Settlement::StopCanary(const CampaignPart& part, const CampaignEntry& campaign, const Destination& at) {
  const std::string& name = campaign.spec().name;
  queue::Event& event = parts_.writer.Next(StoreRequest::Kind::kStopCanary, nullptr).outcome.event;
  event.kind = queue::EventKind::kCampaign;
  event.time = parts_.loop.now().wall;
  event.job.campaign = campaign.first->id;
  event.campaign = name;
  event.mail_class = campaign.spec().mail_class;
  (at.is_provider ? event.provider : event.site) = at.name;
  event.reply = fmt::format(
      "{}; so it is paused everywhere while only its canary is out: look into it, then `postrider resume {}` sends the "
      "rest, `postrider cancel {}` drops it",
      part.Describe(at.name).why, name, name);
  parts_.writer.Publish();
}

void Settlement::GuardEvent(Stage stage, Scope scope, const Finding& finding, const Site* site) {
  std::string sentence = finding.alarm == Alarm::kNone ? "the alarm is over" : finding.why;
  if (!finding.go_on.empty()) sentence += "; " + finding.go_on;
  queue::Event& event = BeginEvent(stage, Category::kNone, scope, sentence);
  if (site != nullptr) {
    event.site = site->name;
    event.provider = site->provider;
  }
  parts_.writer.Publish();
}

void Settlement::ConnectTried(const Site& site, bool connected) {
  if (!parts_.network.Count(parts_.now(), std::hash<std::string>()(site.key), connected)) return;
  GuardEvent(Stage::kConnect, Scope::kHost, parts_.network.Describe());
  parts_.admission->MarkAllPending();
}

}  // namespace postrider::delivery
