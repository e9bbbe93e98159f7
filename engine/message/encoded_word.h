#pragma once
// RFC 2047: text outside ASCII in headers. Encoding always says UTF-8, takes Q or B, whichever is shorter, keeps words
// at 75 octets and never cuts a character; decoding reads what other programs wrote. Pure.

#include <cstddef>
#include <string>
#include <string_view>

namespace postrider::message {

// An unstructured header (Subject) allows more characters unencoded than a display name does (RFC 2047 section 5).
enum class WordPlace { kText, kPhrase };

// Appends text as encoded-words, folding so that no line passes 76 octets. column: octets already on the line; when
// this returns, those then on it. text is valid UTF-8 and not empty.
void AppendEncodedWords(std::string_view text, WordPlace place, std::size_t& column, std::string& out);

// Every encoded-word of text decoded to UTF-8, blanks between two of them dropped. What cannot be decoded stays as it
// is. Text that is not encoded must be UTF-8 already.
[[nodiscard]] std::string DecodeEncodedWords(std::string_view text);

// Whether word, which holds no blank, would be taken for an encoded-word.
[[nodiscard]] bool LooksEncoded(std::string_view word);

}  // namespace postrider::message
