#pragma once
// The kinds of value an option can have: how each is read from a file, checked against its range, and written out
// again. A kind serves any member type it can fill, so that one table (config/schema.cc) ties key, kind and member
// together. Used by the schema alone; a kind is a small constant value and never looks at files or the clock.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/domain_pattern.h"
#include "config/ip_address.h"
#include "config/options.h"

namespace postrider {

using TextList = std::vector<std::string>;
using NumberList = std::vector<std::int64_t>;
// What stood in the file, before a kind has looked at it; monostate: something that no option takes.
using FileValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, TextList, NumberList, std::chrono::sys_days>;

// What is wrong with a value; empty when nothing is.
using Problem = std::string;

// "text", "a number", ... for messages.
[[nodiscard]] std::string_view Describe(const FileValue& value);
// As TOML text: in quotes, escaped; and a list of such.
[[nodiscard]] std::string Quote(std::string_view text);
[[nodiscard]] std::string Quote(const TextList& texts);
[[nodiscard]] Problem Expected(std::string_view what, const FileValue& found);

struct BooleanKind {
  [[nodiscard]] std::string About() const { return "true or false"; }
  Problem Read(const FileValue& value, bool& member) const;
  [[nodiscard]] std::string Show(bool member) const { return member ? "true" : "false"; }
};

struct IntegerKind {
  std::int64_t least;
  std::int64_t most;

  [[nodiscard]] std::string About() const;
  [[nodiscard]] Problem Check(const FileValue& value) const;
  template <typename T>
  Problem Read(const FileValue& value, T& member) const {
    Problem problem = Check(value);
    if (problem.empty()) member = static_cast<T>(std::get<std::int64_t>(value));
    return problem;
  }
  [[nodiscard]] std::string Show(std::int64_t member) const { return std::to_string(member); }
};

struct IntegerListKind {
  IntegerKind each;

  [[nodiscard]] std::string About() const;
  [[nodiscard]] Problem Check(const FileValue& value) const;
  template <typename T>
  Problem Read(const FileValue& value, std::vector<T>& member) const {
    Problem problem = Check(value);
    if (!problem.empty()) return problem;
    member.clear();
    for (std::int64_t number : std::get<NumberList>(value)) member.push_back(static_cast<T>(number));
    return {};
  }
  template <typename T>
  [[nodiscard]] std::string Show(const std::vector<T>& member) const {
    std::string list = "[";
    for (T number : member) list += (list.size() > 1 ? ", " : "") + std::to_string(number);
    return list += ']';
  }
};

// A whole number or one with a fraction.
struct NumberKind {
  double least;
  double most;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, double& member) const;
  [[nodiscard]] std::string Show(double member) const;
};

// A calendar day, without quotes.
struct DateKind {
  [[nodiscard]] std::string About() const { return "day such as 2026-11-23, without quotes"; }
  Problem Read(const FileValue& value, std::chrono::sys_days& member) const;
  [[nodiscard]] std::string Show(std::chrono::sys_days member) const;
};

// A share of a whole, 0.01 for one hundredth.
struct ShareKind {
  double least;
  double most;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, double& member) const;
  [[nodiscard]] std::string Show(double member) const;
};

// What an operator writes where no limit is wanted, not even that of a less specific rule; kept as 0.
inline constexpr std::string_view kNoLimit = "none";

// "10/s", "600/min", "5000/h" or "800/d", or a bare number per second; kept per second.
struct RateKind {
  double least;
  double most;
  bool none_allowed = false;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, double& member) const;
  [[nodiscard]] std::string Show(double member) const;
};

// A whole number, or "none".
struct LimitKind {
  std::int64_t least;
  std::int64_t most;

  [[nodiscard]] std::string About() const;
  [[nodiscard]] Problem Parse(const FileValue& value, std::int64_t& parsed) const;
  template <typename T>
  Problem Read(const FileValue& value, T& member) const {
    std::int64_t parsed = 0;
    Problem problem = Parse(value, parsed);
    if (problem.empty()) member = static_cast<T>(parsed);
    return problem;
  }
  template <typename T>
  [[nodiscard]] std::string Show(T member) const {
    return member == 0 ? Quote(kNoLimit) : std::to_string(member);
  }
};

// The name of a time zone in the IANA data base.
struct TimeZoneKind {
  [[nodiscard]] std::string About() const { return "name of a time zone such as \"Europe/Paris\" or \"UTC\""; }
  Problem Read(const FileValue& value, std::string& member) const;
  [[nodiscard]] std::string Show(const std::string& member) const { return member.empty() ? "" : Quote(member); }
};

// A text with a unit, as config/duration.h reads it.
struct SizeKind {
  std::uint64_t least;
  std::uint64_t most;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, std::uint64_t& member) const;
  [[nodiscard]] std::string Show(std::uint64_t member) const;
};

struct DurationKind {
  milliseconds least;
  milliseconds most;

  [[nodiscard]] std::string About() const;
  [[nodiscard]] Problem Parse(const FileValue& value, milliseconds unit, milliseconds& parsed) const;
  template <typename T>
  Problem Read(const FileValue& value, T& member) const {
    milliseconds parsed{};
    Problem problem = Parse(value, T(1), parsed);
    if (problem.empty()) member = std::chrono::duration_cast<T>(parsed);
    return problem;
  }
  [[nodiscard]] std::string Show(milliseconds member) const;
};

struct DurationListKind {
  DurationKind each;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, std::vector<seconds>& member) const;
  [[nodiscard]] std::string Show(const std::vector<seconds>& member) const;
};

// A name that stands in logs, metrics and other options: letters, digits, "-", "_" and ".", at most 64.
struct NameKind {
  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, std::string& member) const;
  [[nodiscard]] std::string Show(const std::string& member) const { return Quote(member); }
};

struct NameListKind {
  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, TextList& member) const;
  [[nodiscard]] std::string Show(const TextList& member) const { return Quote(member); }
};

struct ProviderNameKind {
  [[nodiscard]] std::string About() const {
    return "name of lower-case letters, digits, \"-\", \"_\" and \".\", at most 64";
  }
  Problem Read(const FileValue& value, std::string& member) const;
  [[nodiscard]] std::string Show(const std::string& member) const { return Quote(member); }
};

// ".google.com" for every host below it, "mx.example.org" for that host; kept in lower case, as A-labels.
struct MxListKind {
  [[nodiscard]] std::string About() const { return "list of suffixes with a leading dot, or host names"; }
  Problem Read(const FileValue& value, TextList& member) const;
  [[nodiscard]] std::string Show(const TextList& member) const { return Quote(member); }
};

// What people call something; kept in lower case.
struct AliasListKind {
  [[nodiscard]] std::string About() const { return "list of words, each at most 64 octets"; }
  Problem Read(const FileValue& value, TextList& member) const;
  [[nodiscard]] std::string Show(const TextList& member) const { return Quote(member); }
};

// One line of text without control characters, as a login name is.
struct TextKind {
  [[nodiscard]] std::string About() const { return "text"; }
  Problem Read(const FileValue& value, std::string& member) const;
  [[nodiscard]] std::string Show(const std::string& member) const { return member.empty() ? "" : Quote(member); }
};

// A host name, or what EHLO may say instead: an address literal (RFC 5321 section 4.1.3).
struct HostNameKind {
  bool literal_allowed;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, std::string& member) const;
  [[nodiscard]] std::string Show(const std::string& member) const { return member.empty() ? "" : Quote(member); }
};

// The loader makes a relative path absolute, from the configuration file's folder.
struct PathKind {
  [[nodiscard]] std::string About() const { return "path, absolute or from this file's folder"; }
  Problem Read(const FileValue& value, std::filesystem::path& member) const;
  [[nodiscard]] std::string Show(const std::filesystem::path& member) const {
    return member.empty() ? "" : Quote(member.string());
  }
};

struct AddressKind {
  IpAddress::Family family;

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, IpAddress& member) const;
  [[nodiscard]] std::string Show(const IpAddress& member) const { return Quote(ToString(member)); }
};

struct SocketAddressKind {
  [[nodiscard]] std::string About() const { return "address and port"; }
  Problem Read(const FileValue& value, SocketAddress& member) const;
  [[nodiscard]] std::string Show(const SocketAddress& member) const { return Quote(ToString(member)); }
};

// Addresses of name servers; the port may be left out.
struct NameServerListKind {
  [[nodiscard]] std::string About() const { return "list of addresses, each with a port or meaning port 53"; }
  Problem Read(const FileValue& value, std::vector<SocketAddress>& member) const;
  [[nodiscard]] std::string Show(const std::vector<SocketAddress>& member) const;
};

// Hosts to deliver to: names or addresses, each with a port of its own or without.
struct HostListKind {
  [[nodiscard]] std::string About() const { return "list of names or addresses, each with a port or without"; }
  Problem Read(const FileValue& value, std::vector<RouteOptions::Host>& member) const;
  [[nodiscard]] std::string Show(const std::vector<RouteOptions::Host>& member) const;
};

struct PatternKind {
  bool mx_allowed;  // "mx:..." and "provider:..." make sense once the MX is known

  [[nodiscard]] std::string About() const;
  Problem Read(const FileValue& value, DomainPattern& member) const;
  [[nodiscard]] std::string Show(const DomainPattern& member) const { return Quote(member.text()); }
};

template <typename Enum>
struct ChoiceKind {
  std::vector<std::pair<std::string_view, Enum>> choices;

  [[nodiscard]] std::string About() const {
    std::string text;
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (i > 0) text += i + 1 < choices.size() ? ", " : " or ";
      text += Quote(choices[i].first);
    }
    return text;
  }
  Problem Read(const FileValue& value, Enum& member) const {
    const auto* text = std::get_if<std::string>(&value);
    for (const auto& [name, choice] : choices) {
      if (text == nullptr || *text != name) continue;
      member = choice;
      return {};
    }
    return Expected(About(), value);
  }
  [[nodiscard]] std::string Show(Enum member) const {
    for (const auto& [name, choice] : choices) {
      if (choice == member) return Quote(name);
    }
    return {};
  }
};

// What an unset optional member shows is nothing; read, it is set.
template <typename Kind, typename T>
Problem ReadMember(const Kind& kind, const FileValue& value, T& member) {
  return kind.Read(value, member);
}
template <typename Kind, typename T>
Problem ReadMember(const Kind& kind, const FileValue& value, std::optional<T>& member) {
  T read{};
  Problem problem = kind.Read(value, read);
  if (problem.empty()) member = std::move(read);
  return problem;
}
template <typename Kind, typename T>
std::string ShowMember(const Kind& kind, const T& member) {
  return kind.Show(member);
}
template <typename Kind, typename T>
std::string ShowMember(const Kind& kind, const std::optional<T>& member) {
  return member ? kind.Show(*member) : std::string();
}

}  // namespace postrider
