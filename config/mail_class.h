#pragma once
// The two classes of mail. Transactional mail goes first wherever both wait, and has its own retry schedule and expiry.

#include <cstdint>
#include <string_view>

namespace postrider {

enum class MailClass : std::uint8_t { kBulk = 0, kTransactional = 1 };

[[nodiscard]] constexpr std::string_view ToString(MailClass mail_class) {
  return mail_class == MailClass::kBulk ? "bulk" : "transactional";
}

}  // namespace postrider
