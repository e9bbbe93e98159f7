#pragma once
// How an option names the mail it is about: "example.org" (that domain), "*.example.org" or ".example.org" (everything
// below it, not itself), "mx:.google.com" (every domain one of whose MX hosts is below google.com),
// "mx:mx1.example.org" (that MX host), "*" (everything). The more specific of two matches wins.

#include <span>
#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

class DomainPattern {
 public:
  static Result<DomainPattern> Parse(std::string_view text);

  // mx_hosts may be empty while they are not known; then only domain patterns match.
  [[nodiscard]] bool Matches(std::string_view domain, std::span<const std::string> mx_hosts) const;
  // Larger is more specific: an exact domain > a domain suffix (longer > shorter) > an exact MX > an MX suffix > "*".
  [[nodiscard]] int Specificity() const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class Kind { kAll, kMxSuffix, kMxExact, kDomainSuffix, kDomainExact };
  Kind kind_ = Kind::kAll;
  std::string name_;        // without the leading dot, "*." or "mx:"
  std::string text_ = "*";  // as written
};

}  // namespace postrider
