#pragma once
// Reply rules as data: what receivers' words mean and what to do about them. Read from config/reply_rules.toml, which
// is built into the program, with the operator's own file before it. Here they are read and checked one by one; whether
// they match their samples is for throttle/reply_classifier.h to say, which owns the patterns.

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/provider.h"
#include "config/reply.h"
#include "config/verdict.h"

namespace postrider {

// What a rule asks for beyond the fate of the one recipient. All but the first three end by a ramp, not by a switch.
enum class ActionKind : std::uint8_t {
  kNone,
  kReconnect,         // close this connection and open another; charges nobody, and the cap it reveals is remembered
  kResolveAgain,      // the wrong host: look the MX up again; charges nobody
  kSkipHost,          // leave this MX host alone for `duration`
  kLowerRate,         // halve the adaptive rate of the allowance
  kLowerConnections,  // halve its connections for `duration`
  kStopPath,          // nothing from this source to this provider (or site) for `duration`
  kPauseSender,       // the campaign, at this provider only; transactional mail is slowed instead
  kBounceDomain,      // the domain takes no mail at all: the rest of it bounces too
};
[[nodiscard]] std::string_view ToString(ActionKind kind);

struct ReplyAction {
  static constexpr int kThresholdMax = 1000;  // the moments of so many are kept for each target

  ActionKind kind = ActionKind::kNone;
  int threshold = 1;                            // so many ...
  std::chrono::seconds period{600};             // ... within this, then it happens
  std::chrono::seconds duration{900};           // of stops, skips, pauses and lowered connections; 0, of a pause
                                                // alone: until the operator resumes it
  std::optional<double> messages_per_second{};  // of kLowerRate: at once down to this instead of half
};

// A set of reply codes: "421", "4xx", "5xx".
struct CodePattern {
  int first = 0;
  int last = 0;
  [[nodiscard]] bool Matches(int code) const { return first <= code && code <= last; }
};

// "5.7.1", "x.1.1", "4.x.x": a missing part matches anything.
struct EnhancedPattern {
  std::array<int, 3> parts{-1, -1, -1};
  [[nodiscard]] bool Matches(const EnhancedCode& code) const;
};

struct ReplySample {
  std::string reply;           // code and text as a log would show it: "550 5.1.1 no such user"
  Stage stage = Stage::kRcpt;  // unless said: the rule's first, if it names any
  std::string provider;        // empty: the rule's first, if it names any
  int line = 0;
};

struct ReplyRule {
  std::string name;                       // unique; what logs and metrics call it
  std::vector<std::string> providers;     // empty: any
  std::vector<Stage> stages;              // empty: any
  std::vector<CodePattern> codes;         // empty: any
  std::vector<EnhancedPattern> enhanced;  // empty: any, also none at all
  std::vector<std::string> patterns;      // RE2, without regard to case, any one of them; empty: any text
  Category category = Category::kOther;
  std::optional<Fate> fate;  // else as scope and code say
  Scope scope = Scope::kRecipient;
  ReplyAction action;
  // A bounce by this rule puts the address into the suppression list: at once, or at the second one a day apart.
  enum class Suppress : std::uint8_t { kNo, kAtOnce, kOnSecond };
  Suppress suppress = Suppress::kNo;
  std::vector<ReplySample> samples;  // at least one
  std::string file;                  // "reply_rules.toml (built in)" for the shipped ones
  int line = 0;
};

// Reads one file of [[rule]] tables; everything wrong is reported at once. known_provider answers whether a name is
// one. What is checked here: unknown keys, types, ranges, category/scope/fate/stage/action names, unique names, unknown
// providers, at least one condition, at least one sample, samples that parse as replies.
[[nodiscard]] std::expected<std::vector<ReplyRule>, Diagnostics> ParseReplyRules(std::string_view toml,
                                                                                 std::string_view name,
                                                                                 const ProviderTable& providers);

// The same from a file.
[[nodiscard]] std::expected<std::vector<ReplyRule>, Diagnostics> ReadReplyRules(const std::filesystem::path& file,
                                                                                const ProviderTable& providers);

// The shipped file, which is part of the program, and what its rules are reported under.
[[nodiscard]] std::string_view ShippedReplyRules();
inline constexpr std::string_view kShippedReplyRulesName = "reply_rules.toml (built in)";

// The operator's file, if any, and the shipped rules behind it. No name may stand in both, for logs and metrics could
// not tell them apart. Everything wrong with either is reported.
[[nodiscard]] std::expected<std::vector<ReplyRule>, Diagnostics> LoadReplyRules(
    const std::filesystem::path& operators_file, const ProviderTable& providers);

}  // namespace postrider
