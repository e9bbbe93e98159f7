#include "engine/dns/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace postrider::dns {
namespace {

constexpr std::uint16_t kCname = 5;
constexpr std::uint16_t kSoa = 6;
constexpr std::uint16_t kClassInternet = 1;
constexpr std::uint16_t kIsReply = 0x8000;
constexpr std::uint16_t kAuthentic = 0x0020;
constexpr std::uint16_t kCodeMask = 0x000f;
constexpr int kNoError = 0;
constexpr int kNameError = 3;
constexpr std::size_t kWireNameMax = 255;

// A place in the message. Every read is checked; once one fails all later ones do.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> message) : message_(message) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t at() const { return at_; }

  std::uint16_t Two() {
    const std::string_view bytes = Take(2);
    return bytes.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(Byte(bytes, 0) << 8 | Byte(bytes, 1));
  }
  std::uint32_t Four() {
    const std::uint32_t high = Two();
    return high << 16 | Two();
  }
  std::string_view Take(std::size_t size) {
    if (failed_ || message_.size() - at_ < size) {
      failed_ = true;
      return {};
    }
    const std::string_view taken(reinterpret_cast<const char*>(message_.data()) + at_, size);
    at_ += size;
    return taken;
  }

  // A name in text form without the root's dot, as it stands: no character is judged here but that a dot inside a
  // label becomes a NUL, which no canonical name holds. Compression pointers must go backward, so reading ends.
  std::string Name() {
    std::string name;
    std::size_t before = at_;         // a pointer must go before the part it stands in
    std::optional<std::size_t> back;  // where reading goes on after the first pointer
    std::size_t wire_size = 0;
    for (;;) {
      const std::string_view head = Take(1);
      if (head.empty()) return {};
      const unsigned length = Byte(head, 0);
      if (length == 0) break;
      if (length >= 0xc0) {
        const std::string_view low = Take(1);
        const std::size_t target = low.empty() ? before : (length & 0x3fU) << 8 | Byte(low, 0);
        if (target >= before) return Broken();
        if (!back) back = at_;
        at_ = before = target;
        continue;
      }
      wire_size += length + 1;
      if (length > 63 || wire_size >= kWireNameMax) return Broken();
      if (!name.empty()) name.push_back('.');
      for (const char c : Take(length)) name.push_back(c == '.' ? '\0' : c);
      if (failed_) return {};
    }
    if (back) at_ = *back;
    return name;
  }

 private:
  static unsigned Byte(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }
  std::string Broken() {
    failed_ = true;
    return {};
  }

  std::span<const std::byte> message_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

struct Record {
  std::string owner;  // canonical; empty if it is no host name
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::size_t data_at = 0;
  std::size_t data_size = 0;
};

Record ReadRecord(Reader& reader) {
  Record record;
  record.owner = CanonicalName(reader.Name());
  const std::uint16_t type = reader.Two();
  const std::uint16_t record_class = reader.Two();
  if (record_class == kClassInternet) record.type = type;
  record.ttl = reader.Four();
  if ((record.ttl & 0x80000000U) != 0) record.ttl = 0;  // RFC 2181 section 8
  record.data_size = reader.Two();
  record.data_at = reader.at();
  static_cast<void>(reader.Take(record.data_size));
  return record;
}

std::string_view CodeName(int code) {
  switch (code) {
    case 1:
      return "FORMERR";
    case 2:
      return "SERVFAIL";
    case 4:
      return "NOTIMP";
    case 5:
      return "REFUSED";
    default:
      return "an unknown error";
  }
}

class ReplyParser {
 public:
  ReplyParser(std::span<const std::byte> message, std::string_view name, RecordType type)
      : message_(message), current_(name), type_(type) {}

  ParsedReply Parse() {
    Reader reader(message_);
    static_cast<void>(reader.Two());  // the id is the transport's to check
    const std::uint16_t flags = reader.Two();
    const std::uint16_t questions = reader.Two();
    const std::uint16_t answers = reader.Two();
    const std::uint16_t authorities = reader.Two();
    static_cast<void>(reader.Two());  // additional records (EDNS, glue) are not read
    if (reader.failed() || (flags & kIsReply) == 0 || questions != 1) return Failed("is not a reply to one question");
    const int code = flags & kCodeMask;
    if (code != kNoError && code != kNameError) return Failed(fmt::format("is {}", CodeName(code)));
    static_cast<void>(reader.Name());
    static_cast<void>(reader.Four());
    ReadAnswers(reader, answers);
    if (broken_.empty()) ReadAuthorities(reader, authorities);
    if (!broken_.empty()) return Failed(broken_);
    result_.records.authentic = (flags & kAuthentic) != 0;
    return Conclude(code);
  }

 private:
  ParsedReply Failed(std::string_view why) {
    ParsedReply failed;
    failed.records.problem = fmt::format("the DNS server's reply for {} of {} {}", ToString(type_), current_, why);
    return failed;
  }

  void ReadAnswers(Reader& reader, std::uint16_t count) {
    std::vector<Record> records;
    for (std::uint16_t i = 0; i < count; ++i) {
      Record record = ReadRecord(reader);
      if (reader.failed()) {
        broken_ = "is cut short or malformed";
        return;
      }
      if (record.type == kCname || record.type == static_cast<std::uint16_t>(type_))
        records.push_back(std::move(record));
    }
    Follow(records);
  }

  // From the name asked for along its CNAMEs to the records.
  void Follow(const std::vector<Record>& records) {
    for (;;) {
      for (const Record& record : records) {
        if (record.owner == current_ && record.type == static_cast<std::uint16_t>(type_)) Use(record);
      }
      if (found_) return;
      const auto alias = std::ranges::find_if(
          records, [this](const Record& record) { return record.owner == current_ && record.type == kCname; });
      if (alias == records.end() || !broken_.empty()) return;
      if (++aliases_ > kMaxAliases) {
        broken_ = "holds too many CNAMEs, or a loop of them";
        return;
      }
      Reader data(message_);
      static_cast<void>(data.Take(alias->data_at));
      current_ = CanonicalName(data.Name());
      LowerTtl(alias->ttl);
      if (data.failed() || current_.empty()) broken_ = "holds a CNAME to what is no host name";
    }
  }

  void Use(const Record& record) {
    found_ = true;
    LowerTtl(record.ttl);
    Reader data(message_);
    static_cast<void>(data.Take(record.data_at));
    if (type_ == RecordType::kMx) return UseMx(data);
    const std::size_t size = type_ == RecordType::kA ? 4 : 16;
    if (record.data_size != size) {
      broken_ = "holds an address of the wrong length";
    } else if (result_.records.packed.size() < size * kMaxAddresses) {
      PackAddress(result_.records.packed, data.Take(size));
    }
  }

  void UseMx(Reader& data) {
    MxHost host;
    host.preference = data.Two();
    const std::string name = data.Name();
    if (data.failed()) {
      broken_ = "holds a malformed MX record";
      return;
    }
    ++mx_records_;
    host.name = CanonicalName(name);
    if (!host.name.empty() || name.empty()) hosts_.push_back(std::move(host));
  }

  void ReadAuthorities(Reader& reader, std::uint16_t count) {
    for (std::uint16_t i = 0; i < count; ++i) {
      const Record record = ReadRecord(reader);
      if (reader.failed()) {
        // What was asked for is already there or not; only the time to remember its absence is lost.
        return;
      }
      if (record.type != kSoa) continue;
      Reader data(message_);
      static_cast<void>(data.Take(record.data_at));
      static_cast<void>(data.Name());
      static_cast<void>(data.Name());
      static_cast<void>(data.Take(16));  // serial, refresh, retry, expire
      const std::uint32_t minimum = data.Four();
      if (!data.failed()) negative_ttl_ = std::min(record.ttl, minimum);
    }
  }

  ParsedReply Conclude(int code) {
    RecordSet& records = result_.records;
    if (found_) {
      records.status = RecordStatus::kFound;
      records.ttl = ttl_.value_or(0);
      if (type_ == RecordType::kMx && !PackHosts()) return Failed("holds MX records, but none names a usable host");
      return std::move(result_);
    }
    records.status = code == kNameError ? RecordStatus::kNoDomain : RecordStatus::kNoData;
    records.ttl = std::min(negative_ttl_.value_or(0), ttl_.value_or(~std::uint32_t{0}));
    if (aliases_ > 0 && code == kNoError && !negative_ttl_) {
      result_.continue_at = current_;
      records.ttl = ttl_.value_or(0);
    }
    return std::move(result_);
  }

  // Best preference first. A null MX counts only if it stands alone (RFC 7505 section 3).
  bool PackHosts() {
    if (mx_records_ > 1) std::erase_if(hosts_, [](const MxHost& host) { return host.name.empty(); });
    std::ranges::stable_sort(hosts_, {}, &MxHost::preference);
    if (hosts_.size() > kMaxMxHosts) hosts_.resize(kMaxMxHosts);
    for (const MxHost& host : hosts_) PackMx(result_.records.packed, host);
    return !hosts_.empty();
  }

  void LowerTtl(std::uint32_t ttl) { ttl_ = std::min(ttl_.value_or(ttl), ttl); }

  std::span<const std::byte> message_;
  std::string current_;  // the name asked for, then what its CNAMEs say
  RecordType type_;
  ParsedReply result_;
  std::string broken_;  // what is wrong with the message
  bool found_ = false;
  int aliases_ = 0;
  int mx_records_ = 0;
  std::vector<MxHost> hosts_;
  std::optional<std::uint32_t> ttl_;
  std::optional<std::uint32_t> negative_ttl_;
};

}  // namespace

ParsedReply ParseReply(std::span<const std::byte> reply, std::string_view name, RecordType type) {
  return ReplyParser(reply, name, type).Parse();
}

}  // namespace postrider::dns
