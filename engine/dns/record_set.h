#pragma once
// What the DNS says about one name and type, in the form in which the cache keeps it: the records packed into one
// string, because hundreds of thousands of them wait there. Values; no DNS traffic here.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/ip_address.h"
#include "engine/dns/resolver.h"

namespace postrider::dns {

enum class RecordType : std::uint16_t { kA = 1, kMx = 15, kAaaa = 28 };  // RFC 1035, RFC 3596

[[nodiscard]] std::string_view ToString(RecordType type);

enum class RecordStatus : std::uint8_t { kFound, kNoData, kNoDomain, kFailed };

struct RecordSet {
  RecordStatus status = RecordStatus::kFailed;
  bool authentic = false;  // the AD bit
  std::uint32_t ttl = 0;   // seconds, as the answer said
  std::string packed;      // kFound: the records
  std::string problem;     // kFailed: why, for a person
};

// A host name as it goes to the DNS: lower case, no trailing dot, labels of 1 to 63 letters, digits, hyphens and
// underscores (which real MX hosts have), at most 253 in all. Empty if text is none: such names never leave the house.
[[nodiscard]] std::string CanonicalName(std::string_view text);

// MX records, packed one behind the other. The host of a null MX (RFC 7505) is empty.
void PackMx(std::string& packed, const MxHost& host);
[[nodiscard]] std::vector<MxHost> UnpackMx(std::string_view packed);

// A or AAAA records: their bytes.
void PackAddress(std::string& packed, std::string_view bytes);
void UnpackAddresses(RecordType type, std::string_view packed, std::vector<IpAddress>& addresses);

}  // namespace postrider::dns
