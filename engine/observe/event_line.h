#pragma once
// Turns an event into its line of the delivery log (fields in observe/README.md). Allocates nothing once its buffer is
// warm. Pure but for a cache of the current second's text: one object per thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/observe/rfc3339.h"
#include "queue/event.h"

namespace postrider::observe {

class EventLine {
 public:
  // run is the store's run number: the last part of an event's id.
  explicit EventLine(std::uint64_t run) : run_(run) {}

  // Appends the line, "\n" included.
  void Append(const queue::Event& event, std::string& out);

 private:
  const std::uint64_t run_;
  Rfc3339Writer time_;
  Rfc3339Writer next_due_;
};

// What a line about this recipient contains, and no other line does.
[[nodiscard]] std::string RecipientMark(std::string_view recipient);

}  // namespace postrider::observe
