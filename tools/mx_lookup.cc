#include "tools/mx_lookup.h"

#include <chrono>
#include <memory>

#include "engine/io/clock.h"
#include "engine/io/loop.h"
#include "engine/io/random.h"

namespace postrider::tools {
namespace {

// Enough to hide the way to the servers, few enough not to be taken for an attack on them.
constexpr std::size_t kAtOnce = 50;
constexpr std::chrono::milliseconds kTurn{100};

}  // namespace

Result<std::vector<dns::MxAnswer>> LookUpMx(const DnsOptions& options, std::span<const std::string> domains,
                                            const std::function<void(std::size_t done)>& progress) {
  std::vector<dns::MxAnswer> answers(domains.size());
  if (domains.empty()) return answers;
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  // A resolver needs few operations and hardly any receive buffers.
  const auto loop = io::MakeLoop({.entries = 256, .receive_buffers = 64}, *clock);
  if (!loop) return std::unexpected(loop.error());
  const auto resolver = dns::MakeResolver(options, **loop, io::MakeSystemRandom()->Next());
  if (!resolver) return std::unexpected(resolver.error());
  std::size_t asked = 0;
  std::size_t done = 0;
  while (done < domains.size()) {
    while (asked < domains.size() && asked - done < kAtOnce) {
      const std::size_t index = asked++;
      (*resolver)->LookUpMx(domains[index], [&, index](const dns::MxAnswer& answer) {
        answers[index] = answer;
        ++done;
      });
    }
    progress(done);
    if (done < domains.size()) (*loop)->RunOnce(kTurn);
  }
  progress(done);
  return answers;
}

}  // namespace postrider::tools
