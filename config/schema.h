#pragma once
// The one table of everything an operator may write: each option's table and key in the TOML file, the member it fills,
// kind, range, and a help sentence that gives the reason. The loader, its search for unknown keys and ExplainOptions()
// all walk this table and know no option by themselves. Immutable; any thread may read it.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/option_kind.h"
#include "config/options.h"

namespace postrider {

// When the example shows the option: always, or behind a "#" while it has no default to show.
enum class Presence { kRequired, kShown, kOptional };

struct OptionSchema {
  std::string_view key;
  std::string about;  // kind and range
  std::string_view help;
  Presence presence = Presence::kOptional;
  std::string_view sample;        // TOML text for the example where there is no default
  std::string_view former_key{};  // what it was called in earlier versions, for a message
  // target is the struct of the option's table; TableSchema::Of gives it.
  std::function<Problem(void* target, const FileValue& value)> read;
  std::function<std::string(const void* target)> show;  // TOML text; empty if unset
  std::function<void(void* target)> clear;              // leaves it unset; only where a member can be
  // Set for paths alone: a relative one is made absolute from this folder.
  std::function<void(void* target, const std::filesystem::path& base)> rebase;
};

struct TableSchema {
  std::string_view name;  // dotted; empty for the top level
  bool is_array = false;  // [[name]]
  bool shown = true;      // the example shows it; otherwise behind a "#"
  std::string_view help;
  std::vector<OptionSchema> options;
  // The struct that the options fill. Of an array: a new element at its end, valid until the next call.
  std::function<void*(Options&)> target;
  // The struct whose values the example shows.
  std::function<const void*(const Options&)> example;

  [[nodiscard]] const OptionSchema* Find(std::string_view key) const;
};

// In the order of the example, top level first.
[[nodiscard]] std::span<const TableSchema> Schema();
[[nodiscard]] const TableSchema* FindTable(std::string_view name);

// The known name that a person most likely meant; empty if none is near.
[[nodiscard]] std::string_view NearestName(std::string_view name, std::span<const std::string_view> known);

}  // namespace postrider
