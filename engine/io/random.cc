#include "engine/io/random.h"

#include <sys/random.h>

#include <array>
#include <bit>
#include <cerrno>

#include "config/check.h"

namespace postrider::io {
namespace {

// xoshiro256++ (Blackman and Vigna), its state filled by SplitMix64 so that similar seeds give unlike sequences.
class Xoshiro final : public Random {
 public:
  explicit Xoshiro(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t Next() override {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace

std::unique_ptr<Random> MakeSystemRandom() {
  std::uint64_t seed = 0;
  ssize_t got = 0;
  // Blocks only before the kernel's pool is ready, early at boot.
  do {
    got = getrandom(&seed, sizeof seed, 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got == sizeof seed);
  return std::make_unique<Xoshiro>(seed);
}

std::unique_ptr<Random> MakeSeededRandom(std::uint64_t seed) { return std::make_unique<Xoshiro>(seed); }

}  // namespace postrider::io
