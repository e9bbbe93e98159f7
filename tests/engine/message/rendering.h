#pragma once
// Support of the message tests: compile a text, give it values, look at what comes out.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message/mime_parser.h"
#include "engine/message/template.h"

namespace postrider::message {

using FieldMap = std::map<std::string, std::string>;
using TemplatePtr = std::shared_ptr<const Template>;

// Fails the test, with what was found, if the message does not compile.
[[nodiscard]] TemplatePtr MustCompile(std::string_view message, const CompileOptions& options = {});
// "file:line:column: ..." lines of a message that must not compile.
[[nodiscard]] std::string CompileErrors(std::string_view message, const CompileOptions& options = {});

[[nodiscard]] std::string Pack(const Template& compiled, const FieldMap& values);

// Row 7 of campaign 3, "offer", to ana@example.org, accepted on Mon, 23 Nov 2026 09:05:00 UTC.
[[nodiscard]] RenderJob SampleJob(std::string_view fields);

[[nodiscard]] std::string MustRender(const Template& compiled, const FieldMap& values);
// Why Check refuses; empty if it does not. Render must agree on everything but the values' own octets.
[[nodiscard]] std::string Refusal(const Template& compiled, const FieldMap& values);

// The value of a header of the outermost part, unfolded and decoded; and of a text part, by its path ("0.1").
[[nodiscard]] std::string HeaderText(std::string_view message, std::string_view name);
[[nodiscard]] std::string PartText(std::string_view message, const std::vector<std::size_t>& path);

// What every message must keep to: CRLF, at most 998 octets a line, ASCII unless 8-bit is allowed. Empty if it does.
[[nodiscard]] std::string FormProblem(std::string_view message, bool eight_bit = false);

}  // namespace postrider::message
