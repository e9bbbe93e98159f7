#include "config/option_kind.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "config/duration.h"
#include "config/email_address.h"
#include "config/time_zone.h"

namespace postrider {
namespace {

constexpr std::size_t kListMax = 1000;  // far more sources, hosts or waits than one sender has
constexpr std::size_t kTextMax = 255;

struct RateUnit {
  std::string_view name;
  double seconds;
};
constexpr RateUnit kRateUnits[] = {{"/s", 1}, {"/min", 60}, {"/h", 3600}, {"/d", 86'400}};

bool IsPlainText(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool IsName(std::string_view text) {
  constexpr std::size_t kNameMax = 64;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !text.empty() && text.size() <= kNameMax && std::ranges::all_of(text, allowed);
}

std::optional<double> Number(const FileValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value); number != nullptr && std::isfinite(*number)) return *number;
  return std::nullopt;
}

std::string NumberText(double number) { return fmt::format("{}", number); }

// Reads every text of a list with read, which takes one text and returns Result<T>.
template <typename T, typename Read>
Problem ReadList(const FileValue& value, std::string_view expected, std::vector<T>& member, const Read& read) {
  const auto* texts = std::get_if<TextList>(&value);
  if (texts == nullptr) return Expected(expected, value);
  if (texts->size() > kListMax) return fmt::format("at most {} entries are allowed, found {}", kListMax, texts->size());
  std::vector<T> list;
  for (const std::string& text : *texts) {
    Result<T> entry = read(text);
    if (!entry) return entry.error().message;
    list.push_back(*std::move(entry));
  }
  member = std::move(list);
  return {};
}

// "name", "name:port", "192.0.2.1:25", "2001:db8::1" or "[2001:db8::1]:25".
Result<RouteOptions::Host> ParseHost(std::string_view text) {
  const Result<SocketAddress> socket = SocketAddress::Parse(text);
  if (socket && socket->port != 0) return RouteOptions::Host{ToString(socket->ip), socket->port};
  if (const Result<IpAddress> ip = IpAddress::Parse(text); ip) return RouteOptions::Host{ToString(*ip), std::nullopt};

  RouteOptions::Host host;
  const std::size_t colon = text.find(':');
  if (colon != text.npos) {
    const std::string_view port_text = text.substr(colon + 1);
    const char* end = port_text.data() + port_text.size();
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(port_text.data(), end, port);
    if (error != std::errc() || stop != end || port == 0) {
      return Fail(ErrorCode::kInvalid, fmt::format("expected a host with a port from 1 to 65535 such as "
                                                   "\"smtp.example.org:587\", found {}",
                                                   Quote(text)));
    }
    host.port = port;
  }
  Result<std::string> name = ParseDomain(text.substr(0, colon));
  if (!name) return std::unexpected(std::move(name.error()));
  host.name = *std::move(name);
  return host;
}

}  // namespace

std::string_view Describe(const FileValue& value) {
  static constexpr std::string_view kNames[] = {"a value of another type",  "a boolean", "a whole number",
                                                "a number with a fraction", "text",      "a list of texts",
                                                "a list of numbers",        "a date"};
  static_assert(std::size(kNames) == std::variant_size_v<FileValue>);
  return kNames[value.index()];
}

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(quoted), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted += '"';
}

std::string Quote(const TextList& texts) {
  std::string list = "[";
  for (const std::string& text : texts) {
    if (list.size() > 1) list += ", ";
    list += Quote(text);
  }
  return list += ']';
}

Problem Expected(std::string_view what, const FileValue& found) {
  std::string shown(Describe(found));
  if (const auto* text = std::get_if<std::string>(&found)) shown = Quote(std::string_view(*text).substr(0, 80));
  if (const auto* integer = std::get_if<std::int64_t>(&found)) shown = std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&found)) shown = NumberText(*number);
  if (const auto* boolean = std::get_if<bool>(&found)) shown = *boolean ? "true" : "false";
  return fmt::format("expected {}, found {}", what, shown);
}

Problem BooleanKind::Read(const FileValue& value, bool& member) const {
  const auto* boolean = std::get_if<bool>(&value);
  if (boolean == nullptr) return Expected(About(), value);
  member = *boolean;
  return {};
}

std::string IntegerKind::About() const { return fmt::format("whole number from {} to {}", least, most); }

Problem IntegerKind::Check(const FileValue& value) const {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number != nullptr && *number >= least && *number <= most) return {};
  return Expected("a " + About(), value);
}

std::string IntegerListKind::About() const {
  return fmt::format("list of whole numbers from {} to {}", each.least, each.most);
}

Problem IntegerListKind::Check(const FileValue& value) const {
  const auto* numbers = std::get_if<NumberList>(&value);
  // An empty list has no kind.
  if (const auto* none = std::get_if<TextList>(&value); none != nullptr && none->empty()) {
    return "expected at least one number, found an empty list";
  }
  if (numbers == nullptr) return Expected("a " + About(), value);
  if (numbers->size() > kListMax) {
    return fmt::format("at most {} entries are allowed, found {}", kListMax, numbers->size());
  }
  for (std::int64_t number : *numbers) {
    if (Problem problem = each.Check(number); !problem.empty()) return problem;
  }
  return {};
}

std::string NumberKind::About() const {
  return fmt::format("number from {} to {}", NumberText(least), NumberText(most));
}

Problem NumberKind::Read(const FileValue& value, double& member) const {
  const std::optional<double> number = Number(value);
  if (!number || *number < least || *number > most) return Expected("a " + About(), value);
  member = *number;
  return {};
}

std::string NumberKind::Show(double member) const { return NumberText(member); }

Problem DateKind::Read(const FileValue& value, std::chrono::sys_days& member) const {
  const auto* day = std::get_if<std::chrono::sys_days>(&value);
  if (day == nullptr) return Expected("a " + About(), value);
  member = *day;
  return {};
}

std::string DateKind::Show(std::chrono::sys_days member) const {
  const std::chrono::year_month_day day(member);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

std::string ShareKind::About() const { return fmt::format("share from {} to {}", NumberText(least), NumberText(most)); }

Problem ShareKind::Read(const FileValue& value, double& member) const {
  const std::optional<double> share = Number(value);
  if (!share || *share < least || *share > most) return Expected("a " + About(), value);
  member = *share;
  return {};
}

std::string ShareKind::Show(double member) const { return NumberText(member); }

std::string RateKind::About() const {
  return fmt::format("rate from {} to {}{}", Show(least), Show(most), none_allowed ? ", or \"none\"" : "");
}

Problem RateKind::Read(const FileValue& value, double& member) const {
  std::optional<double> rate = Number(value);
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (none_allowed && *text == kNoLimit) {
      member = 0;
      return {};
    }
    const char* end = text->data() + text->size();
    double count = 0;
    const auto [stop, error] = std::from_chars(text->data(), end, count, std::chars_format::fixed);
    const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    if (error == std::errc() && std::isfinite(count)) {
      for (const RateUnit& known : kRateUnits) {
        if (unit == known.name) rate = count / known.seconds;
      }
    }
  }
  if (!rate || *rate < least || *rate > most) return Expected("a " + About(), value);
  member = *rate;
  return {};
}

std::string RateKind::Show(double member) const {
  if (member == 0) return Quote(kNoLimit);
  // The unit that leaves a whole number is the one a person wrote, or would have.
  for (const RateUnit& unit : kRateUnits) {
    const double count = member * unit.seconds;
    if (std::abs(count - std::round(count)) < 1e-9 * std::max(1.0, count) && std::round(count) >= 1) {
      return Quote(fmt::format("{:.0f}{}", std::round(count), unit.name));
    }
  }
  // Never in a unit so large that fmt would write an exponent, which no rate is read with.
  return Quote(member < 1 ? fmt::format("{}/d", member * 86'400) : fmt::format("{}/s", member));
}

std::string LimitKind::About() const { return fmt::format("whole number from {} to {}, or \"none\"", least, most); }

Problem LimitKind::Parse(const FileValue& value, std::int64_t& parsed) const {
  if (const auto* text = std::get_if<std::string>(&value); text != nullptr && *text == kNoLimit) {
    parsed = 0;
    return {};
  }
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || *number < least || *number > most) return Expected("a " + About(), value);
  parsed = *number;
  return {};
}

Problem TimeZoneKind::Read(const FileValue& value, std::string& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !IsPlainText(*text)) return Expected("the " + About(), value);
  const Result<TimeZone> zone = TimeZone::Find(*text);
  if (!zone) return zone.error().message;
  member = *text;
  return {};
}

std::string SizeKind::About() const { return fmt::format("size from {} to {}", FormatSize(least), FormatSize(most)); }

Problem SizeKind::Read(const FileValue& value, std::uint64_t& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return Expected("a " + About() + " in quotes with its unit", value);
  const Result<std::uint64_t> size = ParseSize(*text);
  if (!size) return size.error().message;
  if (*size < least || *size > most) return Expected("a " + About(), value);
  member = *size;
  return {};
}

std::string SizeKind::Show(std::uint64_t member) const { return Quote(FormatSize(member)); }

std::string DurationKind::About() const {
  return fmt::format("duration from {} to {}", FormatDuration(least), FormatDuration(most));
}

Problem DurationKind::Parse(const FileValue& value, milliseconds unit, milliseconds& parsed) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return Expected("a " + About() + " in quotes with its unit", value);
  const Result<milliseconds> duration = ParseDuration(*text);
  if (!duration) return duration.error().message;
  if (*duration < least || *duration > most) return Expected("a " + About(), value);
  if (*duration % unit != milliseconds::zero()) {
    return Expected(fmt::format("a multiple of {}", FormatDuration(unit)), value);
  }
  parsed = *duration;
  return {};
}

std::string DurationKind::Show(milliseconds member) const { return Quote(FormatDuration(member)); }

std::string DurationListKind::About() const {
  return fmt::format("list of durations from {} to {}", FormatDuration(each.least), FormatDuration(each.most));
}

Problem DurationListKind::Read(const FileValue& value, std::vector<seconds>& member) const {
  std::vector<seconds> list;
  Problem problem = ReadList(value, "a " + About(), list, [this](const std::string& text) -> Result<seconds> {
    seconds duration{};
    Problem wrong = each.Read(FileValue(text), duration);
    if (!wrong.empty()) return Fail(ErrorCode::kInvalid, std::move(wrong));
    return duration;
  });
  if (problem.empty() && list.empty()) problem = "expected at least one duration, found an empty list";
  if (problem.empty()) member = std::move(list);
  return problem;
}

std::string DurationListKind::Show(const std::vector<seconds>& member) const {
  TextList texts;
  for (seconds duration : member) texts.push_back(FormatDuration(duration));
  return Quote(texts);
}

std::string NameKind::About() const { return "name of letters, digits, \"-\", \"_\" and \".\", at most 64"; }

Problem NameKind::Read(const FileValue& value, std::string& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !IsName(*text)) return Expected("a " + About(), value);
  member = *text;
  return {};
}

std::string NameListKind::About() const { return "list of names"; }

Problem NameListKind::Read(const FileValue& value, TextList& member) const {
  TextList list;
  Problem problem = ReadList(value, "a " + About(), list, [](const std::string& text) -> Result<std::string> {
    if (!IsName(text)) return Fail(ErrorCode::kInvalid, Expected("a " + NameKind().About(), text));
    return text;
  });
  if (problem.empty() && list.empty()) problem = "expected at least one name, found an empty list";
  if (problem.empty()) member = std::move(list);
  return problem;
}

Problem ProviderNameKind::Read(const FileValue& value, std::string& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !IsProviderName(*text)) return Expected("a " + About(), value);
  member = *text;
  return {};
}

Problem MxListKind::Read(const FileValue& value, TextList& member) const {
  static constexpr std::string_view kMark = "mx:";
  TextList list;
  Problem problem = ReadList(value, "a " + About(), list, [](const std::string& text) -> Result<std::string> {
    Result<DomainPattern> pattern = DomainPattern::Parse(std::string(kMark) + text);
    if (!pattern) {
      return Fail(
          ErrorCode::kInvalid,
          fmt::format("expected a suffix such as \".google.com\" or a host such as \"mx.example.org\", found {}",
                      Quote(text.substr(0, 80))));
    }
    return pattern->Canonical().substr(kMark.size());
  });
  if (problem.empty() && list.empty()) problem = "expected at least one suffix or host, found an empty list";
  if (problem.empty()) member = std::move(list);
  return problem;
}

Problem AliasListKind::Read(const FileValue& value, TextList& member) const {
  constexpr std::size_t kAliasMax = 64;
  return ReadList(value, "a " + About(), member, [](const std::string& text) -> Result<std::string> {
    if (text.empty() || text.size() > kAliasMax || !IsPlainText(text)) {
      return Fail(ErrorCode::kInvalid, Expected("a word of 1 to 64 octets without control characters", text));
    }
    std::string lower = text;
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
  });
}

Problem TextKind::Read(const FileValue& value, std::string& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->empty() || text->size() > kTextMax || !IsPlainText(*text)) {
    return Expected("one line of 1 to 255 octets without control characters", value);
  }
  member = *text;
  return {};
}

std::string HostNameKind::About() const {
  return literal_allowed ? "host name, or an address in brackets" : "host name";
}

Problem HostNameKind::Read(const FileValue& value, std::string& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return Expected("a " + About(), value);
  Result<std::string> name = literal_allowed ? ParseMailDomain(*text) : ParseDomain(*text);
  if (!name) return name.error().message;
  member = *std::move(name);
  return {};
}

Problem PathKind::Read(const FileValue& value, std::filesystem::path& member) const {
  constexpr std::size_t kPathMax = 4000;  // below Linux's PATH_MAX with room for the names we add
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->empty() || text->size() > kPathMax || !IsPlainText(*text)) {
    return Expected("a path without control characters", value);
  }
  member = *text;
  return {};
}

std::string AddressKind::About() const { return family == IpAddress::Family::kIpv4 ? "IPv4 address" : "IPv6 address"; }

Problem AddressKind::Read(const FileValue& value, IpAddress& member) const {
  const auto* text = std::get_if<std::string>(&value);
  const Result<IpAddress> address = IpAddress::Parse(text == nullptr ? std::string_view() : std::string_view(*text));
  if (!address || address->family != family || address->IsUnspecified()) return Expected("an " + About(), value);
  member = *address;
  return {};
}

Problem SocketAddressKind::Read(const FileValue& value, SocketAddress& member) const {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return Expected("an address and port such as \"127.0.0.1:8025\"", value);
  const Result<SocketAddress> address = SocketAddress::Parse(*text);
  if (!address) return address.error().message;
  member = *address;
  return {};
}

Problem NameServerListKind::Read(const FileValue& value, std::vector<SocketAddress>& member) const {
  return ReadList(value, "a " + About(), member, [](const std::string& text) -> Result<SocketAddress> {
    constexpr std::uint16_t kDnsPort = 53;
    if (const Result<IpAddress> ip = IpAddress::Parse(text); ip) return SocketAddress{*ip, kDnsPort};
    Result<SocketAddress> server = SocketAddress::Parse(text);
    if (server && server->port == 0) return Fail(ErrorCode::kInvalid, "a name server has no port 0");
    return server;
  });
}

std::string NameServerListKind::Show(const std::vector<SocketAddress>& member) const {
  TextList texts;
  for (const SocketAddress& address : member) texts.push_back(ToString(address));
  return Quote(texts);
}

Problem HostListKind::Read(const FileValue& value, std::vector<RouteOptions::Host>& member) const {
  return ReadList(value, "a " + About(), member, [](const std::string& text) { return ParseHost(text); });
}

std::string HostListKind::Show(const std::vector<RouteOptions::Host>& member) const {
  TextList texts;
  for (const RouteOptions::Host& host : member) {
    const bool ipv6 = host.name.find(':') != host.name.npos;
    texts.push_back(!host.port ? host.name
                               : fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host.name, ipv6 ? "]" : "", *host.port));
  }
  return Quote(texts);
}

std::string PatternKind::About() const {
  return mx_allowed ? "\"example.org\", \"*.example.org\", \"mx:.google.com\", \"mx:mx1.example.org\", "
                      "\"provider:google\" or \"*\""
                    : "\"example.org\", \"*.example.org\" or \"*\"";
}

Problem PatternKind::Read(const FileValue& value, DomainPattern& member) const {
  const auto* text = std::get_if<std::string>(&value);
  const bool needs_mx = text != nullptr && (text->starts_with("mx:") || text->starts_with("provider:"));
  if (text == nullptr || (needs_mx && !mx_allowed)) return Expected(About(), value);
  Result<DomainPattern> pattern = DomainPattern::Parse(*text);
  if (!pattern) return pattern.error().message;
  member = *std::move(pattern);
  return {};
}

}  // namespace postrider
