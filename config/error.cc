#include "config/error.h"

#include <string>

#include <fmt/format.h>

namespace postrider {

std::string ToString(const Diagnostic& diagnostic) {
  const Location& where = diagnostic.where;
  std::string text = where.file;
  // A column without its line would point nowhere.
  if (where.line > 0) {
    fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "line " : ":", where.line);
    if (where.column > 0) fmt::format_to(std::back_inserter(text), ":{}", where.column);
  }
  if (!text.empty()) text += ": ";
  return text + diagnostic.message;
}

}  // namespace postrider
