#pragma once
// CHECK stops the program on our own bugs, in release builds too. Nothing that a peer, a file or an operator sends may
// reach a CHECK that can fail.

namespace postrider {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace postrider

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::postrider::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)
