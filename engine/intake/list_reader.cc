#include "engine/intake/list_reader.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace postrider::intake {
namespace {

constexpr std::size_t kReadAhead = 256 << 10;
constexpr std::size_t kPadding = 64;  // simdjson's SIMDJSON_PADDING
// What one call may pass over: a tenth of a second of blank lines. More, and whoever has other work would wait for it.
constexpr std::uint64_t kPassedMax = 4 << 20;

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
  read_.bytes += size;
  read_.line += lines;
}

Result<Found> ListReader::Next(Record& record) {
  if (read_.bytes == 0) {
    // A byte order mark, as some programs put before UTF-8.
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    while (!ended_ && end_ - begin_ < kMark.size()) {
      if (const Result<bool> more = Fill(); !more) return std::unexpected(more.error());
    }
    if (std::string_view(buffer_.get() + begin_, end_ - begin_).starts_with(kMark)) Advance(kMark.size(), 0);
  }
  const std::uint64_t begin = read_.bytes;
  Found found = Found::kNothingYet;
  while (found == Found::kNothingYet && read_.bytes - begin < kPassedMax) {
    const Result<Found> step = skipping_                     ? SkipLine(record)
                               : format_ == ListFormat::kCsv ? NextCsv(record)
                                                             : NextLine(record);
    if (!step) return step;
    found = *step;
  }
  if (found != Found::kNothingYet) position_ = read_;
  return found;
}

Found ListReader::Take(std::size_t size, std::uint64_t lines, Record& record) {
  const bool has_line_end = begin_ + size < end_;
  record = {WithoutCr(std::string_view(buffer_.get() + begin_, size)), read_.line + 1};
  Advance(size + (has_line_end ? 1 : 0), lines);
  return IsBlank(record.text) ? Found::kNothingYet : Found::kRecord;
}

Found ListReader::BeginSkip() {
  skipping_ = true;
  skipped_quotes_ = 0;
  return Found::kNothingYet;
}

// What the buffer holds of a record beyond the limit; at its line end it is found.
Result<Found> ListReader::SkipLine(Record& record) {
  const std::string_view there(buffer_.get() + begin_, end_ - begin_);
  const std::size_t size = std::min(there.find('\n'), there.size());
  const bool has_line_end = size < there.size();
  skipped_quotes_ += static_cast<std::uint64_t>(std::ranges::count(there.substr(0, size), '"'));
  Advance(size + (has_line_end ? 1 : 0), 0);
  if (!has_line_end) {
    const Result<bool> more = Fill();
    if (!more) return std::unexpected(more.error());
    if (*more) return Found::kNothingYet;
  }
  skipping_ = false;
  record = {{}, ++read_.line, true, row_bytes_max_};
  // What follows is inside the quotes: its lines are no rows.
  if (format_ == ListFormat::kCsv && skipped_quotes_ % 2 != 0) return OpenQuote(record.line);
  return Found::kRecord;
}

std::unexpected<Error> ListReader::OpenQuote(std::uint64_t line) const {
  return Fail(ErrorCode::kInvalid,
              fmt::format("line {}: a quote that opens in this record does not close within {} octets; the list "
                          "cannot be read beyond it",
                          line, row_bytes_max_));
}

Result<Found> ListReader::NextLine(Record& record) {
  std::size_t end = 0;
  const Result<bool> whole = FindLineEnd(0, end);
  if (!whole) return std::unexpected(whole.error());
  if (!*whole) return BeginSkip();
  if (end == 0 && begin_ == end_) return Found::kEnd;
  return Take(end, 1, record);
}

Result<Found> ListReader::NextCsv(Record& record) {
  // Line by line, until the quotes of the record are even.
  std::size_t end = 0;
  std::uint64_t lines = 0;
  bool quoted = false;
  for (std::size_t from = 0; from == 0 || quoted; from = end + 1) {
    const Result<bool> whole = FindLineEnd(from, end);
    if (!whole) return std::unexpected(whole.error());
    if (!*whole && quoted) return OpenQuote(read_.line + 1);
    if (!*whole) return BeginSkip();
    ++lines;
    const char* begin = buffer_.get() + begin_;
    if ((std::count(begin + from, begin + end, '"') & 1) != 0) quoted = !quoted;
    if (quoted && begin_ + end == end_) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("line {}: a quote that opens in this record never closes: the list is cut "
                              "or damaged",
                              read_.line + 1));
    }
  }
  if (end == 0 && begin_ == end_) return Found::kEnd;
  return Take(end, lines, record);
}

}  // namespace postrider::intake
