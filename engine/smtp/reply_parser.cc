#include "engine/smtp/reply_parser.h"

#include <algorithm>

namespace postrider::smtp {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsPlain(char c) { return c >= 0x20 && c < 0x7f; }  // printable ASCII; char is signed

// The length of the well-formed UTF-8 sequence of two or more octets that text begins with (RFC 3629 section 4), C1
// controls excepted; 0: there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = octet(0);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = octet(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  const bool control = first == 0xc2 && second < 0xa0;
  return overlong || beyond || control ? 0 : length;
}

void AppendCleaned(std::string_view text, std::string& out) {
  if (std::ranges::all_of(text, IsPlain)) {
    out.append(text);
    return;
  }
  while (!text.empty()) {
    std::size_t length = 1;
    if (IsPlain(text.front())) {
      out.push_back(text.front());
    } else if (text.front() == '\t') {
      out.push_back(' ');
    } else if (const std::size_t sequence = Utf8Length(text)) {
      out.append(text.substr(0, sequence));
      length = sequence;
    } else {
      out.push_back('?');
    }
    text.remove_prefix(length);
  }
}

}  // namespace

ReplyParser::Progress ReplyParser::Feed(std::string_view& input) {
  if (complete_) {
    reply_.code = 0;
    reply_.enhanced.reset();
    reply_.text.clear();
    lines_ = 0;
    complete_ = false;
  }
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const std::string_view piece = input.substr(0, end);
    if (line_.size() + piece.size() > kLineBytes) return Broken("a reply line is longer than 4096 octets");
    if (end == std::string_view::npos) {
      line_.append(piece);
      input = {};
      return Progress::kMore;
    }
    input.remove_prefix(end + 1);
    Progress progress;
    if (line_.empty()) {
      progress = TakeLine(piece);
    } else {
      line_.append(piece);
      progress = TakeLine(line_);
      line_.clear();
    }
    if (progress != Progress::kMore) return progress;
  }
  return Progress::kMore;
}

ReplyParser::Progress ReplyParser::TakeLine(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() < 3 || !IsDigit(line[0]) || !IsDigit(line[1]) || !IsDigit(line[2])) {
    return Broken("a line that does not begin with a three-digit code");
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (code < 200 || code > 599) return Broken("a reply code that is not between 200 and 599");
  const char separator = line.size() > 3 ? line[3] : ' ';
  if (separator != ' ' && separator != '-') return Broken("neither a space nor a hyphen after the reply code");
  if (lines_ > 0 && code != reply_.code) return Broken("two different codes in one multi-line reply");
  if (++lines_ > kLines) return Broken("a reply of more than 100 lines");

  const std::string_view text = line.substr(std::min<std::size_t>(4, line.size()));
  if (reply_.text.size() + text.size() + 1 > kTextBytes) return Broken("a reply of more than 16384 octets");
  reply_.code = code;
  if (lines_ > 1) reply_.text.push_back('\n');
  AppendCleaned(text, reply_.text);
  if (separator == '-') return Progress::kMore;
  reply_.enhanced = ParseEnhancedCode(reply_.text);
  complete_ = true;
  return Progress::kReply;
}

ReplyParser::Progress ReplyParser::Broken(const char* problem) {
  problem_ = problem;
  line_.clear();
  return Progress::kBroken;
}

}  // namespace postrider::smtp
