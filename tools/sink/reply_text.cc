// Takes a reply's text apart once, at start.

#include "tools/sink/reply_text.h"

#include <array>
#include <charconv>
#include <utility>

#include "config/check.h"

namespace postrider::sink {

ReplyText::ReplyText(const char* text) {
  constexpr std::array<std::pair<std::string_view, Field>, 8> kFields{{{"id", Field::kId},
                                                                       {"from", Field::kFrom},
                                                                       {"to", Field::kTo},
                                                                       {"client", Field::kClient},
                                                                       {"host", Field::kHost},
                                                                       {"hello", Field::kHello},
                                                                       {"date", Field::kDate},
                                                                       {"bytes", Field::kBytes}}};
  std::string_view rest(text);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), code_);
  CHECK(error == std::errc{} && code_ >= 200 && code_ < 600 && end == rest.data() + 3);

  Piece piece;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '\n') {
      piece.literal += "\r\n";
    } else if (c != '{') {
      piece.literal += c;
    } else {
      const std::size_t close = rest.find('}');
      CHECK(close != std::string_view::npos);
      for (const auto& [name, field] : kFields) {
        if (rest.substr(0, close) == name) piece.field = field;
      }
      CHECK(piece.field != Field::kNone);
      pieces_.push_back(std::exchange(piece, {}));
      rest.remove_prefix(close + 1);
    }
  }
  piece.literal += "\r\n";
  pieces_.push_back(std::move(piece));
}

void ReplyText::Append(std::string& out, const ReplyFields& fields) const {
  for (const Piece& piece : pieces_) {
    out += piece.literal;
    switch (piece.field) {
      case Field::kNone:
        break;
      case Field::kId:
        out += fields.id;
        break;
      case Field::kFrom:
        out += fields.from;
        break;
      case Field::kTo:
        out += fields.to;
        break;
      case Field::kClient:
        out += fields.client;
        break;
      case Field::kHost:
        out += fields.host;
        break;
      case Field::kHello:
        out += fields.hello;
        break;
      case Field::kDate:
        out += fields.date;
        break;
      case Field::kBytes: {
        std::array<char, 20> digits;
        const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), fields.bytes);
        out.append(digits.data(), end);
        break;
      }
    }
  }
}

}  // namespace postrider::sink
