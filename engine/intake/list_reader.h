#pragma once
// A recipients file as records: lines of JSON, or CSV records (RFC 4180; a quoted field may hold line ends). Each comes
// with its line, and with the position behind it in the decompressed stream, where a later run can go on. One buffer,
// whose size depends on the longest row allowed, not on the list. One thread.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "config/error.h"
#include "engine/intake/list_input.h"
#include "queue/campaign.h"
#include "queue/files.h"

namespace postrider::intake {

enum class ListFormat { kJsonLines, kCsv };

struct Record {
  std::string_view text;    // without its line end; valid until the next call. As many octets follow it in memory as
                            // simdjson reads beyond an end
  std::uint64_t line = 0;   // where it begins, from 1
  bool too_long = false;    // beyond the limit: text is empty
  std::uint64_t limit = 0;  // in octets, if it is too long
};

enum class Found { kRecord, kNothingYet, kEnd };

class ListReader {
 public:
  // The name tells format and compression: *.jsonl or *.csv, then perhaps .gz or .zst.
  static Result<std::unique_ptr<ListReader>> Open(queue::Files& files, const std::filesystem::path& file,
                                                  std::uint64_t row_bytes_max);

  // The next record that is not blank. Nothing yet: some megabytes were passed over, blank lines or a record beyond the
  // limit; call again. After an error the list is of no more use.
  [[nodiscard]] Result<Found> Next(Record& record);
  // Behind the last record; at the end behind all.
  [[nodiscard]] queue::ListPosition position() const { return position_; }
  [[nodiscard]] ListFormat format() const { return format_; }

 private:
  ListReader(std::unique_ptr<ListInput> input, ListFormat format, std::uint64_t row_bytes_max);

  Result<bool> Fill();
  Result<bool> FindLineEnd(std::size_t from, std::size_t& end);
  Result<Found> NextLine(Record& record);
  Result<Found> NextCsv(Record& record);
  Result<Found> SkipLine(Record& record);
  Found BeginSkip();
  Found Take(std::size_t size, std::uint64_t lines, Record& record);
  [[nodiscard]] std::unexpected<Error> OpenQuote(std::uint64_t line) const;
  void Advance(std::size_t size, std::uint64_t lines);

  std::unique_ptr<ListInput> input_;
  ListFormat format_;
  std::uint64_t row_bytes_max_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_;
  std::size_t begin_ = 0;  // of what is not consumed
  std::size_t end_ = 0;
  bool ended_ = false;
  bool skipping_ = false;  // a record beyond the limit, up to its line end
  std::uint64_t skipped_quotes_ = 0;
  queue::ListPosition read_;  // behind what is consumed
  queue::ListPosition position_;
};

}  // namespace postrider::intake
