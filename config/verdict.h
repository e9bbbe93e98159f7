#pragma once
// What a reply means: a category for people and statistics, a fate for the recipient, and the scope it speaks about.

#include <cstdint>
#include <optional>
#include <string_view>

namespace postrider {

// PowerMTA's 17 names, which operators' parsers know, and five of ours.
enum class Category : std::uint8_t {
  kNone,
  kBadMailbox,
  kBadDomain,
  kInactiveMailbox,
  kQuotaIssues,
  kSpamRelated,
  kSpamBlock,
  kVirusRelated,
  kPolicyRelated,
  kContentRelated,
  kMessageExpired,
  kNoAnswerFromHost,
  kBadConnection,
  kBadConfiguration,
  kInvalidSender,
  kRelayingIssues,
  kRoutingErrors,
  kProtocolErrors,
  kDnsFailure,
  kThrottled,
  kAuthFailure,
  kTlsFailure,
  kOther,
};

enum class Fate : std::uint8_t { kDelivered, kDeferred, kBounced };

// Who the reply is about. Only recipient and message scopes may change a recipient's own record.
enum class Scope : std::uint8_t { kRecipient, kMessage, kConnection, kHost, kPath, kDomain, kSender };

struct Verdict {
  Category category = Category::kNone;
  Fate fate = Fate::kDeferred;
  Scope scope = Scope::kRecipient;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// "bad-mailbox", "spam-block", ...; "" for kNone.
[[nodiscard]] std::string_view ToString(Category category);
[[nodiscard]] std::optional<Category> ParseCategory(std::string_view name);
[[nodiscard]] std::string_view ToString(Fate fate);
[[nodiscard]] std::string_view ToString(Scope scope);

}  // namespace postrider
