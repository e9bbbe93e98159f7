#include "engine/intake/row_parser.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/message/charset.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kIdMax = 256;  // it goes into every event of the row
constexpr std::size_t kColumnsMax = 10'000;

std::unexpected<Error> Reject(std::string reason) { return Fail(ErrorCode::kInvalid, std::move(reason)); }

std::unexpected<Error> TooLong(std::string_view what, const Record& record) {
  return Reject(fmt::format("{} is longer than spool.row_bytes_max allows: {} octets", what, record.limit));
}

Result<void> CheckId(std::string_view id) {
  if (id.size() > kIdMax) return Reject(fmt::format("\"id\" is longer than {} octets", kIdMax));
  for (const char c : id) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 32 || octet == 127) return Reject("\"id\" holds a control character");
  }
  return {};
}

void Clear(const message::Template& wanted, Row& row) {
  row.to = {};
  row.id = {};
  row.values.assign(wanted.fields().size(), std::string_view());
}

// Which field a key is, and whether a row has one twice. Lists have their keys in the same order row after row: the key
// expected next is tried first.
class KeyMemory {
 public:
  explicit KeyMemory(const message::Template& wanted) : wanted_(wanted) {}

  void BeginRow() {
    next_ = 0;
    ++row_;
    strange_.clear();
    twice_ = {};
  }
  // Index into fields(), or none. The key's octets stay until EndRow.
  std::optional<std::size_t> Find(std::string_view key) {
    if (next_ < known_.size() && known_[next_].key == key) return Met(known_[next_++], key);
    for (std::size_t i = 0; i < known_.size(); ++i) {
      if (known_[i].key != key) continue;
      next_ = i + 1;
      return Met(known_[i], key);
    }
    const std::optional<std::size_t> index = wanted_.FindField(key);
    // Lists with ever new keys are not worth remembering.
    constexpr std::size_t kKnownMax = 64;
    if (known_.size() < kKnownMax) {
      known_.push_back({std::string(key), index, row_});
      next_ = known_.size();
    } else {
      strange_.push_back(key);
    }
    return index;
  }
  // A key that the row has twice; null data: none. Which of the values was meant, nobody knows.
  [[nodiscard]] std::string_view EndRow() {
    if (twice_.data() != nullptr || strange_.size() < 2) return twice_;
    std::ranges::sort(strange_);
    const auto found = std::ranges::adjacent_find(strange_);
    return found == strange_.end() ? std::string_view() : *found;
  }

 private:
  struct Known {
    std::string key;
    std::optional<std::size_t> index;
    std::uint64_t met = 0;  // in this row, the last time
  };
  std::optional<std::size_t> Met(Known& known, std::string_view key) {
    if (known.met == row_) twice_ = key;
    known.met = row_;
    return known.index;
  }

  const message::Template& wanted_;
  std::vector<Known> known_;
  std::size_t next_ = 0;
  std::uint64_t row_ = 0;
  std::vector<std::string_view> strange_;  // of this row, those not remembered
  std::string_view twice_;
};

// The numbers of a line of valid JSON as they are written, in order: a price of 19.90 stays 19.90.
class NumberTexts {
 public:
  explicit NumberTexts(std::string_view line) : rest_(line) {}

  std::string_view Next() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"') {
        SkipText();
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        const std::size_t size = std::min(rest_.find_first_not_of("+-.0123456789eE"), rest_.size());
        const std::string_view number = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return number;
      } else {
        rest_.remove_prefix(1);
      }
    }
    return {};
  }

 private:
  void SkipText() {
    std::size_t at = 1;
    while (at < rest_.size() && rest_[at] != '"') at += rest_[at] == '\\' ? 2 : 1;
    rest_.remove_prefix(std::min(at + 1, rest_.size()));
  }

  std::string_view rest_;
};

}  // namespace

class RowParser::Json {
 public:
  explicit Json(const message::Template& wanted) : wanted_(wanted), outer_(wanted), inner_(wanted) {}

  Result<void> Parse(const Record& record, Row& row) {
    Clear(wanted_, row);
    numbers_.emplace(record.text);
    simdjson::dom::element document;
    // The reader's buffer goes on behind the record for as far as simdjson may look.
    const auto error = parser_.parse(record.text.data(), record.text.size(), false).get(document);
    if (error != simdjson::SUCCESS) return Reject(fmt::format("not valid JSON: {}", simdjson::error_message(error)));
    simdjson::dom::object object;
    if (document.get(object) != simdjson::SUCCESS) return Reject("expected an object: {\"to\": \"...\", ...}");
    outer_.BeginRow();
    vars_wrote_.assign(row.values.size(), false);
    for (const auto field : object) {
      const std::optional<std::size_t> index = outer_.Find(field.key);
      Result<void> read =
          field.key == "vars" ? ReadVars(field.value, row) : ReadField(field.key, field.value, index, row);
      if (!read) return read;
    }
    if (Result<void> once = CheckOnce(outer_); !once) return once;
    if (row.to.data() == nullptr) return Reject("\"to\" is missing");
    return CheckId(row.id);
  }

 private:
  static Result<void> CheckOnce(KeyMemory& keys) {
    constexpr std::size_t kShown = 100;
    const std::string_view twice = keys.EndRow();
    if (twice.data() == nullptr) return {};
    return Reject(fmt::format("the key \"{}\" stands twice in the row", twice.substr(0, kShown)));
  }

  Result<void> ReadField(std::string_view key, const simdjson::dom::element& value, std::optional<std::size_t> index,
                         Row& row) {
    if (!index && key != "to" && key != "id") {
      PassOver(value);
      return {};
    }
    const Result<std::string_view> text = Text(key, value);
    if (!text) return std::unexpected(text.error());
    if (key == "to") {
      if (!value.is_string()) return Reject("\"to\" must be text");
      row.to = *text;
    } else if (key == "id") {
      row.id = *text;
    } else if (!vars_wrote_[*index]) {
      row.values[*index] = *text;
    }
    return {};
  }

  Result<void> ReadVars(const simdjson::dom::element& value, Row& row) {
    simdjson::dom::object object;
    if (value.is_null()) return {};
    if (value.get(object) != simdjson::SUCCESS) return Reject("\"vars\" must be an object");
    inner_.BeginRow();
    for (const auto field : object) {
      const std::optional<std::size_t> index = inner_.Find(field.key);
      if (!index) {
        PassOver(field.value);
        continue;
      }
      const Result<std::string_view> text = Text(field.key, field.value);
      if (!text) return std::unexpected(text.error());
      row.values[*index] = *text;
      vars_wrote_[*index] = true;
    }
    return CheckOnce(inner_);
  }

  // A value that nobody asks for may be anything; the numbers in it are behind us.
  void PassOver(const simdjson::dom::element& value) {
    if (value.is_array()) {
      for (const simdjson::dom::element inner : simdjson::dom::array(value)) PassOver(inner);
    } else if (value.is_object()) {
      for (const auto field : simdjson::dom::object(value)) PassOver(field.value);
    } else if (value.is_number()) {
      (void)numbers_->Next();
    }
  }

  // null is no value; a list or an object is none that could be merged.
  Result<std::string_view> Text(std::string_view key, const simdjson::dom::element& value) {
    switch (value.type()) {
      case simdjson::dom::element_type::STRING:
        return value.get_string().value_unsafe();
      case simdjson::dom::element_type::BOOL:
        return value.get_bool().value_unsafe() ? std::string_view("true") : std::string_view("false");
      case simdjson::dom::element_type::NULL_VALUE:
        return std::string_view();
      case simdjson::dom::element_type::INT64:
      case simdjson::dom::element_type::UINT64:
      case simdjson::dom::element_type::DOUBLE:
        return numbers_->Next();
      case simdjson::dom::element_type::ARRAY:
      case simdjson::dom::element_type::OBJECT:
        break;
    }
    constexpr std::size_t kShown = 100;
    return Reject(fmt::format("\"{}\" is {}; a field must be text, a number, true, false or null",
                              key.substr(0, kShown), value.is_array() ? "a list" : "an object"));
  }

  const message::Template& wanted_;
  KeyMemory outer_;
  KeyMemory inner_;
  simdjson::dom::parser parser_;
  std::optional<NumberTexts> numbers_;
  std::vector<bool> vars_wrote_;
};

class RowParser::Csv {
 public:
  explicit Csv(const message::Template& wanted) : wanted_(wanted) {}

  Result<void> ReadHeader(const Record& header) {
    if (header.too_long) return TooLong("the header row", header);
    if (!message::IsUtf8(header.text)) return Reject("the header row is not valid UTF-8; save the list as UTF-8");
    if (Result<void> split = Split(header.text); !split) return split;
    for (const std::string_view name : cells_) {
      const std::string_view trimmed = message::Trim(name);
      for (const Column& other : columns_) {
        if (other.name == trimmed) return Reject(fmt::format("the header row names the column \"{}\" twice", trimmed));
      }
      columns_.push_back({std::string(trimmed), wanted_.FindField(trimmed)});
      has_to_ |= trimmed == "to";
    }
    if (has_to_) return {};
    const bool other_separator =
        columns_.size() == 1 && columns_.front().name.find_first_of(";\t") != std::string::npos;
    return Reject(fmt::format(
        "the header row has no column \"to\"; {}",
        other_separator ? "columns must be separated by commas" : "the first line of a CSV list names its columns"));
  }

  Result<void> Parse(const Record& record, Row& row) {
    Clear(wanted_, row);
    if (Result<void> split = Split(record.text); !split) return split;
    if (cells_.size() != columns_.size()) {
      return Reject(fmt::format("expected {} columns as in the header row, found {}", columns_.size(), cells_.size()));
    }
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (columns_[i].name == "to") {
        row.to = message::Trim(cells_[i]);
      } else if (columns_[i].name == "id") {
        row.id = cells_[i];
      } else if (columns_[i].field) {
        row.values[*columns_[i].field] = cells_[i];
      }
    }
    if (row.to.empty()) return Reject("\"to\" is empty");
    return CheckId(row.id);
  }

 private:
  // Cells of one record, quotes taken off (RFC 4180 section 2).
  Result<void> Split(std::string_view text) {
    cells_.clear();
    unquoted_.clear();
    unquoted_.reserve(text.size());  // so that views into it stay
    while (true) {
      if (text.starts_with('"')) {
        if (Result<void> taken = TakeQuoted(text); !taken) return taken;
      } else {
        const std::size_t end = std::min(text.find(','), text.size());
        const std::string_view cell = text.substr(0, end);
        if (cell.find('"') != std::string_view::npos)
          return Reject("a quote stands inside a column that is not quoted");
        cells_.push_back(cell);
        text.remove_prefix(end);
      }
      if (text.empty()) return {};
      text.remove_prefix(1);  // the comma
      if (cells_.size() > kColumnsMax) return Reject(fmt::format("more than {} columns", kColumnsMax));
    }
  }

  Result<void> TakeQuoted(std::string_view& text) {
    text.remove_prefix(1);
    const std::size_t begin = unquoted_.size();
    while (true) {
      const std::size_t quote = text.find('"');
      if (quote == std::string_view::npos) return Reject("a quote is not closed");
      unquoted_.append(text.substr(0, quote));
      text.remove_prefix(quote + 1);
      if (!text.starts_with('"')) break;
      unquoted_ += '"';
      text.remove_prefix(1);
    }
    if (!text.empty() && text.front() != ',') return Reject("text stands behind a closing quote");
    cells_.push_back(std::string_view(unquoted_).substr(begin));
    return {};
  }

  struct Column {
    std::string name;
    std::optional<std::size_t> field;
  };
  const message::Template& wanted_;
  std::vector<Column> columns_;
  bool has_to_ = false;
  std::vector<std::string_view> cells_;
  std::string unquoted_;
};

RowParser::RowParser(const message::Template& wanted, ListFormat format) {
  if (format == ListFormat::kCsv) {
    csv_ = std::make_unique<Csv>(wanted);
  } else {
    json_ = std::make_unique<Json>(wanted);
  }
}

RowParser::~RowParser() = default;

Result<void> RowParser::ReadHeader(const Record& header) { return csv_ ? csv_->ReadHeader(header) : Result<void>(); }

Result<void> RowParser::Parse(const Record& record, Row& row) {
  if (record.too_long) {
    row.to = {};
    row.id = {};
    return TooLong("the row", record);
  }
  return csv_ ? csv_->Parse(record, row) : json_->Parse(record, row);
}

}  // namespace postrider::intake
