#include "engine/message/address_list.h"

#include <optional>

#include <fmt/format.h>

#include "engine/message/charset.h"
#include "engine/message/encoded_word.h"
#include "engine/message/merge.h"

namespace postrider::message {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<AddressList> Run() {
    while (at_ < text_.size()) {
      if (Result<void> step = Step(text_[at_]); !step) return std::unexpected(step.error());
    }
    if (Result<void> last = FinishEntry(); !last) return std::unexpected(last.error());
    if (in_group_) return Bad("a group opened with \":\" does not end with \";\"");
    return std::move(list_);
  }

 private:
  std::unexpected<Error> Bad(std::string_view reason) const { return Fail(ErrorCode::kInvalid, std::string(reason)); }

  Result<void> Step(char c) {
    if (IsBlank(c)) {
      blank_before_ = true;
      ++at_;
      return {};
    }
    switch (c) {
      case '(':
        return TakeComment();
      case '<':
        return TakeAngle();
      case '"':
        return TakeQuoted();
      case ',':
        ++at_;
        return FinishEntry();
      case ':':
        if (in_group_ || words_.empty()) return Bad("a \":\" stands where no group can begin");
        ++at_;
        in_group_ = true;
        list_.has_groups = true;
        Clear();
        return {};
      case ';': {
        if (!in_group_) return Bad("a \";\" stands outside a group; addresses are separated by \",\"");
        ++at_;
        Result<void> last = FinishEntry();
        in_group_ = false;
        return last;
      }
      case '>':
        return Bad("a \">\" closes nothing");
      default:
        return TakeAtom();
    }
  }

  // Appends to the run of words; raw keeps quotes, for an address may have them in its local part.
  void Add(std::string_view raw, std::string text, bool quoted) {
    const bool blank = blank_before_ && !words_.empty();
    if (blank) raw_ += ' ';
    raw_ += raw;
    words_.push_back({std::move(text), blank, quoted});
    blank_before_ = false;
  }

  Result<void> TakeAtom() {
    const std::size_t begin = at_;
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with("{{")) {
        const std::size_t size = MergeFieldSize(text_.substr(at_));
        if (size == 0) return Bad("a merge field opens here but does not close");
        at_ += size;
        continue;
      }
      if (text_[at_] == '[') {  // an address literal holds colons
        const std::size_t end = text_.find(']', at_);
        if (end == std::string_view::npos) return Bad("a \"[\" is not closed");
        at_ = end + 1;
        continue;
      }
      if (IsBlank(text_[at_]) || std::string_view("(<\",:;>").find(text_[at_]) != std::string_view::npos) break;
      ++at_;
    }
    const std::string_view atom = text_.substr(begin, at_ - begin);
    if (angle_) return Bad("text stands between \">\" and the next \",\"");
    Add(atom, std::string(atom), false);
    return {};
  }

  Result<void> TakeQuoted() {
    if (angle_) return Bad("text stands between \">\" and the next \",\"");
    const std::size_t begin = at_++;
    std::string text;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      text += text_[at_];
    }
    if (at_ >= text_.size()) return Bad("a quote is not closed");
    ++at_;
    Add(text_.substr(begin, at_ - begin), std::move(text), true);
    return {};
  }

  Result<void> TakeComment() {
    list_.has_comments = true;
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '(') {
        ++depth;
      } else if (text_[at_] == ')' && --depth == 0) {
        ++at_;
        blank_before_ = true;
        return {};
      }
    }
    return Bad("a comment is not closed");
  }

  Result<void> TakeAngle() {
    if (angle_) return Bad("two addresses in angle brackets stand together; put \",\" between them");
    const std::size_t begin = ++at_;
    bool quoted = false;
    while (at_ < text_.size() && (quoted || text_[at_] != '>')) {
      const std::size_t field = text_.substr(at_).starts_with("{{") ? MergeFieldSize(text_.substr(at_)) : 0;
      if (text_[at_] == '"') quoted = !quoted;
      if (text_[at_] == '\\' && quoted) ++at_;
      at_ += field > 0 ? field : 1;
    }
    if (at_ >= text_.size()) return Bad("a \"<\" is not closed with \">\"");
    angle_ = std::string(Trim(text_.substr(begin, at_ - begin)));
    ++at_;
    return {};
  }

  [[nodiscard]] std::string DisplayName() const {
    // Encoded-words are decoded in stretches of unquoted words, so that blanks between two of them go.
    std::string name;
    std::string stretch;
    const auto flush = [&] {
      name += DecodeEncodedWords(stretch);
      stretch.clear();
    };
    for (const Word& word : words_) {
      if (word.quoted) {
        flush();
        if (word.blank_before) name += ' ';
        name += word.text;
      } else {
        if (word.blank_before) stretch += ' ';
        stretch += word.text;
      }
    }
    flush();
    return name;
  }

  Result<void> FinishEntry() {
    // Empty entries between commas are old syntax that means nothing (RFC 5322 section 4.4).
    if (angle_) {
      if (angle_->empty()) return Bad("\"<>\" holds no address");
      list_.entries.push_back({DisplayName(), *angle_});
    } else if (!words_.empty()) {
      list_.entries.push_back({"", raw_});
    }
    Clear();
    return {};
  }

  void Clear() {
    words_.clear();
    raw_.clear();
    angle_.reset();
    blank_before_ = false;
  }

  struct Word {
    std::string text;
    bool blank_before;
    bool quoted;
  };

  std::string_view text_;
  std::size_t at_ = 0;
  AddressList list_;
  bool in_group_ = false;
  bool blank_before_ = false;
  std::vector<Word> words_;
  std::string raw_;
  std::optional<std::string> angle_;
};

}  // namespace

Result<AddressList> ParseAddressList(std::string_view value) { return Parser(value).Run(); }

}  // namespace postrider::message
