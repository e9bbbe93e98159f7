#include "engine/dns/record_set.h"

#include <algorithm>

namespace postrider::dns {
namespace {

constexpr std::size_t kNameMax = 253;  // RFC 1035 section 2.3.4, as text without the root's dot
constexpr std::size_t kLabelMax = 63;
constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsLabelCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

}  // namespace

std::string_view ToString(RecordType type) {
  switch (type) {
    case RecordType::kA:
      return "A";
    case RecordType::kMx:
      return "MX";
    case RecordType::kAaaa:
      return "AAAA";
  }
  return "?";
}

std::string CanonicalName(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameMax) return {};
  std::string name(text.size(), '\0');
  std::ranges::transform(text, name.begin(), Lower);
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return {};
      label = 0;
    } else if (!IsLabelCharacter(c) || ++label > kLabelMax) {
      return {};
    }
  }
  return label == 0 ? std::string() : name;
}

// Two bytes of preference, one of length (a name has at most 253), the name.
void PackMx(std::string& packed, const MxHost& host) {
  packed.push_back(static_cast<char>(host.preference >> 8));
  packed.push_back(static_cast<char>(host.preference & 0xff));
  packed.push_back(static_cast<char>(host.name.size()));
  packed.append(host.name);
}

std::vector<MxHost> UnpackMx(std::string_view packed) {
  const auto byte = [&packed](std::size_t at) { return static_cast<unsigned char>(packed[at]); };
  std::vector<MxHost> hosts;
  while (packed.size() >= 3) {
    const std::size_t length = byte(2);
    hosts.push_back({std::string(packed.substr(3, length)), static_cast<std::uint16_t>(byte(0) << 8 | byte(1))});
    packed.remove_prefix(std::min(packed.size(), 3 + length));
  }
  return hosts;
}

void PackAddress(std::string& packed, std::string_view bytes) { packed.append(bytes); }

void UnpackAddresses(RecordType type, std::string_view packed, std::vector<IpAddress>& addresses) {
  const std::size_t size = type == RecordType::kA ? kIpv4Bytes : kIpv6Bytes;
  for (; packed.size() >= size; packed.remove_prefix(size)) {
    IpAddress address{type == RecordType::kA ? IpAddress::Family::kIpv4 : IpAddress::Family::kIpv6, {}};
    std::ranges::transform(packed.substr(0, size), address.bytes.begin(),
                           [](char c) { return static_cast<std::uint8_t>(c); });
    addresses.push_back(address);
  }
}

}  // namespace postrider::dns
