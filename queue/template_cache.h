#pragma once
// Messages as stored, for readers of any thread: the last few, bounded by bytes. They never change, so a cached one is
// always right.

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>

#include "config/error.h"
#include "queue/job.h"
#include "queue/tables.h"

namespace postrider::queue {

class TemplateCache {
 public:
  explicit TemplateCache(const Tables& tables) : tables_(tables) {}

  // kNotFound if it went with its last recipient, or never was.
  [[nodiscard]] Result<StoredTemplatePtr> Read(CampaignId campaign, std::uint32_t number);

 private:
  // A busy hour has a few dozen campaigns with messages of 10 to 100 KB; larger ones are read again.
  static constexpr std::size_t kBytesMax = 16 << 20;
  static constexpr std::size_t kEntriesMax = 256;  // they are searched one by one

  const Tables& tables_;
  std::mutex mutex_;
  std::list<StoredTemplatePtr> recent_;  // last used first
  std::size_t bytes_ = 0;
};

}  // namespace postrider::queue
