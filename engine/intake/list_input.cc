#include "engine/intake/list_input.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace postrider::intake {
namespace {

constexpr std::size_t kChunk = 256 << 10;  // of the file, at a time

// The file itself, a chunk at a time.
class Chunks {
 public:
  Chunks(std::unique_ptr<queue::FileReader> reader, std::string name)
      : reader_(std::move(reader)), name_(std::move(name)) {}

  // What is left of the present chunk, or the next one; empty at the end.
  Result<std::string_view> Peek() {
    if (at_ == chunk_.size()) {
      chunk_.clear();
      at_ = 0;
      const Result<std::size_t> read = reader_->Read(chunk_, kChunk);
      if (!read) return std::unexpected(read.error());
    }
    return std::string_view(chunk_).substr(at_);
  }
  void Take(std::size_t size) { at_ += size; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::unique_ptr<queue::FileReader> reader_;
  std::string name_;
  std::string chunk_;
  std::size_t at_ = 0;
};

class PlainInput final : public ListInput {
 public:
  explicit PlainInput(Chunks chunks) : chunks_(std::move(chunks)) {}

  Result<std::size_t> Read(char* to, std::size_t size) override {
    const Result<std::string_view> ready = chunks_.Peek();
    if (!ready) return std::unexpected(ready.error());
    const std::size_t taken = std::min(size, ready->size());
    std::memcpy(to, ready->data(), taken);
    chunks_.Take(taken);
    return taken;
  }

 private:
  Chunks chunks_;
};

std::unexpected<Error> Cut(const Chunks& chunks, std::uint64_t produced) {
  return Fail(ErrorCode::kCorrupt,
              fmt::format("{} is cut short: the compressed data ends in the middle, after {} octets of list; copy it "
                          "again",
                          chunks.name(), produced));
}

std::unexpected<Error> Damaged(const Chunks& chunks, std::uint64_t produced, std::string_view reason) {
  return Fail(ErrorCode::kCorrupt,
              fmt::format("{} is damaged: {}, after {} octets of list", chunks.name(), reason, produced));
}

class GzipInput final : public ListInput {
 public:
  explicit GzipInput(Chunks chunks) : chunks_(std::move(chunks)) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    ready_ = inflateInit2(&stream_, kGzipOnly) == Z_OK;
  }
  ~GzipInput() override { inflateEnd(&stream_); }

  Result<std::size_t> Read(char* to, std::size_t size) override {
    if (!ready_) return Fail(ErrorCode::kIo, "zlib cannot be started: out of memory");
    while (true) {
      const Result<std::string_view> ready = chunks_.Peek();
      if (!ready) return std::unexpected(ready.error());
      if (ready->empty()) {
        if (inside_ || !any_ended_) return Cut(chunks_, produced_total_);
        return std::size_t{0};
      }
      if (!inside_) {  // another member may follow (RFC 1952 section 2.2)
        inflateReset(&stream_);
        inside_ = true;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(ready->data()));
      stream_.avail_in = static_cast<uInt>(ready->size());
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(size, kChunk));
      const uInt room = stream_.avail_out;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      chunks_.Take(ready->size() - stream_.avail_in);
      const std::size_t produced = room - stream_.avail_out;
      produced_total_ += produced;
      if (status == Z_STREAM_END) {
        inside_ = false;
        any_ended_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        return Damaged(chunks_, produced_total_, stream_.msg != nullptr ? stream_.msg : "not gzip data");
      }
      if (produced > 0) return produced;
    }
  }

 private:
  Chunks chunks_;
  z_stream stream_{};
  bool ready_ = false;
  bool inside_ = false;     // a member that has not ended
  bool any_ended_ = false;  // one that has
  std::uint64_t produced_total_ = 0;
};

class ZstdInput final : public ListInput {
 public:
  explicit ZstdInput(Chunks chunks) : chunks_(std::move(chunks)), stream_(ZSTD_createDStream()) {
    // Level 19 needs 8 MiB; "--long" asks for more than a list is worth.
    constexpr int kWindowLogMax = 25;
    if (stream_ != nullptr) ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kWindowLogMax);
  }
  ~ZstdInput() override { ZSTD_freeDStream(stream_); }

  Result<std::size_t> Read(char* to, std::size_t size) override {
    if (stream_ == nullptr) return Fail(ErrorCode::kIo, "zstd cannot be started: out of memory");
    while (true) {
      const Result<std::string_view> ready = chunks_.Peek();
      if (!ready) return std::unexpected(ready.error());
      ZSTD_inBuffer in{ready->data(), ready->size(), 0};
      ZSTD_outBuffer out{to, size, 0};
      const bool ended = ready->empty();
      // At the end of the file zstd may still hold octets that had no room before.
      const std::size_t status = ended && !inside_ ? 0 : ZSTD_decompressStream(stream_, &out, &in);
      chunks_.Take(in.pos);
      produced_total_ += out.pos;
      if (ZSTD_isError(status) != 0) return Damaged(chunks_, produced_total_, ZSTD_getErrorName(status));
      inside_ = status != 0;
      any_ended_ |= !ended && !inside_;
      if (out.pos > 0) return out.pos;
      if (!ended) continue;
      if (inside_ || !any_ended_) return Cut(chunks_, produced_total_);
      return std::size_t{0};
    }
  }

 private:
  Chunks chunks_;
  ZSTD_DStream* stream_;
  bool inside_ = false;     // a frame that has not ended
  bool any_ended_ = false;  // one that has
  std::uint64_t produced_total_ = 0;
};

}  // namespace

Result<std::unique_ptr<ListInput>> OpenListInput(queue::Files& files, const std::filesystem::path& file) {
  Result<std::unique_ptr<queue::FileReader>> reader = files.OpenReader(file);
  if (!reader) return std::unexpected(reader.error());
  const std::string name = file.filename().string();
  Chunks chunks(std::move(*reader), name);
  if (name.ends_with(".gz")) return std::make_unique<GzipInput>(std::move(chunks));
  if (name.ends_with(".zst")) return std::make_unique<ZstdInput>(std::move(chunks));
  return std::make_unique<PlainInput>(std::move(chunks));
}

}  // namespace postrider::intake
