#include "config/domain_pattern.h"

#include <algorithm>

#include <fmt/format.h>

#include "config/email_address.h"

namespace postrider {
namespace {

// True for a name below suffix, not for the suffix itself.
bool IsBelow(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() + 1 && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

constexpr std::string_view kProviderMark = "provider:";

}  // namespace

bool IsProviderName(std::string_view name) {
  constexpr std::size_t kNameMax = 64;
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<DomainPattern> DomainPattern::Parse(std::string_view text) {
  DomainPattern pattern;
  pattern.text_ = text;
  if (text == "*") return pattern;

  std::string_view name = text;
  if (name.starts_with(kProviderMark)) {
    name.remove_prefix(kProviderMark.size());
    if (!IsProviderName(name)) {
      return Fail(
          ErrorCode::kInvalid,
          fmt::format("expected the name of a provider such as provider:google, found \"{}\"", text.substr(0, 80)));
    }
    pattern.kind_ = Kind::kProvider;
    pattern.name_ = name;
    return pattern;
  }
  const bool mx = name.starts_with("mx:");
  if (mx) name.remove_prefix(3);
  bool suffix = false;
  for (std::string_view mark : {"*.", "."}) {
    if (!suffix && name.starts_with(mark)) {
      name.remove_prefix(mark.size());
      suffix = true;
    }
  }
  // An address literal is a mail domain too; one spelling of it, as EmailAddress keeps it.
  const bool literal = !mx && !suffix && name.starts_with('[');
  Result<std::string> domain = literal ? ParseMailDomain(name) : ParseDomain(name);
  if (!domain) {
    return Fail(
        "expected a pattern such as example.org, *.example.org, mx:.google.com, mx:mx1.example.org, provider:google "
        "or *",
        std::move(domain.error()));
  }
  pattern.kind_ =
      mx ? (suffix ? Kind::kMxSuffix : Kind::kMxExact) : (suffix ? Kind::kDomainSuffix : Kind::kDomainExact);
  pattern.name_ = *std::move(domain);
  return pattern;
}

bool DomainPattern::Matches(std::string_view domain, std::span<const std::string> mx_hosts,
                            std::string_view provider) const {
  switch (kind_) {
    case Kind::kAll:
      return true;
    case Kind::kProvider:
      return provider == name_;
    case Kind::kMxSuffix:
      return std::ranges::any_of(mx_hosts, [this](const std::string& host) { return IsBelow(host, name_); });
    case Kind::kMxExact:
      return std::ranges::find(mx_hosts, name_) != mx_hosts.end();
    case Kind::kDomainSuffix:
      return IsBelow(domain, name_);
    case Kind::kDomainExact:
      return domain == name_;
  }
  return false;
}

int DomainPattern::Specificity() const {
  // Names have at most 253 octets, so the kind always decides before the length does. Length means something where one
  // name may lie within another: not among exact names, of which two match for two hosts of one MX set.
  constexpr int kStep = 1000;
  const bool nested = kind_ == Kind::kMxSuffix || kind_ == Kind::kDomainSuffix;
  return static_cast<int>(kind_) * kStep + (nested ? static_cast<int>(name_.size()) : 0);
}

std::string_view DomainPattern::provider() const {
  return kind_ == Kind::kProvider ? std::string_view(name_) : std::string_view();
}

std::string DomainPattern::Canonical() const {
  switch (kind_) {
    case Kind::kAll:
      break;
    case Kind::kProvider:
      return fmt::format("{}{}", kProviderMark, name_);
    case Kind::kMxSuffix:
      return "mx:." + name_;
    case Kind::kMxExact:
      return "mx:" + name_;
    case Kind::kDomainSuffix:
      return "*." + name_;
    case Kind::kDomainExact:
      return name_;
  }
  return "*";
}

}  // namespace postrider
