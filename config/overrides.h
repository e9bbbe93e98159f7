#pragma once
// Limits that an operator sets while mail flows (`postrider throttle set PATTERN key=value [--for 2h]`), and the file
// they are kept in: [[rule]] tables as in the configuration, with set_by, set_at and until. Pure functions over text
// and values; the engine reads and writes the file, lays the overrides over its options and hands the result to the
// cores as at any reload: nothing else knows of them.

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "config/rules.h"
#include "config/time.h"

namespace postrider {

// Rules of layer kOverride. Each field of a pattern is set at most twice: until a moment, and without end. The first
// holds while it lasts, then the second again.
using Overrides = std::vector<RuleOptions>;
inline constexpr std::size_t kOverridesMax = 1000;

// Everything wrong is reported at once; name stands for the file. A provider that the configuration no longer knows is
// no error: its override matches nothing.
[[nodiscard]] std::expected<Overrides, Diagnostics> ParseOverrides(std::string_view toml, std::string_view name);
[[nodiscard]] std::string WriteOverrides(const Overrides& overrides);

// One "key=value", with the checks and the sentences of the file.
[[nodiscard]] Result<void> SetRuleField(RuleOptions& rule, std::string_view assignment);
// Nothing is set: it says nothing.
[[nodiscard]] bool IsEmpty(const RuleOptions& rule);

// What it sets, in the order of the example; values as ExplainedField has them.
struct SetField {
  std::string_view key;
  std::string value;
};
[[nodiscard]] std::vector<SetField> FieldsOf(const RuleOptions& rule);

// Who sets it, when, and until when stands in rule.origin. Takes the place of earlier values of the same fields;
// one that ends leaves those without end, which hold again after it. An error: contradicting fields, an unknown
// provider, or too many overrides; nothing is changed then.
[[nodiscard]] Result<void> SetOverride(Overrides& overrides, RuleOptions rule, const Options& options);
// Takes these fields of the pattern back, or all of them if keys is empty, with and without end; how many there were.
// An error: no such key.
[[nodiscard]] Result<std::size_t> UnsetOverride(Overrides& overrides, const DomainPattern& pattern,
                                                std::span<const std::string> keys);
// How many rules were dropped.
std::size_t DropExpired(Overrides& overrides, Wall now);

struct OptionsWithOverrides {
  OptionsPtr options;
  std::optional<Wall> next_expiry;  // when to lay them over again
};
// options without any; those that are over by now are left out.
[[nodiscard]] OptionsWithOverrides LayOver(const Options& options, const Overrides& overrides, Wall now);

// What holds for mail that this pattern matches and no more specific one does. mx_hosts: of an exact domain, where its
// mail goes; empty while that is not known.
[[nodiscard]] ExplainedRule ExplainPattern(const Options& options, const DomainPattern& pattern,
                                           std::span<const std::string> mx_hosts);

}  // namespace postrider
