#pragma once
// The reading half of the queue: which domains have work now, and the next jobs of one domain. Any thread; each call
// sees one committed state, and does a bounded amount of work whatever the queue holds.

#include "config/error.h"
#include "queue/job_store.h"
#include "queue/store_writer.h"
#include "queue/template_cache.h"

namespace postrider::queue {

class StoreReader {
 public:
  StoreReader(StoreShared& shared, TemplateCache& templates) : shared_(shared), templates_(templates) {}

  [[nodiscard]] Result<DomainScan> ScanDomains(const DomainScanRequest& request);
  [[nodiscard]] Result<TakenJobs> Take(const TakeRequest& request);

 private:
  StoreShared& shared_;
  TemplateCache& templates_;
};

}  // namespace postrider::queue
