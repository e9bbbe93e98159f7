#pragma once
// What a mailbox provider's server says: its EHLO offer and the texts of its replies, as public sources show them.
// An immutable value, made at start by name (PersonalityNames).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "tools/sink/limits.h"
#include "tools/sink/options.h"
#include "tools/sink/reply_text.h"

namespace postrider::sink {

struct Personality {
  std::string name;
  std::string host;  // as the server calls itself

  // The EHLO keywords in the server's own order; STARTTLS is among them.
  std::vector<std::string> keywords;

  ReplyText banner, hello;  // hello is EHLO's first line and HELO's only one, written with "250 "
  ReplyText mail_accepted, rcpt_accepted, data_go_ahead, message_accepted, quit;

  // Refusals of one recipient or message. The clear ones say in their codes what they mean; the wild ones mislead: a
  // 5xx that speaks of a rate, a 554 without an enhanced code, a text that only a rule set can tell.
  struct Refusals {
    std::vector<ReplyText> at_rcpt, at_content;
  };
  Refusals permanent, permanent_wild, temporary, temporary_wild;
  ReplyText greylisted, message_cap, too_many_connections, tls_required;

  // About the client, not about the recipient: new connections, and messages, come too fast.
  ReplyText too_many_connects, too_many_messages;
  Point too_many_messages_at = Point::kRcpt;  // where messages are counted and refused: kMail, kRcpt or kFinal

  // What operators of senders found it to bear of one address (the setting "limits").
  Limits usual_limits;
  std::uint32_t usual_message_cap = 0;
};

// Fails for an unknown name, and lists the known ones.
[[nodiscard]] Result<Personality> MakePersonality(std::string_view name);

[[nodiscard]] std::vector<std::string_view> PersonalityNames();

}  // namespace postrider::sink
