#pragma once
// What the admin API may ask of the suppression list; engine/ implements it over the store. Any thread.

#include <cstddef>
#include <span>
#include <string_view>

#include "config/error.h"
#include "config/time.h"
#include "queue/suppression.h"

namespace postrider::observe {

class SuppressionControl {
 public:
  virtual ~SuppressionControl() = default;

  // For the entries' own moments.
  [[nodiscard]] virtual Wall now() = 0;
  // Durable, and counting for all mail taken from then on, when it returns. All or, on error, none.
  [[nodiscard]] virtual Result<queue::SuppressionTally> Add(std::span<const queue::Suppression> entries) = 0;
  // How many were there; likewise durable.
  [[nodiscard]] virtual Result<std::size_t> Remove(std::span<const queue::SuppressionRemoval> removals) = 0;
  // As queue/suppression_table.h has them.
  [[nodiscard]] virtual Result<queue::SuppressionMatches> Match(std::string_view address) = 0;
  [[nodiscard]] virtual Result<queue::SuppressionPage> List(const queue::SuppressionQuery& query,
                                                            std::string_view cursor, std::size_t most) = 0;
  [[nodiscard]] virtual Result<queue::PastSuppressionPage> ListPast(const queue::SuppressionQuery& query,
                                                                    std::string_view cursor, std::size_t most) = 0;
  [[nodiscard]] virtual queue::SuppressionStatsPtr Stats() = 0;
};

}  // namespace postrider::observe
