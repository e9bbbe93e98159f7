#include "engine/message/merge.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/message/charset.h"

namespace postrider::message {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kEscapedOpen = "\\{{";

void AddLiteral(std::string_view text, std::size_t offset, std::vector<MergePiece>& pieces) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().is_field) {
    pieces.push_back({});
    pieces.back().offset = offset;
  }
  pieces.back().text += text;
}

// The field whose whole text, braces included, is given.
MergePiece ParseField(std::string_view text, std::size_t offset, std::vector<MergeProblem>& problems) {
  MergePiece piece;
  piece.is_field = true;
  piece.offset = offset;
  piece.raw = text.starts_with("{{{");
  const std::size_t braces = piece.raw ? 3 : 2;
  std::string_view inside = text.substr(braces, text.size() - 2 * braces);
  const std::size_t bar = inside.find('|');
  if (bar != std::string_view::npos) {
    piece.has_default = true;
    piece.text = inside.substr(bar + 1);
    inside = inside.substr(0, bar);
  }
  piece.name = Trim(inside);
  if (!IsFieldName(piece.name)) {
    constexpr std::size_t kShown = 40;
    std::string shown(piece.name.substr(0, kShown));
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
    problems.push_back({offset, fmt::format("\"{}\" is not a field name: letters, digits, \"_\", \".\" and \"-\" are; "
                                            "write \"\\{{{{\" for two braces that open no field",
                                            shown)});
  }
  return piece;
}

}  // namespace

bool IsFieldName(std::string_view name) {
  if (name.empty() || name.size() > kFieldNameMax) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

std::size_t MergeFieldSize(std::string_view text) {
  const std::string_view close = text.starts_with("{{{") ? "}}}" : "}}";
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  const std::size_t end = line.find(close, close.size());
  return end == std::string_view::npos ? 0 : end + close.size();
}

bool HasMerge(std::string_view text) { return text.find(kOpen) != std::string_view::npos; }

std::vector<MergePiece> ParseMerge(std::string_view text, std::vector<MergeProblem>& problems) {
  std::vector<MergePiece> pieces;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find(kOpen, at);
    if (open == std::string_view::npos) {
      AddLiteral(text.substr(at), at, pieces);
      break;
    }
    if (open > at && text[open - 1] == kEscapedOpen.front()) {
      AddLiteral(text.substr(at, open - 1 - at), at, pieces);
      // All braces that stand together are meant by the one backslash.
      const std::size_t end = std::min(text.find_first_not_of('{', open), text.size());
      AddLiteral(text.substr(open, end - open), open, pieces);
      at = end;
      continue;
    }
    AddLiteral(text.substr(at, open - at), at, pieces);
    const std::size_t size = MergeFieldSize(text.substr(open));
    if (size == 0) {
      problems.push_back({open, "a merge field opens here but does not close on its line"});
      at = open + kOpen.size();
      continue;
    }
    pieces.push_back(ParseField(text.substr(open, size), open, problems));
    at = open + size;
  }
  return pieces;
}

}  // namespace postrider::message
