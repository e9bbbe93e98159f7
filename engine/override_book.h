#pragma once
// The limits that an operator set while mail flows, as <queue directory>/throttle.toml keeps them. What is in memory is
// what stands in the file, but for what is over. LiveOptions owns it and lets one thread at a time in.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "config/error.h"
#include "config/options.h"
#include "config/overrides.h"
#include "config/time.h"
#include "queue/files.h"

namespace postrider::engine {

class OverrideBook {
 public:
  OverrideBook(const std::filesystem::path& queue_directory, queue::Files& files)
      : file_(queue_directory / "throttle.toml"), files_(files) {}

  // At the start. No file: nothing is set. kInvalid: everything that is wrong in it, each with file:line:column.
  [[nodiscard]] Result<void> Read();
  [[nodiscard]] const Overrides& all() const { return overrides_; }
  // As config/overrides.h has them; durable when they return, and nothing is changed by an error.
  [[nodiscard]] Result<void> Set(RuleOptions rule, const Options& options);
  [[nodiscard]] Result<std::size_t> Unset(const DomainPattern& pattern, std::span<const std::string> keys);
  // Those that are over by now; they are out. A file that cannot be written says so at the next change: what is over
  // counts for nothing there either.
  [[nodiscard]] Overrides TakeExpired(Wall now);

 private:
  [[nodiscard]] Result<void> Write(const Overrides& overrides);

  const std::filesystem::path file_;
  queue::Files& files_;
  Overrides overrides_;
};

}  // namespace postrider::engine
