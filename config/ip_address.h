#pragma once
// An IPv4 or IPv6 address as a plain value, and one with a port. No sockets here; engine/io turns them into sockaddr.

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

struct IpAddress {
  enum class Family : std::uint8_t { kIpv4, kIpv6 };
  Family family = Family::kIpv4;
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 uses the first four, the rest stay zero

  // Dotted quad or RFC 4291 text, without brackets, port or zone.
  static Result<IpAddress> Parse(std::string_view text);

  [[nodiscard]] bool IsIpv4() const { return family == Family::kIpv4; }
  [[nodiscard]] bool IsLoopback() const;     // 127/8, ::1, and IPv4-mapped forms
  [[nodiscard]] bool IsUnspecified() const;  // 0/8, ::
  // Not reachable over the public Internet: RFC 1918, 6598, 3927 and 4193 ranges, link-local, multicast, reserved.
  [[nodiscard]] bool IsPrivate() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

[[nodiscard]] std::string ToString(const IpAddress& address);
// The address literal of RFC 5321 section 4.1.3: "[192.0.2.1]" or "[IPv6:2001:db8::1]".
[[nodiscard]] std::string ToLiteral(const IpAddress& address);

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  // "192.0.2.1:25" or "[2001:db8::1]:25".
  static Result<SocketAddress> Parse(std::string_view text);

  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};

[[nodiscard]] std::string ToString(const SocketAddress& address);

}  // namespace postrider
