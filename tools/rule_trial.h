#pragma once
// What other reply rules would have made of the replies in a delivery log: which would be judged otherwise, which
// recipients would have bounced or not, who would be suppressed, which actions would have happened. Memory is bounded
// whatever the log holds: kinds of change are as few as rules are, examples are a handful, and counters of actions have
// a limit. Pure; one thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "config/reply_rules.h"
#include "config/verdict.h"
#include "throttle/action_counter.h"
#include "throttle/reply_classifier.h"
#include "tools/log_reply.h"
#include "tools/terminal.h"

namespace postrider::tools {

// What rules make of one reply.
struct ReplyOpinion {
  Category category = Category::kNone;
  Fate fate = Fate::kDeferred;
  Scope scope = Scope::kRecipient;
  ActionKind action = ActionKind::kNone;
  ReplyRule::Suppress suppress = ReplyRule::Suppress::kNo;
  std::string rule;  // its name; empty: the codes alone, or the log's word

  // All but who said it.
  [[nodiscard]] bool Agrees(const ReplyOpinion& other) const;
  friend auto operator<=>(const ReplyOpinion&, const ReplyOpinion&) = default;
};

class RuleTrial {
 public:
  // Null for before: what the log says was made of each reply; it does not tell actions and suppression.
  RuleTrial(ReplyClassifierPtr before, ReplyClassifierPtr after);

  void Add(const LogReply& logged);

  struct Change {
    std::uint64_t replies = 0;
    std::vector<std::string> examples;  // unlike each other
  };
  struct Recipients {
    std::uint64_t count = 0;
    bool cut = false;                   // there were more than are told apart: those beyond are not counted
    std::vector<std::string> examples;  // "ana@example.org (offer, mx.example.org): 550 ..."
  };
  struct Suppressed {
    std::uint64_t at_once = 0;
    std::uint64_t on_second = 0;  // bounces of which the second one a day later would
  };
  static constexpr std::size_t kActions = static_cast<std::size_t>(ActionKind::kBounceDomain) + 1;
  struct Side {
    std::map<std::string, std::uint64_t> hits;      // by rule; "" is none
    std::array<std::uint64_t, kActions> actions{};  // that happened, thresholds kept
    Suppressed suppressed;
    std::uint64_t bounced = 0;
  };
  struct Report {
    std::uint64_t replies = 0;
    std::uint64_t changed = 0;
    std::map<std::pair<ReplyOpinion, ReplyOpinion>, Change> changes;
    std::uint64_t other_changes = 0;  // replies of changes beyond those that are kept apart
    Recipients would_bounce;
    Recipients would_not_bounce;
    Side before;
    Side after;
    bool against_log = false;
    bool actions_cut = false;  // there were more targets of actions than are counted
  };
  [[nodiscard]] const Report& report() const { return report_; }

 private:
  using Targets = std::map<std::string, ActionCounter, std::less<>>;
  ReplyOpinion Ask(const ReplyClassifier& classifier, const LogReply& logged, Side& side, Targets& targets);
  // Hashes of campaign and recipient, for what is refused again and again is one. Never walked.
  using Known = std::unordered_set<std::size_t>;
  static void AddRecipient(Recipients& recipients, Known& known, const LogReply& logged);
  void Count(const ReplyRule& rule, const LogReply& logged, Side& side, Targets& targets);

  const ReplyClassifierPtr before_;
  const ReplyClassifierPtr after_;
  Targets targets_before_;
  Targets targets_after_;
  Known would_bounce_;
  Known would_not_bounce_;
  Report report_;
};

[[nodiscard]] std::string RenderTrial(const RuleTrial::Report& report, const Terminal& terminal);
// One JSON object.
[[nodiscard]] std::string TrialJson(const RuleTrial::Report& report);

}  // namespace postrider::tools
