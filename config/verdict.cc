#include "config/verdict.h"

#include <array>

namespace postrider {
namespace {

constexpr std::array<std::string_view, 23> kCategories = {
    "",
    "bad-mailbox",
    "bad-domain",
    "inactive-mailbox",
    "quota-issues",
    "spam-related",
    "spam-block",
    "virus-related",
    "policy-related",
    "content-related",
    "message-expired",
    "no-answer-from-host",
    "bad-connection",
    "bad-configuration",
    "invalid-sender",
    "relaying-issues",
    "routing-errors",
    "protocol-errors",
    "dns-failure",
    "throttled",
    "auth-failure",
    "tls-failure",
    "other",
};
static_assert(kCategories.size() == static_cast<std::size_t>(Category::kOther) + 1);

}  // namespace

std::string_view ToString(Category category) {
  const auto index = static_cast<std::size_t>(category);
  return index < kCategories.size() ? kCategories[index] : std::string_view();
}

std::optional<Category> ParseCategory(std::string_view name) {
  for (std::size_t i = 1; i < kCategories.size(); ++i) {
    if (kCategories[i] == name) return static_cast<Category>(i);
  }
  return std::nullopt;
}

std::string_view ToString(Fate fate) {
  switch (fate) {
    case Fate::kDelivered:
      return "delivered";
    case Fate::kDeferred:
      return "deferred";
    case Fate::kBounced:
      return "bounced";
  }
  return "";
}

std::string_view ToString(Scope scope) {
  switch (scope) {
    case Scope::kRecipient:
      return "recipient";
    case Scope::kMessage:
      return "message";
    case Scope::kConnection:
      return "connection";
    case Scope::kHost:
      return "host";
    case Scope::kPath:
      return "path";
    case Scope::kDomain:
      return "domain";
    case Scope::kSender:
      return "sender";
  }
  return "";
}

}  // namespace postrider
