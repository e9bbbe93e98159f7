// The part of Allowance that saves it and brings it back. Moments go over the wall clock, which a machine keeps; how
// deep the buckets are is aged by the time away.

#include <algorithm>
#include <utility>

#include "throttle/allowance.h"
#include "throttle/allowance_parts.h"
#include "throttle/saved_bucket.h"
#include "throttle/state_record.h"

namespace postrider {
namespace {

constexpr char kKind = 'A';
constexpr std::uint8_t kVersion = 1;

// On disk: never renumber, only append.
enum Field : std::uint8_t {
  kSavedAt = 1,
  kRateDepth = 2,
  kConnectDepth = 3,
  kAdaptive = 4,
  kAdaptiveDepth = 5,
  kStoppedUntil = 6,
  kLastStop = 7,
  kRefusals = 8,
  kTroubled = 9,
  // 10 was a pause of its own; nobody ever set it.
  kBackoffFailures = 11,
  kBackoffUntil = 12,
  kBreakerFailures = 13,
  kBreakerUntil = 14,
  kRamp = 15,
  kClean = 16,
  kRampHeldUntil = 17,
  kTransactionalUntil = 18,
  kQuota = 19,
  kWarmUp = 20,
  kReason = 21,
  kSince = 22,
  kReply = 23,  // one or several, newest first
  kRampLoweredAt = 24,
  kRateAside = 25,
  kConnectAside = 26,
  kAdaptiveAside = 27,
  kEmptyAt = 28,
};

int ToInt(std::uint64_t number, int most) {
  return static_cast<int>(std::min(number, static_cast<std::uint64_t>(most)));
}

}  // namespace

std::string Shorten(std::string_view text, std::size_t bytes) {
  if (text.size() > bytes) {
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
    text = text.substr(0, bytes);
  }
  return std::string(text);
}

// What Restore reads before anything is changed: a damaged record changes nothing.
struct Allowance::Record {
  std::optional<Wall> saved_at;
  struct Bucket {
    double depth = 0;
    double aside = 0;
  };
  Bucket rate;
  Bucket connect_rate;
  Bucket adaptive_rate;
  Monotonic stopped_until = Monotonic::min();
  std::uint64_t last_stop = 0;
  int refusals = 0;
  bool troubled = false;
  int backoff_failures = 0;
  Monotonic backoff_until = Monotonic::min();
  int breaker_failures = 0;
  Monotonic breaker_until = Monotonic::min();
  std::optional<int> ramp;
  int clean = 0;
  Monotonic ramp_held_until = Monotonic::min();
  Monotonic ramp_lowered_at = Monotonic::min();
  Monotonic transactional_until = Monotonic::min();
  std::string_view adaptive;
  std::string_view quota;
  std::string_view warm_up;
  Troubles troubles;

  void Read(const StateReader& reader, const Now& now);
};

std::string Allowance::EncodeWith(const Now& now, bool ahead) const {
  const Monotonic moment = now.monotonic;
  StateWriter writer;
  const auto until = [&writer, &now, moment](std::uint8_t field, Monotonic value) {
    if (value > moment) writer.Moment(field, value, now);
  };
  const auto flag = [&writer](std::uint8_t field, bool value) {
    if (value) writer.Number(field, 1);
  };
  const auto count = [&writer](std::uint8_t field, int value) {
    if (value > 0) writer.Number(field, static_cast<std::uint64_t>(value));
  };
  writer.Moment(kSavedAt, now.wall);
  Wall empty_at = now.wall;
  const auto bucket = [&](std::uint8_t depth, std::uint8_t aside, const Gcra& of) {
    empty_at = std::max(empty_at, EmptyAt(of, now));
    writer.Real(depth, of.Depth(moment));
    if (const double left = of.Aside(moment); left > 0) writer.Real(aside, left);
  };
  if (has_rate_) bucket(kRateDepth, kRateAside, rate_);
  if (has_connect_rate_) bucket(kConnectDepth, kConnectAside, connect_rate_);
  if (adaptive_.active()) {
    StateWriter adaptive;
    adaptive_.Encode(adaptive, now);
    writer.Text(kAdaptive, adaptive.fields());
    bucket(kAdaptiveDepth, kAdaptiveAside, adaptive_bucket_);
  }
  writer.Moment(kEmptyAt, empty_at);
  until(kStoppedUntil, stopped_until_);
  writer.Number(kLastStop, static_cast<std::uint64_t>(last_stop_.count()));
  count(kRefusals, refusals_);
  flag(kTroubled, troubled_);
  count(kBackoffFailures, backoff_.failures());
  until(kBackoffUntil, backoff_.until());
  count(kBreakerFailures, breaker_.failures());
  until(kBreakerUntil, breaker_.until());
  writer.Number(kRamp, static_cast<std::uint64_t>(ramp_));
  count(kClean, clean_);
  until(kRampHeldUntil, ramp_held_until_);
  if (ramp_lowered_at_ != Monotonic::min()) writer.Moment(kRampLoweredAt, ramp_lowered_at_, now);
  until(kTransactionalUntil, transactional_until_);
  if (daily_ != nullptr && daily_->quota) {
    StateWriter quota;
    daily_->quota->Encode(quota, now, ahead ? daily_->quota->Ahead() : daily_->quota->used());
    writer.Text(kQuota, quota.fields());
  }
  if (daily_ != nullptr && daily_->warm_up) {
    const DailyQuota& quota = daily_->warm_up->quota();
    StateWriter warm_up;
    daily_->warm_up->Encode(warm_up, now, ahead ? quota.Ahead() : quota.used());
    writer.Text(kWarmUp, warm_up.fields());
  }
  if (troubles_ != nullptr) {
    writer.Text(kReason, troubles_->reason);
    writer.Moment(kSince, troubles_->since, now);
    for (const std::string& reply : troubles_->replies) writer.Text(kReply, reply);
  }
  return writer.Finish(kKind, kVersion);
}

std::string Allowance::Encode(const Now& now) const { return EncodeWith(now, false); }

bool Allowance::SaveNow() const { return daily_ != nullptr && !daily_->pending && daily_->WantsSave(); }

bool Allowance::Unsaved() const { return unsaved_ || SaveNow(); }

Allowance::Save Allowance::BeginSave(const Now& now) {
  RollDay(now);
  unsaved_ = false;
  ++save_number_;
  if (daily_ != nullptr) {
    Daily::Pending pending{.number = save_number_, .day = daily_->day};
    if (daily_->quota) pending.quota = daily_->quota->Ahead();
    if (daily_->warm_up) pending.warm_up = daily_->warm_up->quota().Ahead();
    daily_->pending = pending;
  }
  return {EncodeWith(now, true), save_number_};
}

void Allowance::Saved(std::uint64_t number) {
  if (daily_ == nullptr || !daily_->pending || daily_->pending->number != number) return;
  const Daily::Pending pending = *std::exchange(daily_->pending, std::nullopt);
  if (daily_->quota) daily_->quota->Saved(pending.day, pending.quota);
  if (daily_->warm_up) daily_->warm_up->quota().Saved(pending.day, pending.warm_up);
}

void Allowance::SaveFailed() {
  unsaved_ = true;
  if (daily_ != nullptr) daily_->pending.reset();
}

void Allowance::Record::Read(const StateReader& reader, const Now& now) {
  const std::uint64_t number = reader.Number().value_or(0);
  const double real = std::max(0.0, reader.Real().value_or(0));
  const std::string_view text = reader.Text().value_or(std::string_view());
  const Monotonic moment = reader.Moment(now).value_or(Monotonic::min());
  constexpr int kMany = 1'000'000;
  switch (reader.field()) {
    case kSavedAt:
      saved_at = reader.Moment();
      break;
    case kRateDepth:
      rate.depth = real;
      break;
    case kRateAside:
      rate.aside = real;
      break;
    case kConnectDepth:
      connect_rate.depth = real;
      break;
    case kConnectAside:
      connect_rate.aside = real;
      break;
    case kAdaptive:
      adaptive = text;
      break;
    case kAdaptiveDepth:
      adaptive_rate.depth = real;
      break;
    case kAdaptiveAside:
      adaptive_rate.aside = real;
      break;
    case kStoppedUntil:
      stopped_until = moment;
      break;
    case kLastStop:
      last_stop = number;
      break;
    case kRefusals:
      refusals = ToInt(number, kMany);
      break;
    case kTroubled:
      troubled = number != 0;
      break;
    case kBackoffFailures:
      backoff_failures = ToInt(number, kMany);
      break;
    case kBackoffUntil:
      backoff_until = moment;
      break;
    case kBreakerFailures:
      breaker_failures = ToInt(number, kMany);
      break;
    case kBreakerUntil:
      breaker_until = moment;
      break;
    case kRamp:
      ramp = ToInt(number, kMany);
      break;
    case kClean:
      clean = ToInt(number, kMany);
      break;
    case kRampHeldUntil:
      ramp_held_until = moment;
      break;
    case kRampLoweredAt:
      ramp_lowered_at = std::min(moment, now.monotonic);
      break;
    case kTransactionalUntil:
      transactional_until = moment;
      break;
    case kQuota:
      quota = text;
      break;
    case kWarmUp:
      warm_up = text;
      break;
    case kReason:
      troubles.reason = Shorten(text, kReasonBytes);
      break;
    case kSince:
      troubles.since = std::min(moment, now.monotonic);
      break;
    case kReply:
      if (troubles.replies.size() < kRepliesKept) troubles.replies.push_back(Shorten(text, kReplyBytes));
      break;
    default:
      break;
  }
}

Wall Allowance::SavedEmptyAt(std::string_view record) {
  Wall empty_at{};
  Result<StateReader> reader = StateReader::Open(record, kKind, kVersion);
  while (reader && reader->Next()) {
    if (reader->field() == kEmptyAt) empty_at = reader->Moment().value_or(Wall());
  }
  return empty_at;
}

Result<void> Allowance::Restore(const Now& now, std::string_view record) {
  Result<StateReader> reader = StateReader::Open(record, kKind, kVersion);
  if (!reader) return std::unexpected(std::move(reader.error()));
  Record saved;
  while (reader->Next()) saved.Read(*reader, now);
  if (!reader->sound() || !saved.saved_at) {
    return Fail(ErrorCode::kCorrupt,
                "the saved state of an allowance is malformed: its fields do not fit their lengths");
  }
  const Monotonic moment = now.monotonic;
  // A clock that went back has not leaked anything.
  const double away_seconds =
      std::chrono::duration<double>(std::max(now.wall - *saved.saved_at, Wall::duration(0))).count();
  const auto fill = [moment, away_seconds](Gcra& bucket, const Record::Bucket& was) {
    bucket.Restore(moment, was.depth, was.aside, away_seconds);
  };
  if (has_rate_) fill(rate_, saved.rate);
  if (has_connect_rate_) fill(connect_rate_, saved.connect_rate);
  if (adaptive_on_ && !saved.adaptive.empty() && adaptive_.Restore(saved.adaptive, now) && adaptive_.active()) {
    SetAdaptiveBucket(moment);
    fill(adaptive_bucket_, saved.adaptive_rate);
  }
  stopped_until_ = saved.stopped_until;
  last_stop_ = std::chrono::seconds(ToInt(saved.last_stop, 86'400 * 31));
  refusals_ = saved.refusals;
  troubled_ = saved.troubled;
  backoff_.Restore(saved.backoff_failures, saved.backoff_until);
  breaker_.Restore(saved.breaker_failures, saved.breaker_until);
  if (saved.ramp) ramp_ = std::clamp(*saved.ramp, 1, most_connections_);
  clean_ = saved.clean;
  ramp_held_until_ = saved.ramp_held_until;
  ramp_lowered_at_ = saved.ramp_lowered_at;
  transactional_until_ = std::min(saved.transactional_until, moment + kReserveHolds);
  if (!saved.troubles.reason.empty() || !saved.troubles.replies.empty()) {
    troubles_ = std::make_unique<Troubles>(std::move(saved.troubles));
  }
  if (daily_ != nullptr || !saved.quota.empty()) {
    Daily& daily = DailyPart(now);
    if (!saved.quota.empty() && !daily.quota) daily.quota.emplace(now, 0, daily.day);
    if (!saved.quota.empty()) (void)daily.quota->Restore(saved.quota, now);
    if (daily.quota) daily.day = daily.quota->day();
    if (daily_->warm_up && !saved.warm_up.empty()) (void)daily_->warm_up->Restore(saved.warm_up, now);
    SetDay(now, DayOf(now.wall));
  }
  unsaved_ = false;
  return {};
}

}  // namespace postrider
