#pragma once
// Counts attempts and accepted messages per recipient, exactly, in 24 bytes each: a flat table of 96-bit hashes instead
// of the addresses themselves (a million recipients: a chance of two sharing a hash of 1 in 10^17). One per core, owned
// by its thread; several are put together once their threads stand still.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace postrider::sink {

class Tally {
 public:
  struct Key {
    std::uint64_t low = 0;
    std::uint32_t high = 0;
  };
  struct Attempt {
    std::uint32_t number = 0;  // 1 for the first; stops counting at 65535
    std::uint32_t ms_since_first = 0;
  };
  // What one receiver took: recipients that nobody had taken before, and messages for recipients that somebody had.
  struct Taken {
    std::uint64_t unique = 0;
    std::uint64_t repeats = 0;
  };

  // Beyond max_recipients new ones are not remembered (attempt 1 each time), only counted by untracked().
  Tally(std::uint64_t seed, std::size_t max_recipients);

  // The local part counts as written, the domain in lower case (the caller's to do).
  [[nodiscard]] Key KeyOf(std::string_view address) const;
  // now_ms: milliseconds since any fixed moment.
  Attempt CountAttempt(Key key, std::uint32_t now_ms);
  // How many messages for this recipient have been accepted, this one included; receiver is who accepts it.
  std::uint32_t CountAccepted(Key key, std::uint16_t receiver);

  [[nodiscard]] std::size_t recipients() const { return used_; }
  [[nodiscard]] std::uint64_t untracked() const { return untracked_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

  struct Merged {
    std::vector<Taken> taken;      // by receiver
    std::uint64_t recipients = 0;  // attempted
  };
  // Over all cores: a recipient taken on two cores is one recipient and a repeat. All must share one seed.
  [[nodiscard]] static Merged Merge(std::span<const Tally* const> cores, std::size_t receivers);

 private:
  struct Slot {
    std::uint64_t low = 0;
    std::uint32_t high = 0;
    std::uint32_t first_attempt_ms = 0;
    std::uint32_t accepted = 0;
    std::uint16_t attempts = 0;  // 0: the slot is free
    std::uint16_t receiver = 0;  // who accepted the first message
  };
  static_assert(sizeof(Slot) == 24);

  [[nodiscard]] std::size_t Find(Key key) const;
  void Grow();

  std::uint64_t seed_;
  std::size_t max_recipients_;
  std::vector<Slot> slots_;
  std::vector<Taken> taken_;  // by receiver, of this core alone
  std::size_t used_ = 0;
  std::uint64_t untracked_ = 0;
};

}  // namespace postrider::sink
