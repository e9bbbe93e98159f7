#include "throttle/allowance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/check.h"
#include "throttle/allowance_parts.h"
#include "throttle/saved_bucket.h"

namespace postrider {
namespace {

// Of each bucket's burst, for transactional mail.
constexpr double kReserve = 0.2;
// So many refusals in a row that are not about a recipient trip the breaker.
constexpr int kBreakerRefusals = 20;
constexpr std::chrono::minutes kBreakerFirst{15};
constexpr std::chrono::hours kBreakerLongest{4};
// Repeated stops grow to this, if the reply's rule asks for no longer one.
constexpr std::chrono::hours kLongestRepeatedStop{4};
constexpr std::chrono::seconds kLongestStop = StateReader::kFarthest;
// Clean deliveries for one more connection.
constexpr int kCleanPerConnection = 20;
// Complaints about the number of connections come from all of them at once.
constexpr std::chrono::seconds kConnectionsLoweredAtMostEach{60};

}  // namespace

Allowance::Allowance(const Now& now, const EffectiveRule& rule, CalendarDayFunction day_of)
    : day_of_(std::move(day_of)), breaker_(kBreakerFirst, kBreakerLongest) {
  most_connections_ = std::max(1, rule.connections);
  ramp_ = rule.start_connections > 0 ? std::min(rule.start_connections, most_connections_) : most_connections_;
  SetRule(now, rule);
}

Allowance::~Allowance() = default;

void Allowance::SetRule(const Now& now, const EffectiveRule& rule) {
  const Monotonic moment = now.monotonic;
  const auto set = [moment](Gcra& bucket, bool& has, const std::optional<RateLimit>& rate) {
    if (rate) bucket.SetRate(moment, rate->per_second, rate->BurstOrDefault());
    // What went while there was no rate was not counted.
    if (rate && !has) bucket.Restore(moment, 0);
    has = rate.has_value();
  };
  set(rate_, has_rate_, rule.message_rate);
  // A stranger is met with start_connections, so that many may be opened at once.
  std::optional<RateLimit> connects = rule.connect_rate;
  if (connects) connects->burst = std::max<double>(connects->BurstOrDefault(), rule.start_connections);
  set(connect_rate_, has_connect_rate_, connects);
  per_connection_ = rule.messages_per_connection;

  const bool at_most = ramp_ >= most_connections_;
  most_connections_ = std::max(1, rule.connections);
  start_connections_ = std::max(0, rule.start_connections);
  const bool free_to_rise = !troubled_ && ramp_held_until_ <= moment;
  if (start_connections_ == 0 && at_most && free_to_rise) ramp_ = most_connections_;
  if (free_to_rise) ramp_ = std::max(ramp_, start_connections_);
  ramp_ = std::min(ramp_, most_connections_);

  adaptive_on_ = rule.adaptive;
  adaptive_.SetBounds(rule.rate_floor.per_second, has_rate_ ? rule.message_rate->per_second : 0);
  if (!adaptive_on_) adaptive_.Forget();
  if (adaptive_.active()) SetAdaptiveBucket(moment);

  SetDaily(now, rule);
}

void Allowance::SetAdaptiveBucket(Monotonic now) {
  const double burst = std::max(1.0, adaptive_.rate());
  adaptive_bucket_.SetRate(now, adaptive_.rate(), has_rate_ ? std::min(burst, rate_.burst()) : burst);
}

// ---- quotas

Allowance::Daily& Allowance::DailyPart(const Now& now) {
  if (daily_ == nullptr) {
    daily_ = std::make_unique<Daily>();
    daily_->day = DayOf(now.wall);
  }
  return *daily_;
}

CalendarDay Allowance::DayOf(Wall moment) const {
  if (day_of_) return day_of_(time_zone_, moment);
  const auto start = std::chrono::floor<std::chrono::days>(moment);
  return {start, start + std::chrono::days(1)};
}

void Allowance::SetDaily(const Now& now, const EffectiveRule& rule) {
  const bool moved = std::exchange(time_zone_, rule.time_zone) != rule.time_zone;
  if (!rule.daily_quota && daily_ == nullptr) return;
  Daily& daily = DailyPart(now);
  if (moved) SetDay(now, DayOf(now.wall));
  daily.quota_holds = rule.daily_quota.has_value();
  if (!rule.daily_quota) return;
  if (daily.quota) {
    daily.quota->SetQuota(now.monotonic, *rule.daily_quota);
  } else {
    daily.quota.emplace(now, *rule.daily_quota, daily.day);
  }
}

void Allowance::SetWarmUp(const Now& now, const WarmUpPlan* plan) {
  if (plan == nullptr && daily_ == nullptr) return;
  Daily& daily = DailyPart(now);
  if (plan == nullptr) {
    daily.warm_up.reset();
  } else if (daily.warm_up) {
    daily.warm_up->SetPlan(now, *plan);
  } else {
    daily.warm_up.emplace(now, *plan, daily.day);
  }
}

void Allowance::SetDay(const Now& now, const CalendarDay& day) {
  if (!daily_->quota_holds && day.start >= daily_->day.end) daily_->quota.reset();
  daily_->day = day;
  if (daily_->quota) daily_->quota->SetDay(now.monotonic, day);
  if (daily_->warm_up) daily_->warm_up->SetDay(now.monotonic, day);
  unsaved_ = true;
}

void Allowance::RollDay(const Now& now) {
  if (daily_ == nullptr || daily_->day.Holds(now.wall)) return;
  const CalendarDay day = DayOf(now.wall);
  if (day != daily_->day) SetDay(now, day);
}

Admission Allowance::AskDaily(const Now& now) {
  RollDay(now);
  Admission answer{now.monotonic, Limit::kNone};
  const auto ask = [&](const DailyQuota& quota, Limit name) {
    const DailyQuota::Answer asked = quota.Ask(now);
    if (asked.binds == DailyQuota::Binds::kNothing) return;
    answer.Join({asked.not_before, asked.binds == DailyQuota::Binds::kUnsaved ? Limit::kUnsaved : name});
  };
  if (daily_->quota_holds) ask(*daily_->quota, Limit::kDailyQuota);
  if (daily_->warm_up && !daily_->warm_up->warm()) ask(daily_->warm_up->quota(), Limit::kWarmUp);
  return answer;
}

bool Allowance::FullToday(const Now& now) {
  if (daily_ == nullptr) return false;
  RollDay(now);
  if (daily_->quota_holds && daily_->quota->FullToday()) return true;
  return daily_->warm_up && !daily_->warm_up->warm() && daily_->warm_up->quota().FullToday();
}

// ---- messages

bool Allowance::ReserveHolds(Monotonic now, MailClass mail_class) const {
  return mail_class == MailClass::kBulk && now < transactional_until_;
}

Admission Allowance::AskBlocked(Monotonic now) const {
  Admission answer{now, Limit::kNone};
  if (now < stopped_until_) answer.Join({stopped_until_, Limit::kStopped});
  if (breaker_.Blocked(now)) answer.Join({breaker_.until(), Limit::kStopped});
  if (backoff_.Blocked(now)) answer.Join({backoff_.until(), Limit::kBackoff});
  return answer;
}

Monotonic Allowance::BlockedUntil() const { return std::max({stopped_until_, breaker_.until(), backoff_.until()}); }

Admission Allowance::AskMessage(const Now& now, MailClass mail_class) {
  const Monotonic moment = now.monotonic;
  Admission answer = AskBlocked(moment);
  if (troubled_ && answer.Go() && in_flight_ > 0) answer = {Monotonic::max(), Limit::kProbing};
  const double reserve = ReserveHolds(moment, mail_class) ? kReserve : 0;
  const auto ask = [&answer, moment, reserve](const Gcra& bucket, Limit name) {
    const Monotonic earliest = bucket.Earliest(moment, reserve > 0 ? bucket.ReserveOf(reserve) : 0);
    if (earliest > moment) answer.Join({earliest, name});
  };
  if (has_rate_) ask(rate_, Limit::kMessageRate);
  if (adaptive_.active()) ask(adaptive_bucket_, Limit::kAdaptiveRate);
  if (daily_ != nullptr) answer.Join(AskDaily(now));
  return answer;
}

Admission Allowance::AdmitMessage(const Now& now, MailClass mail_class) {
  const Admission answer = AskMessage(now, mail_class);
  if (!answer.Go()) return answer;
  const Monotonic moment = now.monotonic;
  const auto take = [this, moment](Gcra& bucket) {
    bucket.Take(moment);
    if (bucket.Depth(moment) > kSlowSeconds * bucket.per_second()) unsaved_ = true;
  };
  if (has_rate_) take(rate_);
  if (adaptive_.active()) take(adaptive_bucket_);
  if (daily_ != nullptr) {
    if (daily_->quota) daily_->quota->Take(moment);
    if (daily_->warm_up && !daily_->warm_up->warm()) daily_->warm_up->quota().Take(moment);
  }
  meter_.Count(moment);
  ++in_flight_;
  if (mail_class == MailClass::kTransactional) TransactionalSeen(moment);
  return answer;
}

void Allowance::ReturnMessage(const Now& now, Monotonic admitted) {
  CHECK(in_flight_ > 0);
  --in_flight_;
  const Monotonic moment = now.monotonic;
  if (has_rate_) rate_.Return(moment, admitted);
  // Not into a bucket from which it was not taken.
  if (adaptive_.active() && admitted >= adaptive_.since()) adaptive_bucket_.Return(moment, admitted);
  if (daily_ == nullptr) return;
  if (daily_->quota) daily_->quota->Return(moment, admitted);
  if (daily_->warm_up && !daily_->warm_up->warm()) daily_->warm_up->quota().Return(moment, admitted);
}

bool Allowance::EndMessage(const Now& now, MessageEnd end) {
  CHECK(in_flight_ > 0);
  --in_flight_;
  const bool put_off = end == MessageEnd::kDeferred || end == MessageEnd::kTroubled;
  if (put_off && daily_ != nullptr && daily_->warm_up) daily_->warm_up->Deferred();
  if (end == MessageEnd::kTroubled) return false;
  // What was sent before a stop proves nothing about after it.
  if (end == MessageEnd::kAccepted && now.monotonic >= stopped_until_) CountClean(now.monotonic);
  return Recover(now.monotonic);
}

void Allowance::CountClean(Monotonic now) {
  if (adaptive_.active() && adaptive_.Accepted(now)) {
    if (adaptive_.active()) SetAdaptiveBucket(now);
    unsaved_ = true;
  }
  if (ramp_ >= most_connections_ || now < ramp_held_until_ || ++clean_ < kCleanPerConnection) return;
  clean_ = 0;
  ++ramp_;
  unsaved_ = true;
}

bool Allowance::Recover(Monotonic now) {
  refusals_ = 0;
  if (!troubled_) return false;
  backoff_.Succeed();
  breaker_.Succeed();
  unsaved_ = true;
  // Answers to what was sent before a stop do not end it.
  if (now < stopped_until_) return false;
  troubled_ = false;
  last_stop_ = {};
  return true;
}

// ---- connections

int Allowance::ConnectionLimit() const { return std::clamp(ramp_, 1, most_connections_); }

Admission Allowance::AskConnect(const Now& now, MailClass mail_class) {
  const Monotonic moment = now.monotonic;
  Admission answer = AskBlocked(moment);
  if (troubled_ && answer.Go() && (in_flight_ > 0 || opening_ > 0)) answer = {Monotonic::max(), Limit::kProbing};
  if (has_connect_rate_) {
    const Monotonic earliest = connect_rate_.Earliest(moment);
    if (earliest > moment) answer.Join({earliest, Limit::kConnectRate});
  }
  const int limit = ConnectionLimit();
  const int free_for_others = limit > 1 && ReserveHolds(moment, mail_class) ? 1 : 0;
  if (connections_ >= limit - free_for_others) answer.Join({Monotonic::max(), Limit::kConnections});
  return answer;
}

void Allowance::Connecting(Monotonic now) {
  ++connections_;
  ++opening_;
  if (!has_connect_rate_) return;
  connect_rate_.Take(now);
  if (connect_rate_.Depth(now) > kSlowSeconds * connect_rate_.per_second()) unsaved_ = true;
}

void Allowance::Connected() {
  CHECK(opening_ > 0);
  --opening_;
}

void Allowance::Disconnected(bool was_connected) {
  CHECK(connections_ > 0 && (was_connected || opening_ > 0));
  --connections_;
  if (!was_connected) --opening_;
}

// ---- what replies cause

void Allowance::FallBack() {
  const int start = start_connections_ > 0 ? start_connections_ : (most_connections_ + 1) / 2;
  ramp_ = std::min(ramp_, std::max(1, start));
  clean_ = 0;
}

void Allowance::Remember(const Now& now, std::string_view why, const Reply& reply) {
  if (troubles_ == nullptr) troubles_ = std::make_unique<Troubles>();
  if (!Lowered(now.monotonic)) troubles_->since = now.monotonic;
  troubles_->reason = Shorten(why, kReasonBytes);
  if (reply.code != 0 || !reply.text.empty()) {
    std::vector<std::string>& replies = troubles_->replies;
    std::string text = reply.code != 0 ? fmt::format("{} {}", reply.code, reply.text) : reply.text;
    replies.insert(replies.begin(), Shorten(text, kReplyBytes));
    if (replies.size() > kRepliesKept) replies.pop_back();
  }
  unsaved_ = true;
}

Allowance::Refusal Allowance::Refused(const Now& now, std::string_view why, const Reply& reply, std::uint64_t random) {
  const Monotonic moment = now.monotonic;
  Remember(now, why, reply);
  Refusal refusal;
  refusal.began = !std::exchange(troubled_, true);
  refusal.blocked = BlockedUntil() <= moment;
  refusals_ = std::min(refusals_ + 1, kBreakerRefusals);
  backoff_.Fail(moment, random);
  if (refusals_ >= kBreakerRefusals && !breaker_.Blocked(moment)) {
    refusal.tripped = true;
    breaker_.Fail(moment, random);
    Halt(moment);
  }
  FallBack();
  refusal.until = BlockedUntil();
  return refusal;
}

bool Allowance::Throttled(const Now& now, std::string_view why, const Reply& reply, std::optional<double> to) {
  Remember(now, why, reply);
  clean_ = 0;
  if (!adaptive_on_) return false;
  const Monotonic moment = now.monotonic;
  const bool was_active = adaptive_.active();
  if (!adaptive_.Throttled(moment, meter_.PerSecond(moment), to)) return false;
  StartAdaptiveBucket(moment, was_active);
  return true;
}

// Lowered at once: no burst is saved up from before.
void Allowance::StartAdaptiveBucket(Monotonic now, bool was_active) {
  SetAdaptiveBucket(now);
  if (!was_active) adaptive_bucket_.Restore(now, adaptive_bucket_.burst());
}

// What a stop or the breaker does beside blocking.
void Allowance::Halt(Monotonic now) {
  const bool was_active = adaptive_.active();
  if (adaptive_on_) {
    adaptive_.Stopped(now, meter_.PerSecond(now));
    StartAdaptiveBucket(now, was_active);
  }
  if (daily_ != nullptr && daily_->warm_up) daily_->warm_up->Blocked(now);
}

bool Allowance::LowerConnections(const Now& now, std::chrono::seconds duration, std::string_view why,
                                 const Reply& reply) {
  const Monotonic moment = now.monotonic;
  Remember(now, why, reply);
  clean_ = 0;
  if (moment < ramp_lowered_at_ + kConnectionsLoweredAtMostEach) return false;
  const int in_use = connections_ > 0 ? std::min(connections_, ConnectionLimit()) : ConnectionLimit();
  ramp_ = std::max(1, in_use / 2);
  ramp_lowered_at_ = moment;
  ramp_held_until_ = moment + std::clamp(duration, std::chrono::seconds(0), kLongestStop);
  return true;
}

Monotonic Allowance::Stop(const Now& now, std::chrono::seconds duration, std::string_view why, const Reply& reply) {
  const Monotonic moment = now.monotonic;
  Remember(now, why, reply);
  duration = std::clamp(duration, std::chrono::seconds(1), kLongestStop);
  if (moment < stopped_until_) {
    stopped_until_ = std::max(stopped_until_, moment + duration);
    return stopped_until_;
  }
  const std::chrono::seconds longest = std::max<std::chrono::seconds>(kLongestRepeatedStop, duration);
  last_stop_ = std::min(longest, std::max(duration, 2 * last_stop_));
  stopped_until_ = moment + last_stop_;
  troubled_ = true;
  FallBack();
  Halt(moment);
  return stopped_until_;
}

// ---- operator

void Allowance::Resume(Monotonic now) {
  refusals_ = 0;
  if (stopped_until_ > now) stopped_until_ = now;
  last_stop_ = {};
  backoff_.Succeed();
  breaker_.Succeed();
  adaptive_.Forget();
  ramp_held_until_ = std::min(ramp_held_until_, now);
  ramp_ = start_connections_ > 0 ? std::min(start_connections_, most_connections_) : most_connections_;
  clean_ = 0;
  unsaved_ = true;
}

// ---- what it tells

bool Allowance::Lowered(Monotonic now) const { return troubled_ || adaptive_.active() || now < ramp_held_until_; }

Allowance::State Allowance::Describe(const Now& now) const {
  const Monotonic moment = now.monotonic;
  State state;
  if (moment < stopped_until_ || breaker_.Blocked(moment)) {
    state.mode = Mode::kStopped;
  } else if (troubled_) {
    state.mode = Mode::kBackingOff;
  }
  state.message_rate = has_rate_ ? rate_.per_second() : 0;
  state.adaptive_rate = adaptive_.rate();
  state.measured_rate = meter_.PerSecond(moment);
  state.until = BlockedUntil();
  state.breaker = breaker_.Blocked(moment);
  state.connections = connections_;
  state.connection_limit = ConnectionLimit();
  if (troubles_ != nullptr) {
    if (Lowered(moment)) {
      state.reason = troubles_->reason;
      state.since = troubles_->since;
    }
    state.last_replies = troubles_->replies;
  }
  if (daily_ != nullptr && daily_->quota_holds) {
    state.quota_used = daily_->quota->used();
    state.quota = daily_->quota->per_day();
  }
  if (daily_ != nullptr && daily_->warm_up && !daily_->warm_up->warm()) {
    const WarmUp& warm_up = *daily_->warm_up;
    state.warm_up_day = warm_up.day_index() + 1;
    state.warm_up_used = warm_up.quota().used();
    state.warm_up_quota = warm_up.quota().per_day();
  }
  return state;
}

}  // namespace postrider
