#pragma once
// The client's side of AUTH PLAIN (RFC 4616) and AUTH LOGIN, as far as a receiver must read it. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace postrider::sink {

struct Credentials {
  std::string user;
  std::string password;

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// RFC 4648 section 4, padding demanded; nullopt for anything else.
[[nodiscard]] std::optional<std::string> DecodeBase64(std::string_view text);

// [authorization identity] NUL user NUL password, in base64.
[[nodiscard]] std::optional<Credentials> ReadPlainResponse(std::string_view base64);

}  // namespace postrider::sink
