#pragma once
// Spool to queue: finds what was submitted in spool/new, reads it row by row into synced batches, and moves it to done/
// or failed/. Resumes after a crash what stands in spool/work, at the position the queue has synced. One thread, but
// for counts() and SetOptions; every RunOnce is one bounded step, so that the thread can stop between any two.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/io/clock.h"
#include "queue/campaign_writer.h"
#include "queue/files.h"

namespace postrider::intake {

struct IntakeCounts {
  std::uint64_t campaigns_accepted = 0;
  std::uint64_t campaigns_failed = 0;
  std::uint64_t messages_accepted = 0;  // single .eml files
  std::uint64_t batches = 0;
  bool stopped_by_disk = false;
  std::string trouble;  // what keeps it from working, or empty: spool not readable, queue not writable ...
};

class Intake {
 public:
  Intake(OptionsPtr options, queue::Files& files, queue::CampaignWriter& writer, io::Clock& clock);
  ~Intake();

  // Makes the spool's directories (0700) and begins to watch spool/new. Fails if the spool cannot be used.
  [[nodiscard]] Result<void> Open();
  // One bounded step: one batch of rows, or one look at spool/new. True: there is more to do at once.
  bool RunOnce();
  // Until something is renamed into spool/new, or max_wait has passed.
  void Wait(std::chrono::nanoseconds max_wait);

  // A sentence for each submission refused since the last call; for the thread that calls RunOnce.
  [[nodiscard]] std::vector<std::string> TakeFailures();

  void SetOptions(OptionsPtr options);        // any thread; takes effect with the next step
  [[nodiscard]] IntakeCounts counts() const;  // any thread

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace postrider::intake
