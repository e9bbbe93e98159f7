#pragma once
// Replies as a person or program hands them to `postrider classify`: text, or JSON lines {"reply": ..., "provider":
// ..., "stage": ..., "expected": ..., "accept": [...]}, of which all but "reply" may be missing. Lines of the delivery
// log, which keep the code apart, are understood too; those that hold no reply are passed over.

#include <cstddef>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/provider.h"
#include "config/reply.h"
#include "config/verdict.h"

namespace postrider::tools {

struct ReplyRow {
  std::size_t line = 0;  // its first
  Reply reply;
  std::string shown;  // as it came, its lines joined by " | "
  Stage stage = Stage::kNone;
  std::string provider;              // of the table; empty: unknown
  std::optional<Category> expected;  // of rows to score
  std::vector<Category> accept;      // other defensible answers
};

class ReplyReader {
 public:
  // What a row that does not say it is taken to be.
  struct Defaults {
    Stage stage = Stage::kNone;
    std::string provider;
  };

  // name stands for the input in errors. All are borrowed.
  ReplyReader(std::istream& input, std::string name, const ProviderTable& providers, Defaults defaults)
      : input_(input), name_(std::move(name)), providers_(providers), defaults_(std::move(defaults)) {}

  // The next row; nullopt at the end. After an error ("name:line: ...") reading goes on with the next line.
  [[nodiscard]] std::optional<Result<ReplyRow>> Next();

 private:
  [[nodiscard]] bool ReadLine(std::string& line);
  [[nodiscard]] std::optional<Result<ReplyRow>> FromJson(const std::string& line);
  [[nodiscard]] Result<ReplyRow> FromText(std::string text);
  [[nodiscard]] std::unexpected<Error> Bad(std::size_t line, const std::string& message) const;

  std::istream& input_;
  const std::string name_;
  const ProviderTable& providers_;
  const Defaults defaults_;
  std::size_t line_ = 0;
  std::optional<std::string> pushed_back_;
};

}  // namespace postrider::tools
