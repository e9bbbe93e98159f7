#include "engine/observe/log_compressor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>
#include <zstd.h>

#include "engine/observe/log_files.h"

namespace postrider::observe {
namespace {

// One piece: about a millisecond of work at level 3, less than a synced write takes.
constexpr std::size_t kStepBytes = 256 << 10;
constexpr int kLevel = 3;  // log lines shrink about tenfold; higher levels gain a tenth and cost double

}  // namespace

struct LogCompressor::Work {
  std::filesystem::path plain;
  std::filesystem::path temporary;
  std::filesystem::path compressed;
  Descriptor from;
  Descriptor to;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{ZSTD_createCCtx(), &ZSTD_freeCCtx};
  std::string in;
  std::string out;
};

LogCompressor::LogCompressor() = default;
LogCompressor::~LogCompressor() {
  if (work_) unlink(work_->temporary.c_str());
}

void LogCompressor::Add(std::filesystem::path plain_file) { waiting_.push_back(std::move(plain_file)); }

bool LogCompressor::Step() {
  if (!work_) {
    if (waiting_.empty()) return false;
    std::filesystem::path next = std::move(waiting_.front());
    waiting_.pop_front();
    if (const Result<void> begun = Begin(std::move(next)); !begun) Abandon(begun.error());
    return true;
  }
  if (const Result<void> continued = Continue(); !continued) Abandon(continued.error());
  return true;
}

Result<void> LogCompressor::Begin(std::filesystem::path plain_file) {
  work_ = std::make_unique<Work>();
  Work& work = *work_;
  work.compressed = plain_file.string() + ".zst";
  work.temporary = work.compressed.string() + ".tmp";
  work.plain = std::move(plain_file);
  Result<Descriptor> from = OpenLogFile(work.plain, O_RDONLY);
  if (!from) return Fail("compressing", std::move(from.error()));
  Result<Descriptor> to = OpenLogFile(work.temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!to) return Fail("compressing", std::move(to.error()));
  work.from = *std::move(from);
  work.to = *std::move(to);
  if (work.context == nullptr) return Fail(ErrorCode::kIo, "compressing: out of memory");
  ZSTD_CCtx_setParameter(work.context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(work.context.get(), ZSTD_c_checksumFlag, 1);
  work.in.resize(kStepBytes);
  work.out.resize(ZSTD_CStreamOutSize());
  return {};
}

Result<void> LogCompressor::Continue() {
  Work& work = *work_;
  ssize_t count = 0;
  do {
    count = read(work.from.get(), work.in.data(), work.in.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return FailErrno("read the log file", work.plain);

  const ZSTD_EndDirective directive = count == 0 ? ZSTD_e_end : ZSTD_e_continue;
  ZSTD_inBuffer in{work.in.data(), static_cast<std::size_t>(count), 0};
  std::size_t left = 0;
  do {
    ZSTD_outBuffer out{work.out.data(), work.out.size(), 0};
    left = ZSTD_compressStream2(work.context.get(), &out, &in, directive);
    if (ZSTD_isError(left) != 0) {
      return Fail(ErrorCode::kIo, fmt::format("compressing {}: {}", work.plain.string(), ZSTD_getErrorName(left)));
    }
    std::size_t written = 0;
    const std::string_view ready(work.out.data(), out.pos);
    if (Result<void> result = WriteAll(work.to.get(), ready, work.temporary, written); !result) return result;
  } while (directive == ZSTD_e_end ? left > 0 : in.pos < in.size);
  return directive == ZSTD_e_end ? Finish() : Result<void>();
}

Result<void> LogCompressor::Finish() {
  Work& work = *work_;
  if (fsync(work.to.get()) != 0) return FailErrno("sync", work.temporary);
  if (rename(work.temporary.c_str(), work.compressed.c_str()) != 0) return FailErrno("rename", work.temporary);
  if (Result<void> synced = SyncDirectory(work.plain.parent_path()); !synced) return synced;
  if (unlink(work.plain.c_str()) != 0) return FailErrno("remove", work.plain);
  work_.reset();
  return {};
}

void LogCompressor::Abandon(const Error& error) {
  problem_ = error.message + "; the log file stays uncompressed until the next start";
  if (work_) unlink(work_->temporary.c_str());
  work_.reset();
}

}  // namespace postrider::observe
