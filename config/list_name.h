#pragma once
// The name of a suppression list: what a campaign says it is sent to (`list = "newsletter"`), and what an unsubscribe
// is from. The global list, which is asked for all mail, is kept as the empty name and called "global" by people. Pure.

#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

inline constexpr std::string_view kGlobalListName = "global";
// Where addresses wait for their second bounce, kept by reply rules that want two; campaigns cannot name it.
inline constexpr std::string_view kBouncedOnceListName = "bounced-once";
inline constexpr std::size_t kListNameMax = 64;  // it stands in every key of its entries

// 1 to 64 letters, digits, ".", "_" and "-", kept as written; "global" and nothing at all give the empty name.
[[nodiscard]] Result<std::string> ParseListName(std::string_view text);

// For people: "global" for the empty name.
[[nodiscard]] inline std::string_view ShownListName(std::string_view list) {
  return list.empty() ? kGlobalListName : list;
}

}  // namespace postrider
