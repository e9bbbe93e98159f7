#include "engine/message/content_type.h"

#include <algorithm>

#include "engine/message/charset.h"

namespace postrider::message {
namespace {

// RFC 2045 section 5.1: tspecials, and "/" apart, for it stands inside a type.
bool IsTokenCharacter(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet > 32 && octet != 127 && std::string_view("()<>@,;:\\\"[]?=").find(c) == std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // Blanks and comments; false if a comment does not close.
  bool SkipBlanks() {
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') {
        ++depth;
      } else if (c == ')' && depth > 0) {
        --depth;
      } else if (c == '\\' && depth > 0) {
        ++at_;
      } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        break;
      }
    }
    return depth == 0;
  }
  std::string_view Token() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && IsTokenCharacter(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // After the opening quote.
  std::optional<std::string> QuotedRest() {
    std::string out;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return out;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      if (text_[at_] != '\r' && text_[at_] != '\n') out += text_[at_];
    }
    return std::nullopt;
  }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

void AppendPercentEncoded(std::string_view value, std::string& out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    const bool plain = octet < 128 && IsTokenCharacter(c) && c != '*' && c != '\'' && c != '%' && c != '/';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[octet >> 4];
      out += kHex[octet & 15];
    }
  }
}

void AppendParameter(const ParameterValue& parameter, std::string& out) {
  out += parameter.name;
  if (!IsAscii(parameter.value) && !parameter.name.ends_with('*')) {
    out += "*=utf-8''";
    AppendPercentEncoded(GuessUtf8(parameter.value), out);
    return;
  }
  out += '=';
  const bool token = !parameter.value.empty() && IsAscii(parameter.value) &&
                     std::all_of(parameter.value.begin(), parameter.value.end(),
                                 [](char c) { return IsTokenCharacter(c) && c != '/'; });
  if (token) {
    out += parameter.value;
    return;
  }
  out += '"';
  for (const char c : parameter.value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

std::optional<ParameterizedValue> ParameterizedValue::Parse(std::string_view text) {
  Reader reader(text);
  ParameterizedValue parsed;
  if (!reader.SkipBlanks()) return std::nullopt;
  parsed.value = LowerCase(reader.Token());
  if (parsed.value.empty() || !IsAscii(parsed.value)) return std::nullopt;
  while (true) {
    if (!reader.SkipBlanks()) return std::nullopt;
    if (reader.done()) return parsed;
    if (!reader.Take(';')) return std::nullopt;
    if (!reader.SkipBlanks()) return std::nullopt;
    if (reader.done()) return parsed;  // a last ";" with nothing behind it is common
    ParameterValue parameter;
    parameter.name = reader.Token();
    if (parameter.name.empty() || !IsAscii(parameter.name) || !reader.SkipBlanks() || !reader.Take('=') ||
        !reader.SkipBlanks())
      return std::nullopt;
    if (reader.Take('"')) {
      std::optional<std::string> value = reader.QuotedRest();
      if (!value) return std::nullopt;
      parameter.value = std::move(*value);
    } else {
      parameter.value = reader.Token();
    }
    if (parsed.Find(parameter.name) != nullptr) return std::nullopt;
    parsed.parameters.push_back(std::move(parameter));
  }
}

const std::string* ParameterizedValue::Find(std::string_view name) const {
  for (const ParameterValue& parameter : parameters) {
    if (EqualsIgnoringCase(parameter.name, name)) return &parameter.value;
  }
  return nullptr;
}

void ParameterizedValue::Set(std::string_view name, std::string_view value_text) {
  for (ParameterValue& parameter : parameters) {
    if (EqualsIgnoringCase(parameter.name, name)) {
      parameter.value = value_text;
      return;
    }
  }
  parameters.push_back({std::string(name), std::string(value_text)});
}

std::string ParameterizedValue::ToText() const {
  std::string out = value;
  for (const ParameterValue& parameter : parameters) {
    out += "; ";
    AppendParameter(parameter, out);
  }
  return out;
}

}  // namespace postrider::message
