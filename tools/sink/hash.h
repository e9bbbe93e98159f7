#pragma once
// Hashes of the sink: one of a recipient's address for the tally, and seeded draws ("does this one fall within 2 %?").
// The same seed and text give the same answer on every run and machine, so that a repeat meets the same refusal.
// Not for keys, and not proof against somebody who knows the seed.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace postrider::sink {

// Folds the 128-bit product of both numbers: every bit of the result depends on every bit of either.
[[nodiscard]] inline std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Odd numbers without structure, so that zeros in the input do not cancel out.
inline constexpr std::uint64_t kMixA = 0x9E3779B97F4A7C15u;
inline constexpr std::uint64_t kMixB = 0xD1B54A32D192ED03u;

[[nodiscard]] inline std::uint64_t Hash64(std::uint64_t seed, std::string_view text) {
  std::uint64_t state = Mix(seed ^ kMixA, text.size() ^ kMixB);
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof(word));
    state = Mix(state ^ word, kMixA);
    text.remove_prefix(sizeof(word));
  }
  std::uint64_t tail = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    tail |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  return Mix(state ^ tail, kMixB);
}

// A fresh number of the hash for each purpose (salt).
[[nodiscard]] inline std::uint64_t Draw(std::uint64_t hash, std::uint64_t salt) {
  return Mix(hash ^ (salt * kMixB), kMixA ^ std::rotl(hash, 29));
}

// Whether the number falls within the share (0 to 1) of all numbers.
[[nodiscard]] inline bool Within(std::uint64_t number, double share) {
  constexpr double kTwoToMinus53 = 1.0 / 9007199254740992.0;
  return static_cast<double>(number >> 11) * kTwoToMinus53 < share;
}

}  // namespace postrider::sink
