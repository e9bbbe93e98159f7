#pragma once
// A message's structure as offsets into its bytes: headers and the tree of MIME parts (RFC 5322, RFC 2046). Strict
// where a receiver would be confused, tolerant of LF for CRLF; nested to 20 levels and 1000 parts. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "engine/message/content_type.h"
#include "engine/message/transfer_encoding.h"

namespace postrider::message {

// Where an offset of a text lies, for people.
struct LineColumn {
  int line = 1;
  int column = 1;
};
[[nodiscard]] LineColumn Locate(std::string_view text, std::size_t offset);

// Gathers findings in one file; stops at 100, for a broken file may hold as many as it has lines.
class Findings {
 public:
  Findings(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  void Add(std::size_t offset, std::string message);
  void AddAt(int line, int column, std::string message);  // 0: not known
  void AddWithoutPlace(std::string message) { AddAt(0, 0, std::move(message)); }
  [[nodiscard]] bool empty() const { return found_.empty(); }
  [[nodiscard]] Diagnostics Take() { return std::move(found_); }

 private:
  std::string file_;
  std::string_view text_;
  Diagnostics found_;
};

struct HeaderField {
  std::string name;
  std::string value;       // unfolded: line ends gone, the blanks after them kept; no blank at either end
  std::string raw;         // as written, after the colon: with folds as CRLF, without the last line end
  std::size_t offset = 0;  // of the name
  std::vector<std::size_t> value_offsets;   // where each line of the value begins in value ...
  std::vector<std::size_t> source_offsets;  // ... and in the source

  // The source offset of an offset in value.
  [[nodiscard]] std::size_t SourceOffset(std::size_t value_offset) const;
};

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::string_view Of(std::string_view text) const { return text.substr(begin, end - begin); }
};

struct Entity {
  std::vector<HeaderField> headers;
  ParameterizedValue type;  // text/plain if there is no Content-Type
  bool has_type = false;
  TransferEncoding encoding = TransferEncoding::kSevenBit;
  bool attachment = false;  // by Content-Disposition

  Range body;  // of a leaf
  std::string boundary;
  Range preamble;  // line end before the first boundary included
  std::vector<Entity> parts;

  [[nodiscard]] bool multipart() const { return type.value.starts_with("multipart/"); }
  [[nodiscard]] const HeaderField* Find(std::string_view name) const;
};

// The whole message. Whatever is wrong goes to findings; the result is of use only if nothing was added.
[[nodiscard]] Entity ParseMessage(std::string_view message, Findings& findings);

// Whether the message's own header section has a header of that name.
[[nodiscard]] bool HasHeader(std::string_view message, std::string_view name);
// The unfolded values of all headers of that name, in order.
[[nodiscard]] std::vector<std::string> HeaderValues(std::string_view message, std::string_view name);

}  // namespace postrider::message
