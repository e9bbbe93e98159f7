#include "config/list_name.h"

#include <algorithm>

#include <fmt/format.h>

namespace postrider {

Result<std::string> ParseListName(std::string_view text) {
  if (text.empty() || text == kGlobalListName) return std::string();
  const bool plain = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (plain && text.size() <= kListNameMax) return std::string(text);
  return Fail(ErrorCode::kInvalid,
              fmt::format("not the name of a list: expected 1 to {} letters, digits and \"._-\", or "
                          "\"{}\" for the list that counts for all mail",
                          kListNameMax, kGlobalListName));
}

}  // namespace postrider
