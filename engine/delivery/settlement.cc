#include "engine/delivery/settlement.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"
#include "throttle/retry_schedule.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;

// A job that comes back this often without a word about it is charged with an attempt after all: it may be what breaks
// the connections, or what the path is refused for, and must not hold up the rest for ever.
constexpr std::uint32_t kReturnsMax = 5;
// A mailbox that is called bad only for now is believed to be after so many such replies, each so long after the one
// before it: by then a directory that was out of reach is back.
constexpr std::uint8_t kBadMailboxMost = 3;
constexpr std::chrono::hours kBadMailboxApart{1};
// So many recipients in a row may be refused for now, for a reason of ours, before the path backs off.
constexpr int kBusyForgiven = 2;

double Seconds(Wall from, Wall to) { return std::max(0.0, std::chrono::duration<double>(to - from).count()); }

std::string_view SaidBy(const smtp::MessageResult& result) {
  if (!result.reply.text.empty()) return result.reply.text;
  return "the connection ended before the message was sent";
}

}  // namespace

struct Settlement::Facts {
  EventKind kind = EventKind::kDeferred;
  bool final = false;
  bool attempted = true;
  Stage stage = Stage::kNone;
  Category category = Category::kNone;
  Scope scope = Scope::kRecipient;
  int code = 0;
  std::optional<EnhancedCode> enhanced;
  std::string_view text;
  std::optional<Wall> next_due;
  std::uint8_t unknown_count = 0;
  bool bad_mailbox = false;  // it said so for now, and that counts
  std::uint64_t bytes = 0;
  const ReplyRule* rule = nullptr;  // that bounced it
  const Path* path = nullptr;
  // Where there is neither path nor connection.
  std::string_view host;
  std::string_view source;
  Connection* connection = nullptr;
  const Flight* flight = nullptr;

  void Say(const Reply& reply) {
    code = reply.code;
    enhanced = reply.enhanced;
    text = reply.text;
  }
};

message::RenderJob Settlement::RenderJobOf(const WindowJob& job, const CompiledTemplate& compiled) const {
  const queue::Job& of = job.job();
  return {.campaign_id = of.id.campaign,
          .row = of.id.row,
          .campaign = job.lane->campaign->spec().name,
          .to = of.address,
          .row_id = of.row_id,
          .fields = of.fields,
          .accepted_at = compiled.accepted_at,
          .host_name = compiled.host_name.empty() ? parts_.options->host_name : compiled.host_name};
}

// ---- results

void Settlement::MessageDone(Connection& connection, Flight& flight, const smtp::MessageResult& result) {
  WindowJob& job = *flight.job;
  Path& path = connection.path();
  Facts facts;
  facts.path = &path;
  facts.connection = &connection;
  facts.flight = &flight;
  facts.stage = result.stage;
  facts.bytes = result.bytes;
  facts.Say(result.reply);
  switch (result.end) {
    case smtp::MessageEnd::kReplied:
      return Replied(facts, job, path, result);
    case smtp::MessageEnd::kUnknown:
      return Unknown(facts, job, path);
    case smtp::MessageEnd::kNotSent:
      parts_.admission->Returned(job, path);
      if (!flight.render_problem.empty()) {
        facts.text = flight.render_problem;
        facts.category = Category::kOther;
        return Defer(facts, job);
      }
      facts.category = Category::kBadConnection;
      facts.text = SaidBy(result);
      return Return(facts, job);
    case smtp::MessageEnd::kUnsupported: {
      parts_.admission->Returned(job, path);
      facts.category = Category::kContentRelated;
      facts.stage = Stage::kMail;
      // The EHLO of a host that is preferred says what the receiver takes; to try again would change nothing. A backup
      // that takes less, or one that answered only to HELO, does not speak for it.
      const std::vector<SiteHost>& hosts = path.site.target.hosts;
      if (!connection.offer()->esmtp || hosts[connection.host()].preference != hosts.front().preference) {
        return Defer(facts, job);
      }
      facts.kind = EventKind::kBounced;
      facts.final = true;
      return Write(job, facts);
    }
  }
}

bool Settlement::SaysBadMailboxAgain(const WindowJob& job, const Verdict& verdict, const Reply& reply) const {
  if (!reply.Transient() || verdict.fate != Fate::kDeferred || verdict.category != Category::kBadMailbox ||
      verdict.scope != Scope::kRecipient) {
    return false;
  }
  const queue::AttemptState& attempt = job.job().attempt;
  return attempt.bad_mailbox_count == 0 || parts_.loop.now().wall - attempt.last_bad_mailbox >= kBadMailboxApart;
}

void Settlement::Replied(Facts& facts, WindowJob& job, Path& path, const smtp::MessageResult& result) {
  if (result.stage == Stage::kContent) {
    parts_.counts.message_seconds.Observe(
        std::chrono::duration<double>(parts_.now() - facts.flight->started.monotonic).count());
  }
  Judgement judgement = Judge(path.site, result.reply, result.stage);
  facts.bad_mailbox = SaysBadMailboxAgain(job, judgement.verdict, result.reply);
  if (facts.bad_mailbox && job.job().attempt.bad_mailbox_count + 1 >= kBadMailboxMost) {
    judgement.verdict.fate = Fate::kBounced;
  }
  const bool suppresses = judgement.verdict.fate == Fate::kBounced && judgement.rule != nullptr &&
                          judgement.rule->suppress != ReplyRule::Suppress::kNo;
  CountForGuards(job, path, judgement.verdict);
  const Verdict& verdict = judgement.verdict;
  if (suppresses && verdict.fate != Fate::kBounced) ++parts_.counts.suppressions_held;
  facts.category = verdict.category;
  facts.scope = verdict.scope;
  if (!result.reply.Positive()) path.Remember(result.reply);
  switch (verdict.scope) {
    case Scope::kRecipient:
    case Scope::kMessage:
    case Scope::kSender:
    case Scope::kDomain: {
      // The host and the path are open, whatever it thinks of this one.
      const MessageEnd end = verdict.fate == Fate::kDelivered  ? MessageEnd::kAccepted
                             : verdict.fate == Fate::kBounced  ? MessageEnd::kBounced
                             : verdict.scope == Scope::kSender ? MessageEnd::kTroubled
                                                               : MessageEnd::kDeferred;
      path.widest().busy_in_row = 0;
      PathAnswered(*facts.connection, parts_.admission->Ended(path, end));
      React(*facts.connection, &job, judgement, result.stage, result.reply);
      if (verdict.fate == Fate::kDeferred) return Defer(facts, job);
      facts.kind = verdict.fate == Fate::kDelivered ? EventKind::kDelivered : EventKind::kBounced;
      facts.final = true;
      if (verdict.fate == Fate::kBounced) facts.rule = judgement.rule;
      return Write(job, facts);
    }
    case Scope::kConnection:
      // 421 belongs to the connection: what it means for the path is judged when that has ended.
      parts_.admission->Returned(job, path);
      break;
    case Scope::kHost:
    case Scope::kPath:
      // One "busy" among many that are taken is that recipient's delay; several in a row are the path's trouble.
      if (result.stage >= Stage::kRcpt && result.reply.Transient() && ++path.widest().busy_in_row <= kBusyForgiven) {
        (void)parts_.admission->Ended(path, MessageEnd::kTroubled);
        React(*facts.connection, &job, judgement, result.stage, result.reply);
        return Defer(facts, job);
      }
      (void)parts_.admission->Ended(path, MessageEnd::kTroubled);
      facts.connection->KeepFailure(result.stage, result.reply);
      PathRefused(path, facts.connection->host(), result.stage, judgement, result.reply);
      break;
  }
  React(*facts.connection, &job, judgement, result.stage, result.reply);
  const bool wants_elsewhere = judgement.rule != nullptr && judgement.rule->action.kind == ActionKind::kResolveAgain;
  if (wants_elsewhere && ResolvedInVain(*job.lane->domain)) return Defer(facts, job);
  Return(facts, job);
}

// The attempt counts, and the job waits for its next one.
void Settlement::Defer(Facts& facts, WindowJob& job) {
  const queue::Job& of = job.job();
  facts.kind = EventKind::kDeferred;
  facts.final = false;
  facts.unknown_count = of.attempt.unknown_count;
  facts.next_due = NextDue(job, {});
  Write(job, facts);
}

// By the class's schedule, not sooner than not_before; never past the campaign's end, so that it ends on time.
Wall Settlement::NextDue(const WindowJob& job, Wall not_before) const {
  const queue::Job& of = job.job();
  const Wall now = parts_.loop.now().wall;
  Wall due = NextAttempt(parts_.options->RetryFor(of.mail_class), of.attempt.attempts + 1, now, parts_.random.Next());
  due = std::max(due, not_before);
  const std::optional<Wall> expires = EndOf(job, *parts_.options);
  return expires ? std::max(now, std::min(due, *expires)) : due;
}

// Nothing was said about the job: it keeps its place, uncharged.
void Settlement::Return(Facts& facts, WindowJob& job) {
  if (++job.returns >= kReturnsMax) return Defer(facts, job);
  parts_.windows->Returned(job);
}

void Settlement::Unknown(Facts& facts, WindowJob& job, Path& path) {
  const queue::Job& of = job.job();
  const UnknownOptions& options = parts_.options->unknown;
  if (facts.text.empty()) facts.text = "sent whole, but the final reply never came: it may have been delivered";
  path.last_reply = facts.text;
  (void)parts_.admission->Ended(path, MessageEnd::kTroubled);
  facts.kind = EventKind::kUnknown;
  facts.category = Category::kBadConnection;
  facts.scope = Scope::kMessage;
  facts.stage = Stage::kContent;
  facts.unknown_count = static_cast<std::uint8_t>(std::min(of.attempt.unknown_count + 1, 255));
  const bool again =
      job.lane->campaign->spec().on_unknown == queue::OnUnknown::kRetry && facts.unknown_count <= options.repeats;
  facts.final = !again;
  if (again) facts.next_due = NextDue(job, parts_.loop.now().wall + options.retry_after);
  Write(job, facts);
}

void Settlement::CannotRender(WindowJob& job, Path& path, std::string_view problem) {
  parts_.admission->Returned(job, path);
  ++parts_.counts.render_failures;
  const std::string sentence =
      fmt::format("the message of campaign {} cannot be rendered: {}", job.lane->campaign->spec().name, problem);
  Facts facts;
  facts.path = &path;
  facts.category = Category::kOther;
  facts.text = sentence;
  Defer(facts, job);
}

void Settlement::EndWithoutAttempt(WindowJob& job, LaneEnd end) {
  const queue::AttemptState& attempt = job.job().attempt;
  Facts facts;
  facts.final = true;
  facts.attempted = false;
  facts.unknown_count = attempt.unknown_count;
  std::string sentence;
  switch (end) {
    case LaneEnd::kCancelled:
      facts.kind = EventKind::kCancelled;
      sentence = "the campaign was cancelled";
      break;
    case LaneEnd::kBounced:
      facts.kind = EventKind::kBounced;
      facts.stage = job.lane->domain->problem_stage;
      facts.category = job.lane->domain->problem_category;
      facts.scope = Scope::kDomain;
      facts.Say(job.lane->domain->problem_reply);
      sentence = job.lane->domain->problem;
      break;
    case LaneEnd::kSuppressed:
      facts.kind = EventKind::kSuppressed;
      sentence = "put on the suppression list since it was accepted; `postrider suppress check` says by whom and why";
      break;
    case LaneEnd::kExpired:
    case LaneEnd::kNone:
      facts.category = Category::kMessageExpired;
      if (attempt.unknown_count > 0) {
        facts.kind = EventKind::kUnknown;
        facts.scope = Scope::kMessage;
        sentence = fmt::format(
            "the campaign's time is over after {} attempts; one was sent whole, but its final reply never came: it may "
            "have been delivered",
            attempt.attempts);
        break;
      }
      facts.kind = EventKind::kExpired;
      if (attempt.attempts == 0) {
        sentence = WhyNeverAttempted(facts, *job.lane->domain);
        break;
      }
      facts.stage = attempt.stage;
      facts.code = attempt.code;
      facts.enhanced = attempt.enhanced;
      sentence = fmt::format("the campaign's time is over after {} attempts; the last reply was: {}", attempt.attempts,
                             attempt.reply_text);
      break;
  }
  facts.text = sentence;
  Write(job, facts);
}

// What stood in its way: its domain's DNS, the last failure of its site before any mail, or the limit that holds its
// paths.
std::string Settlement::WhyNeverAttempted(Facts& facts, const Domain& domain) {
  constexpr std::string_view kOver = "the campaign's time is over; no attempt could be made";
  if (domain.site == nullptr) {
    if (domain.problem.empty()) return std::string(kOver);
    facts.stage = Stage::kDns;
    return fmt::format("{}: {}", kOver, domain.problem);
  }
  const Site& site = *domain.site;
  if (!site.trouble.empty()) return fmt::format("{}: {}", kOver, site.trouble);
  const SiteFailure& failure = site.last_failure;
  if (failure.stage != Stage::kNone) {
    facts.stage = failure.stage;
    facts.code = failure.reply.code;
    facts.enhanced = failure.reply.enhanced;
    facts.host = failure.host;
    facts.source = failure.source;
    return fmt::format("{}; the last failure was: {}", kOver, failure.reply.text);
  }
  Limit binding = Limit::kNone;
  for (const std::unique_ptr<Path>& path : site.paths) {
    if (path->binding != Limit::kNone) binding = path->binding;
  }
  if (binding == Limit::kNone) return std::string(kOver);
  return fmt::format("{}; its mail was held by the limit {}", kOver, ToString(binding));
}

// ---- the outcome, filled in place

void Settlement::Write(WindowJob& job, const Facts& facts) {
  const queue::Job& of = job.job();
  Lane& lane = *job.lane;
  Domain& domain = *lane.domain;
  const queue::CampaignSpec& spec = lane.campaign->spec();
  const Now now = parts_.loop.now();
  queue::Outcome& outcome = parts_.writer.Next(StoreRequest::Kind::kOutcome, &lane).outcome;
  queue::Event& event = outcome.event;

  event.kind = facts.kind;
  event.final = facts.final;
  event.time = now.wall;
  event.job = of.id;
  event.attempt = static_cast<std::uint16_t>(of.attempt.attempts + (facts.attempted ? 1 : 0));
  event.campaign = spec.name;
  event.mail_class = of.mail_class;
  event.row_id = of.row_id;
  event.recipient = of.address;
  event.domain = domain.name;
  event.pool = spec.pool;
  event.envelope_from = spec.envelope_from;
  event.stage = facts.stage;
  event.code = static_cast<std::uint16_t>(facts.code);
  event.enhanced = facts.enhanced;
  event.reply = facts.text;
  event.category = facts.category;
  event.scope = facts.scope;
  event.next_due = facts.next_due;
  event.bytes = facts.bytes;
  FillWhere(event, lane, facts);

  const queue::Campaign& campaign = *lane.campaign->latest;
  Wall waits_since = campaign.released_at.value_or(campaign.accepted_at);
  if (facts.flight != nullptr) {
    const CompiledTemplate& compiled = *facts.flight->compiled;
    if (spec.standing) waits_since = compiled.accepted_at;
    compiled.content->AppendMessageId(RenderJobOf(job, compiled), event.message_id);
    event.queued_seconds = Seconds(waits_since, facts.flight->started.wall);
    event.smtp_seconds =
        std::max(0.0, std::chrono::duration<double>(now.monotonic - facts.flight->started.monotonic).count());
  } else {
    event.queued_seconds = Seconds(waits_since, now.wall);
  }

  outcome.place = of.place;
  outcome.template_number = of.template_number;
  if (!facts.final) {
    outcome.first_attempt = of.attempt.attempts > 0   ? of.attempt.first_attempt
                            : facts.flight != nullptr ? facts.flight->started.wall
                                                      : now.wall;
    outcome.unknown_count = facts.unknown_count;
    outcome.bad_mailbox_count = of.attempt.bad_mailbox_count;
    if (facts.bad_mailbox && outcome.bad_mailbox_count < kBadMailboxMost) ++outcome.bad_mailbox_count;
    outcome.last_bad_mailbox = facts.bad_mailbox ? now.wall : of.attempt.last_bad_mailbox;
    outcome.needs_smtputf8 = of.needs_smtputf8;
    outcome.fields = of.fields;
  }
  if (facts.rule != nullptr && facts.rule->suppress != ReplyRule::Suppress::kNo) {
    outcome.suppression = queue::SuppressionOrder{.rule = facts.rule->name,
                                                  .on_second = facts.rule->suppress == ReplyRule::Suppress::kOnSecond};
  }
  parts_.writer.Publish();
  parts_.windows->Settled(job);
}

void Settlement::FillWhere(queue::Event& event, const Lane& lane, const Facts& facts) const {
  const Site* site = facts.path != nullptr ? &facts.path->site : lane.domain->site;
  if (site != nullptr) {
    event.site = site->name;
    event.provider = site->provider;
  }
  event.source = facts.path != nullptr ? facts.path->source.name : facts.source;
  event.mx_host = facts.host;
  const Connection* connection = facts.connection;
  if (connection == nullptr) return;
  event.mx_host = site->target.hosts[connection->host()].name;
  event.mx_address = connection->remote_address();
  event.local_address = connection->local_address();
  event.connection = connection->id();
  event.connection_message = facts.flight->number;
  if (const tls::TlsStream* tls = connection->tls()) {
    const tls::TlsInfo info = tls->info();
    event.tls_version = info.version;
    event.tls_cipher = info.cipher;
  }
}

}  // namespace postrider::delivery
