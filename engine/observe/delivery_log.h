#pragma once
// The delivery log: JSON lines in log.directory, one per event (fields in observe/README.md), and beside it, if asked
// for, the accounting file. Both are synced with the group commit and rotated by size and age; the log is compressed
// with zstd once closed. Used by the store thread alone; compression runs in small steps of Compress, which its owner
// calls when idle. A log or accounting file that cannot be written fails Sync, which stops sending.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "config/time.h"
#include "queue/event.h"

namespace postrider::observe {

class DeliveryLog : public queue::EventSink {
 public:
  // Rotates if it is time; call it now and then.
  virtual void Rotate(Wall now) = 0;
  // A bounded piece of work on a closed file; false: nothing is left to do.
  virtual bool Compress() = 0;
  // What went wrong with rotation or compression since the last call, for the operator; empty: nothing.
  [[nodiscard]] virtual std::string TakeProblem() = 0;
  [[nodiscard]] virtual std::uint64_t bytes_written() const = 0;
};

// run is the store's run number, written into each event's id. Continues the newest open file, cutting a torn last
// line.
[[nodiscard]] Result<std::unique_ptr<DeliveryLog>> OpenDeliveryLog(const LogOptions& options, std::uint64_t run,
                                                                   Wall now, const AccountingOptions& accounting = {});

struct FoundInLog {
  std::vector<std::string> lines;     // oldest first
  std::vector<std::string> problems;  // files that could not be read, or not to their end; a sentence each
};
// Lines of all log files (compressed ones too) that are about this recipient; at most `most` newest. A damaged file
// hides no other. Any thread. Reads everything there is, about a second per GB: go_on is asked now and then, and false
// ends it with an error.
[[nodiscard]] Result<FoundInLog> FindInLog(const LogOptions& options, std::string_view recipient, std::size_t most,
                                           const std::function<bool()>& go_on = {});

}  // namespace postrider::observe
