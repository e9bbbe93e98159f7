#include "engine/observe/delivery_log.h"

#include <utility>

#include "engine/observe/accounting.h"
#include "engine/observe/event_line.h"
#include "engine/observe/log_writer.h"

namespace postrider::observe {
namespace {

class FileDeliveryLog final : public DeliveryLog {
 public:
  FileDeliveryLog(std::unique_ptr<LogWriter> log, std::unique_ptr<LogWriter> accounting, std::uint64_t run,
                  bool deferrals)
      : log_(std::move(log)), accounting_(std::move(accounting)), line_(run), record_(deferrals) {}

  void Append(const queue::Event& event) override {
    line_.Append(event, log_->lines());
    if (accounting_ != nullptr) record_.Append(event, accounting_->lines());
  }
  // Each keeps what it could not write, so that a second try repeats nothing.
  Result<void> Sync() override {
    Result<void> synced = log_->Sync();
    return synced && accounting_ != nullptr ? accounting_->Sync() : synced;
  }
  void Rotate(Wall now) override {
    log_->Rotate(now);
    if (accounting_ != nullptr) accounting_->Rotate(now);
  }
  bool Compress() override { return log_->Compress(); }
  std::string TakeProblem() override {
    std::string problem = log_->TakeProblem();
    return problem.empty() && accounting_ != nullptr ? accounting_->TakeProblem() : problem;
  }
  std::uint64_t bytes_written() const override { return log_->bytes_written(); }

 private:
  std::unique_ptr<LogWriter> log_;
  std::unique_ptr<LogWriter> accounting_;  // null: not asked for
  EventLine line_;
  AccountingLine record_;
};

}  // namespace

Result<std::unique_ptr<DeliveryLog>> OpenDeliveryLog(const LogOptions& options, std::uint64_t run, Wall now,
                                                     const AccountingOptions& accounting) {
  LogWriterSettings settings{.what = "the delivery log",
                             .option = "log.directory",
                             .directory = options.directory,
                             .series = kDeliveryFiles,
                             .header = {},
                             .compress = true,
                             .rotate_bytes = options.rotate_bytes,
                             .rotate_age = options.rotate_age};
  Result<std::unique_ptr<LogWriter>> log = LogWriter::Open(settings, run, now);
  if (!log) return std::unexpected(std::move(log.error()));
  std::unique_ptr<LogWriter> records;
  if (accounting.enabled) {
    settings.what = "the accounting file";
    settings.option = "accounting.directory";
    settings.directory = accounting.directory;
    settings.rotate_bytes = accounting.rotate_bytes;
    settings.rotate_age = accounting.rotate_age;
    settings.series = kAccountingFiles;
    settings.header = kAccountingHeader;
    // Whoever reads it reads plain CSV, and takes closed files away.
    settings.compress = false;
    Result<std::unique_ptr<LogWriter>> opened = LogWriter::Open(settings, run, now);
    if (!opened) return std::unexpected(std::move(opened.error()));
    records = *std::move(opened);
  }
  return std::make_unique<FileDeliveryLog>(*std::move(log), std::move(records), run, accounting.deferrals);
}

}  // namespace postrider::observe
