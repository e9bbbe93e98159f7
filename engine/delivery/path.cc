#include "engine/delivery/path.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "engine/delivery/site.h"

namespace postrider::delivery {
namespace {

// An unproven path opens so many connections at once; a dead site among thousands then holds few of the core's.
constexpr std::uint32_t kUnprovenOpening = 2;

// What bulk leaves free of a burst where transactional mail was sent lately.
constexpr double kTransactionalReserve = 0.2;
constexpr std::chrono::minutes kReserveHolds{10};

}  // namespace

std::string_view ToString(SiteMode mode) {
  switch (mode) {
    case SiteMode::kNormal:
      return "normal";
    case SiteMode::kBackingOff:
      return "backing off";
    case SiteMode::kPaused:
      return "paused";
    case SiteMode::kIdle:
      return "idle";
    case SiteMode::kStopped:
      return "stopped";
  }
  return "idle";
}

std::string_view ToString(GuardKind kind) {
  switch (kind) {
    case GuardKind::kCampaign:
      return "campaign";
    case GuardKind::kBounceStorm:
      return "bounce storm";
    case GuardKind::kPathBreaker:
      return "path breaker";
    case GuardKind::kOwnNetwork:
      return "own network";
    case GuardKind::kNoDomains:
      return "no domains";
    case GuardKind::kSourceGone:
      return "source gone";
  }
  return "";
}

std::string_view ToString(GuardState state) { return state == GuardState::kTripped ? "tripped" : "warning"; }

void Path::Remember(const Reply& reply) {
  last_reply.clear();
  if (reply.code != 0) fmt::format_to(std::back_inserter(last_reply), "{} ", reply.code);
  last_reply += reply.text;
}

void Meter::Advance(std::int64_t second) {
  if (second - second_ >= kSeconds) {
    counts_ = {};
  } else {
    for (std::int64_t past = second_ + 1; past <= second; ++past)
      counts_[static_cast<std::size_t>(past % kSeconds)] = 0;
  }
  second_ = std::max(second_, second);
}

void Meter::Count(Monotonic now) {
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  Advance(second);
  ++counts_[static_cast<std::size_t>(second % kSeconds)];
}

double Meter::PerSecond(Monotonic now) const {
  Meter aged = *this;
  aged.Advance(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  double sum = 0;
  for (const std::uint32_t count : aged.counts_) sum += count;
  return sum / static_cast<double>(kSeconds);
}

void PathHost::Succeed() {
  down_.Succeed();
  busy_.Succeed();
}

Path::Path(Monotonic now, Site& of_site, SourceOptions from, const SourceState& its_state, Account& own,
           Account* its_provider, LeaseEntry& of_source, LeaseEntry& of_sender, std::size_t host_count)
    : site(of_site),
      source(std::move(from)),
      source_state(its_state),
      account(own),
      at_provider(its_provider),
      source_lease(of_source),
      sender_lease(of_sender),
      hosts(host_count),
      bound_since(now) {
  VisitAccounts([](Account& one) { ++one.paths; });
}

Path::~Path() {
  VisitAccounts([](Account& one) { --one.paths; });
}

double Path::ReserveOf(const Destination& destination, MailClass mail_class, Monotonic now) {
  return mail_class == MailClass::kBulk && now < destination.transactional_until ? kTransactionalReserve : 0;
}

Refusal Path::AskMessage(const Now& now, MailClass mail_class) {
  Refusal refusal;
  if (paused || site.paused || retired || !site.trouble.empty()) {
    refusal.Join({Monotonic::max(), Limit::kPaused}, nullptr);
    return refusal;
  }
  if (source_state.gone) {
    refusal.Join({Monotonic::max(), Limit::kSourceGone}, nullptr);  // SourceHealth tells when it is back
    return refusal;
  }
  VisitAccounts([&](Account& one) {
    refusal.Join(one.allowance.AskMessage(now, mail_class), &one.messages);
    Destination& destination = one.destination;
    const double reserve = ReserveOf(destination, mail_class, now.monotonic);
    refusal.Join(destination.total.AskMessage(now.monotonic, reserve), &destination.total_messages);
  });
  return refusal;
}

Refusal Path::AskConnect(const Now& now, MailClass mail_class) {
  Refusal refusal = AskMessage(now, mail_class);
  if (!refusal.answer.Go()) return refusal;
  Monotonic earliest = Monotonic::max();
  for (const PathHost& host : hosts) earliest = std::min(earliest, std::max(now.monotonic, host.until()));
  if (earliest > now.monotonic) refusal.Join({earliest, Limit::kBackoff}, nullptr);
  const auto most = site.rule.site_connections;
  if (most && connections.size() >= static_cast<std::size_t>(*most)) {
    refusal.Join({Monotonic::max(), Limit::kSiteConnections}, nullptr);
  }
  VisitAccounts([&](Account& one) {
    refusal.Join(one.allowance.AskConnect(now, mail_class), &one.connects);
    refusal.Join(one.destination.total.AskConnect(now.monotonic), &one.destination.total_connects);
  });
  return refusal;
}

WaitLine* Path::LineBefore() {
  WaitLine* before = nullptr;
  const auto look = [&](WaitLine& line) {
    if (before == nullptr && line.OthersWaitBefore(message_wait)) before = &line;
  };
  VisitAccounts([&](Account& one) {
    look(one.messages);
    look(one.destination.total_messages);
  });
  look(source_lease.messages);
  look(sender_lease.messages);
  return before;
}

WaitLine* Path::ConnectLineBefore() {
  WaitLine* before = nullptr;
  const auto look = [&](WaitLine& line) {
    if (before == nullptr && line.OthersWaitBefore(connect_wait)) before = &line;
  };
  VisitAccounts([&](Account& one) {
    look(one.connects);
    look(one.destination.total_connects);
  });
  look(source_lease.connects);
  look(sender_lease.connects);
  return before;
}

void Path::Admit(const Now& now, MailClass mail_class) {
  VisitAccounts([&](Account& one) {
    CHECK(one.allowance.AdmitMessage(now, mail_class).Go());
    Destination& destination = one.destination;
    if (mail_class == MailClass::kTransactional) destination.transactional_until = now.monotonic + kReserveHolds;
    CHECK(destination.total.AdmitMessage(now.monotonic, ReserveOf(destination, mail_class, now.monotonic)).Go());
  });
}

Monotonic Path::BlockedUntil(const Now& now) {
  if (paused || site.paused || retired || !site.trouble.empty()) return Monotonic::max();
  Monotonic hosts_until = Monotonic::max();
  for (const PathHost& host : hosts) hosts_until = std::min(hosts_until, host.until());
  Monotonic until = source_state.gone ? std::max(hosts_until, source_state.next_look) : hosts_until;
  VisitAccounts([&](Account& one) {
    until = std::max(until, one.allowance.BlockedUntil());
    if (one.allowance.FullToday(now)) {
      until = std::max(until, one.allowance.AskMessage(now, MailClass::kBulk).not_before);
    }
  });
  return until;
}

std::uint32_t Path::OpeningLimit() const {
  if (proven) return static_cast<std::uint32_t>(std::max(1, site.rule.connections));
  return Troubled() ? 1 : kUnprovenOpening;
}

bool Path::Probing() const {
  return account.allowance.Probing() || (at_provider != nullptr && at_provider->allowance.Probing());
}

bool Path::Troubled() const {
  return Probing() || std::ranges::any_of(hosts, [](const PathHost& host) { return host.failing(); });
}

void Path::Bind(Limit now_binding, Monotonic now, CoreCounts& counts) {
  const double seconds = std::chrono::duration<double>(now - std::exchange(bound_since, now)).count();
  counts.limited_seconds[static_cast<std::size_t>(std::exchange(binding, now_binding))] += seconds;
}

}  // namespace postrider::delivery
