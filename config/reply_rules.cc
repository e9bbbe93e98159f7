#include "config/reply_rules.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "config/duration.h"
#include "config/option_kind.h"
#include "config/schema.h"
#include "config/text_file.h"
#include "config/toml_value.h"

namespace postrider {
namespace {

constexpr std::size_t kFileBytesMax = 4 << 20;  // forty times the shipped file
constexpr std::size_t kRulesMax = 5'000;        // each is tried by every reply
constexpr std::size_t kListMax = 200;           // of providers, codes, patterns, samples of one rule
constexpr std::size_t kPatternBytesMax = 4096;
constexpr std::size_t kSampleBytesMax = 4096;
constexpr auto kDurationMax = std::chrono::hours(24 * 7);
constexpr double kRateLeast = 1.0 / 86'400;
constexpr double kRateMost = 10'000;

constexpr std::string_view kKeys[] = {"name",      "provider", "stage", "code",     "enhanced",
                                      "pattern",   "category", "scope", "fate",     "action",
                                      "threshold", "duration", "rate",  "suppress", "samples"};
constexpr std::string_view kSampleKeys[] = {"reply", "stage", "provider"};
constexpr std::string_view kTopKeys[] = {"format", "rule"};

// All names of an enumeration that begins at 0 and ends at last; those without a name (kNone) are left out.
template <typename Enum>
std::vector<std::string_view> Names(Enum first, Enum last) {
  std::vector<std::string_view> names;
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    names.push_back(ToString(static_cast<Enum>(i)));
  }
  return names;
}

std::string OneOf(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

std::string Suggestion(std::string_view name, std::span<const std::string_view> known) {
  const std::string_view nearest = NearestName(name, known);
  return nearest.empty() ? std::string() : fmt::format("; did you mean {}?", Quote(nearest));
}

std::optional<int> ParseNumber(std::string_view text, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty() && text[0] != '-';
  return whole && number <= most ? std::optional(number) : std::nullopt;
}

std::optional<CodePattern> ParseCodePattern(std::string_view text) {
  // A rule is about refusals: what says yes never comes to it.
  if (text.size() != 3 || (text[0] != '4' && text[0] != '5')) return std::nullopt;
  CodePattern pattern{.first = text[0] - '0', .last = text[0] - '0'};
  bool open = false;
  for (const char c : text.substr(1)) {
    const bool digit = c >= '0' && c <= '9';
    if ((!digit && c != 'x') || (open && digit)) return std::nullopt;
    open = !digit;
    pattern.first = pattern.first * 10 + (digit ? c - '0' : 0);
    pattern.last = pattern.last * 10 + (digit ? c - '0' : 9);
  }
  return pattern;
}

std::optional<EnhancedPattern> ParseEnhancedPattern(std::string_view text) {
  EnhancedPattern pattern;
  for (std::size_t i = 0; i < pattern.parts.size(); ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == text.npos) != (i + 1 == pattern.parts.size())) return std::nullopt;
    const std::string_view part = text.substr(0, dot);
    text.remove_prefix(dot == text.npos ? text.size() : dot + 1);
    if (part == "x") continue;
    const std::optional<int> number = part.size() <= 3 ? ParseNumber(part, 999) : std::nullopt;
    if (!number || (i == 0 && *number != 4 && *number != 5)) return std::nullopt;
    pattern.parts[i] = *number;
  }
  return pattern;
}

struct Threshold {
  int count = 1;
  std::chrono::seconds period{};
};

// "3/10min", or "1": at once.
std::optional<Threshold> ParseThreshold(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<int> count = ParseNumber(text.substr(0, slash), ReplyAction::kThresholdMax);
  if (!count || *count < 1) return std::nullopt;
  const std::chrono::seconds any = ReplyAction().period;
  if (slash == text.npos) return *count == 1 ? std::optional(Threshold{1, any}) : std::nullopt;
  const Result<std::chrono::milliseconds> period = ParseDuration(text.substr(slash + 1));
  if (!period || *period < std::chrono::seconds(1) || *period > kDurationMax) return std::nullopt;
  return Threshold{*count, std::chrono::duration_cast<std::chrono::seconds>(*period)};
}

// Code and text, as far as can be said without the rule: the classifier owns the rest.
Problem SampleProblem(std::string_view reply) {
  if (reply.size() > kSampleBytesMax) return fmt::format("a sample has at most {} bytes", kSampleBytesMax);
  const std::optional<Reply> parsed = ParseReplyText(reply);
  if (parsed && parsed->code >= 400) return {};
  return fmt::format("expected a refusal with its code, as in \"550 5.1.1 no such user\", found {}",
                     Quote(reply.substr(0, 60)));
}

class Reader {
 public:
  Reader(std::string_view file, const ProviderTable& providers) : file_(file), providers_(providers) {}

  std::expected<std::vector<ReplyRule>, Diagnostics> Read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (key.str() == "format") {
        if (node.value<std::int64_t>() != 1) Report(node.source(), "format: this program reads format = 1");
      } else if (key.str() == "rule") {
        ReadRules(key, node);
      } else {
        Report(key.source(), fmt::format("unknown key {} at the top level{}", Quote(key.str().substr(0, 80)),
                                         Suggestion(key.str(), kTopKeys)));
      }
    }
    if (!root.contains("format")) Report(root.source(), "format is missing; write format = 1");
    if (diagnostics_.empty()) return std::move(rules_);
    std::ranges::stable_sort(diagnostics_, {}, [](const Diagnostic& diagnostic) {
      return std::tuple(diagnostic.where.line, diagnostic.where.column);
    });
    return std::unexpected(std::move(diagnostics_));
  }

 private:
  void Report(const toml::source_region& where, std::string message) {
    diagnostics_.push_back(
        {{file_, static_cast<int>(where.begin.line), static_cast<int>(where.begin.column)}, std::move(message)});
  }

  void ReadRules(const toml::key& key, const toml::node& node) {
    const toml::array* array = node.as_array();
    const bool of_tables =
        array != nullptr && std::ranges::all_of(*array, [](const toml::node& element) { return element.is_table(); });
    if (!of_tables) {
      Report(key.source(), "expected [[rule]] with two brackets on each side, for there may be several of it");
      return;
    }
    if (array->size() > kRulesMax) {
      Report(key.source(), fmt::format("at most {} [[rule]] are allowed, found {}", kRulesMax, array->size()));
      return;
    }
    for (const toml::node& element : *array) ReadRule(*element.as_table());
  }

  void ReadRule(const toml::table& table) {
    ReplyRule rule;
    rule.file = file_;
    rule.line = static_cast<int>(table.source().begin.line);
    for (const auto& [key, node] : table) {
      if (!ReadCondition(key, node, rule) && !ReadMeaning(key, node, rule) && key.str() != "samples") {
        Report(key.source(), fmt::format("unknown key {} in [[rule]]{}", Quote(key.str().substr(0, 80)),
                                         Suggestion(key.str(), kKeys)));
      }
    }
    // Last: a sample without a stage or provider takes the rule's own.
    if (const toml::node* samples = table.get("samples")) ReadSamples(*samples, rule);
    // A cause that somebody has to correct does not pass by waiting.
    if (rule.action.kind == ActionKind::kPauseSender && !table.contains("duration")) rule.action.duration = {};
    CheckWhole(table, rule);
    rules_.push_back(std::move(rule));
  }

  // Each text of a text or list, with its place.
  template <typename Take>
  void ForEachText(const toml::key& key, const toml::node& node, const Take& take) {
    const toml::array* array = node.as_array();
    if (array != nullptr && (array->empty() || array->size() > kListMax)) {
      Report(node.source(), fmt::format("{}: expected 1 to {} texts, found {}", key.str(), kListMax, array->size()));
      return;
    }
    const auto one = [&](const toml::node& element) {
      const auto* text = element.as_string();
      if (text == nullptr) {
        Report(element.source(), fmt::format("{}: expected a text in quotes, or a list of such", key.str()));
      } else if (Problem problem = take(std::string_view(text->get())); !problem.empty()) {
        Report(element.source(), fmt::format("{}: {}", key.str(), problem));
      }
    };
    if (array == nullptr) return one(node);
    for (const toml::node& element : *array) one(element);
  }

  // Each key of a rule is read by a function of its own; false: the key is none of these.
  bool ReadCondition(const toml::key& key, const toml::node& node, ReplyRule& rule) {
    const std::string_view name = key.str();
    if (name == "provider") {
      ForEachText(key, node, [&](std::string_view text) { return TakeProvider(text, rule.providers); });
    } else if (name == "stage") {
      ForEachText(key, node, [&](std::string_view text) { return TakeStage(text, rule.stages); });
    } else if (name == "code") {
      ForEachText(key, node, [&](std::string_view text) -> Problem {
        const std::optional<CodePattern> code = ParseCodePattern(text);
        if (!code) return fmt::format("expected a code as \"421\", \"4xx\" or \"5xx\", found {}", Quote(text));
        rule.codes.push_back(*code);
        return {};
      });
    } else if (name == "enhanced") {
      ForEachText(key, node, [&](std::string_view text) -> Problem {
        const std::optional<EnhancedPattern> enhanced = ParseEnhancedPattern(text);
        if (!enhanced) {
          return fmt::format("expected an enhanced code as \"5.7.1\", \"x.1.1\" or \"4.x.x\", found {}", Quote(text));
        }
        rule.enhanced.push_back(*enhanced);
        return {};
      });
    } else if (name == "pattern") {
      ForEachText(key, node, [&](std::string_view text) -> Problem {
        if (text.empty()) return "an empty pattern matches everything; leave it out";
        if (text.size() > kPatternBytesMax) return fmt::format("a pattern has at most {} bytes", kPatternBytesMax);
        rule.patterns.emplace_back(text);
        return {};
      });
    } else {
      return false;
    }
    return true;
  }

  bool ReadMeaning(const toml::key& key, const toml::node& node, ReplyRule& rule) {
    const std::string_view name = key.str();
    if (name == "name") {
      Take(key, node, NameKind(), rule.name);
    } else if (name == "category") {
      Choose(key, node, Names(Category::kBadMailbox, Category::kOther), Category::kBadMailbox, rule.category);
    } else if (name == "scope") {
      Choose(key, node, Names(Scope::kRecipient, Scope::kSender), Scope::kRecipient, rule.scope);
    } else if (name == "fate") {
      Choose(key, node, Names(Fate::kDeferred, Fate::kBounced), Fate::kDeferred, rule.fate.emplace());
    } else if (name == "action") {
      Choose(key, node, Names(ActionKind::kNone, ActionKind::kBounceDomain), ActionKind::kNone, rule.action.kind);
    } else if (name == "suppress") {
      constexpr std::string_view kNames[] = {"no", "at-once", "on-second"};
      Choose(key, node, kNames, ReplyRule::Suppress::kNo, rule.suppress);
    } else if (name == "threshold") {
      const auto* text = node.as_string();
      const std::optional<Threshold> threshold = text == nullptr ? std::nullopt : ParseThreshold(text->get());
      if (!threshold) {
        Report(node.source(),
               fmt::format("threshold: expected so many (at most {}) in a time, as \"3/10min\", or \"1\" for "
                           "at once",
                           ReplyAction::kThresholdMax));
      } else {
        rule.action.threshold = threshold->count;
        rule.action.period = threshold->period;
      }
    } else if (name == "duration") {
      Take(key, node, DurationKind{std::chrono::seconds(1), kDurationMax}, rule.action.duration);
    } else if (name == "rate") {
      Take(key, node, RateKind{kRateLeast, kRateMost}, rule.action.messages_per_second.emplace());
    } else {
      return false;
    }
    return true;
  }

  template <typename Kind, typename T>
  void Take(const toml::key& key, const toml::node& node, const Kind& kind, T& member) {
    const Problem problem = kind.Read(ToFileValue(node), member);
    if (!problem.empty()) Report(node.source(), fmt::format("{}: {}", key.str(), problem));
  }

  // The names stand for the enumerators from first on.
  template <typename Enum>
  void Choose(const toml::key& key, const toml::node& node, std::span<const std::string_view> names, Enum first,
              Enum& member) {
    const auto* text = node.as_string();
    const auto found = text == nullptr ? names.end() : std::ranges::find(names, std::string_view(text->get()));
    if (found != names.end()) {
      member = static_cast<Enum>(static_cast<int>(first) + static_cast<int>(found - names.begin()));
      return;
    }
    std::string message = fmt::format("{}: expected one of {}", key.str(), OneOf(names));
    if (text != nullptr) message += fmt::format(", found {}{}", Quote(text->get()), Suggestion(text->get(), names));
    Report(node.source(), std::move(message));
  }

  Problem TakeProvider(std::string_view name, std::vector<std::string>& providers) const {
    if (providers_.Find(name) == nullptr) {
      // A rule calls a provider as the table does; people's other names are for people.
      const ProviderOptions* called = providers_.FindByAnyName(name);
      const std::string_view nearest = called != nullptr ? called->name : providers_.NearestProvider(name);
      return fmt::format("the provider table knows no {}{}", Quote(name),
                         nearest.empty() ? std::string() : fmt::format("; did you mean {}?", Quote(nearest)));
    }
    providers.emplace_back(name);
    return {};
  }

  static Problem TakeStage(std::string_view name, std::vector<Stage>& stages) {
    static const std::vector<std::string_view> names = Names(Stage::kDns, Stage::kQuit);
    const std::optional<Stage> stage = ParseStage(name);
    if (!stage || *stage == Stage::kNone) {
      return fmt::format("expected one of {}, found {}{}", OneOf(names), Quote(name), Suggestion(name, names));
    }
    stages.push_back(*stage);
    return {};
  }

  void ReadSamples(const toml::node& node, ReplyRule& rule) {
    const toml::array* array = node.as_array();
    if (array == nullptr || array->empty() || array->size() > kListMax) {
      Report(node.source(), fmt::format("samples: expected a list of 1 to {} replies", kListMax));
      return;
    }
    for (const toml::node& element : *array) {
      ReplySample sample;
      sample.line = static_cast<int>(element.source().begin.line);
      if (!rule.stages.empty()) sample.stage = rule.stages.front();
      if (!rule.providers.empty()) sample.provider = rule.providers.front();
      if (const auto* text = element.as_string()) {
        sample.reply = text->get();
      } else if (const toml::table* table = element.as_table()) {
        ReadSampleTable(*table, sample);
      } else {
        Report(element.source(),
               "samples: expected a text, or { reply = \"...\", stage = \"...\", provider = \"...\" }");
        continue;
      }
      if (const Problem problem = SampleProblem(sample.reply); !problem.empty()) {
        Report(element.source(), fmt::format("samples: {}", problem));
      }
      rule.samples.push_back(std::move(sample));
    }
  }

  void ReadSampleTable(const toml::table& table, ReplySample& sample) {
    for (const auto& [key, node] : table) {
      const auto* text = node.as_string();
      if (std::ranges::find(kSampleKeys, key.str()) == std::end(kSampleKeys)) {
        Report(key.source(), fmt::format("samples: unknown key {}{}", Quote(key.str().substr(0, 80)),
                                         Suggestion(key.str(), kSampleKeys)));
        continue;
      }
      Problem problem;
      std::vector<Stage> stages;
      std::vector<std::string> providers;
      if (text == nullptr) {
        problem = "expected a text in quotes";
      } else if (key.str() == "reply") {
        sample.reply = text->get();
      } else if (key.str() == "stage") {
        problem = TakeStage(text->get(), stages);
      } else {
        problem = TakeProvider(text->get(), providers);
      }
      if (!stages.empty()) sample.stage = stages.front();
      if (!providers.empty()) sample.provider = providers.front();
      if (!problem.empty()) Report(node.source(), fmt::format("samples: {}: {}", key.str(), problem));
    }
  }

  // What no single key can know.
  void CheckWhole(const toml::table& table, const ReplyRule& rule) {
    for (const std::string_view key : {"name", "category", "scope", "samples"}) {
      if (table.contains(key)) continue;
      Report(table.source(),
             fmt::format("[[rule]] needs {}{}", key, key == "samples" ? ", replies that it decides" : ""));
    }
    const bool has_condition =
        std::ranges::any_of(std::to_array<std::string_view>({"provider", "stage", "code", "enhanced", "pattern"}),
                            [&](std::string_view key) { return table.contains(key); });
    if (!has_condition) {
      Report(table.source(),
             "a [[rule]] needs a condition (provider, stage, code, enhanced or pattern); without one it "
             "would decide every reply");
    }
    if (!rule.name.empty()) {
      const auto [other, fresh] = lines_.emplace(rule.name, rule.line);
      if (!fresh) {
        Report(table.get("name")->source(),
               fmt::format("name: {} is taken by the [[rule]] of line {}; give each its own", Quote(rule.name),
                           other->second));
      }
    }
    CheckMeaning(table, rule);
  }

  void CheckMeaning(const toml::table& table, const ReplyRule& rule) {
    const bool may_bounce =
        rule.scope == Scope::kRecipient || rule.scope == Scope::kMessage || rule.scope == Scope::kDomain;
    const auto where = [&](std::string_view key) -> const toml::source_region& { return table.get(key)->source(); };
    if (rule.fate == Fate::kBounced && !may_bounce) {
      Report(where("fate"),
             fmt::format("fate: what is about the {} must not bounce a recipient; scope must be recipient, "
                         "message or domain",
                         ToString(rule.scope)));
    }
    if (rule.suppress != ReplyRule::Suppress::kNo && rule.scope != Scope::kRecipient) {
      Report(where("suppress"),
             fmt::format("suppress: what is about the {} says nothing against the address; scope must "
                         "be recipient",
                         ToString(rule.scope)));
    }
    const ActionKind kind = rule.action.kind;
    if (kind == ActionKind::kBounceDomain && rule.scope != Scope::kDomain) {
      Report(where("action"), "action: bounce-domain needs scope = \"domain\"");
    }
    const bool lasts = kind == ActionKind::kSkipHost || kind == ActionKind::kLowerConnections ||
                       kind == ActionKind::kStopPath || kind == ActionKind::kPauseSender;
    if (table.contains("duration") && !lasts) {
      Report(where("duration"), "duration: belongs to action skip-host, lower-connections, stop-path or pause-sender");
    }
    if (table.contains("rate") && kind != ActionKind::kLowerRate) {
      Report(where("rate"), "rate: belongs to action = \"lower-rate\"");
    }
    if (table.contains("threshold") && kind == ActionKind::kNone) {
      Report(where("threshold"), "threshold: belongs to an action; there is none");
    }
  }

  std::string file_;
  const ProviderTable& providers_;
  std::vector<ReplyRule> rules_;
  std::map<std::string, int, std::less<>> lines_;  // of each name
  Diagnostics diagnostics_;
};

std::unexpected<Diagnostics> OneProblem(Location where, std::string message) {
  return std::unexpected(Diagnostics{{std::move(where), std::move(message)}});
}

}  // namespace

std::string_view ToString(ActionKind kind) {
  switch (kind) {
    case ActionKind::kNone:
      return "none";
    case ActionKind::kReconnect:
      return "reconnect";
    case ActionKind::kResolveAgain:
      return "resolve-again";
    case ActionKind::kSkipHost:
      return "skip-host";
    case ActionKind::kLowerRate:
      return "lower-rate";
    case ActionKind::kLowerConnections:
      return "lower-connections";
    case ActionKind::kStopPath:
      return "stop-path";
    case ActionKind::kPauseSender:
      return "pause-sender";
    case ActionKind::kBounceDomain:
      return "bounce-domain";
  }
  return "";
}

bool EnhancedPattern::Matches(const EnhancedCode& code) const {
  const auto part = [](int wanted, int found) { return wanted < 0 || wanted == found; };
  return part(parts[0], code.klass) && part(parts[1], code.subject) && part(parts[2], code.detail);
}

std::expected<std::vector<ReplyRule>, Diagnostics> ParseReplyRules(std::string_view toml, std::string_view name,
                                                                   const ProviderTable& providers) {
  const std::string file(name);
  if (toml.size() > kFileBytesMax) return OneProblem({file, 0, 0}, fmt::format("larger than {} bytes", kFileBytesMax));
  try {
    return Reader(name, providers).Read(toml::parse(toml, name));
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    return OneProblem({file, static_cast<int>(at.line), static_cast<int>(at.column)}, std::string(error.description()));
  }
}

std::expected<std::vector<ReplyRule>, Diagnostics> ReadReplyRules(const std::filesystem::path& file,
                                                                  const ProviderTable& providers) {
  const Result<std::string> text = ReadTextFile(file, kFileBytesMax);
  if (!text) return OneProblem({file.string(), 0, 0}, text.error().message);
  return ParseReplyRules(*text, file.string(), providers);
}

std::expected<std::vector<ReplyRule>, Diagnostics> LoadReplyRules(const std::filesystem::path& operators_file,
                                                                  const ProviderTable& providers) {
  Diagnostics diagnostics;
  std::vector<ReplyRule> rules;
  const auto take = [&](std::expected<std::vector<ReplyRule>, Diagnostics> read) {
    if (!read) {
      std::ranges::move(read.error(), std::back_inserter(diagnostics));
      return;
    }
    for (ReplyRule& rule : *read) {
      const auto other = std::ranges::find(rules, rule.name, &ReplyRule::name);
      if (other != rules.end() && other->file != rule.file) {
        diagnostics.push_back({{other->file, other->line, 0},
                               fmt::format("name: {} is the name of a shipped rule; choose another, the rules of this "
                                           "file are asked first anyway",
                                           Quote(rule.name))});
      }
      rules.push_back(std::move(rule));
    }
  };
  if (!operators_file.empty()) take(ReadReplyRules(operators_file, providers));
  take(ParseReplyRules(ShippedReplyRules(), kShippedReplyRulesName, providers));
  if (!diagnostics.empty()) return std::unexpected(std::move(diagnostics));
  return rules;
}

}  // namespace postrider
