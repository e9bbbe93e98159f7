#include "queue/record.h"

#include <algorithm>
#include <bit>
#include <limits>

#include <fmt/format.h>

#include "queue/codec.h"
#include "queue/job_store.h"

namespace postrider::queue {

namespace {

constexpr std::uint8_t kVersion = 1;          // of every value but these
constexpr std::uint8_t kCampaignVersion = 4;  // 2: list and note; 3: weight and send windows; 4: where a canary stands
constexpr std::uint8_t kTemplateVersion = 2;  // 2: host name
constexpr std::uint8_t kDomainVersion = 2;    // 2: rest and site; written as 1 where there is neither

std::unexpected<Error> Corrupt(std::string_view what, std::string_view value) {
  return Fail(ErrorCode::kCorrupt,
              fmt::format("a {} record of {} bytes in the queue does not have the form that this postrider knows; "
                          "restore the queue from a copy, or export what is left",
                          what, value.size()));
}

std::uint64_t Milliseconds(Wall time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
Wall FromMilliseconds(std::uint64_t value) { return Wall(std::chrono::milliseconds(static_cast<std::int64_t>(value))); }

void PutTime(Encoder& out, Wall time) { out.Signed(time.time_since_epoch().count()); }
Wall GetTime(Decoder& in) { return Wall(std::chrono::milliseconds(in.Signed())); }

void PutOptionalTime(Encoder& out, const std::optional<Wall>& time) {
  out.Byte(time ? 1 : 0);
  if (time) PutTime(out, *time);
}
std::optional<Wall> GetOptionalTime(Decoder& in) {
  if (!in.Flag()) return std::nullopt;
  return GetTime(in);
}

template <typename Enum>
void PutEnum(Encoder& out, Enum value) {
  out.Byte(static_cast<std::uint8_t>(value));
}
template <typename Enum>
Enum GetEnum(Decoder& in, Enum last) {
  const std::uint8_t value = in.Byte();
  if (value > static_cast<std::uint8_t>(last)) in.Stop();
  return in.ok() ? static_cast<Enum>(value) : Enum{};
}

void PutTotals(Encoder& out, const CampaignTotals& totals) {
  for (std::uint64_t value :
       {totals.rows, totals.accepted, totals.rejected, totals.duplicate, totals.suppressed_at_intake, totals.delivered,
        totals.bounced, totals.expired, totals.suppressed, totals.cancelled, totals.unknown, totals.deferrals}) {
    out.Varint(value);
  }
}
CampaignTotals GetTotals(Decoder& in) {
  CampaignTotals totals;
  for (std::uint64_t* value : {&totals.rows, &totals.accepted, &totals.rejected, &totals.duplicate,
                               &totals.suppressed_at_intake, &totals.delivered, &totals.bounced, &totals.expired,
                               &totals.suppressed, &totals.cancelled, &totals.unknown, &totals.deferrals}) {
    *value = in.Varint();
  }
  return totals;
}

void PutSending(Encoder& out, const CampaignSpec& spec) {
  out.Varint(spec.weight);
  out.Fixed64(std::bit_cast<std::uint64_t>(spec.canary_share));
  out.Signed(spec.canary_wait.count());
  out.Text(spec.time_zone);
  out.Varint(spec.windows.size());
  for (const SendWindow& window : spec.windows) {
    out.Byte(window.days);
    out.Fixed16(window.from);
    out.Fixed16(window.to);
  }
}

void GetSending(Decoder& in, CampaignSpec& spec) {
  constexpr std::uint64_t kWeightMax = 1000;
  constexpr std::uint8_t kEveryDay = 0x7f;
  constexpr std::uint16_t kMinutesOfDay = 24 * 60;
  const std::uint64_t weight = in.Varint();
  if (weight == 0 || weight > kWeightMax) in.Stop();
  spec.weight = static_cast<std::uint32_t>(weight);
  spec.canary_share = std::bit_cast<double>(in.Fixed64());
  if (!(spec.canary_share >= 0 && spec.canary_share <= 1)) in.Stop();
  spec.canary_wait = std::chrono::milliseconds(in.Signed());
  if (spec.canary_wait.count() < 0) in.Stop();
  spec.time_zone = in.Text();
  const std::uint64_t windows = in.Varint();
  for (std::uint64_t i = 0; i < windows && in.ok(); ++i) {
    SendWindow window;
    window.days = in.Byte();
    window.from = in.Fixed16();
    window.to = in.Fixed16();
    const bool good = window.days > 0 && window.days <= kEveryDay && window.from < kMinutesOfDay &&
                      window.to <= kMinutesOfDay && window.from != window.to;
    if (!good) in.Stop();
    spec.windows.push_back(window);
  }
}

void PutCanary(Encoder& out, const Canary& canary) {
  PutEnum(out, canary.phase);
  if (canary.phase == CanaryPhase::kNone) return;
  out.Varint(canary.recipients);
  out.Varint(canary.untried);
  PutOptionalTime(out, canary.rest_at);
}

void GetCanary(Decoder& in, Canary& canary) {
  canary.phase = GetEnum(in, CanaryPhase::kReleased);
  if (canary.phase == CanaryPhase::kNone) return;
  canary.recipients = in.Varint();
  canary.untried = in.AtMost(canary.recipients);
  canary.rest_at = GetOptionalTime(in);
  const bool moment_known = canary.phase == CanaryPhase::kWaiting || canary.phase == CanaryPhase::kReleased;
  const bool moment_unknown = canary.phase == CanaryPhase::kStopped;
  if (canary.rest_at ? moment_unknown : moment_known) in.Stop();
}

void PutSpec(Encoder& out, const CampaignSpec& spec) {
  out.Text(spec.name);
  out.Text(spec.digest);
  PutEnum(out, spec.mail_class);
  out.Byte(spec.standing ? 1 : 0);
  out.Text(spec.from);
  out.Text(spec.envelope_from);
  out.Text(spec.pool);
  PutEnum(out, spec.start);
  PutOptionalTime(out, spec.not_before);
  PutOptionalTime(out, spec.expires);
  out.Fixed64(std::bit_cast<std::uint64_t>(spec.messages_per_second));
  out.Signed(spec.priority);
  out.Byte(spec.skip_duplicates ? 1 : 0);
  PutEnum(out, spec.on_unknown);
  out.Byte(spec.eight_bit ? 1 : 0);
  out.Varint(spec.headers.size());
  for (const auto& [name, text] : spec.headers) {
    out.Text(name);
    out.Text(text);
  }
  out.Text(spec.list);
  PutSending(out, spec);
}

CampaignSpec GetSpec(Decoder& in, std::uint8_t version) {
  CampaignSpec spec;
  spec.name = in.Text();
  spec.digest = in.Text();
  spec.mail_class = GetEnum(in, MailClass::kTransactional);
  spec.standing = in.Flag();
  spec.from = in.Text();
  spec.envelope_from = in.Text();
  spec.pool = in.Text();
  spec.start = GetEnum(in, StartMode::kStreaming);
  spec.not_before = GetOptionalTime(in);
  spec.expires = GetOptionalTime(in);
  spec.messages_per_second = std::bit_cast<double>(in.Fixed64());
  const std::int64_t priority = in.Signed();
  if (priority < std::numeric_limits<int>::min() || priority > std::numeric_limits<int>::max()) in.Stop();
  spec.priority = static_cast<int>(priority);
  spec.skip_duplicates = in.Flag();
  spec.on_unknown = GetEnum(in, OnUnknown::kReport);
  spec.eight_bit = in.Flag();
  const std::uint64_t headers = in.Varint();
  // No reserve: the count is not to be believed before the headers are there.
  for (std::uint64_t i = 0; i < headers && in.ok(); ++i) {
    std::string name(in.Text());
    spec.headers.emplace_back(std::move(name), in.Text());
  }
  if (version >= 2) spec.list = in.Text();
  if (version >= 3) GetSending(in, spec);
  return spec;
}

void PutDomainText(Encoder& out, std::string_view domain) {
  out.Raw(domain);
  out.Byte(0);
}

std::string_view GetDomainText(Decoder& in, std::size_t fixed_after) {
  // The domain ends at its NUL; what follows has a fixed length, so a NUL in it cannot be taken for the end.
  if (in.left() < fixed_after + 2) {
    in.Stop();
    return {};
  }
  const std::size_t length = in.left() - fixed_after - 1;
  const std::string_view domain = in.Raw(length);
  if (in.Byte() != 0 || !IsStorableDomain(domain)) in.Stop();
  return domain;
}

}  // namespace

std::string CampaignKey(CampaignId campaign) {
  std::string key;
  Encoder(key).Fixed64(campaign);
  return key;
}

static std::string TemplateKeyOf(CampaignId campaign, std::uint32_t number, char kind) {
  std::string key;
  Encoder out(key);
  out.Fixed64(campaign);
  out.Fixed32(number);
  out.Byte(static_cast<std::uint8_t>(kind));
  return key;
}
std::string TemplateKey(CampaignId campaign, std::uint32_t number) { return TemplateKeyOf(campaign, number, 'm'); }
std::string TemplateOpenKey(CampaignId campaign, std::uint32_t number) { return TemplateKeyOf(campaign, number, 'n'); }

std::string ShardPrefix(std::uint32_t shard) {
  std::string key;
  Encoder(key).Fixed16(static_cast<std::uint16_t>(shard));
  return key;
}

std::string DomainPrefix(std::uint32_t shard, std::string_view domain) {
  std::string key;
  key.reserve(2 + domain.size() + 1 + 24);
  Encoder out(key);
  out.Fixed16(static_cast<std::uint16_t>(shard));
  PutDomainText(out, domain);
  return key;
}

std::string DomainKey(std::uint32_t shard, std::string_view domain, CampaignId campaign) {
  std::string key = DomainPrefix(shard, domain);
  Encoder(key).Fixed64(campaign);
  return key;
}

std::string BlockPrefix(CampaignId campaign, std::string_view domain) {
  std::string key;
  key.reserve(8 + domain.size() + 1 + 8);
  Encoder out(key);
  out.Fixed64(campaign);
  PutDomainText(out, domain);
  return key;
}

std::string BlockKey(CampaignId campaign, std::string_view domain, std::uint64_t block) {
  std::string key = BlockPrefix(campaign, domain);
  Encoder(key).Fixed64(block);
  return key;
}

std::string RetryKey(std::uint32_t shard, std::string_view domain, JobId job, Wall due) {
  std::string key = DomainPrefix(shard, domain);
  Encoder out(key);
  out.Fixed64(job.campaign);
  out.Fixed64(Milliseconds(std::max(due, Wall{})));
  out.Fixed64(job.row);
  return key;
}

std::string SystemStateKey(std::string_view name) { return "s" + std::string(name); }
std::string UserStateKey(std::string_view key) { return "u" + std::string(key); }

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    auto& last = reinterpret_cast<unsigned char&>(prefix.back());
    if (last != 0xff) {
      ++last;
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

std::unexpected<Error> FailAt(std::string_view table, std::string_view key, Error error) {
  std::string text;
  for (const char octet : key) {
    if (octet > 0x20 && octet < 0x7f && octet != '\\') {
      text += octet;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(octet));
    }
  }
  return Fail(fmt::format("table {}, key {}", table, text), std::move(error));
}

Result<CampaignId> ParseCampaignKey(std::string_view key) {
  Decoder in(key);
  const CampaignId campaign = in.Fixed64();
  if (!in.Complete()) return Corrupt("campaign key", key);
  return campaign;
}

Result<DomainKeyParts> ParseDomainKey(std::string_view key) {
  Decoder in(key);
  DomainKeyParts parts;
  parts.shard = in.Fixed16();
  parts.domain = GetDomainText(in, 8);
  parts.campaign = in.Fixed64();
  if (!in.Complete()) return Corrupt("domain key", key);
  return parts;
}

Result<BlockKeyParts> ParseBlockKey(std::string_view key) {
  Decoder in(key);
  BlockKeyParts parts;
  parts.campaign = in.Fixed64();
  parts.domain = GetDomainText(in, 8);
  parts.block = in.Fixed64();
  if (!in.Complete()) return Corrupt("block key", key);
  return parts;
}

Result<RetryKeyParts> ParseRetryKey(std::string_view key) {
  Decoder in(key);
  RetryKeyParts parts;
  parts.shard = in.Fixed16();
  parts.domain = GetDomainText(in, 24);
  parts.job.campaign = in.Fixed64();
  parts.due = FromMilliseconds(in.Fixed64());
  parts.job.row = in.Fixed64();
  if (!in.Complete()) return Corrupt("retry key", key);
  return parts;
}

bool IsStorableDomain(std::string_view domain) {
  return !domain.empty() && domain.size() <= kDomainMax && domain.find('\0') == std::string_view::npos;
}

std::string EncodeCampaign(const CampaignRecord& record) {
  const Campaign& campaign = record.campaign;
  std::string value;
  Encoder out(value);
  out.Byte(kCampaignVersion);
  out.Varint(campaign.id);
  PutSpec(out, campaign.spec);
  PutEnum(out, campaign.state);
  PutTotals(out, campaign.totals);
  out.Varint(campaign.position.bytes);
  out.Varint(campaign.position.line);
  PutTime(out, campaign.accepted_at);
  PutOptionalTime(out, campaign.released_at);
  PutOptionalTime(out, campaign.expires_at);
  PutOptionalTime(out, campaign.paused_at);
  PutOptionalTime(out, campaign.ended_at);
  out.Varint(record.next_sequence);
  out.Varint(record.next_template);
  out.Text(campaign.note);
  PutCanary(out, campaign.canary);
  return value;
}

Result<CampaignRecord> DecodeCampaign(std::string_view value) {
  Decoder in(value);
  CampaignRecord record;
  Campaign& campaign = record.campaign;
  const std::uint8_t version = in.Byte();
  if (version == 0 || version > kCampaignVersion) return Corrupt("campaign", value);
  campaign.id = in.Varint();
  campaign.spec = GetSpec(in, version);
  campaign.state = GetEnum(in, CampaignState::kDone);
  campaign.totals = GetTotals(in);
  campaign.position.bytes = in.Varint();
  campaign.position.line = in.Varint();
  campaign.accepted_at = GetTime(in);
  campaign.released_at = GetOptionalTime(in);
  campaign.expires_at = GetOptionalTime(in);
  campaign.paused_at = GetOptionalTime(in);
  campaign.ended_at = GetOptionalTime(in);
  record.next_sequence = in.Varint();
  record.next_template = static_cast<std::uint32_t>(in.AtMost(std::numeric_limits<std::uint32_t>::max()));
  if (version >= 2) campaign.note = in.Text();
  if (version >= 4) GetCanary(in, campaign.canary);
  if (!in.Complete()) return Corrupt("campaign", value);
  return record;
}

std::string EncodeTotals(const CampaignTotals& totals) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  PutTotals(out, totals);
  return value;
}

Result<CampaignTotals> DecodeTotals(std::string_view value) {
  Decoder in(value);
  const bool known = in.Byte() == kVersion;
  const CampaignTotals totals = GetTotals(in);
  if (!known || !in.Complete()) return Corrupt("totals", value);
  return totals;
}

std::string EncodeTemplate(const TemplateRecord& record) {
  std::string value;
  value.reserve(record.message.size() + record.host_name.size() + 24);
  Encoder out(value);
  out.Byte(kTemplateVersion);
  PutTime(out, record.accepted_at);
  out.Text(record.message);
  out.Text(record.host_name);
  return value;
}

Result<TemplateRecord> DecodeTemplate(std::string_view value) {
  Decoder in(value);
  TemplateRecord record;
  const std::uint8_t version = in.Byte();
  const bool known = version == kVersion || version == kTemplateVersion;
  record.accepted_at = GetTime(in);
  record.message = in.Text();
  if (version == kTemplateVersion) record.host_name = in.Text();
  if (!known || !in.Complete()) return Corrupt("template", value);
  return record;
}

std::string EncodeDomain(const DomainRecord& record) {
  std::string value;
  Encoder out(value);
  const bool has_more = record.rest > 0 || !record.site.empty();
  out.Byte(has_more ? kDomainVersion : kVersion);
  out.Varint(record.first_sequence);
  out.Varint(record.next_sequence);
  out.Varint(record.waiting);
  out.Varint(record.deferred);
  PutTime(out, record.retry_from);
  out.Varint(record.retry_stamp);
  if (!has_more) return value;
  out.Varint(record.rest);
  out.Text(record.site);
  return value;
}

Result<DomainRecord> DecodeDomain(std::string_view value) {
  Decoder in(value);
  DomainRecord record;
  const std::uint8_t version = in.Byte();
  const bool known = version == kVersion || version == kDomainVersion;
  record.first_sequence = in.Varint();
  record.next_sequence = in.Varint();
  record.waiting = in.Varint();
  record.deferred = in.Varint();
  record.retry_from = GetTime(in);
  record.retry_stamp = in.Varint();
  if (version >= 2) {
    record.rest = in.AtMost(record.waiting);
    record.site = in.Text();
  }
  if (!known || !in.Complete()) return Corrupt("domain", value);
  return record;
}

namespace {
constexpr std::uint8_t kNeedsSmtputf8 = 1;
constexpr std::size_t kBlockHead = 1 + 4 + 2;  // version, template number, rows
}  // namespace

BlockBuilder::BlockBuilder(std::uint32_t template_number) : template_number_(template_number) {
  value_.append(kBlockHead, '\0');
}

void BlockBuilder::Add(const BlockRow& row) {
  Encoder out(value_);
  out.Signed(static_cast<std::int64_t>(row.row - last_row_));
  out.Byte(row.needs_smtputf8 ? kNeedsSmtputf8 : 0);
  out.Text(row.address);
  out.Text(row.row_id);
  out.Text(row.fields);
  last_row_ = row.row;
  ++rows_;
}

std::string BlockBuilder::Finish() {
  std::string head;
  Encoder out(head);
  out.Byte(kVersion);
  out.Fixed32(template_number_);
  out.Fixed16(static_cast<std::uint16_t>(rows_));
  value_.replace(0, kBlockHead, head);
  std::string value = std::move(value_);
  value_.assign(kBlockHead, '\0');
  rows_ = 0;
  last_row_ = 0;
  return value;
}

Result<Block> DecodeBlock(std::string_view value) {
  Decoder in(value);
  Block block;
  const bool known = in.Byte() == kVersion;
  block.template_number = in.Fixed32();
  const std::size_t rows = in.Fixed16();
  if (!known || rows == 0 || rows > kBlockRowsMax) return Corrupt("block", value);
  block.rows.reserve(rows);
  std::uint64_t last_row = 0;
  for (std::size_t i = 0; i < rows && in.ok(); ++i) {
    BlockRow row;
    last_row += static_cast<std::uint64_t>(in.Signed());
    row.row = last_row;
    const std::uint8_t flags = in.Byte();
    if (flags > kNeedsSmtputf8) in.Stop();
    row.needs_smtputf8 = flags != 0;
    row.address = in.Text();
    row.row_id = in.Text();
    row.fields = in.Text();
    block.rows.push_back(row);
  }
  if (!in.Complete()) return Corrupt("block", value);
  return block;
}

std::size_t DoneRecord::Count() const {
  std::size_t count = 0;
  for (std::uint64_t word : bits) count += static_cast<std::size_t>(std::popcount(word));
  return count;
}

std::string EncodeDone(const DoneRecord& record) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  out.Fixed16(record.rows);
  // As many octets as the block has rows for: most blocks of a long tail are short.
  for (std::size_t i = 0; i * 8 < record.rows; ++i) {
    out.Byte(static_cast<std::uint8_t>(record.bits[i / 8] >> (i % 8 * 8)));
  }
  return value;
}

Result<DoneRecord> DecodeDone(std::string_view value) {
  Decoder in(value);
  DoneRecord record;
  const bool known = in.Byte() == kVersion;
  record.rows = in.Fixed16();
  if (!known || record.rows == 0 || record.rows > kBlockRowsMax) return Corrupt("bitmap", value);
  for (std::size_t i = 0; i * 8 < record.rows; ++i) {
    record.bits[i / 8] |= static_cast<std::uint64_t>(in.Byte()) << (i % 8 * 8);
  }
  const std::size_t used = record.rows % 64;
  const std::size_t last = static_cast<std::size_t>(record.rows - 1) / 64;
  if (used != 0 && (record.bits[last] >> used) != 0) return Corrupt("bitmap", value);
  if (!in.Complete()) return Corrupt("bitmap", value);
  return record;
}

std::string EncodeRetry(const Job& job) {
  const AttemptState& attempt = job.attempt;
  std::string value;
  value.reserve(64 + job.address.size() + job.row_id.size() + job.fields.size() + attempt.source.size() +
                std::min(attempt.reply_text.size(), kReplyTextMax));
  Encoder out(value);
  out.Byte(kVersion);
  out.Varint(job.template_number);
  PutEnum(out, job.mail_class);
  out.Byte(job.needs_smtputf8 ? 1 : 0);
  out.Text(job.address);
  out.Text(job.row_id);
  out.Text(job.fields);
  out.Varint(attempt.attempts);
  PutTime(out, attempt.first_attempt);
  out.Text(attempt.source);
  PutEnum(out, attempt.stage);
  PutEnum(out, attempt.category);
  out.Varint(attempt.code);
  out.Byte(attempt.enhanced ? 1 : 0);
  if (attempt.enhanced) {
    out.Byte(attempt.enhanced->klass);
    out.Varint(attempt.enhanced->subject);
    out.Varint(attempt.enhanced->detail);
  }
  out.Text(Shortened(attempt.reply_text, kReplyTextMax));
  out.Byte(attempt.unknown_count);
  out.Byte(attempt.bad_mailbox_count);
  PutTime(out, attempt.last_bad_mailbox);
  return value;
}

Result<Job> DecodeRetry(std::string_view value) {
  constexpr std::uint64_t kMost16 = std::numeric_limits<std::uint16_t>::max();
  Decoder in(value);
  Job job;
  AttemptState& attempt = job.attempt;
  const bool known = in.Byte() == kVersion;
  job.template_number = static_cast<std::uint32_t>(in.AtMost(std::numeric_limits<std::uint32_t>::max()));
  job.mail_class = GetEnum(in, MailClass::kTransactional);
  job.needs_smtputf8 = in.Flag();
  job.address = in.Text();
  job.row_id = in.Text();
  job.fields = in.Text();
  attempt.attempts = static_cast<std::uint16_t>(in.AtMost(kMost16));
  attempt.first_attempt = GetTime(in);
  attempt.source = in.Text();
  attempt.stage = GetEnum(in, Stage::kQuit);
  attempt.category = GetEnum(in, Category::kOther);
  attempt.code = static_cast<std::uint16_t>(in.AtMost(kMost16));
  if (in.Flag()) {
    EnhancedCode enhanced;
    enhanced.klass = in.Byte();
    enhanced.subject = static_cast<std::uint16_t>(in.AtMost(kMost16));
    enhanced.detail = static_cast<std::uint16_t>(in.AtMost(kMost16));
    attempt.enhanced = enhanced;
  }
  attempt.reply_text = in.Text();
  attempt.unknown_count = in.Byte();
  attempt.bad_mailbox_count = in.Byte();
  attempt.last_bad_mailbox = GetTime(in);
  if (!known || !in.Complete()) return Corrupt("retry", value);
  return job;
}

std::string EncodeCount(std::uint64_t count) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  out.Varint(count);
  return value;
}

Result<std::uint64_t> DecodeCount(std::string_view value) {
  Decoder in(value);
  const bool known = in.Byte() == kVersion;
  const std::uint64_t count = in.Varint();
  if (!known || !in.Complete()) return Corrupt("count", value);
  return count;
}

std::string_view Shortened(std::string_view text, std::size_t max) {
  if (text.size() <= max) return text;
  // Octets 10xxxxxx continue a UTF-8 sequence (RFC 3629 section 3): the cut goes before its first octet.
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80) --max;
  return text.substr(0, max);
}

std::uint32_t ShardOf(std::string_view domain, std::uint32_t shards) {
  // FNV-1a with a final mix, written out here because the answer must be the same for ever and on every machine.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : domain) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93;
  hash ^= hash >> 32;
  return shards == 0 ? 0 : static_cast<std::uint32_t>(hash % shards);
}

}  // namespace postrider::queue
