#pragma once
// What no single option can know: names that nothing defines, options that need one another, limits out of order. Runs
// after a file was read; the loader is its one caller.

#include <map>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/options.h"

namespace postrider {

// Where the file says what: "timeouts.final_reply", "source[1]", "source[1].ipv4". What is not in the file has no
// place.
class Places {
 public:
  explicit Places(std::string file) : file_(std::move(file)) {}

  void Remember(std::string_view what, int line, int column);
  // The file says it, be it well or badly; what was said badly has been reported.
  [[nodiscard]] bool Has(std::string_view what) const { return places_.contains(what); }
  // The nearest known: the option, else its table, else the file as a whole.
  [[nodiscard]] Location Find(std::string_view what) const;

 private:
  std::string file_;
  std::map<std::string, Location, std::less<>> places_;
};

// Reports into diagnostics; also completes options: the pool "default", the provider table, and where each
// rule comes from.
void CompleteOptions(Options& options, const Places& places, Diagnostics& diagnostics);

// The same for a file of providers and their rules, which were read into options as if they were an operator's.
[[nodiscard]] ProviderTablePtr CompleteProviders(Options& options, const Places& places, Diagnostics& diagnostics);

}  // namespace postrider
