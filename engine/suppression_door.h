#pragma once
// What the admin API asks of the suppression list: writes go through the store thread and return once they are synced,
// reads come straight from the store. Owned by the daemon; any thread.

#include "engine/io/clock.h"
#include "engine/observe/control.h"
#include "engine/observe/suppression_control.h"
#include "engine/store_call.h"
#include "queue/job_store.h"

namespace postrider::engine {

class SuppressionDoor : public observe::SuppressionControl {
 public:
  SuppressionDoor(StoreDoor& door, queue::JobStore& store, io::Clock& clock)
      : door_(door), store_(store), clock_(clock) {}

  Wall now() override { return clock_.Read().wall; }
  Result<queue::SuppressionTally> Add(std::span<const queue::Suppression> entries) override;
  Result<std::size_t> Remove(std::span<const queue::SuppressionRemoval> removals) override;
  Result<queue::SuppressionMatches> Match(std::string_view address) override {
    return store_.MatchSuppressions(address);
  }
  Result<queue::SuppressionPage> List(const queue::SuppressionQuery& query, std::string_view cursor,
                                      std::size_t most) override {
    return store_.ListSuppressions(query, cursor, most);
  }
  Result<queue::PastSuppressionPage> ListPast(const queue::SuppressionQuery& query, std::string_view cursor,
                                              std::size_t most) override {
    return store_.ListPastSuppressions(query, cursor, most);
  }
  queue::SuppressionStatsPtr Stats() override { return store_.suppression_stats(); }

 private:
  StoreDoor& door_;
  queue::JobStore& store_;
  io::Clock& clock_;
};

// For the metrics.
[[nodiscard]] observe::SuppressionCounts CountsOf(const queue::SuppressionStats& stats);

}  // namespace postrider::engine
