#include "tests/engine/message/rendering.h"

#include <gtest/gtest.h>

#include "engine/message/charset.h"
#include "engine/message/encoded_word.h"

namespace postrider::message {

TemplatePtr MustCompile(std::string_view message, const CompileOptions& options) {
  auto compiled = Template::Compile(message, options);
  if (!compiled) {
    for (const Diagnostic& diagnostic : compiled.error()) ADD_FAILURE() << ToString(diagnostic);
    return nullptr;
  }
  return *compiled;
}

std::string CompileErrors(std::string_view message, const CompileOptions& options) {
  auto compiled = Template::Compile(message, options);
  if (compiled) return "";
  std::string all;
  for (const Diagnostic& diagnostic : compiled.error()) all += ToString(diagnostic) + "\n";
  return all;
}

std::string Pack(const Template& compiled, const FieldMap& values) {
  std::string packed;
  FieldPacker packer(packed);
  for (const std::string& name : compiled.fields()) {
    const auto found = values.find(name);
    found == values.end() ? packer.AddMissing() : packer.Add(found->second);
  }
  return packed;
}

RenderJob SampleJob(std::string_view fields) {
  using namespace std::chrono_literals;
  RenderJob job;
  job.campaign_id = 3;
  job.row = 7;
  job.campaign = "offer";
  job.to = "ana@example.org";
  job.row_id = "4711";
  job.fields = fields;
  job.accepted_at = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 9h + 5min;
  job.host_name = "out.example.com";
  return job;
}

std::string MustRender(const Template& compiled, const FieldMap& values) {
  const std::string fields = Pack(compiled, values);
  const RenderJob job = SampleJob(fields);
  const Result<void> checked = compiled.Check(job);
  EXPECT_TRUE(checked) << checked.error().message;
  std::string out;
  const Result<void> rendered = compiled.Render(job, out);
  EXPECT_TRUE(rendered) << rendered.error().message;
  EXPECT_LE(out.size(), compiled.EstimateSize(fields));
  return out;
}

std::string Refusal(const Template& compiled, const FieldMap& values) {
  const std::string fields = Pack(compiled, values);
  const Result<void> checked = compiled.Check(SampleJob(fields));
  return checked ? "" : checked.error().message;
}

std::string HeaderText(std::string_view message, std::string_view name) {
  const std::vector<std::string> values = HeaderValues(message, name);
  if (values.size() != 1) return "(" + std::to_string(values.size()) + " headers)";
  return DecodeEncodedWords(values.front());
}

std::string PartText(std::string_view message, const std::vector<std::size_t>& path) {
  Findings findings("rendered", message);
  const Entity whole = ParseMessage(message, findings);
  for (const Diagnostic& diagnostic : findings.Take()) ADD_FAILURE() << ToString(diagnostic);
  const Entity* part = &whole;
  for (const std::size_t index : path) {
    if (index >= part->parts.size()) return "(no such part)";
    part = &part->parts[index];
  }
  const std::string_view body = part->body.Of(message);
  if (part->encoding == TransferEncoding::kQuotedPrintable) {
    DecodedText decoded = DecodeQuotedPrintable(body);
    EXPECT_TRUE(decoded.problems.empty());
    return decoded.bytes;
  }
  std::string text;
  if (part->encoding == TransferEncoding::kBase64) {
    EXPECT_FALSE(DecodeBase64(body, text).has_value());
  } else {
    text = body;
  }
  std::string lines;
  for (const char c : text) {
    if (c != '\r') lines += c;
  }
  return lines;
}

std::string FormProblem(std::string_view message, bool eight_bit) {
  if (!message.ends_with("\r\n")) return "it does not end with CRLF";
  if (!eight_bit && !IsAscii(message)) return "it is not ASCII";
  while (!message.empty()) {
    const std::size_t end = message.find("\r\n");
    const std::string_view line = message.substr(0, end);
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return "a bare CR, LF or NUL";
    if (line.size() > 998) return "a line of " + std::to_string(line.size()) + " octets";
    message.remove_prefix(end + 2);
  }
  return "";
}

}  // namespace postrider::message
