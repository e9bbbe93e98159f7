#pragma once
// One reply of a personality: its text with the fields a server fills in, ready to be appended without allocation.
// An immutable value; made at start from the tables of personality.cc.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::sink {

// What a reply may mention. All are free of control characters.
struct ReplyFields {
  std::string_view id;      // of this transaction
  std::string_view from;    // envelope sender
  std::string_view to;      // the recipient in question
  std::string_view client;  // its address, as text without brackets
  std::string_view host;    // the receiver's own name
  std::string_view hello;   // what the client called itself
  std::string_view date;    // RFC 5322
  std::uint64_t bytes = 0;  // of the message
};

class ReplyText {
 public:
  ReplyText() = default;
  // "250 2.1.5 OK {id} - gsmtp"; lines are separated by '\n', each with its code ("550-5.1.1 ...\n550 5.1.1 ...").
  // {id}, {from}, {to}, {client}, {host}, {hello}, {date} and {bytes} are filled in.
  ReplyText(const char* text);  // NOLINT: the tables are lists of plain text

  void Append(std::string& out, const ReplyFields& fields) const;
  [[nodiscard]] int code() const { return code_; }

 private:
  enum class Field : std::uint8_t { kNone, kId, kFrom, kTo, kClient, kHost, kHello, kDate, kBytes };
  struct Piece {
    std::string literal;
    Field field = Field::kNone;  // after the literal
  };

  int code_ = 0;
  std::vector<Piece> pieces_;
};

}  // namespace postrider::sink
