#include "config/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include <fmt/format.h>

namespace postrider {
namespace {

constexpr std::size_t kLongestText = INET6_ADDRSTRLEN - 1;

// First octets of an address and how many of their bits count.
struct Prefix {
  std::array<std::uint8_t, 4> octets;
  int bits;
};

// What RFC 6890's registry calls not globally reachable. The documentation ranges are left out: nobody routes them, and
// every example uses them.
constexpr Prefix kPrivateIpv4[] = {
    {{0, 0, 0, 0}, 8},       // this network
    {{10, 0, 0, 0}, 8},      // RFC 1918
    {{100, 64, 0, 0}, 10},   // RFC 6598, carrier-grade NAT
    {{127, 0, 0, 0}, 8},     // loopback
    {{169, 254, 0, 0}, 16},  // RFC 3927, link-local; clouds serve instance secrets there
    {{172, 16, 0, 0}, 12},   // RFC 1918
    {{192, 0, 0, 0}, 24},    // RFC 6890, protocol assignments
    {{192, 168, 0, 0}, 16},  // RFC 1918
    {{198, 18, 0, 0}, 15},   // RFC 2544, benchmarks
    {{224, 0, 0, 0}, 4},     // multicast
    {{240, 0, 0, 0}, 4},     // reserved, and broadcast
};

constexpr Prefix kPrivateIpv6[] = {
    {{0x00, 0x00, 0, 0}, 8},   // unspecified, loopback and reserved; the forms that embed IPv4 are looked at before
    {{0x01, 0x00, 0, 0}, 8},   // RFC 6666, discard
    {{0xfc, 0x00, 0, 0}, 7},   // RFC 4193
    {{0xfe, 0x80, 0, 0}, 10},  // link-local
    {{0xfe, 0xc0, 0, 0}, 10},  // site-local, once
    {{0xff, 0x00, 0, 0}, 8},   // multicast
};

bool StartsWith(std::span<const std::uint8_t> address, const Prefix& prefix) {
  int bits = prefix.bits;
  for (std::size_t i = 0; bits > 0; ++i, bits -= 8) {
    const int mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if ((address[i] & mask) != prefix.octets[i]) return false;
  }
  return true;
}

bool IsPrivateIpv4(std::span<const std::uint8_t> octets) {
  return std::ranges::any_of(kPrivateIpv4, [&](const Prefix& prefix) { return StartsWith(octets, prefix); });
}

// The IPv4 address inside ::ffff:a.b.c.d (RFC 4291) or 64:ff9b::a.b.c.d (RFC 6052), else nothing.
std::span<const std::uint8_t> EmbeddedIpv4(const IpAddress& address) {
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr std::uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (address.IsIpv4()) return {};
  const std::span<const std::uint8_t> head = std::span(address.bytes).first(12);
  if (!std::ranges::equal(head, kMapped) && !std::ranges::equal(head, kNat64)) return {};
  return std::span(address.bytes).last(4);
}

}  // namespace

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  char buffer[kLongestText + 1];
  if (text.empty() || text.size() > kLongestText || text.find('\0') != text.npos) {
    return Fail(ErrorCode::kInvalid, "expected an IP address such as 192.0.2.1 or 2001:db8::1");
  }
  buffer[text.copy(buffer, kLongestText)] = '\0';
  IpAddress address;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) return address;
  address.family = Family::kIpv6;
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) return address;
  return Fail(ErrorCode::kInvalid,
              fmt::format("expected an IP address such as 192.0.2.1 or 2001:db8::1, found \"{}\"", text));
}

bool IpAddress::IsLoopback() const {
  if (IsIpv4()) return bytes[0] == 127;
  const std::span<const std::uint8_t> ipv4 = EmbeddedIpv4(*this);
  if (!ipv4.empty()) return ipv4[0] == 127;
  return std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t octet) { return octet == 0; }) && bytes[15] == 1;
}

bool IpAddress::IsUnspecified() const {
  if (IsIpv4()) return bytes[0] == 0;
  const std::span<const std::uint8_t> ipv4 = EmbeddedIpv4(*this);
  if (!ipv4.empty()) return ipv4[0] == 0;
  return std::ranges::all_of(bytes, [](std::uint8_t octet) { return octet == 0; });
}

bool IpAddress::IsPrivate() const {
  if (IsIpv4()) return IsPrivateIpv4(bytes);
  const std::span<const std::uint8_t> ipv4 = EmbeddedIpv4(*this);
  if (!ipv4.empty()) return IsPrivateIpv4(ipv4);
  return std::ranges::any_of(kPrivateIpv6, [&](const Prefix& prefix) { return StartsWith(bytes, prefix); });
}

std::string ToString(const IpAddress& address) {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(address.IsIpv4() ? AF_INET : AF_INET6, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

std::string ToLiteral(const IpAddress& address) {
  return (address.IsIpv4() ? "[" : "[IPv6:") + ToString(address) + "]";
}

Result<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const auto malformed = [&] {
    return Fail(ErrorCode::kInvalid,
                fmt::format("expected an address with a port such as 192.0.2.1:25 or [2001:db8::1]:25, found \"{}\"",
                            text.substr(0, kLongestText + 8)));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return malformed();
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);

  const Result<IpAddress> ip = IpAddress::Parse(host);
  if (!ip || ip->IsIpv4() == bracketed) return malformed();
  std::uint16_t port = 0;
  const char* end = port_text.data() + port_text.size();
  const auto [stop, error] = std::from_chars(port_text.data(), end, port);
  if (error != std::errc() || stop != end) return malformed();
  return SocketAddress{*ip, port};
}

std::string ToString(const SocketAddress& address) {
  const std::string ip = ToString(address.ip);
  return address.ip.IsIpv4() ? fmt::format("{}:{}", ip, address.port) : fmt::format("[{}]:{}", ip, address.port);
}

}  // namespace postrider
