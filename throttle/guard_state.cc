// The part of the guards that saves what they hold and brings it back: an alarm that was raised outlives a restart.
// While all is well there is nothing to keep, and Encode gives nothing.

#include <algorithm>
#include <limits>
#include <tuple>

#include "throttle/guard.h"
#include "throttle/state_record.h"

namespace postrider {
namespace {

constexpr char kCampaignKind = 'C';
constexpr char kStormKind = 'S';
constexpr char kDomainsKind = 'D';
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kRuleBytes = 100;

// On disk: never renumber, only append.
enum Field : std::uint8_t {
  kSince = 1,
  kTries = 2,
  kFirst = 3,
  kSecond = 4,
  kRule = 5,
  kUsual = 6,
  kUsualOf = 7,
  kBelievedUntil = 8,
};

std::uint32_t ToCount(std::optional<std::uint64_t> number) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(number.value_or(0), std::numeric_limits<std::int32_t>::max()));
}

// What the three have in common.
struct Record {
  Monotonic since{};
  std::uint32_t tries = 0;
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  std::string rule;
  double usual = 0;
  double usual_of = 0;
  Monotonic believed_until = Monotonic::min();
};

Result<Record> Read(std::string_view bytes, char kind, const Now& now) {
  Result<StateReader> reader = StateReader::Open(bytes, kind, kVersion);
  if (!reader) return std::unexpected(std::move(reader.error()));
  Record record{.since = now.monotonic, .rule = {}};
  while (reader->Next()) {
    switch (reader->field()) {
      case kSince:
        record.since = std::min(reader->Moment(now).value_or(now.monotonic), now.monotonic);
        break;
      case kTries:
        record.tries = ToCount(reader->Number());
        break;
      case kFirst:
        record.first = ToCount(reader->Number());
        break;
      case kSecond:
        record.second = ToCount(reader->Number());
        break;
      case kRule:
        record.rule = reader->Text().value_or(std::string_view()).substr(0, kRuleBytes);
        break;
      case kUsual:
        record.usual = std::clamp(reader->Real().value_or(0), 0.0, 1.0);
        break;
      case kUsualOf:
        record.usual_of = std::clamp(reader->Real().value_or(0), 0.0, 1e6);
        break;
      case kBelievedUntil:
        record.believed_until = reader->Moment(now).value_or(Monotonic::min());
        break;
      default:
        break;
    }
  }
  if (!reader->sound()) {
    return Fail(ErrorCode::kCorrupt, "the saved state of a guard is malformed: its fields do not fit their lengths");
  }
  record.first = std::min(record.first, record.tries);
  record.second = std::min(record.second, record.tries);
  return record;
}

void PutBlock(StateWriter& writer, const ShareWindow::Block& block) {
  writer.Number(kTries, block.tries);
  writer.Number(kFirst, block.first);
  writer.Number(kSecond, block.second);
}

}  // namespace

void ShareWindow::Restore(const Block& sum) {
  blocks_ = {};
  blocks_[at_] = sum;
}

std::string CampaignGuard::Encode(const Now& now) const {
  if (alarm_ != Alarm::kTripped) return {};
  StateWriter writer;
  writer.Moment(kSince, since_, now);
  PutBlock(writer, at_);
  if (!rule_.empty()) writer.Text(kRule, std::string_view(rule_).substr(0, kRuleBytes));
  return writer.Finish(kCampaignKind, kVersion);
}

Result<void> CampaignGuard::Restore(const Now& now, std::string_view bytes) {
  Result<Record> record = Read(bytes, kCampaignKind, now);
  if (!record) return std::unexpected(std::move(record.error()));
  alarm_ = Alarm::kTripped;
  since_ = record->since;
  at_ = {.tries = record->tries, .first = record->first, .second = record->second};
  rule_ = std::move(record->rule);
  return {};
}

std::string BounceStorm::Encode(const Now& now) const {
  if (!tripped_) return {};
  StateWriter writer;
  writer.Moment(kSince, since_, now);
  PutBlock(writer, recent_.Sum());
  writer.Real(kUsual, usual_);
  writer.Real(kUsualOf, usual_of_);
  return writer.Finish(kStormKind, kVersion);
}

Result<void> BounceStorm::Restore(const Now& now, std::string_view bytes) {
  Result<Record> record = Read(bytes, kStormKind, now);
  if (!record) return std::unexpected(std::move(record.error()));
  tripped_ = true;
  since_ = record->since;
  usual_ = record->usual;
  usual_of_ = record->usual_of;
  recent_.Restore({.tries = record->tries, .first = record->first, .second = record->second});
  return {};
}

std::string DomainGuard::Encode(const Now& now) const {
  const bool believes = now.monotonic < believed_until_;
  if (!tripped_ && !believes) return {};
  StateWriter writer;
  if (tripped_) {
    writer.Moment(kSince, since_, now);
    PutBlock(writer, {.tries = at_trip_.found + at_trip_.missing, .first = at_trip_.missing, .second = 0});
  }
  if (believes) writer.Moment(kBelievedUntil, believed_until_, now);
  return writer.Finish(kDomainsKind, kVersion);
}

// The lookups of before count as of now: the hold lasts a window more at least, for nothing was seen to be well since.
Result<void> DomainGuard::Restore(const Now& now, std::string_view bytes) {
  Result<Record> record = Read(bytes, kDomainsKind, now);
  if (!record) return std::unexpected(std::move(record.error()));
  believed_until_ = std::min(record->believed_until, now.monotonic + kBelieved);
  if (record->tries == 0) return {};
  tripped_ = true;
  since_ = record->since;
  at_trip_ = {.found = record->tries - record->first, .missing = record->first};
  const std::int64_t number = SlotNumber(now.monotonic);
  slots_[static_cast<std::size_t>(number) % slots_.size()] = {
      .number = number, .found = at_trip_.found, .missing = at_trip_.missing};
  return {};
}

}  // namespace postrider
