#include "engine/smtp/auth.h"

#include <string.h>

#include <cstddef>

namespace postrider::smtp {

void AppendBase64(std::string_view bytes, std::string& out) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  const auto octet = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[i])) : 0u;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const unsigned group = octet(i) << 16 | octet(i + 1) << 8 | octet(i + 2);
    out.push_back(kAlphabet[group >> 18]);
    out.push_back(kAlphabet[group >> 12 & 63]);
    out.push_back(i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=');
    out.push_back(i + 2 < bytes.size() ? kAlphabet[group & 63] : '=');
  }
}

void AppendPlainResponse(std::string_view user, std::string_view secret, std::string& out) {
  std::string response;
  response.reserve(user.size() + secret.size() + 2);  // so that no growth leaves a copy behind
  response.push_back('\0');
  response.append(user);
  response.push_back('\0');
  response.append(secret);
  AppendBase64(response, out);
  Wipe(response);
}

void Wipe(std::string& secret) {
  explicit_bzero(secret.data(), secret.capacity());  // plain memset would be optimised away
  secret.clear();
}

}  // namespace postrider::smtp
