#pragma once
// Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2183): a value and its parameters. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::message {

struct ParameterValue {
  std::string name;  // as written
  std::string value;
};

struct ParameterizedValue {
  std::string value;  // "text/html", "attachment"; lower case
  std::vector<ParameterValue> parameters;

  // Comments are dropped. nullopt if it cannot be read.
  static std::optional<ParameterizedValue> Parse(std::string_view text);

  [[nodiscard]] const std::string* Find(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);
  // On one line; parameters in quotes where they must be, in the form of RFC 2231 where they are not ASCII.
  [[nodiscard]] std::string ToText() const;
};

}  // namespace postrider::message
