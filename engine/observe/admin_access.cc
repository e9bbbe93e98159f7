#include "engine/observe/admin_access.h"

#include <algorithm>

#include "config/ip_address.h"

namespace postrider::observe {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualFolded(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool IsOwnHost(std::string_view host, std::span<const std::string> own_names) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == host.npos) return false;
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && (rest[0] != ':' || !IsPort(rest.substr(1)))) return false;
    const Result<IpAddress> address = IpAddress::Parse(host.substr(1, end - 1));
    return address && !address->IsIpv4();
  }
  if (const std::size_t colon = host.find(':'); colon != host.npos) {
    if (!IsPort(host.substr(colon + 1))) return false;
    host = host.substr(0, colon);
  }
  if (const Result<IpAddress> address = IpAddress::Parse(host); address) return address->IsIpv4();
  if (EqualFolded(host, "localhost")) return true;
  return !host.empty() && std::ranges::any_of(own_names, [&](const auto& name) { return EqualFolded(host, name); });
}

bool IsOwnOrigin(std::string_view origin, std::string_view host) {
  constexpr std::string_view kScheme = "http://";
  return origin.starts_with(kScheme) && !host.empty() && EqualFolded(origin.substr(kScheme.size()), host);
}

}  // namespace postrider::observe
