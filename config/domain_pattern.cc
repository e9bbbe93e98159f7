#include "config/domain_pattern.h"

#include <algorithm>

#include "config/email_address.h"

namespace postrider {
namespace {

// True for a name below suffix, not for the suffix itself.
bool IsBelow(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() + 1 && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

}  // namespace

Result<DomainPattern> DomainPattern::Parse(std::string_view text) {
  DomainPattern pattern;
  pattern.text_ = text;
  if (text == "*") return pattern;

  std::string_view name = text;
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
    return Fail("expected a pattern such as example.org, *.example.org, mx:.google.com, mx:mx1.example.org or *",
                std::move(domain.error()));
  }
  pattern.kind_ =
      mx ? (suffix ? Kind::kMxSuffix : Kind::kMxExact) : (suffix ? Kind::kDomainSuffix : Kind::kDomainExact);
  pattern.name_ = *std::move(domain);
  return pattern;
}

bool DomainPattern::Matches(std::string_view domain, std::span<const std::string> mx_hosts) const {
  switch (kind_) {
    case Kind::kAll:
      return true;
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
  // Names have at most 253 octets, so the kind always decides before the length does.
  constexpr int kStep = 1000;
  return static_cast<int>(kind_) * kStep + static_cast<int>(name_.size());
}

}  // namespace postrider
