#include "engine/mx_lookup.h"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "engine/io/clock.h"
#include "engine/io/loop.h"
#include "engine/io/random.h"

namespace postrider::engine {
namespace {

// A person waits; the cores' own patience with name servers is longer.
constexpr std::chrono::seconds kDeadline{8};
constexpr std::chrono::milliseconds kTurn{100};
// One question and its answer.
constexpr io::LoopOptions kSmallLoop{.entries = 64, .receive_buffers = 16, .receive_buffer_bytes = 4096};

dns::MxAnswer Failed(std::string problem) {
  dns::MxAnswer answer;
  answer.problem = std::move(problem);
  return answer;
}

dns::MxAnswer Ask(const DnsOptions& options, std::string_view domain) {
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  auto loop = io::MakeLoop(kSmallLoop, *clock);
  if (!loop) return Failed(loop.error().message);
  auto resolver = dns::MakeResolver(options, **loop, io::MakeSystemRandom()->Next());
  if (!resolver) return Failed(resolver.error().message);
  std::optional<dns::MxAnswer> found;
  (*resolver)->LookUpMx(domain, [&found](const dns::MxAnswer& answer) { found = answer; });
  const Monotonic deadline = clock->Read().monotonic + kDeadline;
  while (!found && clock->Read().monotonic < deadline) (*loop)->RunOnce(kTurn);
  if (found) return *std::move(found);
  return Failed(fmt::format("no name server answered within {} s", kDeadline.count()));
}

}  // namespace

std::shared_ptr<const dns::MxAnswer> LookUpMx(const DnsOptions& options, std::string_view domain) {
  auto answer = std::make_shared<dns::MxAnswer>();
  // A ring belongs to one thread, and the admin's have small stacks.
  std::thread([&] { *answer = Ask(options, domain); }).join();
  return answer;
}

}  // namespace postrider::engine
