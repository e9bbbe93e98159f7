#pragma once
// Reads what the daemon answers, as JSON.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "config/error.h"

namespace postrider::tools {

// What read makes of the answer. read throws nlohmann's exception where a thing is missing or of another type.
template <typename Json, typename Read>
auto ReadAnswer(std::string_view text, Read read) -> Result<decltype(read(Json()))> {
  try {
    return read(Json::parse(text));
  } catch (const nlohmann::json::exception& problem) {
    return Fail(ErrorCode::kUnsupported,
                std::string("the daemon's answer makes no sense; are it and this program of the same version? (") +
                    problem.what() + ")");
  }
}

}  // namespace postrider::tools
