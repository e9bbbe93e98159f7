#include "config/unknown_key.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace postrider {

std::string InBrackets(const TableSchema& table) {
  return fmt::format("{}{}{}", table.is_array ? "[[" : "[", table.name, table.is_array ? "]]" : "]");
}

std::string Suggestion(std::string_view name, const std::vector<std::string_view>& known) {
  const std::string_view nearest = NearestName(name, known);
  return nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest);
}

std::vector<std::string_view> TableNames() {
  std::vector<std::string_view> names;
  for (const TableSchema& table : Schema()) {
    if (!table.name.empty()) names.push_back(table.name);
  }
  return names;
}

std::string UnknownKey(const TableSchema& schema, std::string_view key) {
  const std::string where = schema.name.empty() ? "at the top level" : "in " + InBrackets(schema);
  std::vector<std::string_view> known;
  for (const OptionSchema& option : schema.options) known.push_back(option.key);
  if (schema.name.empty()) std::ranges::copy(TableNames(), std::back_inserter(known));
  std::string suggestion = Suggestion(key, known);
  const auto renamed = std::ranges::find(schema.options, key, &OptionSchema::former_key);
  if (!key.empty() && renamed != schema.options.end()) suggestion = fmt::format("; it is called {} now", renamed->key);
  for (const TableSchema& table : Schema()) {
    if (!suggestion.empty()) break;
    if (table.Find(key) == nullptr) continue;
    suggestion = table.name.empty() ? "; it belongs at the top, before the first table"
                                    : fmt::format("; it belongs in {}", InBrackets(table));
  }
  const std::string_view shown = key.substr(0, 80);
  return fmt::format("unknown key {} {}{}", Quote(shown), where, suggestion);
}

std::string UnknownProvider(const ProviderTable& providers, std::string_view name) {
  const std::string_view nearest = providers.NearestProvider(name);
  return fmt::format("no provider is called {}{}; `postrider config --providers` names them, [[provider]] adds one",
                     Quote(name),
                     nearest.empty() ? std::string() : fmt::format("; did you mean \"provider:{}\"?", nearest));
}

}  // namespace postrider
