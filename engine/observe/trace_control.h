#pragma once
// What the admin API may ask of the conversations: those of a site as they go on, and the last ones that failed.
// engine/ implements it by asking the cores. Any thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/error.h"
#include "engine/delivery/trace_book.h"

namespace postrider::observe {

struct TraceQuery {
  std::string site{};
  std::string source{};                // empty: all
  std::vector<std::uint64_t> after{};  // TraceView::next of the answer before; empty: from now on
  std::size_t failures = 0;            // not 0: so many failed conversations, and nothing live
};

struct TraceView {
  bool site_known = false;
  std::vector<std::uint64_t> next;  // a number for each core
  std::uint64_t lost = 0;           // lines that were too many to be kept until now
  bool more = false;
  std::vector<delivery::TraceLine> lines;              // oldest first
  std::vector<delivery::FailedConversation> failures;  // newest first
};

class TraceControl {
 public:
  virtual ~TraceControl() = default;
  // kUnavailable: a core does not answer in time.
  [[nodiscard]] virtual Result<TraceView> Ask(const TraceQuery& query) = 0;
};

}  // namespace postrider::observe
