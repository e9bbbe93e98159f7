#include "throttle/classify.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace postrider {
namespace {

constexpr Verdict Defer(Category category, Scope scope) { return {category, Fate::kDeferred, scope}; }
constexpr Verdict Bounce(Category category) { return {category, Fate::kBounced, Scope::kRecipient}; }

bool Contains(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; };
  return !std::ranges::search(text, word, same).empty();
}

// Words of a refusal that is about who sends or what, not about the mailbox.
bool SpeaksAboutUs(std::string_view text) {
  static constexpr std::string_view kWords[] = {"spam",       "blocked",    "block list", "blocklist",  "blacklist",
                                                "black list", "listed",     "dnsbl",      "reputation", "frequency",
                                                "too many",   "rate limit", "relay",      "spf",        "dmarc",
                                                "dkim",       "policy",     "sender",     "virus",      "smtp auth"};
  return std::ranges::any_of(kWords, [text](std::string_view word) { return Contains(text, word); });
}

// Words of a refusal that is about the mailbox.
bool SpeaksAboutMailbox(std::string_view text) {
  static constexpr std::string_view kWords[] = {"user", "mailbox", "recipient", "account", "address", "no such"};
  return std::ranges::any_of(kWords, [text](std::string_view word) { return Contains(text, word); });
}

// The connection failed, broke or timed out; no server said a word about anybody's mail.
Verdict NoReply(Stage stage) {
  switch (stage) {
    case Stage::kDns:
      return Defer(Category::kDnsFailure, Scope::kDomain);
    case Stage::kConnect:
    case Stage::kBanner:
      return Defer(Category::kNoAnswerFromHost, Scope::kHost);
    case Stage::kTls:
      return Defer(Category::kTlsFailure, Scope::kHost);
    default:
      return Defer(Category::kBadConnection, Scope::kConnection);
  }
}

// Before a recipient was named, a refusal is about the host's state (4xx) or about us (5xx).
Verdict BeforeRecipient(const Reply& reply, const std::optional<EnhancedCode>& enhanced, Stage stage) {
  const Scope scope = reply.Permanent() ? Scope::kPath : Scope::kHost;
  switch (stage) {
    case Stage::kStartTls:
    case Stage::kTls:
      return Defer(Category::kTlsFailure, Scope::kHost);
    case Stage::kAuth:
      return Defer(Category::kAuthFailure, Scope::kPath);
    case Stage::kMail:
      // 5.1.7 and 5.1.8 are about the envelope sender (RFC 3463 section 3.2).
      if (enhanced && enhanced->subject == 1) return Defer(Category::kInvalidSender, Scope::kPath);
      return Defer(reply.Permanent() ? Category::kPolicyRelated : Category::kThrottled, Scope::kPath);
    default:
      return Defer(reply.Permanent() ? Category::kPolicyRelated : Category::kThrottled, scope);
  }
}

// RFC 3463 sections 3.2 (x.1.x, addressing) and 3.3 (x.2.x, mailbox) under a 5xx.
Verdict AddressOrMailbox(EnhancedCode code, std::string_view text) {
  // Gmail's ReceivingRatePerm and Microsoft's 5.2.121 and 5.2.122 limit a rate: permanent in digits alone.
  const bool rate = code.subject == 2 && (code.detail == 121 || code.detail == 122);
  if (rate || Contains(text, "receivingrate") || Contains(text, "receiving mail at a rate")) {
    return Defer(Category::kThrottled, Scope::kRecipient);
  }
  // x.1.0 and x.2.0 say nothing closer, and some servers put DMARC and refused senders there.
  if (code.detail == 0 && SpeaksAboutUs(text)) return Defer(Category::kPolicyRelated, Scope::kPath);
  if (code.subject == 1) {
    switch (code.detail) {
      case 1:
      case 3:
      case 6:
        return Bounce(Category::kBadMailbox);
      case 2:
      case 10:
        return Bounce(Category::kBadDomain);
      case 7:
      case 8:
        return Defer(Category::kInvalidSender, Scope::kPath);
      default:
        return Bounce(Category::kOther);
    }
  }
  switch (code.detail) {
    case 1:
      return Bounce(Category::kInactiveMailbox);
    case 2:
      return Bounce(Category::kQuotaIssues);
    case 3:
      return Bounce(Category::kPolicyRelated);
    default:
      return Bounce(Category::kOther);
  }
}

Verdict TransientAboutRecipient(const std::optional<EnhancedCode>& enhanced) {
  if (!enhanced) return Defer(Category::kThrottled, Scope::kRecipient);
  const EnhancedCode code = *enhanced;
  if (code.subject == 2 && code.detail == 2) return Defer(Category::kQuotaIssues, Scope::kRecipient);
  if (code.subject == 4) return Defer(Category::kRoutingErrors, Scope::kRecipient);
  return Defer(Category::kThrottled, Scope::kRecipient);
}

Verdict PermanentAboutRecipient(const Reply& reply, const std::optional<EnhancedCode>& enhanced) {
  if (!enhanced) {
    // RFC 5321 section 4.2.3: 550 no mailbox, 551 not local, 553 no such name.
    const bool names_mailbox = reply.code == 550 || reply.code == 551 || reply.code == 553;
    // The number alone, or words that nobody knows, end the mail but do not make the mailbox a bad one.
    if (names_mailbox && !SpeaksAboutUs(reply.text)) {
      return Bounce(SpeaksAboutMailbox(reply.text) ? Category::kBadMailbox : Category::kOther);
    }
    return Defer(Category::kOther, Scope::kPath);
  }
  // A code that hides behind words weighs less than they do: "your sender address is unknown (#5.1.1)".
  if (!reply.enhanced && SpeaksAboutUs(reply.text)) return Defer(Category::kPolicyRelated, Scope::kPath);
  const EnhancedCode code = *enhanced;
  // "550 4.2.1": the digits contradict each other, and to try again costs less than to lose the mail.
  if (code.klass == 4) return Defer(Category::kThrottled, Scope::kRecipient);
  if (code.klass == 5 && (code.subject == 1 || code.subject == 2)) return AddressOrMailbox(code, reply.text);
  return Defer(code.subject == 7 ? Category::kPolicyRelated : Category::kOther, Scope::kPath);
}

}  // namespace

Verdict Classify(const Reply& reply, Stage stage) {
  if (reply.code == 0) return NoReply(stage);
  const std::optional<EnhancedCode> enhanced =
      reply.enhanced || reply.code < 400 ? reply.enhanced : FindEnhancedCode(reply.code, reply.text);
  if (reply.code == 421) {
    // RFC 5321 section 3.8: the server closes the channel. 4.4.2 says only that we were too slow for it.
    const bool timed_out = enhanced && enhanced->subject == 4;
    return Defer(timed_out ? Category::kBadConnection : Category::kThrottled, Scope::kConnection);
  }
  const bool about_recipient = stage == Stage::kRcpt || stage == Stage::kData || stage == Stage::kContent;
  if (reply.code < 400) {
    if (stage == Stage::kContent && reply.code < 300) return {Category::kNone, Fate::kDelivered, Scope::kRecipient};
    // A yes to what was not asked: the conversation is out of step.
    return Defer(Category::kProtocolErrors, Scope::kConnection);
  }
  if (!about_recipient) return BeforeRecipient(reply, enhanced, stage);
  return reply.Permanent() ? PermanentAboutRecipient(reply, enhanced) : TransientAboutRecipient(enhanced);
}

}  // namespace postrider
