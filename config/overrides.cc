#include "config/overrides.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "config/rules.h"
#include "config/schema.h"
#include "config/toml_value.h"
#include "config/unknown_key.h"

namespace postrider {
namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;
constexpr std::string_view kOpening =
    "# Limits set with `postrider throttle set`. The daemon writes this file; change it with `postrider throttle`.\n"
    "format = 1\n";

const TableSchema& RuleSchema() { return *FindTable("rule"); }

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  std::expected<Overrides, Diagnostics> Read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (key.str() == "format") {
        if (node.value<std::int64_t>() != 1) Report(node.source(), "format: this program reads format = 1");
      } else if (key.str() == "rule") {
        ReadRules(key, node);
      } else {
        Report(key.source(), fmt::format("expected [[rule]] tables alone, found {}", Quote(key.str().substr(0, 80))));
      }
    }
    if (!root.contains("format")) Report(root.source(), "format is missing; write format = 1");
    if (diagnostics_.empty()) return std::move(overrides_);
    std::ranges::stable_sort(diagnostics_, {}, [](const Diagnostic& diagnostic) {
      return std::tuple(diagnostic.where.line, diagnostic.where.column);
    });
    return std::unexpected(std::move(diagnostics_));
  }

 private:
  void Report(const toml::source_region& where, std::string message) {
    diagnostics_.push_back({ToLocation(file_, where.begin), std::move(message)});
  }

  void ReadRules(const toml::key& key, const toml::node& node) {
    const toml::array* array = node.as_array();
    const bool of_tables =
        array != nullptr && std::ranges::all_of(*array, [](const toml::node& element) { return element.is_table(); });
    if (!of_tables) {
      Report(key.source(), "expected [[rule]] with two brackets on each side, for there may be several of it");
      return;
    }
    if (array->size() > kOverridesMax) {
      Report(key.source(), fmt::format("at most {} [[rule]] are allowed, found {}", kOverridesMax, array->size()));
      return;
    }
    for (const toml::node& element : *array) ReadRule(*element.as_table());
  }

  void ReadRule(const toml::table& table) {
    RuleOptions& rule = overrides_.emplace_back();
    rule.origin = {.layer = RuleLayer::kOverride,
                   .file = file_,
                   .line = static_cast<int>(table.source().begin.line),
                   .set_by = {}};
    for (const auto& [key, node] : table) ReadKey(rule, key, node);
    if (!table.contains("match")) Report(table.source(), "[[rule]] needs match = ...");
    for (const auto& [key, problem] : ProblemsOf(rule)) Report(table.get(key)->source(), problem);
  }

  void ReadKey(RuleOptions& rule, const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    Problem problem;
    if (name == "set_by") {
      problem = TextKind().Read(ToFileValue(node), rule.origin.set_by);
    } else if (name == "set_at") {
      problem = ReadMoment(node, rule.origin.set_at);
    } else if (name == "until") {
      problem = ReadMoment(node, rule.origin.until);
    } else if (const OptionSchema* option = RuleSchema().Find(name)) {
      problem = option->read(&rule, ToFileValue(node));
    } else {
      Report(key.source(), UnknownKey(RuleSchema(), name));
    }
    if (!problem.empty()) Report(node.source(), fmt::format("{}: {}", name, problem));
  }

  static Problem ReadMoment(const toml::node& node, std::optional<Wall>& member) {
    const Result<Wall> moment = ToMoment(node);
    if (!moment) return moment.error().message;
    member = *moment;
    return {};
  }

  std::string file_;
  Overrides overrides_;
  Diagnostics diagnostics_;
};

// What a person types after the "=", as the file would have it without or with quotes.
FileValue ToFileValue(std::string_view text) {
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [stop, error] = std::from_chars(text.data(), end, integer); error == std::errc() && stop == end) {
    return integer;
  }
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error == std::errc() && stop == end && std::isfinite(number)) return number;
  if (text == "true") return true;
  if (text == "false") return false;
  return std::string(text);
}

// The fields of a rule: all options but the pattern.
template <typename Visitor>
void ForEachField(const Visitor& visit) {
  for (const OptionSchema& option : RuleSchema().options) {
    if (option.clear) visit(option);
  }
}

bool SamePattern(const RuleOptions& rule, const DomainPattern& pattern) {
  return rule.match.Canonical() == pattern.Canonical();
}

}  // namespace

std::expected<Overrides, Diagnostics> ParseOverrides(std::string_view toml, std::string_view name) {
  const std::string file(name);
  if (toml.size() > kFileBytesMax) {
    return std::unexpected(Diagnostics{{{file, 0, 0}, fmt::format("larger than {} bytes", kFileBytesMax)}});
  }
  try {
    return Reader(name).Read(toml::parse(toml, name));
  } catch (const toml::parse_error& error) {
    return std::unexpected(Diagnostics{{ToLocation(file, error.source().begin), std::string(error.description())}});
  }
}

std::string WriteOverrides(const Overrides& overrides) {
  std::string text(kOpening);
  for (const RuleOptions& rule : overrides) {
    text += fmt::format("\n[[rule]]\nmatch = {}\n", Quote(rule.match.text()));
    ForEachField([&](const OptionSchema& option) {
      const std::string value = option.show(&rule);
      if (!value.empty()) text += fmt::format("{} = {}\n", option.key, value);
    });
    const RuleOrigin& origin = rule.origin;
    if (!origin.set_by.empty()) text += fmt::format("set_by = {}\n", Quote(origin.set_by));
    if (origin.set_at) text += fmt::format("set_at = {}\n", ToToml(*origin.set_at));
    if (origin.until) text += fmt::format("until = {}\n", ToToml(*origin.until));
  }
  return text;
}

Result<void> SetRuleField(RuleOptions& rule, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == assignment.npos) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("expected key=value such as message_rate=5/s, found {}", Quote(assignment.substr(0, 80))));
  }
  const std::string_view key = assignment.substr(0, equals);
  const OptionSchema* option = RuleSchema().Find(key);
  if (option == nullptr || !option->clear) return Fail(ErrorCode::kInvalid, UnknownKey(RuleSchema(), key));
  Problem problem = option->read(&rule, ToFileValue(assignment.substr(equals + 1)));
  if (!problem.empty()) return Fail(ErrorCode::kInvalid, fmt::format("{}: {}", key, problem));
  return {};
}

bool IsEmpty(const RuleOptions& rule) {
  bool empty = true;
  ForEachField([&](const OptionSchema& option) { empty = empty && option.show(&rule).empty(); });
  return empty;
}

std::vector<SetField> FieldsOf(const RuleOptions& rule) {
  std::vector<SetField> fields;
  ForEachField([&](const OptionSchema& option) {
    std::string value = option.show(&rule);
    if (value.empty()) return;
    if (value.front() == '"') value = value.substr(1, value.size() - 2);
    fields.push_back({option.key, std::move(value)});
  });
  return fields;
}

Result<void> SetOverride(Overrides& overrides, RuleOptions rule, const Options& options) {
  const std::string_view provider = rule.match.provider();
  if (!provider.empty() && options.Providers().Find(provider) == nullptr) {
    return Fail(ErrorCode::kInvalid, UnknownProvider(options.Providers(), provider));
  }
  if (IsEmpty(rule)) return Fail(ErrorCode::kInvalid, "expected at least one key=value such as message_rate=5/s");
  if (const auto problems = ProblemsOf(rule); !problems.empty()) {
    return Fail(ErrorCode::kInvalid, problems.front().second);
  }
  rule.origin.layer = RuleLayer::kOverride;
  Overrides changed = overrides;
  for (RuleOptions& earlier : changed) {
    // What ends shadows what does not, and gives it back; what does not end takes the place of both.
    const bool shadowed = rule.origin.until && !earlier.origin.until;
    if (shadowed || !SamePattern(earlier, rule.match)) continue;
    ForEachField([&](const OptionSchema& option) {
      if (!option.show(&rule).empty()) option.clear(&earlier);
    });
  }
  std::erase_if(changed, IsEmpty);
  changed.push_back(std::move(rule));
  if (changed.size() > kOverridesMax) {
    return Fail(ErrorCode::kTooLarge, fmt::format("at most {} limits may be set so; write them into the configuration, "
                                                  "or take some back with `postrider throttle unset`",
                                                  kOverridesMax));
  }
  // What could not be read again must not be written: who sets it may send anything as set_by.
  if (const auto read = ParseOverrides(WriteOverrides({changed.back()}), "set"); !read) {
    return Fail(ErrorCode::kInvalid, read.error().front().message);
  }
  overrides = std::move(changed);
  return {};
}

Result<std::size_t> UnsetOverride(Overrides& overrides, const DomainPattern& pattern,
                                  std::span<const std::string> keys) {
  for (const std::string& key : keys) {
    const OptionSchema* option = RuleSchema().Find(key);
    if (option == nullptr || !option->clear) return Fail(ErrorCode::kInvalid, UnknownKey(RuleSchema(), key));
  }
  std::size_t removed = 0;
  for (RuleOptions& rule : overrides) {
    if (!SamePattern(rule, pattern)) continue;
    ForEachField([&](const OptionSchema& option) {
      const bool wanted = keys.empty() || std::ranges::find(keys, option.key) != keys.end();
      if (!wanted || option.show(&rule).empty()) return;
      option.clear(&rule);
      ++removed;
    });
  }
  std::erase_if(overrides, IsEmpty);
  return removed;
}

std::size_t DropExpired(Overrides& overrides, Wall now) {
  return std::erase_if(overrides,
                       [now](const RuleOptions& rule) { return rule.origin.until && *rule.origin.until <= now; });
}

OptionsWithOverrides LayOver(const Options& options, const Overrides& overrides, Wall now) {
  OptionsWithOverrides result;
  Options merged = options;
  // Of two that say as much about one field the first holds: what ends comes before what it shadows.
  for (const RuleOptions& rule : overrides) {
    const std::optional<Wall>& until = rule.origin.until;
    if (!until || *until <= now) continue;
    if (!result.next_expiry || *until < *result.next_expiry) result.next_expiry = until;
    merged.rules.push_back(rule);
  }
  std::ranges::copy_if(overrides, std::back_inserter(merged.rules),
                       [](const RuleOptions& rule) { return !rule.origin.until; });
  result.options = std::make_shared<const Options>(std::move(merged));
  return result;
}

ExplainedRule ExplainPattern(const Options& options, const DomainPattern& pattern,
                             std::span<const std::string> mx_hosts) {
  // Names that nothing else has: a label "*" below what the pattern names.
  const std::string name = pattern.Canonical();
  constexpr std::string_view kMx = "mx:";
  if (name == "*") return ExplainRule(options, {}, {});
  std::string host;
  if (const ProviderOptions* provider = options.Providers().Find(pattern.provider())) {
    host = provider->SampleHost();
  } else if (name.starts_with(kMx)) {
    host = name.substr(kMx.size());
    if (host.starts_with('.')) host = fmt::format("*{}", host);
  } else if (pattern.provider().empty()) {
    return ExplainRule(options, name, mx_hosts);
  }
  const std::vector<std::string> hosts = host.empty() ? std::vector<std::string>() : std::vector{host};
  return ExplainRule(options, {}, hosts);
}

}  // namespace postrider
