#pragma once
// The transfer encodings of RFC 2045: decoding at compile time, and encoders that append to a growing message, piece by
// piece, at compile time and per recipient. Pure; the encoders allocate nothing but growth of out.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::message {

enum class TransferEncoding : std::uint8_t { kSevenBit, kEightBit, kBinary, kQuotedPrintable, kBase64 };
// By the name in a Content-Transfer-Encoding header; nullopt if there is no such encoding.
[[nodiscard]] std::optional<TransferEncoding> ParseTransferEncoding(std::string_view name);
[[nodiscard]] std::string_view ToString(TransferEncoding encoding);

struct DecodeProblem {
  std::size_t offset = 0;  // in the encoded text
  std::string message;
};

// Decoded, with hard line ends as LF. lines[k] is the line of the encoded text, from 0, on which decoded line k begins.
struct DecodedText {
  std::string bytes;
  std::vector<std::uint32_t> lines;
  std::vector<DecodeProblem> problems;
};
[[nodiscard]] DecodedText DecodeQuotedPrintable(std::string_view encoded);

// Blanks and line ends are skipped; anything else outside the alphabet, or a cut end, is a problem (at most one).
[[nodiscard]] std::optional<DecodeProblem> DecodeBase64(std::string_view encoded, std::string& out);

// Octets that base64 of `octets` takes, line ends included.
[[nodiscard]] std::size_t Base64Size(std::size_t octets);

// Quoted-printable text in lines of at most 76 octets. A blank never ends a line, and "-" never begins one unencoded:
// so no text, literal or merged, can look like a boundary.
class QuotedPrintableWriter {
 public:
  // column: octets already on the last line of out.
  QuotedPrintableWriter(std::string& out, std::size_t column) : out_(out), column_(column) {}

  void Append(std::string_view text);      // no line ends: CR and LF in it are encoded as octets
  void AppendHtml(std::string_view text);  // with & < > " ' as character references
  // Text that is encoded already, at most 75 octets, and begins with neither "-" nor a line end.
  void AppendEncoded(std::string_view encoded);
  // A hard line end; a blank before it is encoded now.
  void EndLine();

  [[nodiscard]] std::size_t column() const { return column_; }
  // After something else was appended to out.
  void set_column(std::size_t column) { column_ = column; }

 private:
  template <bool kHtml>
  void AppendText(std::string_view text);

  std::string& out_;
  std::size_t column_;
};

// How many octets Append would write for text, soft line ends left out.
[[nodiscard]] std::size_t QuotedPrintableSize(std::string_view text);

// Base64 in lines of 76 octets, from pieces of any size.
class Base64Writer {
 public:
  explicit Base64Writer(std::string& out) : out_(out) {}

  void Append(std::string_view bytes);
  void AppendHtml(std::string_view text);
  void Finish();  // pads, and ends the last line

 private:
  void AppendGroups(const char* bytes, std::size_t groups);

  std::string& out_;
  unsigned char waiting_[3] = {};
  std::size_t waiting_count_ = 0;
  std::size_t column_ = 0;
};

// "&amp;" and the like for the five characters that HTML needs escaped; "" for others.
[[nodiscard]] std::string_view HtmlReference(char c);

}  // namespace postrider::message
