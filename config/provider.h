#pragma once
// Who runs an MX host, known by the suffix of its name. A provider counts our mail over all its sites, so limits and
// metrics belong to it; connections still belong to the site. The table is short and built in.

#include <string_view>

namespace postrider {

// "google", "microsoft", "microsoft365", "yahoo", ...; "" when unknown. mx_host is lower case without a trailing dot.
[[nodiscard]] std::string_view ProviderOfMx(std::string_view mx_host);

}  // namespace postrider
