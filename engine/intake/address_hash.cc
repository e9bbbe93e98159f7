#include "engine/intake/address_hash.h"

#include <cstring>

namespace postrider::intake {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kHigh = 0x8080808080808080u;

// Eight letters at once: bit 0x20 is set in every octet from 'A' to 'Z'.
std::uint64_t LowerCase(std::uint64_t word) {
  const std::uint64_t seven = word & ~kHigh;
  const std::uint64_t from_a = seven + (0x80 - 'A') * kOnes;   // high bit: at least 'A'
  const std::uint64_t above_z = seven + (0x7f - 'Z') * kOnes;  // high bit: beyond 'Z'
  const std::uint64_t upper = from_a & ~above_z & ~word & kHigh;
  return word | (upper >> 2);
}

std::uint64_t Load(std::string_view text) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size() < 8 ? text.size() : 8);
  return word;
}

// Multiplication to 128 bits, its halves folded: every bit of both factors reaches the result.
std::uint64_t Fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

AddressHash HashAddress(std::string_view address) {
  // Odd constants without pattern: the fractions of the square roots of 2, 3, 5 and 7.
  constexpr std::uint64_t kFirst = 0x6a09e667f3bcc909u;
  constexpr std::uint64_t kSecond = 0xbb67ae8584caa73bu;
  constexpr std::uint64_t kThird = 0x3c6ef372fe94f82bu;
  constexpr std::uint64_t kFourth = 0xa54ff53a5f1d36f1u;
  std::uint64_t high = address.size() * kFirst;
  std::uint64_t low = address.size() ^ kSecond;
  while (!address.empty()) {
    const std::uint64_t word = LowerCase(Load(address));
    high = Fold(high ^ word, kThird) + low;
    low = Fold(low ^ word, kFourth) ^ (high << 1 | high >> 63);
    address.remove_prefix(address.size() < 8 ? address.size() : 8);
  }
  return {Fold(high ^ kFirst, low | 1), Fold(low ^ kSecond, high | 1)};
}

}  // namespace postrider::intake
