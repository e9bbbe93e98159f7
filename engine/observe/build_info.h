#pragma once
// Which program this is, for --version, /metrics and bug reports.

#include <string_view>

namespace postrider::observe {

// The same as in CMakeLists.txt; a test compares them.
inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr std::string_view kCompiler = "g++ " __VERSION__;

}  // namespace postrider::observe
