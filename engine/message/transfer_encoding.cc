#include "engine/message/transfer_encoding.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "engine/message/charset.h"

namespace postrider::message {
namespace {

constexpr std::size_t kLineMax = 76;  // RFC 2045 sections 6.7 and 6.8
constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr std::string_view kSoftBreak = "=\r\n";
constexpr std::string_view kBase64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kGroupsPerLine = kLineMax / 4;

enum QuotedClass : std::uint8_t {
  kSafe,    // stands for itself
  kEncode,  // becomes =XX
};

constexpr std::array<std::uint8_t, 256> MakeQuotedClasses() {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool printable = c >= 33 && c <= 126 && c != '=';
    classes[c] = printable || c == ' ' || c == '\t' ? kSafe : kEncode;
  }
  return classes;
}
constexpr std::array<std::uint8_t, 256> kQuotedClasses = MakeQuotedClasses();

// Safe, and not one of the five that HTML escapes.
constexpr std::array<bool, 256> MakePlainInHtml() {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0; c < 256; ++c) {
    plain[c] = kQuotedClasses[c] == kSafe && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'';
  }
  return plain;
}
constexpr std::array<bool, 256> kPlainInHtml = MakePlainInHtml();

// Two characters for each 12 bits: half the lookups of one for each 6.
constexpr std::array<char, 8192> MakeBase64Pairs() {
  std::array<char, 8192> pairs{};
  for (std::size_t i = 0; i < 4096; ++i) {
    pairs[2 * i] = kBase64Alphabet[i >> 6];
    pairs[2 * i + 1] = kBase64Alphabet[i & 63];
  }
  return pairs;
}
constexpr std::array<char, 8192> kBase64Pairs = MakeBase64Pairs();

constexpr std::array<std::int8_t, 256> MakeBase64Values() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64Alphabet.size(); ++i) {
    values[static_cast<unsigned char>(kBase64Alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr std::array<std::int8_t, 256> kBase64Values = MakeBase64Values();

std::uint8_t Octet(char c) { return static_cast<std::uint8_t>(c); }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

char* EncodeGroup(const char* bytes, char* to) {
  const std::uint32_t bits = (static_cast<std::uint32_t>(Octet(bytes[0])) << 16) |
                             (static_cast<std::uint32_t>(Octet(bytes[1])) << 8) | Octet(bytes[2]);
  std::memcpy(to, &kBase64Pairs[2 * (bits >> 12)], 2);
  std::memcpy(to + 2, &kBase64Pairs[2 * (bits & 0xfff)], 2);
  return to + 4;
}

// Decodes one line of quoted-printable, its line end left out; true if a soft line end closes it.
bool DecodeQuotedLine(std::string_view line, std::size_t offset, std::uint32_t number, DecodedText& decoded) {
  // Blanks at the end of a line were added on the way (RFC 2045 section 6.7, rule 3).
  const std::size_t last = line.find_last_not_of(" \t\r");
  line = last == std::string_view::npos ? std::string_view() : line.substr(0, last + 1);
  const bool soft = line.ends_with('=');
  if (soft) line.remove_suffix(1);
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '=') {
      decoded.bytes += line[i];
      continue;
    }
    const bool whole = i + 2 < line.size();
    const int high = whole ? HexValue(line[i + 1]) : -1;
    const int low = whole ? HexValue(line[i + 2]) : -1;
    if (high < 0 || low < 0) {
      decoded.problems.push_back(
          {offset + i,
           "in quoted-printable two hexadecimal digits must follow \"=\"; a plain \"=\" is written \"=3D\""});
      continue;
    }
    const char c = static_cast<char>(high * 16 + low);
    decoded.bytes += c;
    if (c == '\n') decoded.lines.push_back(number);
    i += 2;
  }
  return soft;
}

}  // namespace

std::optional<TransferEncoding> ParseTransferEncoding(std::string_view name) {
  for (const TransferEncoding encoding :
       {TransferEncoding::kSevenBit, TransferEncoding::kEightBit, TransferEncoding::kBinary,
        TransferEncoding::kQuotedPrintable, TransferEncoding::kBase64}) {
    if (EqualsIgnoringCase(name, ToString(encoding))) return encoding;
  }
  return std::nullopt;
}

std::string_view ToString(TransferEncoding encoding) {
  switch (encoding) {
    case TransferEncoding::kSevenBit:
      return "7bit";
    case TransferEncoding::kEightBit:
      return "8bit";
    case TransferEncoding::kBinary:
      return "binary";
    case TransferEncoding::kQuotedPrintable:
      return "quoted-printable";
    case TransferEncoding::kBase64:
      return "base64";
  }
  return "";
}

DecodedText DecodeQuotedPrintable(std::string_view encoded) {
  DecodedText decoded;
  decoded.bytes.reserve(encoded.size());
  decoded.lines.push_back(0);
  std::uint32_t number = 0;
  for (std::size_t at = 0; at < encoded.size(); ++number) {
    const std::size_t end = encoded.find('\n', at);
    const bool last = end == std::string_view::npos;
    const std::string_view line = encoded.substr(at, last ? std::string_view::npos : end - at);
    const bool soft = DecodeQuotedLine(line, at, number, decoded);
    if (last) break;
    if (!soft) {
      decoded.bytes += '\n';
      decoded.lines.push_back(number + 1);
    }
    at = end + 1;
  }
  return decoded;
}

std::optional<DecodeProblem> DecodeBase64(std::string_view encoded, std::string& out) {
  out.reserve(out.size() + encoded.size() / 4 * 3);
  std::uint32_t bits = 0;
  int digits = 0;
  std::size_t padding = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = kBase64Values[Octet(c)];
    if (value < 0) return DecodeProblem{i, fmt::format("octet 0x{:02x} does not belong in base64", Octet(c))};
    if (padding > 0) return DecodeProblem{i, "base64 goes on after its padding"};
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    if (++digits < 4) continue;
    out += static_cast<char>(bits >> 16);
    out += static_cast<char>(bits >> 8);
    out += static_cast<char>(bits);
    digits = 0;
    bits = 0;
  }
  if (digits == 1 || (digits == 0 && padding > 0) || (digits > 0 && padding != static_cast<std::size_t>(4 - digits))) {
    return DecodeProblem{encoded.size(), "base64 ends within a group of four: the part is cut or damaged"};
  }
  if (digits >= 2) out += static_cast<char>(bits >> (digits == 2 ? 4 : 10));
  if (digits == 3) out += static_cast<char>(bits >> 2);
  return std::nullopt;
}

std::size_t Base64Size(std::size_t octets) {
  const std::size_t characters = (octets + 2) / 3 * 4;
  return characters + (characters + kLineMax - 1) / kLineMax * 2;
}

std::string_view HtmlReference(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

template <bool kHtml>
void QuotedPrintableWriter::AppendText(std::string_view text) {
  // The worst octet is six characters ("&quot;") and a soft line end may come before each three.
  constexpr std::size_t kWorst = 12;
  constexpr std::size_t kChunk = 256;
  while (!text.empty()) {
    const std::string_view chunk = text.substr(0, kChunk);
    text.remove_prefix(chunk.size());
    std::array<char, kChunk * kWorst> buffer;
    char* to = buffer.data();
    std::size_t column = column_;
    const auto room = [&](std::size_t needed) {
      if (column + needed < kLineMax) return;  // one is left for the "=" of a soft line end
      std::memcpy(to, kSoftBreak.data(), kSoftBreak.size());
      to += kSoftBreak.size();
      column = 0;
    };
    for (const char c : chunk) {
      const bool plain = kHtml ? kPlainInHtml[Octet(c)] : kQuotedClasses[Octet(c)] == kSafe;
      if (plain) {
        room(1);
        if (column == 0 && c == '-') [[unlikely]] {
          std::memcpy(to, "=2D", 3);
          to += 3;
          column = 3;
        } else {
          *to++ = c;
          ++column;
        }
        continue;
      }
      if constexpr (kHtml) {
        const std::string_view reference = HtmlReference(c);
        if (!reference.empty()) {
          room(reference.size());
          std::memcpy(to, reference.data(), reference.size());
          to += reference.size();
          column += reference.size();
          continue;
        }
      }
      room(3);
      *to++ = '=';
      *to++ = kHex[Octet(c) >> 4];
      *to++ = kHex[Octet(c) & 15];
      column += 3;
    }
    out_.append(buffer.data(), static_cast<std::size_t>(to - buffer.data()));
    column_ = column;
  }
}

void QuotedPrintableWriter::Append(std::string_view text) { AppendText<false>(text); }
void QuotedPrintableWriter::AppendHtml(std::string_view text) { AppendText<true>(text); }

void QuotedPrintableWriter::AppendEncoded(std::string_view encoded) {
  if (column_ + encoded.size() >= kLineMax) {
    out_.append(kSoftBreak);
    column_ = 0;
  }
  out_.append(encoded);
  column_ += encoded.size();
}

void QuotedPrintableWriter::EndLine() {
  const char last = column_ > 0 ? out_.back() : '\0';
  if (last == ' ' || last == '\t') {
    out_.pop_back();
    if (column_ + 2 > kLineMax) out_.append(kSoftBreak);
    out_.append(last == ' ' ? "=20" : "=09");
  }
  out_.append("\r\n");
  column_ = 0;
}

std::size_t QuotedPrintableSize(std::string_view text) {
  std::size_t size = 0;
  for (const char c : text) size += kQuotedClasses[Octet(c)] == kSafe ? 1 : 3;
  return size;
}

void Base64Writer::AppendGroups(const char* bytes, std::size_t groups) {
  while (groups > 0) {
    const std::size_t now = std::min(groups, kGroupsPerLine - column_ / 4);
    std::array<char, kLineMax + 2> line;
    char* to = line.data();
    for (std::size_t i = 0; i < now; ++i, bytes += 3) to = EncodeGroup(bytes, to);
    column_ += now * 4;
    if (column_ == kLineMax) {
      *to++ = '\r';
      *to++ = '\n';
      column_ = 0;
    }
    out_.append(line.data(), static_cast<std::size_t>(to - line.data()));
    groups -= now;
  }
}

void Base64Writer::Append(std::string_view bytes) {
  while (waiting_count_ > 0 && !bytes.empty()) {
    waiting_[waiting_count_++] = Octet(bytes.front());
    bytes.remove_prefix(1);
    if (waiting_count_ == 3) {
      AppendGroups(reinterpret_cast<const char*>(waiting_), 1);
      waiting_count_ = 0;
    }
  }
  const std::size_t groups = bytes.size() / 3;
  AppendGroups(bytes.data(), groups);
  for (const char c : bytes.substr(groups * 3)) waiting_[waiting_count_++] = Octet(c);
}

void Base64Writer::AppendHtml(std::string_view text) {
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find_first_of("&<>\"'"), text.size());
    Append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    Append(HtmlReference(text.front()));
    text.remove_prefix(1);
  }
}

void Base64Writer::Finish() {
  if (waiting_count_ > 0) {
    const char group[3] = {static_cast<char>(waiting_[0]), static_cast<char>(waiting_count_ > 1 ? waiting_[1] : 0), 0};
    std::array<char, 4> encoded;
    EncodeGroup(group, encoded.data());
    encoded[3] = '=';
    if (waiting_count_ == 1) encoded[2] = '=';
    out_.append(encoded.data(), encoded.size());
    column_ += 4;
    waiting_count_ = 0;
  }
  if (column_ > 0) out_.append("\r\n");
  column_ = 0;
}

}  // namespace postrider::message
