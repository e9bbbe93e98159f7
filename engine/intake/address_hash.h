#pragma once
// An address as 128 bits, for telling duplicates: upper and lower case of ASCII letters count as the same, in the local
// part too, for so do all receivers of note. Pure; the same for ever within a run.

#include <compare>
#include <cstdint>
#include <string_view>

namespace postrider::intake {

struct AddressHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const AddressHash&, const AddressHash&) = default;
};

[[nodiscard]] AddressHash HashAddress(std::string_view address);

}  // namespace postrider::intake
