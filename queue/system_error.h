#pragma once
// What errno says, as an Error.

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "config/error.h"

namespace postrider::queue {

[[nodiscard]] inline std::unexpected<Error> SystemFailure(std::string_view doing, const std::filesystem::path& path,
                                                          int error = errno) {
  ErrorCode code = ErrorCode::kIo;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = ErrorCode::kExists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::kDenied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::kNoSpace;
      break;
    case EFBIG:
      code = ErrorCode::kTooLarge;
      break;
    default:
      break;
  }
  return Fail(code, fmt::format("{} {}: {}", doing, path.string(), std::generic_category().message(error)));
}

}  // namespace postrider::queue
