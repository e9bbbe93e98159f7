#pragma once
// What is said about a name that nothing has: the one that was probably meant, or where it belongs.

#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"

namespace postrider {

// "[timeouts]", "[[rule]]".
[[nodiscard]] std::string InBrackets(const TableSchema& table);
// "; did you mean connect?", or nothing.
[[nodiscard]] std::string Suggestion(std::string_view name, const std::vector<std::string_view>& known);
[[nodiscard]] std::vector<std::string_view> TableNames();
[[nodiscard]] std::string UnknownKey(const TableSchema& schema, std::string_view key);
[[nodiscard]] std::string UnknownProvider(const ProviderTable& providers, std::string_view name);

}  // namespace postrider
