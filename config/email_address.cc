#include "config/email_address.h"

#include <idn2.h>

#include <array>
#include <cstdint>
#include <memory>

#include <fmt/format.h>

#include "config/ip_address.h"

namespace postrider {
namespace {

constexpr std::size_t kLocalMax = 64;     // RFC 5321 section 4.5.3.1.1
constexpr std::size_t kDomainMax = 253;   // 255 octets in DNS's form leave so many in text (RFC 1035 section 2.3.4)
constexpr std::size_t kLabelMax = 63;     // RFC 1035 section 2.3.4
constexpr std::size_t kAddressMax = 254;  // a path of 256 octets (RFC 5321 section 4.5.3.1.3) less its angle brackets
// A U-label may take more octets than its A-label, four for each of at most 253 characters.
constexpr std::size_t kUnicodeDomainMax = 4 * kDomainMax;

enum CharacterClass : std::uint8_t {
  kAtext = 1,      // RFC 5322 section 3.2.3
  kPrintable = 2,  // ASCII 32..126
  kLdh = 4,        // letter, digit, hyphen
};

constexpr std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 32; c < 127; ++c) classes[c] |= kPrintable;
  for (int c = '0'; c <= '9'; ++c) classes[c] |= kAtext | kLdh;
  for (int c = 'a'; c <= 'z'; ++c) classes[c] |= kAtext | kLdh;
  for (int c = 'A'; c <= 'Z'; ++c) classes[c] |= kAtext | kLdh;
  for (unsigned char c : std::string_view("!#$%&'*+-/=?^_`{|}~")) classes[c] |= kAtext;
  classes['-'] |= kLdh;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();

bool Is(CharacterClass wanted, char c) { return (kClasses[static_cast<unsigned char>(c)] & wanted) != 0; }
bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }
char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// Octets of the well-formed UTF-8 character (RFC 3629) that text starts with; 0 if it is malformed or a C1 control.
std::size_t Utf8Length(std::string_view text) {
  const auto octet = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (octet(i) & 0xc0) == 0x80; };
  const unsigned lead = octet(0);
  const unsigned second = octet(1);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4 || !continues(1)) return 0;
  if (lead < 0xe0) return lead == 0xc2 && second < 0xa0 ? 0 : 2;
  if (!continues(2)) return 0;
  if (lead < 0xf0) {
    const bool overlong = lead == 0xe0 && second < 0xa0;
    const bool surrogate = lead == 0xed && second >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (!continues(3) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return 0;
  return 4;
}

// Text for a message to a person: short, and nothing in it that could break a line or a terminal.
std::string Shown(std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  std::string shown;
  for (std::size_t i = 0; i < text.size() && shown.size() < kShownMax;) {
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0 || (length == 1 && !Is(kPrintable, text[i]))) {
      shown += '?';
      ++i;
      continue;
    }
    shown += text.substr(i, length);
    i += length;
  }
  if (text.size() > kShownMax) shown += "...";
  return shown;
}

std::unexpected<Error> Malformed(std::string_view text, std::string_view reason) {
  return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not an address: {}", Shown(text), reason));
}

// Length of the dot-string (RFC 5321, RFC 6531 section 3.3) that text starts with; stops at what cannot belong to it.
struct LocalPart {
  std::size_t length = 0;
  bool ascii = true;
  std::string_view problem;
};

LocalPart ScanDotString(std::string_view text) {
  LocalPart local;
  std::size_t i = 0;
  bool after_dot = true;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (Is(kAtext, c)) {
      after_dot = false;
    } else if (c == '.') {
      if (after_dot) {
        local.problem = "a dot may not come first or follow another outside quotes";
        return local;
      }
      after_dot = true;
    } else if (!IsAscii(c)) {
      const std::size_t length = Utf8Length(text.substr(i));
      if (length == 0) {
        local.problem = "it is not valid UTF-8";
        return local;
      }
      local.ascii = false;
      after_dot = false;
      i += length - 1;
    } else {
      break;
    }
  }
  local.length = i;
  if (i == 0) {
    local.problem = "nothing usable stands before the \"@\"";
  } else if (after_dot) {
    local.problem = "a dot may not come last before the \"@\" outside quotes";
  }
  return local;
}

// Reads the quoted-string that text starts with; content receives what it says, without quotes and backslashes.
LocalPart ScanQuotedString(std::string_view text, std::string& content) {
  LocalPart local;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      local.length = i + 1;
      return local;
    }
    const bool escaped = text[i] == '\\';
    if (escaped) ++i;
    const std::size_t length = i < text.size() ? Utf8Length(text.substr(i)) : 0;
    if (length == 0 || (length == 1 && !Is(kPrintable, text[i]))) {
      local.problem = "control characters and malformed UTF-8 are refused inside quotes too";
      return local;
    }
    if (escaped && length > 1) {
      local.problem = "only ASCII may follow a backslash";
      return local;
    }
    if (length > 1) local.ascii = false;
    content += text.substr(i, length);
    i += length - 1;
  }
  local.problem = "the quote is never closed";
  return local;
}

std::string Quoted(std::string_view content) {
  std::string quoted = "\"";
  for (char c : content) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted += '"';
}

// Appends text as a lower-case host name (RFC 1123 section 2.1). Says what is wrong, or "".
std::string_view AppendHostName(std::string_view text, std::string& name) {
  if (text.size() > kDomainMax) return "a domain has at most 253 octets";
  name.resize(text.size());
  std::size_t label = 0;  // where the current label starts
  bool numeric = true;    // the current label is all digits
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : '.';
    if (c == '.') {
      if (i == label) return "a label of the domain is empty";
      if (i - label > kLabelMax) return "a label of the domain has at most 63 octets";
      if (text[label] == '-' || text[i - 1] == '-') return "a label of the domain may not start or end with a hyphen";
      label = i + 1;
      if (i == text.size()) break;
      numeric = true;
    } else if (!Is(kLdh, c)) {
      return "a domain is made of letters, digits, hyphens and dots";
    } else {
      numeric = numeric && c >= '0' && c <= '9';
    }
    name[i] = LowerCase(c);
  }
  // RFC 3696 section 2: no top-level domain is all digits.
  if (numeric) return "the last label is a number; an IP address is written in brackets, as [192.0.2.1]";
  return {};
}

// The A-labels of a name with non-ASCII in it: IDNA2008 after the mapping of UTS #46, nontransitional. A-labels that
// come ready made are not judged again: DNS knows whether they exist, and mail goes to names that IDNA2008 would
// refuse.
Result<std::string> InternationalDomain(std::string_view text) {
  const auto malformed = [&](std::string_view reason) {
    return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a domain: {}", Shown(text), reason));
  };
  if (text.size() > kUnicodeDomainMax) return malformed("it is too long");
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0) return malformed("it is not valid UTF-8");
    if (length == 1 && text[i] != '.' && !Is(kLdh, text[i])) {
      return malformed("a domain is made of letters, digits, hyphens and dots");
    }
    i += length;
  }
  char* output = nullptr;
  const int status = idn2_to_ascii_8z(std::string(text).c_str(), &output, IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> owner(output, idn2_free);
  if (status != IDN2_OK) return malformed(idn2_strerror(status));
  std::string name;
  const std::string_view problem = AppendHostName(output, name);
  if (!problem.empty()) return malformed(problem);
  return name;
}

Result<std::string> Domain(std::string_view text) {
  std::string name;
  bool ascii = true;
  for (char c : text) ascii = ascii && IsAscii(c);
  if (ascii) {
    const std::string_view problem = AppendHostName(text, name);
    if (!problem.empty()) {
      return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a domain: {}", Shown(text), problem));
    }
    return name;
  }
  return InternationalDomain(text);
}

Result<std::string> Literal(std::string_view text) {
  constexpr std::string_view kIpv6Tag = "ipv6:";
  const auto malformed = [&] {
    return Fail(ErrorCode::kInvalid,
                fmt::format("\"{}\" is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", Shown(text)));
  };
  if (text.size() < 2 || text.back() != ']') return malformed();
  std::string_view inner = text.substr(1, text.size() - 2);
  bool tagged = inner.size() > kIpv6Tag.size();
  for (std::size_t i = 0; tagged && i < kIpv6Tag.size(); ++i) tagged = LowerCase(inner[i]) == kIpv6Tag[i];
  if (tagged) inner.remove_prefix(kIpv6Tag.size());
  const Result<IpAddress> ip = IpAddress::Parse(inner);
  if (!ip || ip->IsIpv4() == tagged) return malformed();
  return ToLiteral(*ip);
}

}  // namespace

Result<EmailAddress> EmailAddress::Parse(std::string_view text) {
  EmailAddress address;
  std::string content;
  const bool quoted = text.starts_with('"');
  const LocalPart local = quoted ? ScanQuotedString(text, content) : ScanDotString(text);
  if (!local.problem.empty()) return Malformed(text, local.problem);
  if (local.length == text.size()) return Malformed(text, "the \"@\" is missing");
  if (text[local.length] != '@') {
    return Malformed(text, fmt::format("\"{}\" may not stand {}", Shown(text.substr(local.length, 1)),
                                       quoted ? "between the closing quote and the \"@\"" : "outside quotes"));
  }
  if (!quoted) {
    address.local = text.substr(0, local.length);
  } else {
    const LocalPart unquoted = ScanDotString(content);
    const bool needless = unquoted.problem.empty() && unquoted.length == content.size();
    address.local = needless ? std::move(content) : Quoted(content);
  }
  if (address.local.size() > kLocalMax) return Malformed(text, "at most 64 octets may stand before the \"@\"");
  address.needs_smtputf8 = !local.ascii;

  Result<std::string> domain = ParseMailDomain(text.substr(local.length + 1));
  if (!domain) return Malformed(text, domain.error().message);
  address.domain = *std::move(domain);
  if (address.local.size() + 1 + address.domain.size() > kAddressMax) {
    return Malformed(text, "an address has at most 254 octets");
  }
  return address;
}

std::string ToString(const EmailAddress& address) {
  std::string text;
  text.reserve(address.local.size() + 1 + address.domain.size());
  text += address.local;
  text += '@';
  text += address.domain;
  return text;
}

Result<std::string> ParseDomain(std::string_view text) {
  if (text.size() > 1 && text.back() == '.') text.remove_suffix(1);
  return Domain(text);
}

Result<std::string> ParseMailDomain(std::string_view text) {
  return text.starts_with('[') ? Literal(text) : Domain(text);
}

}  // namespace postrider
