#pragma once
// How the house reports what went wrong. An Error is an expected failure: a code for the program to branch on and one
// sentence for a person, which says what was expected, what was found, where, and what to do. A Diagnostic is one
// finding in a file an operator or submitter wrote. Replies of servers are values (config/reply.h), never errors.

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postrider {

enum class ErrorCode {
  kInvalid,      // malformed input
  kNotFound,     // the named thing does not exist
  kExists,       // it exists already, with other content
  kIo,           // the operating system refused; the message holds its reason
  kNoSpace,      // disk full or quota reached
  kCorrupt,      // stored data fails its own checks
  kUnsupported,  // a version or feature this build does not know
  kTooLarge,     // a limit of config/options.h was passed
  kDenied,       // permission or policy
  kBusy,         // held by another process or a full queue; try later
  kUnavailable,  // the peer, daemon or network cannot be reached
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInvalid;
  std::string message;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// Adds context in front, once, where it is known: "reading spool/new/offer: <message>".
[[nodiscard]] inline std::unexpected<Error> Fail(std::string_view context, Error error) {
  error.message.insert(0, std::string(context) + ": ");
  return std::unexpected(std::move(error));
}

// Line and column count from 1; 0 means "not known".
struct Location {
  std::string file;
  int line = 0;
  int column = 0;
};

struct Diagnostic {
  Location where;
  std::string message;
};
using Diagnostics = std::vector<Diagnostic>;

// "file:line:column: message", leaving out what is not known.
[[nodiscard]] std::string ToString(const Diagnostic& diagnostic);

}  // namespace postrider
