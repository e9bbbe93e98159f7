#pragma once
// Entries of the suppression list as lines of text: what export writes and import reads. Three forms: JSON lines with
// all that is known of an entry, CSV with a header row and the same names as columns, and plain text, an address or
// domain a line. What was written is read again as it was. Pure; one thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "queue/suppression.h"

namespace postrider::observe {

enum class SuppressionForm : std::uint8_t { kText, kCsv, kJson };
// "text", "csv", "jsonl".
[[nodiscard]] std::optional<SuppressionForm> ParseSuppressionForm(std::string_view name);

// One line with its end.
void AppendSuppression(std::string& out, const queue::Suppression& entry, SuppressionForm form);
// What stands before all lines; empty but for CSV.
[[nodiscard]] std::string_view SuppressionHeader(SuppressionForm form);
// Without the line's end: the answers of the API are made of them.
void AppendSuppressionJson(std::string& out, const queue::Suppression& entry);
void AppendPastSuppressionJson(std::string& out, const queue::PastSuppression& past);

// "2026-11-24T05:44:00.123Z", without the fraction, or the day alone.
[[nodiscard]] std::optional<Wall> ParseMoment(std::string_view text);

// Cuts bytes into lines and lines into entries. An empty line, and in text one that begins with "#", is nothing.
class SuppressionLines {
 public:
  using Take = std::function<void(std::uint64_t line, Result<queue::Suppression> entry)>;

  // What a line does not say comes from defaults. Without a form, the first line that says something decides: "{" for
  // JSON, a header with a column for the address for CSV, else text.
  SuppressionLines(std::optional<SuppressionForm> form, queue::Suppression defaults);

  void Feed(std::string_view bytes, const Take& take);
  // After the last byte.
  void Finish(const Take& take);
  [[nodiscard]] std::uint64_t lines() const { return line_; }

 private:
  void Line(std::string_view line, const Take& take);
  void ReadHeader(std::string_view line, const Take& take);
  [[nodiscard]] Result<queue::Suppression> ReadJson(std::string_view line) const;
  [[nodiscard]] Result<queue::Suppression> ReadCsv(std::string_view line) const;

  std::optional<SuppressionForm> form_;
  const queue::Suppression defaults_;
  std::string rest_;  // of a line whose end has not come
  std::uint64_t line_ = 0;
  std::vector<std::string> columns_;  // of CSV
  bool header_read_ = false;
  bool header_bad_ = false;  // told once
};

}  // namespace postrider::observe
