// The part of Settlement that judges connections: what their failures say about hosts and paths, what TLS teaches, and
// the path events that tell of it.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/source_health.h"
#include "engine/policy/tls_memory.h"

namespace postrider::delivery {
namespace {

// A host that broke the connection so often while messages were in flight is spoken to in lock-step, unless it answered
// so many between two of the breaks: lock-step would cost more than they do.
constexpr int kFlightBreaks = 3;
constexpr std::uint32_t kFlightsProve = 1000;

Category CategoryOf(const smtp::ConversationEnd& end) {
  using Kind = smtp::ConversationEnd::Kind;
  switch (end.kind) {
    case Kind::kServerClosing:
      return Category::kThrottled;
    case Kind::kRefused:
      return end.stage == Stage::kAuth                                   ? Category::kAuthFailure
             : end.stage == Stage::kStartTls || end.stage == Stage::kTls ? Category::kTlsFailure
             : end.reply.Permanent()                                     ? Category::kPolicyRelated
                                                                         : Category::kThrottled;
    case Kind::kTlsUnavailable:
      return Category::kTlsFailure;
    case Kind::kAuthUnavailable:
      return Category::kAuthFailure;
    case Kind::kProtocol:
      return Category::kProtocolErrors;
    case Kind::kTimedOut:
      return end.stage <= Stage::kEhlo ? Category::kNoAnswerFromHost : Category::kBadConnection;
    case Kind::kQuit:
    case Kind::kAborted:
    case Kind::kBroken:
      return end.stage == Stage::kTls ? Category::kTlsFailure : Category::kBadConnection;
  }
  return Category::kOther;
}

// What to show: the server's words where there were some, else ours.
Reply WordsOf(const smtp::ConversationEnd& end) {
  Reply words = end.reply;
  if (words.code == 0 || words.text.empty()) words.text = end.problem;
  return words;
}

}  // namespace

Wall Settlement::WallOf(Monotonic moment) const {
  const Now now = parts_.loop.now();
  return now.wall + std::chrono::ceil<std::chrono::milliseconds>(moment - now.monotonic);
}

// ---- TLS

TlsDemand Settlement::TlsDemandOf(const Path& path, std::size_t host) const {
  const Site& site = path.site;
  if (site.target.route.transport == RouteOptions::Transport::kNone) return TlsDemand::kNone;
  const TlsDemand demand = site.rule.tls;
  if (demand != TlsDemand::kOpportunistic || site.target.route.transport == RouteOptions::Transport::kImplicit) {
    return demand;
  }
  const bool plaintext = parts_.tls_memory->MayUsePlaintext(site.target.hosts[host].name, parts_.loop.now().wall);
  return plaintext ? TlsDemand::kNone : demand;
}

void Settlement::TlsWorked(Connection& connection) {
  const SiteHost& host = connection.path().site.target.hosts[connection.host()];
  parts_.tls_memory->Worked(host.name, parts_.loop.now().wall);
}

// What fails where more than TLS is demanded, such as a name in a certificate, must not bring others plaintext.
void Settlement::TlsFailed(Connection& connection) {
  if (connection.demand() != TlsDemand::kOpportunistic) return;
  const SiteHost& host = connection.path().site.target.hosts[connection.host()];
  parts_.tls_memory->Failed(host.name, parts_.loop.now().wall);
}

// ---- connections

void Settlement::Opened(Connection& connection) { parts_.admission->ConnectionOpened(connection); }

void Settlement::ConnectionEnded(Connection& connection, const smtp::ConversationEnd& end) {
  using Kind = smtp::ConversationEnd::Kind;
  Path& path = connection.path();
  SiteHost& host = path.site.target.hosts[connection.host()];
  if (end.kind == Kind::kQuit || end.kind == Kind::kAborted) return;
  if (connection.quitting() && end.kind != Kind::kRefused) return;
  const Reply words = WordsOf(end);
  const Category category = CategoryOf(end);
  // An address or an interface that went away takes its connections with it, and nobody is to blame for that.
  const bool went_away = end.kind == Kind::kBroken || end.kind == Kind::kTimedOut;
  const bool ipv4 = !connection.local_address().contains(':');
  if (went_away && parts_.sources->Look(path.source) && !path.source_state.Usable(ipv4)) return;
  path.Remember(words);

  if (!connection.opened()) {
    const bool about_us = end.kind == Kind::kAuthUnavailable || end.stage == Stage::kAuth;
    if (about_us) {
      const Judgement judgement{{category, Fate::kDeferred, Scope::kPath}, nullptr};
      return PathRefused(path, connection.host(), Stage::kAuth, judgement, words);
    }
    // A reply before any mail may be about us: what its rule says goes beyond the host's own back-off.
    if (end.reply.code != 0) {
      const Judgement judgement = Judge(path.site, end.reply, end.stage);
      React(connection, nullptr, judgement, end.stage, end.reply);
      if (judgement.rule != nullptr && judgement.verdict.scope == Scope::kPath) {
        return PathRefused(path, connection.host(), end.stage, judgement, end.reply);
      }
    }
    // A broken handshake where plaintext may follow: a fresh connection tells whether it was chance.
    if (!connection.tls_problem().empty() && TlsFailureIsForgiven(connection)) return;
    return HostFailed(path, connection.host(), end.stage, category, words, connection.dialled_at(),
                      connection.remote_address());
  }

  const bool idle = end.stage == Stage::kIdle;
  if (end.kind == Kind::kProtocol && connection.pipelines() && !idle) return FlightBroke(host, true);
  // A server may close as it likes, between messages or after some: then another connection is all it takes.
  const bool served = connection.replied() > 0 || connection.messages() == 0;
  switch (end.kind) {
    case Kind::kServerClosing: {
      const Judgement judgement = Judge(path.site, end.reply, end.stage);
      React(connection, nullptr, judgement, end.stage, end.reply);
      const bool about_path = judgement.rule != nullptr && judgement.verdict.scope == Scope::kPath;
      if (!served || about_path) PathRefused(path, connection.host(), end.stage, judgement, words);
      return;
    }
    case Kind::kProtocol:  // some say why they close, under another code than 421
      if (served && idle) return;
      break;
    case Kind::kBroken:
      if (served && idle) return;
      if (connection.pipelines()) FlightBroke(host, false);
      if (served) return;
      break;
    default:
      break;
  }
  HostFailed(path, connection.host(), end.stage, category, words, parts_.now(), connection.remote_address());
}

void Settlement::FlightBroke(SiteHost& host, bool beyond_doubt) {
  host.flights_answered = 0;
  // The first flights after a time of lock-step are a probe.
  const bool again = host.lock_step.failures() > 0;
  if (!beyond_doubt && !again && ++host.flight_breaks < kFlightBreaks) return;
  host.flight_breaks = 0;
  host.lock_step.Fail(parts_.now(), parts_.random.Next());
}

void Settlement::FlightAnswered(SiteHost& host) {
  if (host.flight_breaks == 0 && host.lock_step.failures() == 0) return;
  if (++host.flights_answered < kFlightsProve) return;
  host.flights_answered = 0;
  host.flight_breaks = 0;
  host.lock_step.Succeed();
}

bool Settlement::TlsFailureIsForgiven(const Connection& connection) const {
  const Path& path = connection.path();
  if (connection.demand() != TlsDemand::kOpportunistic) return false;
  return !parts_.tls_memory->MustUseTls(path.site.target.hosts[connection.host()].name, parts_.loop.now().wall);
}

void Settlement::HostFailed(Path& path, std::size_t host, Stage stage, Category category, const Reply& reply,
                            Monotonic began, std::string_view address) {
  PathHost& state = path.hosts[host];
  const Monotonic now = parts_.now();
  path.Remember(reply);
  path.proven = false;
  path.site.last_failure = {stage, reply, path.site.target.hosts[host].name, path.source.name};
  if (began < state.failed_at) return;
  state.failed_at = now;
  if (reply.code == 421) {
    state.FailBusy(now, parts_.random.Next());
  } else {
    state.Fail(now, parts_.random.Next());
  }
  const auto blocked = [now](const PathHost& one) { return one.Blocked(now); };
  if (std::ranges::all_of(path.hosts, blocked)) ++parts_.counts.path_backoffs;
  parts_.admission->MarkPending(path.site);
  if (std::exchange(state.troubled, true)) return;
  PathEvent(path, path.site.target.hosts[host].name, address, stage, category, Scope::kHost, reply, state.until());
}

// ---- paths

void Settlement::PathAnswered(const Connection& connection, bool recovered) {
  Path& path = connection.path();
  // Only now: a host that greets well and then breaks off has not recovered.
  PathHost& host = path.hosts[connection.host()];
  if (host.failing()) host.Succeed();
  if (connection.pipelines()) FlightAnswered(path.site.target.hosts[connection.host()]);
  if (path.site.last_failure.stage != Stage::kNone) path.site.last_failure = {};
  Reply words;
  if (std::exchange(host.troubled, false)) {
    words.text = "it answers again";
    PathEvent(path, path.site.target.hosts[connection.host()].name, connection.remote_address(), Stage::kNone,
              Category::kNone, Scope::kHost, words, {});
  }
  if (!recovered) return;
  parts_.admission->MarkPending(path.site);
  if (!std::exchange(path.widest().troubled, false)) return;
  words.text = "mail is taken again";
  PathEvent(path, {}, {}, Stage::kNone, Category::kNone, Scope::kPath, words, {});
}

void Settlement::PathRefused(Path& path, std::size_t host, Stage stage, const Judgement& judgement,
                             const Reply& reply) {
  const Now now = parts_.loop.now();
  path.Remember(reply);
  path.proven = false;
  path.site.last_failure = {stage, reply, path.site.target.hosts[host].name, path.source.name};
  const std::string_view why = judgement.rule != nullptr ? std::string_view(judgement.rule->name) : "refused";
  Account& account = path.widest();
  const Allowance::Refusal refusal = account.allowance.Refused(now, why, reply, parts_.random.Next());
  if (judgement.verdict.category == Category::kThrottled && judgement.rule == nullptr) {
    (void)account.allowance.Throttled(now, why, reply);
  }
  if (refusal.blocked) ++parts_.counts.path_backoffs;
  account.messages.CallNext();
  parts_.admission->MarkPending(path.site);
  if (std::exchange(account.troubled, true) && !refusal.tripped) return;
  PathEvent(path, path.site.target.hosts[host].name, {}, stage, judgement.verdict.category, Scope::kPath, reply,
            refusal.until);
}

// ---- events

queue::Event& Settlement::BeginEvent(Stage stage, Category category, Scope scope, std::string_view text) {
  queue::Event& event = parts_.writer.Next(StoreRequest::Kind::kEvent, nullptr).outcome.event;
  event.kind = queue::EventKind::kPath;
  event.time = parts_.loop.now().wall;
  event.stage = stage;
  event.category = category;
  event.scope = scope;
  event.reply = text;
  return event;
}

void Settlement::PathEvent(const Path& path, std::string_view host, std::string_view address, Stage stage,
                           Category category, Scope scope, const Reply& reply, Monotonic until) {
  queue::Event& event = BeginEvent(stage, category, scope, reply.text);
  event.site = path.site.name;
  event.provider = path.site.provider;
  event.source = path.source.name;
  event.mx_host = host;
  event.mx_address = address;
  event.code = static_cast<std::uint16_t>(reply.code);
  event.enhanced = reply.enhanced;
  if (until > parts_.now()) event.next_due = WallOf(until);
  parts_.writer.Publish();
}

void Settlement::DestinationEvent(const Destination& destination, std::string_view source, std::string_view sentence) {
  queue::Event& event = BeginEvent(Stage::kNone, Category::kOther, Scope::kPath, sentence);
  (destination.is_provider ? event.provider : event.site) = destination.name;
  event.source = source;
  parts_.writer.Publish();
}

void Settlement::SourceEvent(std::string_view source, std::string_view sentence) {
  queue::Event& event = BeginEvent(Stage::kConnect, Category::kBadConfiguration, Scope::kPath, sentence);
  event.source = source;
  parts_.writer.Publish();
}

void Settlement::SiteEvent(const Site& site, Stage stage, Category category, std::string_view sentence) {
  queue::Event& event = BeginEvent(stage, category, Scope::kPath, sentence);
  event.site = site.name;
  event.provider = site.provider;
  parts_.writer.Publish();
}

void Settlement::DomainEvent(std::string_view domain, Stage stage, Category category, std::string_view sentence,
                             Wall until) {
  queue::Event& event = BeginEvent(stage, category, Scope::kDomain, sentence);
  event.domain = domain;
  event.next_due = until;
  parts_.writer.Publish();
}

}  // namespace postrider::delivery
