// A five-state automaton for the borders of pieces and the neighbourhood of dots; 16 bytes at a time everywhere else.

#include "tools/sink/content.h"

#include <array>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace postrider::sink {
namespace {

constexpr std::uint8_t kDone = 5;

// From having matched so much of CRLF.CRLF, with the next byte, to having matched so much.
std::uint8_t Next(std::uint8_t matched, char c) {
  constexpr std::array<char, 5> kPattern{'\r', '\n', '.', '\r', '\n'};
  if (c == kPattern[matched]) return static_cast<std::uint8_t>(matched + 1);
  return c == '\r' ? 1 : 0;
}

struct Sweep {
  std::size_t at = 0;  // of the CR of a CRLF., or of the first byte not looked at
  bool found = false;
  bool bare_lf = false;
};

// Looks for CRLF. from begin on, where the byte at begin may be its CR, as long as whole blocks last.
Sweep FindLineWithDot(std::string_view piece, std::size_t begin) {
  Sweep sweep{begin, false, false};
#if defined(__SSE2__)
  const __m128i cr = _mm_set1_epi8('\r');
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i dot = _mm_set1_epi8('.');
  const auto block = [&](std::size_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(piece.data() + at));
  };
  __m128i bare = _mm_setzero_si128();
  while (sweep.at + 18 <= piece.size()) {
    const __m128i is_cr = _mm_cmpeq_epi8(block(sweep.at), cr);
    const __m128i is_lf = _mm_cmpeq_epi8(block(sweep.at + 1), lf);
    const __m128i is_bare = _mm_andnot_si128(is_cr, is_lf);
    const __m128i is_dot = _mm_cmpeq_epi8(block(sweep.at + 2), dot);
    const int hit = _mm_movemask_epi8(_mm_and_si128(_mm_and_si128(is_cr, is_lf), is_dot));
    if (hit != 0) [[unlikely]] {
      const int lane = std::countr_zero(static_cast<unsigned>(hit));
      // Behind the hit may be the next command: not this message's line ends.
      sweep.bare_lf = (_mm_movemask_epi8(is_bare) & ((1 << lane) - 1)) != 0 || _mm_movemask_epi8(bare) != 0;
      sweep.at += static_cast<std::size_t>(lane);
      sweep.found = true;
      return sweep;
    }
    bare = _mm_or_si128(bare, is_bare);
    sweep.at += 16;
  }
  sweep.bare_lf = _mm_movemask_epi8(bare) != 0;
#else
  while (sweep.at + 3 <= piece.size()) {
    if (piece[sweep.at + 1] == '\n') {
      if (piece[sweep.at] != '\r') {
        sweep.bare_lf = true;
      } else if (piece[sweep.at + 2] == '.') {
        sweep.found = true;
        return sweep;
      }
    }
    ++sweep.at;
  }
#endif
  return sweep;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] | 0x20) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace

DataScanner::Progress DataScanner::Feed(std::string_view piece) {
  std::size_t at = 0;
  while (at < piece.size()) {
    if (matched_ == 0 && at > 0) {
      // The byte before is no CR (else something were matched), but an LF at this place has to be seen with it.
      const Sweep sweep = FindLineWithDot(piece, at - 1);
      has_bare_lf_ |= sweep.bare_lf;
      if (sweep.found) {
        at = sweep.at + 3;
        matched_ = 3;
        continue;
      }
      if (sweep.at >= at) {
        // No line with a dot starts before this byte, so only a CR here can be the start of one.
        matched_ = piece[sweep.at] == '\r' ? 1 : 0;
        at = sweep.at + 1;
        if (at == piece.size()) break;
      }
    }
    const char c = piece[at++];
    if (c == '\n' && matched_ != 1 && matched_ != 4) has_bare_lf_ = true;
    const std::uint8_t next = Next(matched_, c);
    if (matched_ >= 3 && next < matched_) ++stuffed_dots_;
    matched_ = next;
    if (matched_ == kDone) {
      constexpr std::uint64_t kTerminator = 3;  // the CRLF before the dot ends the message's own last line
      bytes_ += at;
      bytes_ -= kTerminator;
      return {at, true};
    }
  }
  bytes_ += piece.size();
  return {piece.size(), false};
}

void Unstuff(std::string& content) {
  std::size_t to = 0;
  bool line_start = true;
  for (std::size_t from = 0; from < content.size(); ++from) {
    const char c = content[from];
    if (line_start && c == '.') {
      line_start = false;
      continue;
    }
    line_start = c == '\n' && from > 0 && content[from - 1] == '\r';
    content[to++] = c;
  }
  content.resize(to);
}

std::string_view FindMessageId(std::string_view head) {
  while (!head.empty()) {
    std::string_view line = head.substr(0, head.find('\n'));
    head.remove_prefix(line.size() == head.size() ? line.size() : line.size() + 1);
    if (Trim(line).empty()) return {};
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !EqualsIgnoringCase(Trim(line.substr(0, colon)), "message-id")) continue;
    const std::string_view value = Trim(line.substr(colon + 1));
    if (!value.empty() || head.empty() || (head.front() != ' ' && head.front() != '\t')) return value;
    return Trim(head.substr(0, head.find('\n')));  // folded right after the colon
  }
  return {};
}

}  // namespace postrider::sink
