// simulate: runs the simulation outside of the tests, at length or under many seeds. What it prints is a function of
// its arguments alone; the digest of all that happened comes last.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tests/simulation/hour.h"

namespace {

constexpr const char* kHelp = R"(Usage: simulate [--seed N] [--cores N] [--minutes N] [--real-share SHARE]

Sends mail in virtual time to providers that enforce limits: Gmail, Yahoo, Microsoft 365, Orange, QQ and a stranger.
Prints what each bore and what it got, then a digest of every event: same arguments, same digest.

  --seed N            of everything that is left to chance (default 1)
  --cores N           of the sender (default 1)
  --minutes N         of virtual time (default 60)
  --real-share SHARE  what receivers really bear of the messages that the sender's rules allow (default 1)

Exit codes: 0 nothing is wrong; 1 a recipient is unaccounted for, or paid for what was not its fault; 2 wrong request.

Example: simulate --seed 4711 --cores 2 --real-share 0.5
)";

template <typename Number>
bool Read(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

int main(int count, char** arguments) {
  using namespace postrider::simulation;
  HourSettings settings;
  unsigned minutes = 60;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") {
      fmt::print("{}", kHelp);
      return 0;
    }
    const std::string_view value = i + 1 < count ? arguments[++i] : "";
    const bool good = name == "--seed"         ? Read(value, settings.seed)
                      : name == "--cores"      ? Read(value, settings.cores) && settings.cores > 0
                      : name == "--minutes"    ? Read(value, minutes) && minutes > 0
                      : name == "--real-share" ? Read(value, settings.real_share) && settings.real_share > 0
                                               : false;
    if (good) continue;
    fmt::print(stderr, "simulate: {} {} is not understood; simulate --help says what is\n", name, value);
    return 2;
  }
  settings.supply = std::chrono::minutes(minutes);
  Hour hour(settings);
  // In tens of minutes: how each came there.
  for (unsigned gone = 0; gone < minutes; gone += 10) {
    const unsigned piece = std::min(10u, minutes - gone);
    hour.RunFor(std::chrono::minutes(piece));
    fmt::print("after {} minutes\n{}", gone + piece, ToText(hour.Look()));
  }
  hour.Drain();
  const std::string problem = hour.Check();
  if (!problem.empty()) fmt::print("wrong: {}\n", problem);
  fmt::print("digest {:016x}\n", hour.Digest());
  return problem.empty() ? 0 : 1;
}
