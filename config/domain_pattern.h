#pragma once
// How an option names the mail it is about: "example.org" (that domain), "*.example.org" or ".example.org" (everything
// below it, not itself), "mx:.google.com" (every domain one of whose MX hosts is below google.com),
// "mx:mx1.example.org" (that MX host), "provider:google" (every domain whose mail that provider takes), "*"
// (everything). The more specific of two matches wins.

#include <span>
#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

// Lower-case letters, digits, "-", "_" and ".", at most 64.
[[nodiscard]] bool IsProviderName(std::string_view name);

class DomainPattern {
 public:
  static Result<DomainPattern> Parse(std::string_view text);

  // mx_hosts may be empty while they are not known, and provider where it is not; then only domain patterns match.
  [[nodiscard]] bool Matches(std::string_view domain, std::span<const std::string> mx_hosts,
                             std::string_view provider = {}) const;
  // Larger is more specific: an exact domain > a domain suffix (longer > shorter) > an exact MX > an MX suffix (longer
  // > shorter) > a provider > "*".
  [[nodiscard]] int Specificity() const;
  // Of "provider:NAME" the name; else empty. Whether there is such a provider is for others to check.
  [[nodiscard]] std::string_view provider() const;
  // One spelling for all that mean the same: "Example.ORG" and "example.org", ".a.org" and "*.a.org".
  [[nodiscard]] std::string Canonical() const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class Kind { kAll, kProvider, kMxSuffix, kMxExact, kDomainSuffix, kDomainExact };
  Kind kind_ = Kind::kAll;
  std::string name_;        // without the leading dot, "*.", "mx:" or "provider:"
  std::string text_ = "*";  // as written
};

}  // namespace postrider
