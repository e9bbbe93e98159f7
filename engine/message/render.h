#pragma once
// Per recipient: a layout and a job's values become the bytes of one message. Pure; allocates nothing but growth of
// out, unless a header's value is longer than a kilobyte or an address is not plain ASCII.

#include <array>
#include <string>
#include <string_view>

#include "config/error.h"
#include "engine/message/layout.h"
#include "engine/message/template.h"

namespace postrider::message {

// The failure of packed fields that are not what the template asks for.
[[nodiscard]] std::unexpected<Error> DamagedFields();

// A job's values, unpacked. Views into the job.
class Values {
 public:
  Values(const MessageLayout& layout, const RenderJob& job) : layout_(layout), job_(job) {}

  // kCorrupt if the packed fields are not what the template asks for.
  [[nodiscard]] Result<void> Unpack();
  // The text to put where use stands; false if there is neither value nor default.
  [[nodiscard]] bool Find(const FieldUse& use, std::string_view& text) const;
  // By index into row_fields; data() is null if the row has no such field.
  [[nodiscard]] std::string_view Row(std::size_t index) const { return {rows_[index].data, rows_[index].size}; }
  [[nodiscard]] const RenderJob& job() const { return job_; }

 private:
  struct Value {
    const char* data;
    std::size_t size;
  };
  const MessageLayout& layout_;
  const RenderJob& job_;
  std::array<Value, kFieldsMax> rows_;  // only the first so many are set
};

// Appends one header with its CRLF. On failure the sentence of the error names the header.
[[nodiscard]] Result<void> RenderHeader(const MessageLayout& layout, const HeaderLayout& header, const Values& values,
                                        std::string& out);

[[nodiscard]] Result<void> RenderMessage(const MessageLayout& layout, const RenderJob& job, std::string& out);

// Whether RenderMessage would succeed; renders only what can fail beyond its values.
[[nodiscard]] Result<void> CheckJob(const MessageLayout& layout, const RenderJob& job);

void AppendMessageIdOf(const MessageLayout& layout, const RenderJob& job, std::string& out);

// "Mon, 23 Nov 2026 09:05:00 +0000" (RFC 5322 section 3.3).
void AppendDate(Wall moment, std::string& out);

}  // namespace postrider::message
