#include "tools/rule_trial.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "throttle/unmatched_replies.h"
#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kChangesKept = 2000;
constexpr std::size_t kChangesShown = 30;
constexpr std::size_t kExamplesOfChange = 3;
constexpr std::size_t kExamplesOfRecipients = 10;
constexpr std::size_t kRecipientsKept = 1'000'000;  // a few dozen bytes each
constexpr std::size_t kTargetsKept = 20'000;        // a counter each, of a few hundred bytes
constexpr std::size_t kExampleColumns = 300;

std::string Said(const Reply& reply) { return Printable(fmt::format("{} {}", reply.code, reply.text)); }

std::string_view ToText(ReplyRule::Suppress suppress) {
  switch (suppress) {
    case ReplyRule::Suppress::kNo:
      return "no";
    case ReplyRule::Suppress::kAtOnce:
      return "at-once";
    case ReplyRule::Suppress::kOnSecond:
      return "on-second";
  }
  return "";
}

std::string_view CategoryOf(const ReplyOpinion& opinion) {
  return opinion.category == Category::kNone ? "no category" : ToString(opinion.category);
}

// Of two opinions what differs, and always the category.
std::string Describe(const ReplyOpinion& one, const ReplyOpinion& other) {
  std::string text(CategoryOf(one));
  const auto add = [&](bool differs, std::string_view word) {
    if (differs) text.append(", ").append(word);
  };
  add(one.fate != other.fate, ToString(one.fate));
  add(one.scope != other.scope, ToString(one.scope));
  add(one.action != other.action, ToString(one.action));
  if (one.suppress != other.suppress) text.append(", suppress ").append(ToText(one.suppress));
  return text;
}

// The changes, those with the most replies first.
std::vector<const std::pair<const std::pair<ReplyOpinion, ReplyOpinion>, RuleTrial::Change>*> Sorted(
    const RuleTrial::Report& report) {
  std::vector<const std::pair<const std::pair<ReplyOpinion, ReplyOpinion>, RuleTrial::Change>*> sorted;
  for (const auto& change : report.changes) sorted.push_back(&change);
  std::ranges::stable_sort(sorted, std::ranges::greater(), [](const auto* change) { return change->second.replies; });
  return sorted;
}

std::string_view ShownRule(const std::string& rule) { return rule.empty() ? std::string_view("-") : rule; }

Json ToJson(const ReplyOpinion& opinion) {
  return {{"category", ToString(opinion.category)}, {"fate", ToString(opinion.fate)},
          {"scope", ToString(opinion.scope)},       {"action", ToString(opinion.action)},
          {"suppress", ToText(opinion.suppress)},   {"rule", opinion.rule.empty() ? Json() : Json(opinion.rule)}};
}

Json ToJson(const RuleTrial::Side& side, bool of_log) {
  Json json = {{"bounced", side.bounced}};
  if (of_log) return json;
  json["suppressed_at_once"] = side.suppressed.at_once;
  json["suppressed_on_second"] = side.suppressed.on_second;
  json["actions"] = Json::object();
  for (std::size_t kind = 1; kind < side.actions.size(); ++kind) {
    if (side.actions[kind] > 0) json["actions"][ToString(static_cast<ActionKind>(kind))] = side.actions[kind];
  }
  json["rules"] = Json::object();
  for (const auto& [rule, hits] : side.hits) {
    if (!rule.empty()) json["rules"][rule] = hits;
  }
  const auto none = side.hits.find("");
  json["unmatched"] = none == side.hits.end() ? 0 : none->second;
  return json;
}

void AppendRecipients(std::string& out, const RuleTrial::Recipients& recipients, std::string_view what) {
  if (recipients.count == 0) return;
  fmt::format_to(std::back_inserter(out), "\n{}{} {}:\n", recipients.cut ? "at least " : "",
                 FormatCount(recipients.count), what);
  for (const std::string& example : recipients.examples) out += "  " + example + "\n";
  if (recipients.count > recipients.examples.size()) out += "  ...\n";
}

}  // namespace

bool ReplyOpinion::Agrees(const ReplyOpinion& other) const {
  return category == other.category && fate == other.fate && scope == other.scope && action == other.action &&
         suppress == other.suppress;
}

RuleTrial::RuleTrial(ReplyClassifierPtr before, ReplyClassifierPtr after)
    : before_(std::move(before)), after_(std::move(after)) {
  report_.against_log = before_ == nullptr;
}

void RuleTrial::AddRecipient(Recipients& recipients, Known& known, const LogReply& logged) {
  if (known.size() >= kRecipientsKept) {
    recipients.cut = true;
    return;
  }
  if (!known.insert(std::hash<std::string>()(logged.campaign + '\n' + logged.recipient)).second) return;
  ++recipients.count;
  if (recipients.examples.size() >= kExamplesOfRecipients) return;
  std::string where = logged.campaign;
  if (!logged.site.empty()) where += (where.empty() ? "" : ", ") + logged.site;
  recipients.examples.push_back(
      Shorten(Printable(fmt::format("{} ({}): {}", logged.recipient, where, Said(logged.reply))), kExampleColumns));
}

void RuleTrial::Count(const ReplyRule& rule, const LogReply& logged, Side& side, Targets& targets) {
  if (rule.action.kind == ActionKind::kNone) return;
  std::string target = logged.provider.empty() ? logged.site : logged.provider;
  // As the machine counts: a sender is paused at one provider, all else belongs to a source there.
  target += '\n' + (rule.action.kind == ActionKind::kPauseSender ? logged.campaign : logged.source);
  auto found = targets.find(target);
  if (found == targets.end()) {
    if (targets.size() >= kTargetsKept) {
      report_.actions_cut = true;
      return;
    }
    found = targets.emplace(std::move(target), ActionCounter()).first;
  }
  if (found->second.Count(rule.name, rule.action, Monotonic(logged.time.time_since_epoch()))) {
    ++side.actions[static_cast<std::size_t>(rule.action.kind)];
  }
}

ReplyOpinion RuleTrial::Ask(const ReplyClassifier& classifier, const LogReply& logged, Side& side, Targets& targets) {
  const Judgement judgement = classifier.Classify(logged.reply, logged.stage, logged.provider);
  ReplyOpinion opinion{.category = judgement.verdict.category,
                       .fate = judgement.verdict.fate,
                       .scope = judgement.verdict.scope,
                       .rule = judgement.rule == nullptr ? std::string() : judgement.rule->name};
  ++side.hits[opinion.rule];
  const bool bounces = logged.about_recipient && opinion.fate == Fate::kBounced;
  if (bounces) ++side.bounced;
  if (judgement.rule == nullptr) return opinion;
  opinion.action = judgement.rule->action.kind;
  opinion.suppress = judgement.rule->suppress;
  if (bounces && opinion.suppress == ReplyRule::Suppress::kAtOnce) ++side.suppressed.at_once;
  if (bounces && opinion.suppress == ReplyRule::Suppress::kOnSecond) ++side.suppressed.on_second;
  Count(*judgement.rule, logged, side, targets);
  return opinion;
}

void RuleTrial::Add(const LogReply& logged) {
  ++report_.replies;
  const ReplyOpinion after = Ask(*after_, logged, report_.after, targets_after_);
  ReplyOpinion before = after;
  if (before_ != nullptr) {
    before = Ask(*before_, logged, report_.before, targets_before_);
  } else {
    before.category = logged.category;
    before.fate = logged.fate;
    before.scope = logged.scope;
    before.rule.clear();
    if (logged.about_recipient && logged.fate == Fate::kBounced) ++report_.before.bounced;
  }
  if (before.Agrees(after)) return;
  ++report_.changed;
  if (logged.about_recipient && before.fate != after.fate) {
    if (after.fate == Fate::kBounced) AddRecipient(report_.would_bounce, would_bounce_, logged);
    if (before.fate == Fate::kBounced) AddRecipient(report_.would_not_bounce, would_not_bounce_, logged);
  }
  const auto key = std::pair(std::move(before), after);
  auto found = report_.changes.find(key);
  if (found == report_.changes.end()) {
    if (report_.changes.size() >= kChangesKept) {
      ++report_.other_changes;
      return;
    }
    found = report_.changes.emplace(key, Change{}).first;
  }
  Change& change = found->second;
  ++change.replies;
  if (change.examples.size() >= kExamplesOfChange) return;
  // What differs only in addresses and numbers is no second example.
  std::string example = Shorten(Said(logged.reply), kExampleColumns);
  const std::string kind = NormalizeReply(logged.reply);
  const bool is_new = std::ranges::none_of(change.examples, [&](const std::string& known) {
    const auto reply = ParseReplyText(known);
    return reply && NormalizeReply(*reply) == kind;
  });
  if (is_new) change.examples.push_back(std::move(example));
}

std::string RenderTrial(const RuleTrial::Report& report, const Terminal& terminal) {
  std::string out = fmt::format("{} of {} replies would be judged otherwise\n", FormatCount(report.changed),
                                FormatCount(report.replies));
  if (report.changed > 0) {
    Table table({{"replies", Table::Align::kRight},
                 {"before", Table::Align::kLeft, 60},
                 {"after", Table::Align::kLeft, 60},
                 {"rule before"},
                 {"rule after"}});
    std::size_t shown = 0;
    std::uint64_t replies = 0;
    for (const auto* change : Sorted(report)) {
      if (shown++ == kChangesShown) break;
      const auto& [before, after] = change->first;
      table.AddRow({FormatCount(change->second.replies), Describe(before, after), Describe(after, before),
                    report.against_log ? "(the log)" : std::string(ShownRule(before.rule)),
                    std::string(ShownRule(after.rule))});
      for (const std::string& example : change->second.examples) table.AddNote(example);
      replies += change->second.replies;
    }
    out += "\n" + table.Render(terminal);
    if (replies < report.changed) out += fmt::format("... and {} more\n", FormatCount(report.changed - replies));
  }
  AppendRecipients(out, report.would_bounce, "more recipients would have bounced");
  AppendRecipients(out, report.would_not_bounce, "recipients that bounced would have been tried again");

  Table sums({{""}, {"before", Table::Align::kRight}, {"after", Table::Align::kRight}});
  const auto add = [&](std::string what, std::uint64_t before, std::uint64_t after, bool in_log = false) {
    if (before == 0 && after == 0) return;
    sums.AddRow({std::move(what), report.against_log && !in_log ? "?" : FormatCount(before), FormatCount(after)});
  };
  add("replies that bounce", report.before.bounced, report.after.bounced, true);
  add("suppressed at once", report.before.suppressed.at_once, report.after.suppressed.at_once);
  add("suppressed at a second bounce", report.before.suppressed.on_second, report.after.suppressed.on_second);
  for (std::size_t kind = 1; kind < RuleTrial::kActions; ++kind) {
    add(std::string(ToString(static_cast<ActionKind>(kind))), report.before.actions[kind], report.after.actions[kind]);
  }
  std::set<std::string_view> rules;
  for (const auto& [rule, hits] : report.before.hits) rules.insert(rule);
  for (const auto& [rule, hits] : report.after.hits) rules.insert(rule);
  for (const std::string_view rule : rules) {
    const auto hits = [&](const RuleTrial::Side& side) {
      const auto found = side.hits.find(std::string(rule));
      return found == side.hits.end() ? std::uint64_t{0} : found->second;
    };
    if (hits(report.before) == hits(report.after)) continue;
    add(rule.empty() ? "replies no rule knows" : "replies of rule " + std::string(rule), hits(report.before),
        hits(report.after));
  }
  out += "\n" + sums.Render(terminal);
  if (report.against_log) out += "(?: the log does not tell; with RULES, the rules in force do)\n";
  if (report.actions_cut) out += "(actions of more sources and receivers than can be counted are left out)\n";
  return out;
}

std::string TrialJson(const RuleTrial::Report& report) {
  Json json = {{"replies", report.replies}, {"changed", report.changed}, {"against_log", report.against_log}};
  json["changes"] = Json::array();
  for (const auto* change : Sorted(report)) {
    json["changes"].push_back({{"replies", change->second.replies},
                               {"before", ToJson(change->first.first)},
                               {"after", ToJson(change->first.second)},
                               {"examples", change->second.examples}});
  }
  json["other_changes"] = report.other_changes;
  json["would_bounce"] = {{"recipients", report.would_bounce.count}, {"examples", report.would_bounce.examples}};
  json["would_not_bounce"] = {{"recipients", report.would_not_bounce.count},
                              {"examples", report.would_not_bounce.examples}};
  json["before"] = ToJson(report.before, report.against_log);
  json["after"] = ToJson(report.after, false);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace postrider::tools
