// FindInLog: reads all files of the delivery log, plain and compressed, newest first, until it has enough.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <zstd.h>

#include "engine/observe/delivery_log.h"
#include "engine/observe/event_line.h"
#include "engine/observe/log_files.h"

namespace postrider::observe {
namespace {

constexpr std::size_t kPieceBytes = 256 << 10;
// A line of ours is a few KB at most; what is longer is not ours and is passed over.
constexpr std::size_t kLineBytesMax = 1 << 20;

// The bytes of a file, decompressed by the way.
class LogReader {
 public:
  static Result<LogReader> Open(const LogFile& file) {
    LogReader reader;
    reader.path_ = file.path;
    reader.compressed_ = file.compressed;
    Result<Descriptor> descriptor = OpenLogFile(file.path, O_RDONLY);
    if (!descriptor && descriptor.error().code == ErrorCode::kNotFound && !file.compressed) {
      // Compressed since it was listed.
      reader.path_ += ".zst";
      reader.compressed_ = true;
      descriptor = OpenLogFile(reader.path_, O_RDONLY);
    }
    if (!descriptor) return std::unexpected(std::move(descriptor.error()));
    reader.descriptor_ = *std::move(descriptor);
    if (reader.compressed_) reader.context_.reset(ZSTD_createDCtx());
    reader.raw_.resize(kPieceBytes);
    return reader;
  }

  // The next piece, empty at the end; valid until the next call.
  Result<std::string_view> Read() {
    if (!compressed_) return ReadRaw();
    out_.resize(ZSTD_DStreamOutSize());
    for (;;) {
      if (in_.pos == in_.size && !flushing_) {
        const Result<std::string_view> raw = ReadRaw();
        if (!raw) return raw;
        if (raw->empty() && inside_frame_) {
          return Fail(ErrorCode::kCorrupt, fmt::format("{} is cut short", path_.string()));
        }
        if (raw->empty()) return raw;
        in_ = {raw->data(), raw->size(), 0};
      }
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const std::size_t status = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(status) != 0) {
        return Fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path_.string(), ZSTD_getErrorName(status)));
      }
      inside_frame_ = status != 0;
      flushing_ = out.pos == out.size;  // there may be more inside
      if (out.pos > 0) return std::string_view(out_.data(), out.pos);
    }
  }

 private:
  LogReader() = default;

  Result<std::string_view> ReadRaw() {
    ssize_t count = 0;
    do {
      count = read(descriptor_.get(), raw_.data(), raw_.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0) return FailErrno("read the log file", path_);
    return std::string_view(raw_.data(), static_cast<std::size_t>(count));
  }

  std::filesystem::path path_;
  bool compressed_ = false;
  Descriptor descriptor_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_{nullptr, &ZSTD_freeDCtx};
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool flushing_ = false;
  bool inside_frame_ = false;
  std::string raw_;
  std::string out_;
};

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Keeps the last `most` lines that hold the mark, from pieces cut anywhere. As intake does, it takes addresses that
// differ in upper and lower case alone for the same.
class LineFilter {
 public:
  LineFilter(std::string_view mark, std::size_t most) : mark_(mark), most_(most) {}

  void Take(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t newline = piece.find('\n');
      if (newline == piece.npos) {
        Keep(piece);
        return;
      }
      if (carried_.empty() && !overlong_) {
        Consider(piece.substr(0, newline));
      } else {
        Keep(piece.substr(0, newline));
        if (!overlong_) Consider(carried_);
      }
      carried_.clear();
      overlong_ = false;
      piece.remove_prefix(newline + 1);
    }
  }
  // A last line without its end is still being written, or torn: it does not count.
  [[nodiscard]] std::deque<std::string>& lines() { return lines_; }

 private:
  void Keep(std::string_view part) {
    overlong_ = overlong_ || carried_.size() + part.size() > kLineBytesMax;
    if (!overlong_) carried_ += part;
  }
  [[nodiscard]] bool HoldsMark(std::string_view line) const {
    // All before the address is ours, and written as in the mark.
    const std::string_view key = mark_.substr(0, mark_.find(':') + 1);
    for (std::size_t at = line.find(key); at != line.npos; at = line.find(key, at + 1)) {
      if (std::ranges::equal(line.substr(at, mark_.size()), mark_, {}, LowerCase, LowerCase)) return true;
    }
    return false;
  }
  void Consider(std::string_view line) {
    if (!HoldsMark(line)) return;
    lines_.emplace_back(line);
    if (lines_.size() > most_) lines_.pop_front();
  }

  const std::string_view mark_;
  const std::size_t most_;
  std::deque<std::string> lines_;
  std::string carried_;
  bool overlong_ = false;
};

// What was found before a problem counts too.
Result<void> FindInFile(const LogFile& file, LineFilter& filter, const std::function<bool()>& go_on) {
  Result<LogReader> reader = LogReader::Open(file);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const Result<std::string_view> piece = reader->Read();
    if (!piece) return std::unexpected(piece.error());
    if (piece->empty()) return {};
    if (go_on && !go_on()) return Fail(ErrorCode::kUnavailable, "the search was stopped");
    filter.Take(*piece);
  }
}

}  // namespace

Result<FoundInLog> FindInLog(const LogOptions& options, std::string_view recipient, std::size_t most,
                             const std::function<bool()>& go_on) {
  const Result<std::vector<LogFile>> files = ListLogFiles(options.directory);
  if (!files) return std::unexpected(files.error());
  const std::string mark = RecipientMark(recipient);
  std::deque<std::string> lines;
  FoundInLog found;
  for (auto file = files->rbegin(); file != files->rend() && lines.size() < most; ++file) {
    LineFilter filter(mark, most - lines.size());
    if (const Result<void> read = FindInFile(*file, filter, go_on); !read) {
      if (read.error().code == ErrorCode::kUnavailable) return Fail("searching the delivery log", read.error());
      found.problems.push_back(fmt::format("{}; what follows in that file is not shown", read.error().message));
    }
    std::deque<std::string>& older = filter.lines();
    lines.insert(lines.begin(), std::make_move_iterator(older.begin()), std::make_move_iterator(older.end()));
  }
  found.lines.assign(std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
  return found;
}

}  // namespace postrider::observe
