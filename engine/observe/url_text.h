#pragma once
// The few parts of a URL (RFC 3986) that the admin API and its client need. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postrider::observe {

// Everything but unreserved characters becomes %XX.
[[nodiscard]] std::string PercentEncode(std::string_view text);
// nullopt for a broken escape or a NUL.
[[nodiscard]] std::optional<std::string> PercentDecode(std::string_view text);

// "/api/v1/a%2Fb" -> {"api", "v1", "a/b"}; nullopt if it does not start with "/", or an escape is broken.
[[nodiscard]] std::optional<std::vector<std::string>> ParsePath(std::string_view path);
// "a=1&b=x%20y", in order; "+" means a blank. nullopt if an escape is broken.
using QueryFields = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::optional<QueryFields> ParseQuery(std::string_view query);

}  // namespace postrider::observe
