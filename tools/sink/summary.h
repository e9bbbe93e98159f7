#pragma once
// The sums of a run, and their JSON form. A plain value.

#include <cstdint>
#include <string>
#include <vector>

#include "config/ip_address.h"
#include "tools/sink/counts.h"

namespace postrider::sink {

struct Summary {
  struct Part {
    std::string name;         // of a personality or listen address
    std::string personality;  // of a listen address
    Counts counts;
    std::uint64_t unique_recipients = 0;  // accepted here before anywhere else
    std::uint64_t repeats = 0;            // accepted here, of recipients accepted before anywhere
  };

  std::vector<Part> receivers;  // one per listen address
  std::uint64_t recipients_attempted = 0;
  std::uint64_t untracked_attempts = 0;  // beyond the tally's limit: counted as new each time
  double cpu_seconds = 0;                // of the whole process since it listened
};

// {"total":{...},"listeners":[{"address":...,"personality":...,...}],"personalities":{"gmail":{...}}}, each with the
// same counters; in total also cpu_seconds and cpu_us_per_message. Ends in a newline.
[[nodiscard]] std::string ToJson(const Summary& summary);

}  // namespace postrider::sink
