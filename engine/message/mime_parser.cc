#include "engine/message/mime_parser.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "engine/message/charset.h"

namespace postrider::message {
namespace {

constexpr int kDepthMax = 20;  // deeper nesting is an attack on parsers, ours and others'
constexpr std::size_t kPartsMax = 1000;
constexpr std::size_t kHeadersMax = 1000;   // of one part
constexpr std::size_t kHeaderNameMax = 76;  // so that the name and a first word share a line
constexpr std::size_t kBoundaryMax = 70;    // RFC 2046 section 5.1.1
constexpr std::size_t kFindingsMax = 100;

// One line of the source: its text without line end, and where the next begins.
struct Line {
  std::size_t begin = 0;
  std::size_t end = 0;   // before CR LF or LF
  std::size_t next = 0;  // after it
  [[nodiscard]] bool last(std::size_t limit) const { return next >= limit; }
};

Line LineAt(std::string_view text, std::size_t begin, std::size_t limit) {
  const void* found = begin < limit ? std::memchr(text.data() + begin, '\n', limit - begin) : nullptr;
  if (found == nullptr) return {begin, limit, limit};
  const auto newline = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
  const std::size_t end = newline > begin && text[newline - 1] == '\r' ? newline - 1 : newline;
  return {begin, end, newline + 1};
}

bool IsHeaderNameCharacter(char c) { return c > 32 && c < 127 && c != ':'; }

bool IsBoundary(std::string_view boundary) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'()+_,-./:=? ";
  return !boundary.empty() && boundary.size() <= kBoundaryMax && !boundary.ends_with(' ') &&
         boundary.find_first_not_of(kAllowed) == std::string_view::npos;
}

enum class BoundaryKind { kNone, kOpen, kClose };
BoundaryKind MatchBoundary(std::string_view line, std::string_view boundary) {
  if (line.size() < boundary.size() + 2 || !line.starts_with("--")) return BoundaryKind::kNone;
  if (line.substr(2, boundary.size()) != boundary) return BoundaryKind::kNone;
  std::string_view rest = line.substr(2 + boundary.size());
  const bool close = rest.starts_with("--");
  if (close) rest.remove_prefix(2);
  if (rest.find_first_not_of(" \t") != std::string_view::npos) return BoundaryKind::kNone;
  return close ? BoundaryKind::kClose : BoundaryKind::kOpen;
}

class Parser {
 public:
  Parser(std::string_view text, Findings& findings) : text_(text), findings_(findings) {}

  Entity ParseEntity(Range range, int depth) {
    Entity entity;
    const std::size_t body = ParseHeaders(range, entity);
    ReadContentHeaders(entity);
    entity.body = {body, range.end};
    ++parts_;
    if (entity.multipart()) ParseParts(entity, depth);
    return entity;
  }

  // Returns where the body begins.
  std::size_t ParseHeaders(Range range, Entity& entity) {
    std::size_t at = range.begin;
    while (at < range.end) {
      const Line line = LineAt(text_, at, range.end);
      const std::string_view content = text_.substr(line.begin, line.end - line.begin);
      at = line.next;
      if (content.empty()) return at;
      if (content.front() == ' ' || content.front() == '\t') {
        Continue(line, entity);
      } else {
        Begin(line, entity);
      }
      if (entity.headers.size() > kHeadersMax) {
        findings_.Add(line.begin, fmt::format("more than {} headers", kHeadersMax));
        return range.end;
      }
    }
    return range.end;
  }

  static void Finish(Entity& entity) {
    for (HeaderField& header : entity.headers) {
      while (!header.value.empty() && (header.value.back() == ' ' || header.value.back() == '\t')) {
        header.value.pop_back();
      }
    }
  }

 private:
  void Begin(const Line& line, Entity& entity) {
    const std::string_view content = text_.substr(line.begin, line.end - line.begin);
    const std::size_t colon = content.find(':');
    const std::string_view name = content.substr(0, std::min(colon, content.size()));
    if (colon == std::string_view::npos || name.empty() ||
        !std::all_of(name.begin(), name.end(), IsHeaderNameCharacter)) {
      const bool mbox = line.begin == 0 && content.starts_with("From ");
      findings_.Add(line.begin, mbox ? "the first line is an mbox separator (\"From ...\"); remove it"
                                     : "expected a header (\"Name: value\") or an empty line before the body");
      return;
    }
    if (name.size() > kHeaderNameMax) {
      findings_.Add(line.begin, fmt::format("the header's name is longer than {} characters", kHeaderNameMax));
      return;
    }
    HeaderField header;
    header.name = name;
    header.offset = line.begin;
    std::string_view value = content.substr(colon + 1);
    header.raw = value;
    const std::size_t blanks = std::min(value.find_first_not_of(" \t"), value.size());
    value.remove_prefix(blanks);
    header.value = value;
    header.value_offsets.push_back(0);
    header.source_offsets.push_back(line.begin + colon + 1 + blanks);
    entity.headers.push_back(std::move(header));
  }

  void Continue(const Line& line, Entity& entity) {
    if (entity.headers.empty()) {
      findings_.Add(line.begin, "the message begins with a blank; expected a header (\"Name: value\")");
      return;
    }
    HeaderField& header = entity.headers.back();
    std::string_view content = text_.substr(line.begin, line.end - line.begin);
    header.raw.append("\r\n").append(content);
    std::size_t skipped = 0;
    if (header.value.empty()) {
      skipped = std::min(content.find_first_not_of(" \t"), content.size());
      content.remove_prefix(skipped);
    }
    header.value_offsets.push_back(header.value.size());
    header.source_offsets.push_back(line.begin + skipped);
    header.value += content;
  }

  void ReadContentHeaders(Entity& entity) {
    Finish(entity);
    entity.type.value = "text/plain";
    if (const HeaderField* header = entity.Find("Content-Type")) {
      std::optional<ParameterizedValue> type = ParameterizedValue::Parse(header->value);
      if (!type || type->value.find('/') == std::string::npos) {
        findings_.Add(header->offset, "Content-Type cannot be read; expected \"type/subtype; name=value; ...\"");
      } else {
        entity.type = std::move(*type);
        entity.has_type = true;
      }
    }
    if (const HeaderField* header = entity.Find("Content-Transfer-Encoding")) {
      const std::optional<TransferEncoding> encoding = ParseTransferEncoding(Trim(header->value));
      if (!encoding) {
        findings_.Add(header->offset,
                      "unknown Content-Transfer-Encoding; expected 7bit, 8bit, quoted-printable or base64");
      } else {
        entity.encoding = *encoding;
      }
    }
    if (const HeaderField* header = entity.Find("Content-Disposition")) {
      const std::optional<ParameterizedValue> disposition = ParameterizedValue::Parse(header->value);
      if (!disposition) {
        findings_.Add(header->offset, "Content-Disposition cannot be read; expected \"attachment; filename=...\"");
      }
      entity.attachment = disposition && disposition->value == "attachment";
    }
  }

  void ParseParts(Entity& entity, int depth) {
    const HeaderField* header = entity.Find("Content-Type");
    const std::string* boundary = entity.type.Find("boundary");
    if (boundary == nullptr || !IsBoundary(*boundary)) {
      findings_.Add(header->offset,
                    boundary == nullptr
                        ? "a multipart Content-Type must name its boundary"
                        : "the boundary is not one RFC 2046 allows: 1 to 70 letters, digits, '()+_,-./:=?");
      return;
    }
    if (entity.encoding == TransferEncoding::kBase64 || entity.encoding == TransferEncoding::kQuotedPrintable) {
      findings_.Add(header->offset, "a multipart cannot itself be quoted-printable or base64 (RFC 2045 section 6.4)");
      return;
    }
    if (depth >= kDepthMax) {
      findings_.Add(header->offset, fmt::format("parts are nested deeper than {} levels", kDepthMax));
      return;
    }
    entity.boundary = *boundary;
    SplitParts(entity, depth);
  }

  void SplitParts(Entity& entity, int depth) {
    const Range whole = entity.body;
    std::size_t part_begin = std::string_view::npos;  // none is open
    for (std::size_t at = whole.begin; at < whole.end;) {
      const Line line = LineAt(text_, at, whole.end);
      const BoundaryKind kind = MatchBoundary(text_.substr(line.begin, line.end - line.begin), entity.boundary);
      at = line.next;
      if (kind == BoundaryKind::kNone) continue;
      if (part_begin == std::string_view::npos) {
        entity.preamble = {whole.begin, line.begin};
      } else {
        if (parts_ >= kPartsMax) {
          findings_.Add(line.begin, fmt::format("more than {} parts", kPartsMax));
          return;
        }
        // The line end before a boundary belongs to the boundary.
        entity.parts.push_back(ParseEntity({part_begin, EndBefore(part_begin, line.begin)}, depth + 1));
      }
      part_begin = line.next;
      if (kind == BoundaryKind::kClose) {
        if (entity.parts.empty()) findings_.Add(line.begin, "the multipart has no part");
        return;
      }
    }
    findings_.Add(
        entity.Find("Content-Type")->offset,
        fmt::format("the multipart's last boundary (\"--{}--\") is missing: the message is cut", entity.boundary));
  }

  [[nodiscard]] std::size_t EndBefore(std::size_t begin, std::size_t boundary_line) const {
    std::size_t end = boundary_line;
    if (end > begin && text_[end - 1] == '\n') --end;
    if (end > begin && text_[end - 1] == '\r') --end;
    return end;
  }

  std::string_view text_;
  Findings& findings_;
  std::size_t parts_ = 0;
};

// Behind a byte order mark, as some editors put before UTF-8; it would spoil the first header's name.
std::size_t Beginning(std::string_view message) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return message.starts_with(kMark) ? kMark.size() : 0;
}

// NUL and bare CR, of which receivers make different things.
void CheckOctets(std::string_view text, Findings& findings) {
  std::size_t at = 0;
  while ((at = text.find('\0', at)) != std::string_view::npos) {
    findings.Add(at++, "a NUL octet; no message may hold one");
  }
  at = 0;
  while ((at = text.find('\r', at)) != std::string_view::npos) {
    if (at + 1 >= text.size() || text[at + 1] != '\n') {
      findings.Add(at, "a CR without LF; end lines with LF or CRLF");
    }
    ++at;
  }
}

}  // namespace

LineColumn Locate(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(offset - line_begin) + 1};
}

void Findings::Add(std::size_t offset, std::string message) {
  if (found_.size() > kFindingsMax) return;
  const LineColumn where = Locate(text_, offset);
  AddAt(where.line, where.column, std::move(message));
}

void Findings::AddAt(int line, int column, std::string message) {
  if (found_.size() > kFindingsMax) return;
  if (found_.size() == kFindingsMax) {
    found_.push_back({{file_, 0, 0}, "more problems follow; these come first"});
    return;
  }
  found_.push_back({{file_, line, column}, std::move(message)});
}

std::size_t HeaderField::SourceOffset(std::size_t value_offset) const {
  std::size_t line = 0;
  while (line + 1 < value_offsets.size() && value_offsets[line + 1] <= value_offset) ++line;
  return source_offsets[line] + (value_offset - value_offsets[line]);
}

const HeaderField* Entity::Find(std::string_view name) const {
  for (const HeaderField& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) return &header;
  }
  return nullptr;
}

Entity ParseMessage(std::string_view message, Findings& findings) {
  if (message.empty()) {
    findings.AddWithoutPlace("the message is empty; expected headers, an empty line and a body");
    return {};
  }
  CheckOctets(message, findings);
  return Parser(message, findings).ParseEntity({Beginning(message), message.size()}, 0);
}

std::vector<std::string> HeaderValues(std::string_view message, std::string_view name) {
  Findings ignored("", message);
  Entity entity;
  (void)Parser(message, ignored).ParseHeaders({Beginning(message), message.size()}, entity);
  Parser::Finish(entity);
  std::vector<std::string> values;
  for (HeaderField& header : entity.headers) {
    if (EqualsIgnoringCase(header.name, name)) values.push_back(std::move(header.value));
  }
  return values;
}

bool HasHeader(std::string_view message, std::string_view name) { return !HeaderValues(message, name).empty(); }

}  // namespace postrider::message
