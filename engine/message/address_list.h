#pragma once
// The addresses of a From, To, Cc, Reply-To or Sender header as a submitter wrote them (RFC 5322 section 3.4), merge
// fields included: a field is taken whole, so nothing inside its braces counts as punctuation. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"

namespace postrider::message {

struct AddressListEntry {
  std::string name;     // display name, decoded to UTF-8, quotes gone; may hold fields
  std::string address;  // between the angle brackets, or all there is; may hold fields
};

struct AddressList {
  std::vector<AddressListEntry> entries;
  bool has_groups = false;    // "Friends: a@example.org, b@example.org;"
  bool has_comments = false;  // "(...)"
};

// value is unfolded, in UTF-8. Addresses are not checked here.
[[nodiscard]] Result<AddressList> ParseAddressList(std::string_view value);

}  // namespace postrider::message
