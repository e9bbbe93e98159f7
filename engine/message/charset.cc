#include "engine/message/charset.h"

#include <iconv.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

namespace postrider::message {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080u;

// windows-1252 from 0x80 to 0x9f; the five positions it leaves open keep their C1 control, as the WHATWG table does.
constexpr std::array<std::uint16_t, 32> kWindows1252 = {0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                        0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
                                                        0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                        0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

// What ISO 8859-15 changed of 8859-1.
constexpr std::array<std::pair<std::uint8_t, std::uint16_t>, 8> kLatin9 = {{{0xa4, 0x20ac},
                                                                            {0xa6, 0x0160},
                                                                            {0xa8, 0x0161},
                                                                            {0xb4, 0x017d},
                                                                            {0xb8, 0x017e},
                                                                            {0xbc, 0x0152},
                                                                            {0xbd, 0x0153},
                                                                            {0xbe, 0x0178}}};

// Of the Basic Multilingual Plane, which is all that the 8-bit charsets need.
void AppendCharacter(std::uint16_t character, std::string& out) {
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xc0 | (character >> 6));
    out += static_cast<char>(0x80 | (character & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | (character >> 12));
    out += static_cast<char>(0x80 | ((character >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (character & 0x3f));
  }
}

std::string FromWindows1252(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    AppendCharacter(byte >= 0x80 && byte < 0xa0 ? kWindows1252[byte - 0x80] : byte, out);
  }
  return out;
}

std::string FromLatin9(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    std::uint16_t character = static_cast<std::uint8_t>(c);
    for (const auto& [byte, meant] : kLatin9) {
      if (byte == character) {
        character = meant;
        break;
      }
    }
    AppendCharacter(character, out);
  }
  return out;
}

std::unexpected<Error> Undefined(std::string_view charset, std::size_t position) {
  return Fail(ErrorCode::kInvalid, fmt::format("octet {} is not valid in charset {}", position + 1, charset));
}

class Iconv {
 public:
  explicit Iconv(const std::string& charset) : handle_(iconv_open("UTF-8", charset.c_str())) {}
  ~Iconv() {
    if (valid()) iconv_close(handle_);
  }
  Iconv(const Iconv&) = delete;
  Iconv& operator=(const Iconv&) = delete;

  [[nodiscard]] bool valid() const { return handle_ != reinterpret_cast<iconv_t>(-1); }
  [[nodiscard]] iconv_t handle() const { return handle_; }

 private:
  iconv_t handle_;
};

Result<std::string> ThroughIconv(std::string_view charset, std::string_view bytes) {
  // A name comes from a message: nothing but a plain name reaches iconv, whose "//" suffixes mean more.
  constexpr std::size_t kNameMax = 64;
  const bool plain =
      !charset.empty() && charset.size() <= kNameMax &&
      charset.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:()") ==
          std::string_view::npos;
  const Iconv converter(plain ? std::string(charset) : std::string("-"));
  if (!converter.valid()) {
    return Fail(ErrorCode::kUnsupported, fmt::format("charset {} is not known; write the part in utf-8",
                                                     plain ? charset : std::string_view("with that name")));
  }
  std::string out;
  std::string input(bytes);
  char* in = input.data();
  std::size_t left = input.size();
  bool flushed = false;
  while (!flushed) {
    std::array<char, 4096> chunk;
    char* to = chunk.data();
    std::size_t room = chunk.size();
    flushed = left == 0;
    const std::size_t converted = iconv(converter.handle(), flushed ? nullptr : &in, &left, &to, &room);
    out.append(chunk.data(), chunk.size() - room);
    if (converted == static_cast<std::size_t>(-1)) {
      if (errno != E2BIG) return Undefined(charset, input.size() - left);
      flushed = false;
    }
  }
  return out;
}

}  // namespace

bool IsAscii(std::string_view text) {
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    if ((word & kHighBits) != 0) return false;
  }
  for (; left > 0; ++at, --left) {
    if ((static_cast<std::uint8_t>(*at) & 0x80) != 0) return false;
  }
  return true;
}

std::size_t Utf8Length(std::string_view text) {
  const auto octet = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (octet(i) & 0xc0) == 0x80; };
  if (text.empty()) return 0;
  const unsigned lead = octet(0);
  const unsigned second = octet(1);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4 || !continues(1)) return 0;
  if (lead < 0xe0) return 2;
  if (!continues(2)) return 0;
  if (lead < 0xf0) return (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) ? 0 : 3;
  if (!continues(3) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return 0;
  return 4;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    if (text.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, text.data(), 8);
      if ((word & kHighBits) == 0) {
        text.remove_prefix(8);
        continue;
      }
    }
    const std::size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Result<std::string> ToUtf8(std::string_view charset, std::string_view bytes) {
  const std::string name = LowerCase(charset);
  if (name == "utf-8" || name == "utf8") {
    if (IsUtf8(bytes)) return std::string(bytes);
    std::size_t at = 0;
    while (const std::size_t length = Utf8Length(bytes.substr(at))) at += length;
    return Undefined("utf-8", at);
  }
  if (name == "us-ascii" || name == "ascii") {
    if (IsAscii(bytes)) return std::string(bytes);
    std::size_t at = 0;
    while (static_cast<std::uint8_t>(bytes[at]) < 0x80) ++at;
    return Undefined("us-ascii", at);
  }
  // Mail that says iso-8859-1 and holds 0x80 to 0x9f means windows-1252; the rest of the two is the same.
  if (name == "iso-8859-1" || name == "latin1" || name == "windows-1252" || name == "cp1252") {
    return FromWindows1252(bytes);
  }
  if (name == "iso-8859-15" || name == "latin9") return FromLatin9(bytes);
  return ThroughIconv(charset, bytes);
}

std::string GuessUtf8(std::string_view bytes) { return IsUtf8(bytes) ? std::string(bytes) : FromWindows1252(bytes); }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace postrider::message
