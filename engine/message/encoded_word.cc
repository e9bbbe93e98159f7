#include "engine/message/encoded_word.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "engine/message/charset.h"
#include "engine/message/transfer_encoding.h"

namespace postrider::message {
namespace {

constexpr std::size_t kWordMax = 75;  // RFC 2047 section 2
constexpr std::size_t kLineMax = 76;
constexpr std::string_view kPrefixQ = "=?UTF-8?Q?";
constexpr std::string_view kPrefixB = "=?UTF-8?B?";
constexpr std::string_view kSuffix = "?=";
constexpr std::size_t kOverhead = kPrefixQ.size() + kSuffix.size();
// A line with less room than this is left: an encoded-word of one four-octet character in Q, and a blank.
constexpr std::size_t kRoomMin = kOverhead + 12 + 1;
constexpr std::string_view kHex = "0123456789ABCDEF";

constexpr std::array<bool, 256> MakeUnencoded(bool phrase) {
  std::array<bool, 256> unencoded{};
  for (std::size_t c = 33; c < 127; ++c) unencoded[c] = !phrase && c != '=' && c != '?' && c != '_';
  for (std::size_t c = '0'; c <= '9'; ++c) unencoded[c] = true;
  for (std::size_t c = 'a'; c <= 'z'; ++c) unencoded[c] = true;
  for (std::size_t c = 'A'; c <= 'Z'; ++c) unencoded[c] = true;
  for (const unsigned char c : std::string_view("!*+-/")) unencoded[c] = true;
  return unencoded;
}
constexpr std::array<bool, 256> kUnencodedInText = MakeUnencoded(false);
constexpr std::array<bool, 256> kUnencodedInPhrase = MakeUnencoded(true);

const std::array<bool, 256>& Unencoded(WordPlace place) {
  return place == WordPlace::kText ? kUnencodedInText : kUnencodedInPhrase;
}

// Octets that Q takes for text; a blank is one ("_").
std::size_t QSize(std::string_view text, const std::array<bool, 256>& unencoded) {
  std::size_t size = 0;
  for (const char c : text) size += c == ' ' || unencoded[static_cast<unsigned char>(c)] ? 1 : 3;
  return size;
}

std::size_t BSize(std::size_t octets) { return (octets + 2) / 3 * 4; }

void AppendQ(std::string_view text, const std::array<bool, 256>& unencoded, std::string& out) {
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == ' ') {
      out += '_';
    } else if (unencoded[octet]) {
      out += c;
    } else {
      out += '=';
      out += kHex[octet >> 4];
      out += kHex[octet & 15];
    }
  }
}

void AppendB(std::string_view text, std::string& out) {
  const std::size_t begin = out.size();
  Base64Writer writer(out);
  writer.Append(text);
  writer.Finish();
  // At most 63 characters: one line, whose end is not wanted here.
  out.resize(begin + BSize(text.size()));
}

// The longest run of whole characters from the front of text that encodes within room octets; at least one character.
std::size_t FitFront(std::string_view text, bool q, const std::array<bool, 256>& unencoded, std::size_t room) {
  std::size_t taken = 0;
  std::size_t size = 0;
  while (taken < text.size()) {
    const std::size_t length = std::max<std::size_t>(Utf8Length(text.substr(taken)), 1);
    size = q ? size + QSize(text.substr(taken, length), unencoded) : BSize(taken + length);
    if (size > room && taken > 0) break;
    taken += length;
  }
  return taken;
}

struct EncodedWord {
  std::string_view charset;
  char encoding = 'Q';
  std::string_view text;
};

// "=?charset?encoding?text?=", all of word.
std::optional<EncodedWord> Parse(std::string_view word) {
  if (!LooksEncoded(word)) return std::nullopt;
  word = word.substr(2, word.size() - 4);
  const std::size_t first = word.find('?');
  if (first == std::string_view::npos || first + 2 >= word.size() || word[first + 2] != '?') return std::nullopt;
  EncodedWord parsed;
  parsed.charset = word.substr(0, first);
  // RFC 2231 section 5 adds "*language" to the charset.
  parsed.charset = parsed.charset.substr(0, parsed.charset.find('*'));
  parsed.encoding = word[first + 1];
  parsed.text = word.substr(first + 3);
  if (parsed.charset.empty() || parsed.text.find('?') != std::string_view::npos) return std::nullopt;
  return parsed;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<std::string> DecodeText(const EncodedWord& word) {
  std::string bytes;
  if (word.encoding == 'B' || word.encoding == 'b') {
    if (DecodeBase64(word.text, bytes).has_value()) return std::nullopt;
    return bytes;
  }
  if (word.encoding != 'Q' && word.encoding != 'q') return std::nullopt;
  for (std::size_t i = 0; i < word.text.size(); ++i) {
    const char c = word.text[i];
    if (c == '_') {
      bytes += ' ';
    } else if (c != '=') {
      bytes += c;
    } else {
      const bool whole = i + 2 < word.text.size();
      const int high = whole ? HexValue(word.text[i + 1]) : -1;
      const int low = whole ? HexValue(word.text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      bytes += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return bytes;
}

// Gathers the octets of neighbouring words of one charset before converting them: some writers cut characters in two.
class Gatherer {
 public:
  explicit Gatherer(std::string& out) : out_(out) {}

  void Add(const EncodedWord& word, std::string bytes) {
    if (!EqualsIgnoringCase(word.charset, charset_)) Flush();
    charset_ = word.charset;
    bytes_ += bytes;
  }
  void Flush() {
    if (bytes_.empty()) return;
    Result<std::string> text = ToUtf8(charset_, bytes_);
    out_ += text ? *text : GuessUtf8(bytes_);
    bytes_.clear();
  }

 private:
  std::string& out_;
  std::string charset_;
  std::string bytes_;
};

}  // namespace

bool LooksEncoded(std::string_view word) { return word.size() > 5 && word.starts_with("=?") && word.ends_with("?="); }

void AppendEncodedWords(std::string_view text, WordPlace place, std::size_t& column, std::string& out) {
  const std::array<bool, 256>& unencoded = Unencoded(place);
  const bool q = QSize(text, unencoded) <= BSize(text.size());
  bool first = true;
  while (!text.empty()) {
    if (!first || column + kRoomMin > kLineMax) {
      // The first word may follow a blank that is already there; it moves to the new line with the word.
      if (first && !out.empty() && out.back() == ' ') out.pop_back();
      out.append("\r\n ");
      column = 1;
    }
    first = false;
    const std::size_t room = std::min(kWordMax, kLineMax - column) - kOverhead;
    const std::size_t taken = FitFront(text, q, unencoded, room);
    const std::size_t before = out.size();
    out.append(q ? kPrefixQ : kPrefixB);
    if (q) {
      AppendQ(text.substr(0, taken), unencoded, out);
    } else {
      AppendB(text.substr(0, taken), out);
    }
    out.append(kSuffix);
    column += out.size() - before;
    text.remove_prefix(taken);
  }
}

std::string DecodeEncodedWords(std::string_view text) {
  if (text.find("=?") == std::string_view::npos) return std::string(text);
  std::string out;
  Gatherer gathered(out);
  std::string_view blanks;
  bool after_encoded = false;
  while (!text.empty()) {
    const std::size_t word_begin = std::min(text.find_first_not_of(" \t"), text.size());
    blanks = text.substr(0, word_begin);
    text.remove_prefix(word_begin);
    const std::size_t word_end = std::min(text.find_first_of(" \t"), text.size());
    const std::string_view word = text.substr(0, word_end);
    text.remove_prefix(word_end);

    const std::optional<EncodedWord> encoded = Parse(word);
    std::optional<std::string> bytes = encoded ? DecodeText(*encoded) : std::nullopt;
    if (!bytes) {
      gathered.Flush();
      out.append(blanks).append(word);
      after_encoded = false;
      continue;
    }
    if (!after_encoded) {
      gathered.Flush();
      out.append(blanks);
    }
    gathered.Add(*encoded, std::move(*bytes));
    after_encoded = true;
  }
  gathered.Flush();
  return out;
}

}  // namespace postrider::message
