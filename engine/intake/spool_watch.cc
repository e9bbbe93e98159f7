#include "engine/intake/spool_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace postrider::intake {

SpoolWatch::~SpoolWatch() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> SpoolWatch::Open(const std::filesystem::path& directory) {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor_ >= 0 && ::inotify_add_watch(descriptor_, directory.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE) >= 0) {
    return {};
  }
  const int error = errno;
  return Fail(ErrorCode::kIo, fmt::format("watching {}: {}{}", directory.string(), std::strerror(error),
                                          error == EMFILE || error == ENOSPC
                                              ? " (see fs.inotify.max_user_instances and max_user_watches)"
                                              : ""));
}

bool SpoolWatch::TakeNews() {
  if (descriptor_ < 0) return false;
  bool any = false;
  alignas(inotify_event) std::array<char, 16 << 10> events;
  while (::read(descriptor_, events.data(), events.size()) > 0) any = true;
  return any;
}

void SpoolWatch::Wait(std::chrono::nanoseconds max_wait) {
  pollfd waited{descriptor_, POLLIN, 0};
  const auto left = std::max(max_wait, std::chrono::nanoseconds(0));
  const timespec at_most{static_cast<time_t>(left.count() / 1'000'000'000),
                         static_cast<long>(left.count() % 1'000'000'000)};
  (void)::ppoll(&waited, 1, &at_most, nullptr);
}

}  // namespace postrider::intake
