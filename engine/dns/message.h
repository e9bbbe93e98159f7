#pragma once
// Reads the reply of a DNS server (RFC 1035 section 4). Pure: bytes in, records out; the bytes are a stranger's, and
// whatever they are, reading ends, stays inside them and is bounded by their number.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "engine/dns/record_set.h"

namespace postrider::dns {

inline constexpr int kMaxAliases = 8;  // CNAMEs followed within one reply; and so many replies for one question

struct ParsedReply {
  RecordSet records;
  // The server followed a CNAME but not to its end: ask again for this name. Empty otherwise.
  std::string continue_at;
};

// name is canonical. A reply that cannot be read, or with an error code, is kFailed and says why. MX hosts that are no
// host names are left out; at most kMaxMxHosts of the best preference and kMaxAddresses are kept. The ttl is the
// smallest of all records used; of a negative answer that of RFC 2308 section 5, 0 if the server gave none.
[[nodiscard]] ParsedReply ParseReply(std::span<const std::byte> reply, std::string_view name, RecordType type);

}  // namespace postrider::dns
