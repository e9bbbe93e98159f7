#include "engine/intake/list_reader.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace postrider::intake {
namespace {

constexpr std::size_t kReadAhead = 256 << 10;
constexpr std::size_t kPadding = 64;  // simdjson's SIMDJSON_PADDING

std::string_view WithoutCr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

}  // namespace

Result<std::unique_ptr<ListReader>> ListReader::Open(queue::Files& files, const std::filesystem::path& file,
                                                     std::uint64_t row_bytes_max) {
  std::string name = file.filename().string();
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.resize(name.size() - packed.size());
  }
  ListFormat format = ListFormat::kJsonLines;
  if (name.ends_with(".csv")) {
    format = ListFormat::kCsv;
  } else if (!name.ends_with(".jsonl")) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("{} is not a recipients file: expected a name that ends with .jsonl or "
                            ".csv, and perhaps .gz or .zst",
                            file.filename().string()));
  }
  Result<std::unique_ptr<ListInput>> input = OpenListInput(files, file);
  if (!input) return std::unexpected(input.error());
  return std::unique_ptr<ListReader>(new ListReader(std::move(*input), format, row_bytes_max));
}

ListReader::ListReader(std::unique_ptr<ListInput> input, ListFormat format, std::uint64_t row_bytes_max)
    : input_(std::move(input)), format_(format), row_bytes_max_(row_bytes_max), capacity_(row_bytes_max + kReadAhead) {
  buffer_ = std::make_unique<char[]>(capacity_ + kPadding);
}

// False at the end of the list. There is room whenever a record of the largest size is not whole yet.
Result<bool> ListReader::Fill() {
  if (ended_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const Result<std::size_t> read = input_->Read(buffer_.get() + end_, capacity_ - end_);
  if (!read) return std::unexpected(read.error());
  ended_ = *read == 0;
  end_ += *read;
  return !ended_;
}

// Sets end, relative to begin_, to the first LF at or behind `from`, or to all there is at the list's end. False if the
// record grows beyond its limit first.
Result<bool> ListReader::FindLineEnd(std::size_t from, std::size_t& end) {
  while (true) {
    const char* begin = buffer_.get() + begin_;
    const std::size_t size = end_ - begin_;
    const void* found = from < size ? std::memchr(begin + from, '\n', size - from) : nullptr;
    if (found != nullptr) {
      end = static_cast<std::size_t>(static_cast<const char*>(found) - begin);
      return end <= row_bytes_max_;
    }
    from = size;
    if (size > row_bytes_max_) return false;
    const Result<bool> more = Fill();
    if (!more) return std::unexpected(more.error());
    if (!*more) {
      end = end_ - begin_;
      return true;
    }
  }
}

void ListReader::Advance(std::size_t size, std::uint64_t lines) {
  begin_ += size;
  position_.bytes += size;
  position_.line += lines;
}

// Up to and with the next line end, however far that is.
Result<bool> ListReader::SkipLine() {
  while (true) {
    const char* begin = buffer_.get() + begin_;
    const void* found = std::memchr(begin, '\n', end_ - begin_);
    if (found != nullptr) {
      Advance(static_cast<std::size_t>(static_cast<const char*>(found) - begin) + 1, 1);
      return true;
    }
    Advance(end_ - begin_, 0);
    const Result<bool> more = Fill();
    if (!more) return more;
    if (!*more) {
      ++position_.line;
      return true;
    }
  }
}

Result<bool> ListReader::Next(Record& record) {
  if (position_.bytes == 0) {
    // A byte order mark, as some programs put before UTF-8.
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    while (!ended_ && end_ - begin_ < kMark.size()) {
      if (const Result<bool> more = Fill(); !more) return more;
    }
    if (std::string_view(buffer_.get() + begin_, end_ - begin_).starts_with(kMark)) Advance(kMark.size(), 0);
  }
  return format_ == ListFormat::kCsv ? NextCsv(record) : NextLine(record);
}

Result<bool> ListReader::NextLine(Record& record) {
  while (true) {
    std::size_t end = 0;
    const Result<bool> whole = FindLineEnd(0, end);
    if (!whole) return whole;
    const char* begin = buffer_.get() + begin_;
    record.line = position_.line + 1;
    record.too_long = !*whole;
    if (record.too_long) {
      record.limit = row_bytes_max_;
      record.text = {};
      if (const Result<bool> skipped = SkipLine(); !skipped) return skipped;
      return true;
    }
    if (end == 0 && begin_ == end_) return false;
    const bool has_line_end = begin_ + end < end_;
    record.text = WithoutCr(std::string_view(begin, end));
    Advance(end + (has_line_end ? 1 : 0), 1);
    if (!IsBlank(record.text)) return true;
  }
}

Result<bool> ListReader::NextCsv(Record& record) {
  while (true) {
    // Line by line, until the quotes of the record are even.
    std::size_t end = 0;
    std::size_t from = 0;
    std::uint64_t lines = 0;
    bool quoted = false;
    while (true) {
      const Result<bool> whole = FindLineEnd(from, end);
      if (!whole) return whole;
      record.line = position_.line + 1;
      if (!*whole && quoted) {
        return Fail(ErrorCode::kInvalid,
                    fmt::format("line {}: a quote that opens in this record does not close within {} octets; the list "
                                "cannot be read beyond it",
                                record.line, row_bytes_max_));
      }
      if (!*whole) {
        record.too_long = true;
        record.limit = row_bytes_max_;
        record.text = {};
        if (const Result<bool> skipped = SkipLine(); !skipped) return skipped;
        return true;
      }
      ++lines;
      const char* begin = buffer_.get() + begin_;
      if ((std::count(begin + from, begin + end, '"') & 1) != 0) quoted = !quoted;
      if (!quoted) break;
      if (begin_ + end == end_) {
        return Fail(ErrorCode::kInvalid,
                    fmt::format("line {}: a quote that opens in this record never closes: the list is cut "
                                "or damaged",
                                record.line));
      }
      from = end + 1;
    }
    if (end == 0 && begin_ == end_) return false;
    const bool has_line_end = begin_ + end < end_;
    record.too_long = false;
    record.text = WithoutCr(std::string_view(buffer_.get() + begin_, end));
    Advance(end + (has_line_end ? 1 : 0), lines);
    if (!IsBlank(record.text)) return true;
  }
}

}  // namespace postrider::intake
