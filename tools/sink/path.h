#pragma once
// The arguments of MAIL and RCPT: the path in angle brackets and the parameters behind it (RFC 5321 section 4.1.2). A
// receiver's leniency: shapes and lengths are checked, not every rule of the grammar. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace postrider::sink {

struct PathArgument {
  std::string_view path;        // without brackets, source route taken off; empty for <>
  std::string_view parameters;  // without surrounding spaces
};

// keyword is "FROM:" or "TO:". nullopt: not in this form.
[[nodiscard]] std::optional<PathArgument> ParsePathArgument(std::string_view arguments, std::string_view keyword);

// local@domain (or "postmaster") within the lengths of section 4.5.3.1; beyond ASCII only valid UTF-8, if allowed.
[[nodiscard]] bool IsMailbox(std::string_view path, bool allow_utf8);

// The next "KEY=value" or "KEY" of a list, taken off it.
[[nodiscard]] std::pair<std::string_view, std::string_view> TakeParameter(std::string_view& parameters);

// ASCII only; upper is in upper case.
[[nodiscard]] bool EqualsUpper(std::string_view text, std::string_view upper);

[[nodiscard]] bool IsUtf8(std::string_view text);

// Domains compare without case: what follows the last "@" in lower case.
void LowerDomain(std::string& address);

}  // namespace postrider::sink
