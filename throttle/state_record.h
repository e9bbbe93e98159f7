#pragma once
// How state that survives a restart is written: a version, numbered fields, and a checksum at the end. A reader skips
// fields it does not know, and a damaged record, one of another kind or of a later version reads as none. Moments are
// wall times, for monotonic time ends with the machine. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/time.h"

namespace postrider {

class StateWriter {
 public:
  StateWriter() = default;

  void Number(std::uint8_t field, std::uint64_t value);
  void Real(std::uint8_t field, double value);
  void Text(std::uint8_t field, std::string_view value);
  void Moment(std::uint8_t field, Wall value);
  // On the wall clock, rounded up to the millisecond: an "until" never comes early.
  void Moment(std::uint8_t field, Monotonic value, const Now& now);
  // The fields alone: to be nested with Text.
  [[nodiscard]] const std::string& fields() const { return bytes_; }
  // The complete record.
  [[nodiscard]] std::string Finish(char kind, std::uint8_t version) const;

 private:
  std::string bytes_;
};

class StateReader {
 public:
  // Checks frame, kind, version (at most `version`) and sum; the sentence says what is wrong.
  [[nodiscard]] static Result<StateReader> Open(std::string_view record, char kind, std::uint8_t version);
  // Nested fields.
  explicit StateReader(std::string_view fields) : fields_(fields) {}

  // False: at the end, or the rest is malformed (then !sound()).
  [[nodiscard]] bool Next();
  [[nodiscard]] bool sound() const { return sound_; }
  [[nodiscard]] std::uint8_t field() const { return field_; }

  // The value of the field; nothing if it is not of that type, or a real number is not finite.
  [[nodiscard]] std::optional<std::uint64_t> Number() const;
  [[nodiscard]] std::optional<double> Real() const;
  [[nodiscard]] std::optional<std::string_view> Text() const;
  [[nodiscard]] std::optional<Wall> Moment() const;
  // At most so far from now: a clock that was wrong must not stop mail for years.
  static constexpr std::chrono::hours kFarthest{24 * 31};
  [[nodiscard]] std::optional<Monotonic> Moment(const Now& now) const;

 private:
  std::string_view fields_;
  std::uint8_t field_ = 0;
  std::uint8_t type_ = 0;
  std::string_view value_;
  bool sound_ = true;
};

}  // namespace postrider
