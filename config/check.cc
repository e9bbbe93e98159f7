#include "config/check.h"

#include <cstdio>
#include <cstdlib>

namespace postrider {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "postrider: this is a bug: CHECK(%s) failed at %s:%d\n", condition, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace postrider
