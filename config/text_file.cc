#include "config/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "config/duration.h"

namespace postrider {

Result<std::string> ReadTextFile(const std::filesystem::path& file, std::size_t bytes_max) {
  const auto failed = [] { return Fail(ErrorCode::kIo, fmt::format("cannot read it: {}", std::strerror(errno))); };
  // O_NONBLOCK: a pipe of that name must not hang who reads.
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed();
  const auto close_it = [](const int* number) { close(*number); };
  const std::unique_ptr<const int, decltype(close_it)> owner(&descriptor, close_it);

  struct stat status {};
  if (fstat(descriptor, &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalid, "expected a file, found a directory or device");
  std::string text;
  for (;;) {
    char buffer[16384];
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > bytes_max) {
      return Fail(ErrorCode::kTooLarge, fmt::format("expected at most {}", FormatSize(bytes_max)));
    }
  }
}

}  // namespace postrider
