#include "queue/suppression.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "config/email_address.h"
#include "queue/codec.h"
#include "queue/record.h"

namespace postrider::queue {

namespace {

// Version 1 had no reply.
constexpr std::uint8_t kVersion = 2;
constexpr std::array<std::string_view, 3> kOrigins{"rule", "hand", "import"};
constexpr std::array<std::string_view, 3> kEnds{"removed", "replaced", "expired"};

std::unexpected<Error> Corrupt(std::string_view what, std::size_t bytes) {
  return Fail(ErrorCode::kCorrupt,
              fmt::format("a {} record of {} bytes in the suppression list does not have the form that this postrider "
                          "knows; restore the queue from a copy",
                          what, bytes));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

void AppendLower(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(Lower(c));
}

void AppendEnded(std::string& out, std::string_view text) {
  out.append(text);
  out.push_back('\0');
}

// Up to the next NUL, which is passed.
std::optional<std::string_view> TakeEnded(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return text;
}

// "ana@example.org" -> ("ana", "example.org"); a domain never holds "@", a quoted local part may.
std::pair<std::string_view, std::string_view> Split(std::string_view address) {
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos) return {{}, address};
  return {address.substr(0, at), address.substr(at + 1)};
}

void PutTime(Encoder& out, Wall time) { out.Signed(time.time_since_epoch().count()); }
Wall GetTime(Decoder& in) { return Wall(std::chrono::milliseconds(in.Signed())); }

void PutEntry(Encoder& out, const Suppression& entry) {
  // What a check needs stands first.
  out.Byte(entry.expires ? 1 : 0);
  if (entry.expires) PutTime(out, *entry.expires);
  PutTime(out, entry.when);
  out.Byte(static_cast<std::uint8_t>(entry.origin));
  out.Text(Shortened(entry.who, kSuppressionNameMax));
  out.Text(Shortened(entry.why, kSuppressionTextMax));
  out.Text(Shortened(entry.campaign, kSuppressionNameMax));
  out.Varint(entry.row);
  out.Text(Shortened(entry.site, kDomainMax));
  out.Text(Shortened(entry.provider, kSuppressionNameMax));
  out.Text(Shortened(entry.reply, kSuppressionTextMax));
}

bool IsKnown(std::uint8_t version) { return version >= 1 && version <= kVersion; }

void GetEntry(Decoder& in, Suppression& entry, std::uint8_t version) {
  if (in.Flag()) entry.expires = GetTime(in);
  entry.when = GetTime(in);
  entry.origin = static_cast<SuppressionOrigin>(in.AtMost(kOrigins.size() - 1));
  entry.who = in.Text();
  entry.why = in.Text();
  entry.campaign = in.Text();
  entry.row = in.Varint();
  entry.site = in.Text();
  entry.provider = in.Text();
  if (version >= 2) entry.reply = in.Text();
}

bool IsByRule(const Suppression& entry) { return entry.origin == SuppressionOrigin::kRule; }

}  // namespace

std::string_view ToString(SuppressionOrigin origin) { return kOrigins[static_cast<std::size_t>(origin)]; }

std::optional<SuppressionOrigin> ParseSuppressionOrigin(std::string_view name) {
  const auto found = std::ranges::find(kOrigins, name);
  if (found == kOrigins.end()) return std::nullopt;
  return static_cast<SuppressionOrigin>(found - kOrigins.begin());
}

std::string_view ToString(SuppressionEnd end) { return kEnds[static_cast<std::size_t>(end)]; }

Result<std::string> ParseSuppressed(std::string_view text) {
  const bool domain_alone = text.starts_with('@');
  if (!domain_alone && text.find('@') != std::string_view::npos) {
    const Result<EmailAddress> address = EmailAddress::Parse(text);
    if (!address) return std::unexpected(address.error());
    std::string name;
    AppendLower(name, address->local);
    return name.append("@").append(address->domain);
  }
  if (!domain_alone && text.find('.') == std::string_view::npos) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("expected an address (ana@example.org) or a domain (@example.org), found {} octets without "
                            "\"@\" and dot",
                            text.size()));
  }
  const Result<std::string> domain = ParseMailDomain(domain_alone ? text.substr(1) : text);
  if (!domain) return std::unexpected(domain.error());
  return "@" + *domain;
}

std::string SuppressedAddress(std::string_view address) {
  const auto [local, domain] = Split(address);
  std::string name;
  AppendLower(name, local);
  return name.append("@").append(domain);
}

bool Supersedes(const Suppression& fresh, const Suppression& old) {
  if (old.Expired(fresh.when)) return true;
  if (IsByRule(fresh) != IsByRule(old)) return IsByRule(old);
  return old.expires && (!fresh.expires || *fresh.expires > *old.expires);
}

SuppressionTally& SuppressionTally::operator+=(const SuppressionTally& other) {
  added += other.added;
  replaced += other.replaced;
  unchanged += other.unchanged;
  return *this;
}

bool SuppressionQuery::Matches(const Suppression& entry) const {
  if (list && entry.list != *list) return false;
  if (!domain.empty() && Split(entry.address).second != domain) return false;
  if (origin && entry.origin != *origin) return false;
  if (!rule.empty() && (!IsByRule(entry) || entry.why != rule)) return false;
  if (!site.empty() && entry.site != site) return false;
  if (!provider.empty() && entry.provider != provider) return false;
  if (since && entry.when < *since) return false;
  if (until && entry.when >= *until) return false;
  return !valid_at || !entry.Expired(*valid_at);
}

// -- Keys

void AppendSuppressionKey(std::string& out, std::string_view list, std::string_view domain, std::string_view local) {
  out.append(kSuppressionEntries);
  AppendEnded(out, list);
  AppendEnded(out, domain);
  AppendLower(out, local);
}

std::string SuppressionKey(std::string_view list, std::string_view address) {
  const auto [local, domain] = Split(address);
  std::string key;
  key.reserve(list.size() + address.size() + 3);
  AppendSuppressionKey(key, list, domain, local);
  return key;
}

std::string SuppressionListPrefix(std::string_view list) {
  std::string prefix(kSuppressionEntries);
  AppendEnded(prefix, list);
  return prefix;
}

std::string SuppressionDomainPrefix(std::string_view list, std::string_view domain) {
  std::string prefix = SuppressionListPrefix(list);
  AppendEnded(prefix, domain);
  return prefix;
}

Result<SuppressionKeyParts> ParseSuppressionKey(std::string_view key) {
  std::string_view rest = key;
  if (!rest.starts_with(kSuppressionEntries)) return Corrupt("key", key.size());
  rest.remove_prefix(kSuppressionEntries.size());
  const auto list = TakeEnded(rest);
  const auto domain = list ? TakeEnded(rest) : std::nullopt;
  if (!domain || !IsStorableDomain(*domain) || rest.find('\0') != std::string_view::npos) {
    return Corrupt("key", key.size());
  }
  return SuppressionKeyParts{*list, *domain, rest};
}

std::string PastSuppressionPrefix(std::string_view address) {
  const auto [local, domain] = Split(address);
  std::string prefix(kSuppressionHistory);
  AppendEnded(prefix, domain);
  AppendLower(prefix, local);
  prefix.push_back('\0');
  return prefix;
}

std::string PastSuppressionKey(const PastSuppression& past, std::uint64_t stamp) {
  std::string key = PastSuppressionPrefix(past.entry.address);
  AppendEnded(key, past.entry.list);
  Encoder out(key);
  out.Fixed64(static_cast<std::uint64_t>(std::max(past.when, Wall{}).time_since_epoch().count()));
  out.Fixed64(stamp);
  return key;
}

std::string ListCountsKey(std::string_view list) { return std::string(kSuppressionCounts).append(list); }

Result<std::string> ParseListCountsKey(std::string_view key) {
  if (!key.starts_with(kSuppressionCounts)) return Corrupt("key of a list", key.size());
  return std::string(key.substr(kSuppressionCounts.size()));
}

// -- Values

std::string EncodeSuppression(const Suppression& entry) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  PutEntry(out, entry);
  return value;
}

Result<Suppression> DecodeSuppression(std::string_view key, std::string_view value) {
  const Result<SuppressionKeyParts> parts = ParseSuppressionKey(key);
  if (!parts) return std::unexpected(parts.error());
  Suppression entry;
  entry.list = parts->list;
  entry.address.append(parts->local).append("@").append(parts->domain);
  Decoder in(value);
  const std::uint8_t version = in.Byte();
  GetEntry(in, entry, version);
  if (!IsKnown(version) || !in.Complete()) return Corrupt("entry", value.size());
  return entry;
}

Result<bool> HasExpired(std::string_view value, Wall now) {
  Decoder in(value);
  const bool known = IsKnown(in.Byte());
  const bool ends = in.Flag();
  const Wall end = ends ? GetTime(in) : Wall{};
  if (!known || !in.ok()) return Corrupt("entry", value.size());
  return ends && end <= now;
}

std::string EncodePastSuppression(const PastSuppression& past) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  out.Byte(static_cast<std::uint8_t>(past.end));
  PutTime(out, past.when);
  out.Text(Shortened(past.who, kSuppressionNameMax));
  out.Text(Shortened(past.why, kSuppressionTextMax));
  out.Text(past.entry.list);
  out.Text(past.entry.address);
  PutEntry(out, past.entry);
  return value;
}

Result<PastSuppression> DecodePastSuppression(std::string_view value) {
  Decoder in(value);
  PastSuppression past;
  const std::uint8_t version = in.Byte();
  past.end = static_cast<SuppressionEnd>(in.AtMost(kEnds.size() - 1));
  past.when = GetTime(in);
  past.who = in.Text();
  past.why = in.Text();
  past.entry.list = in.Text();
  past.entry.address = in.Text();
  GetEntry(in, past.entry, version);
  if (!IsKnown(version) || !in.Complete()) return Corrupt("history", value.size());
  return past;
}

std::string EncodeListCounts(const ListCounts& counts) {
  std::string value;
  Encoder out(value);
  out.Byte(kVersion);
  out.Varint(counts.addresses);
  out.Varint(counts.domains);
  out.Varint(counts.expiring);
  return value;
}

Result<ListCounts> DecodeListCounts(std::string_view value) {
  Decoder in(value);
  ListCounts counts;
  const bool known = IsKnown(in.Byte());
  counts.addresses = in.Varint();
  counts.domains = in.Varint();
  counts.expiring = in.Varint();
  if (!known || !in.Complete()) return Corrupt("count", value.size());
  return counts;
}

}  // namespace postrider::queue
