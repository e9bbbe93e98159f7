#pragma once
// Bytes out and bytes in for the record format: fixed big-endian numbers for keys, variable-length ones (7 bits a byte,
// lowest first) for values, texts with their length in front. A Decoder never reads beyond its bytes: once something is
// missing it stays failed and gives zeros.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postrider::queue {

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void Byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void Fixed16(std::uint16_t value) { Fixed(value, 2); }
  void Fixed32(std::uint32_t value) { Fixed(value, 4); }
  void Fixed64(std::uint64_t value) { Fixed(value, 8); }
  void Varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  // Small for small values of either sign.
  void Signed(std::int64_t value) {
    Varint(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  void Raw(std::string_view bytes) { out_.append(bytes); }
  void Text(std::string_view text) {
    Varint(text.size());
    Raw(text);
  }

 private:
  void Fixed(std::uint64_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out_.push_back(static_cast<char>(value >> shift));
  }

  std::string& out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  [[nodiscard]] std::uint8_t Byte() { return static_cast<std::uint8_t>(Fixed(1)); }
  [[nodiscard]] std::uint16_t Fixed16() { return static_cast<std::uint16_t>(Fixed(2)); }
  [[nodiscard]] std::uint32_t Fixed32() { return static_cast<std::uint32_t>(Fixed(4)); }
  [[nodiscard]] std::uint64_t Fixed64() { return Fixed(8); }
  [[nodiscard]] std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = Byte();
      // The tenth byte holds the one bit that is left.
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    Stop();
    return 0;
  }
  [[nodiscard]] std::int64_t Signed() {
    const std::uint64_t value = Varint();
    return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
  }
  [[nodiscard]] std::string_view Raw(std::uint64_t bytes) {
    if (bytes > in_.size()) {
      Stop();
      return {};
    }
    const std::string_view raw = in_.substr(0, static_cast<std::size_t>(bytes));
    in_.remove_prefix(raw.size());
    return raw;
  }
  [[nodiscard]] std::string_view Text() { return Raw(Varint()); }
  // A number of at most `most`; more is as bad as none.
  [[nodiscard]] std::uint64_t AtMost(std::uint64_t most) {
    const std::uint64_t value = Varint();
    if (value <= most) return value;
    Stop();
    return 0;
  }
  [[nodiscard]] bool Flag() { return AtMost(1) == 1; }

  [[nodiscard]] bool ok() const { return !failed_; }
  // Everything was there and nothing is left.
  [[nodiscard]] bool Complete() const { return !failed_ && in_.empty(); }
  [[nodiscard]] std::size_t left() const { return in_.size(); }
  void Stop() {
    failed_ = true;
    in_ = {};
  }

 private:
  std::uint64_t Fixed(std::size_t bytes) {
    if (bytes > in_.size()) {
      Stop();
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<std::uint8_t>(in_[i]);
    in_.remove_prefix(bytes);
    return value;
  }

  std::string_view in_;
  bool failed_ = false;
};

}  // namespace postrider::queue
