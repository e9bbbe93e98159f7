#pragma once
// The content of a message on its way in: finding its end, undoing dot-stuffing, reading its Message-ID. Pure.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postrider::sink {

// Finds the end of DATA: CRLF.CRLF and nothing else (a line that ends in a bare LF or CR is no line; taking it for one
// is how messages are smuggled). Reads in pieces of any size, remembers 5 states between them, copies nothing.
class DataScanner {
 public:
  struct Progress {
    std::size_t consumed = 0;  // of the piece; what follows it is the next command
    bool done = false;
  };

  void Start() { *this = {}; }
  Progress Feed(std::string_view piece);

  // So far; once done, the size of the message without terminator and stuffed dots.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_ - stuffed_dots_; }
  [[nodiscard]] bool has_bare_lf() const { return has_bare_lf_; }

 private:
  // How much of CRLF.CRLF the bytes so far end with. The content starts as if after a CRLF.
  std::uint8_t matched_ = 2;
  bool has_bare_lf_ = false;
  std::uint64_t bytes_ = 0;
  std::uint64_t stuffed_dots_ = 0;
};

// Takes away the first dot of each line that starts with one; the terminator must be gone already.
void Unstuff(std::string& content);

// The value of the first Message-ID field, empty if there is none before the end of the header or of head.
[[nodiscard]] std::string_view FindMessageId(std::string_view head);

}  // namespace postrider::sink
