#pragma once
// Who is refused: a pure function of the recipient, its attempt and the settings, so that a permanent refusal is the
// same each time and a temporary one can pass on a later attempt.

#include <cstdint>
#include <string_view>

#include "tools/sink/options.h"

namespace postrider::sink {

struct Ruling {
  enum class Kind : std::uint8_t { kAccept, kGreylist, kTemporary, kPermanent };
  Kind kind = Kind::kAccept;
  bool at_content = false;    // else at RCPT
  std::uint32_t variant = 0;  // which of the texts; take it modulo their number
};

// attempt counts from 1; ms_since_first is the time since this recipient's first attempt.
[[nodiscard]] Ruling Rule(const Behaviour& behaviour, std::uint64_t seed, std::string_view recipient,
                          std::uint32_t attempt, std::uint32_t ms_since_first);

}  // namespace postrider::sink
