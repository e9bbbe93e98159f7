#include "engine/message/header_writer.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/message/charset.h"
#include "engine/message/encoded_word.h"

namespace postrider::message {
namespace {

constexpr std::size_t kLineWanted = 78;          // RFC 5322 section 2.1.1
constexpr std::size_t kLineWithEncodedMax = 76;  // RFC 2047 section 2
constexpr std::size_t kBlanksMax = 50;           // longer runs are encoded: a line has to hold a word after them

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsPlain(char c) { return c > 32 && c < 127; }

constexpr std::array<bool, 256> MakeAtext() {
  std::array<bool, 256> atext{};
  for (std::size_t c = '0'; c <= '9'; ++c) atext[c] = true;
  for (std::size_t c = 'a'; c <= 'z'; ++c) atext[c] = true;
  for (std::size_t c = 'A'; c <= 'Z'; ++c) atext[c] = true;
  for (const unsigned char c : std::string_view("!#$%&'*+-/=?^_`{|}~")) atext[c] = true;
  return atext;
}
constexpr std::array<bool, 256> kAtext = MakeAtext();

// The next word of text with the blanks before it; both are taken off.
struct Word {
  std::string_view blanks;
  std::string_view text;
};
Word TakeWord(std::string_view& text) {
  std::size_t begin = 0;
  while (begin < text.size() && IsBlank(text[begin])) ++begin;
  std::size_t end = begin;
  while (end < text.size() && !IsBlank(text[end])) ++end;
  const Word word{text.substr(0, begin), text.substr(begin, end - begin)};
  text.remove_prefix(end);
  return word;
}

bool NeedsEncoding(std::string_view word) {
  if (word.size() > kPlainWordMax || word.starts_with("=?")) return true;
  return !std::all_of(word.begin(), word.end(), IsPlain);
}

// Writes blanks and word, on a new line if they do not fit; a line is only ever ended before a blank.
void AppendPlain(const Word& word, std::size_t line_max, std::size_t& column, std::string& out) {
  const std::size_t size = word.blanks.size() + word.text.size();
  if (column + size > line_max && !word.blanks.empty()) {
    out.append("\r\n");
    column = 0;
  }
  out.append(word.blanks).append(word.text);
  column += size;
}

struct TextShape {
  bool encoded = false;       // some word needs it
  bool encode_whole = false;  // blanks too long to stand
  std::size_t longest = 0;    // word
};
TextShape Look(std::string_view text) {
  TextShape shape;
  while (!text.empty()) {
    const Word word = TakeWord(text);
    shape.encode_whole |= word.blanks.size() > kBlanksMax;
    shape.encoded |= NeedsEncoding(word.text);
    shape.longest = std::max(shape.longest, word.text.size());
  }
  return shape;
}

}  // namespace

void AppendUnstructured(std::string_view text, std::size_t column, std::string& out) {
  text = Trim(text);
  const TextShape shape = Look(text);
  if (shape.encode_whole) {
    AppendEncodedWords(text, WordPlace::kText, column, out);
    return;
  }
  const std::size_t line_max = shape.encoded ? kLineWithEncodedMax : kLineWanted;
  while (!text.empty()) {
    const std::string_view from = text;
    Word word = TakeWord(text);
    if (!NeedsEncoding(word.text)) {
      AppendPlain(word, line_max, column, out);
      continue;
    }
    // All neighbours that need it go together, so that the blanks between them are kept.
    std::size_t end = from.size() - text.size();
    for (std::string_view ahead = text; !ahead.empty();) {
      if (!NeedsEncoding(TakeWord(ahead).text)) break;
      text = ahead;
      end = from.size() - text.size();
    }
    // The shortest encoded-word of any character is no longer.
    constexpr std::size_t kEncodedWordMin = 25;
    if (!word.blanks.empty() && column + word.blanks.size() + kEncodedWordMin > line_max) {
      out.append("\r\n");
      column = 0;
    }
    out.append(word.blanks);
    column += word.blanks.size();
    AppendEncodedWords(from.substr(word.blanks.size(), end - word.blanks.size()), WordPlace::kText, column, out);
  }
}

void AppendDisplayName(std::string_view name, std::size_t& column, std::string& out) {
  name = Trim(name);
  if (name.empty()) return;
  const TextShape shape = Look(name);
  // In quotes every character may need a backslash.
  if (shape.encoded || shape.encode_whole || shape.longest > kPlainWordMax / 2) {
    AppendEncodedWords(name, WordPlace::kPhrase, column, out);
    return;
  }
  bool atoms = true;
  for (std::string_view rest = name; !rest.empty();) {
    const Word word = TakeWord(rest);
    atoms &= word.blanks.empty() || word.blanks == " ";
    atoms &= std::all_of(word.text.begin(), word.text.end(), [](char c) { return kAtext[static_cast<uint8_t>(c)]; });
  }
  bool first = true;
  for (std::string_view rest = name; !rest.empty();) {
    const Word word = TakeWord(rest);
    const bool last = rest.empty();
    std::size_t size = word.blanks.size() + word.text.size();
    if (column + size > kLineWanted && !word.blanks.empty()) {
      out.append("\r\n");
      column = 0;
    }
    out.append(word.blanks);
    if (first && !atoms) out += '"';
    for (const char c : word.text) {
      if (!atoms && (c == '"' || c == '\\')) {
        out += '\\';
        ++size;
      }
      out += c;
    }
    if (last && !atoms) out += '"';
    column += size;
    first = false;
  }
  if (!atoms) column += 2;
}

bool AppendFolded(std::string_view text, std::size_t column, std::string& out) {
  text = Trim(text);
  const std::size_t before = out.size();
  while (!text.empty()) {
    const Word word = TakeWord(text);
    AppendPlain(word, kLineWanted, column, out);
    if (column > kLineLimit) {
      out.resize(before);
      return false;
    }
  }
  return true;
}

}  // namespace postrider::message
