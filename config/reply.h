#pragma once
// What a server said, and where in the conversation it said it. A reply is a value, not an error.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postrider {

// RFC 3463; class is 2, 4 or 5.
struct EnhancedCode {
  std::uint8_t klass = 0;
  std::uint16_t subject = 0;
  std::uint16_t detail = 0;

  friend bool operator==(const EnhancedCode&, const EnhancedCode&) = default;
};

[[nodiscard]] std::string ToString(EnhancedCode code);
// Reads "5.1.1" at the very start of text, as RFC 2034 places it; nothing else counts.
[[nodiscard]] std::optional<EnhancedCode> ParseEnhancedCode(std::string_view text);
// The enhanced code of a reply wherever its text hides it: "sorry (#5.1.1)", "#550 5.1.1", "host said: 550 5.1.1 ...".
// Away from the start only a code of the reply's own class counts (in a relayed reply the server's own code decides),
// and nothing that may be part of an IP address, a version or a name.
[[nodiscard]] std::optional<EnhancedCode> FindEnhancedCode(int code, std::string_view text);

struct Reply {
  int code = 0;                          // 200..599; 0 means there was none
  std::optional<EnhancedCode> enhanced;  // from the start of the text
  std::string text;  // lines joined by '\n', without the codes' columns; at most a few KB, control characters replaced

  [[nodiscard]] bool Positive() const { return code >= 200 && code < 400; }
  [[nodiscard]] bool Transient() const { return code >= 400 && code < 500; }
  [[nodiscard]] bool Permanent() const { return code >= 500; }
};

// A reply as a person or a log writes it: "550-5.1.1 no such\n550 5.1.1 user" (with real line breaks, with "\\n"
// written out, or with the lines joined by blanks), "550 #5.1.1 ...", "smtp;550 ...". Enhanced is what FindEnhancedCode
// finds. nullopt if it does not begin with a code from 200 to 599.
[[nodiscard]] std::optional<Reply> ParseReplyText(std::string_view text);

// The step a reply or a failure belongs to, in the order of a conversation.
enum class Stage : std::uint8_t {
  kNone,
  kDns,
  kConnect,
  kBanner,
  kEhlo,
  kStartTls,  // the reply to the command
  kTls,       // the handshake
  kAuth,
  kMail,
  kRcpt,
  kData,     // the reply to DATA
  kContent,  // the reply to the final dot, or to BDAT LAST
  kIdle,     // between messages
  kQuit,
};

[[nodiscard]] std::string_view ToString(Stage stage);
[[nodiscard]] std::optional<Stage> ParseStage(std::string_view name);

}  // namespace postrider
