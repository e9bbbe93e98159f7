#include "engine/message/template.h"

#include <fmt/format.h>

#include "engine/message/body_compiler.h"
#include "engine/message/header_compiler.h"
#include "engine/message/layout.h"
#include "engine/message/layout_builder.h"
#include "engine/message/mime_parser.h"
#include "engine/message/render.h"

namespace postrider::message {
namespace {

void AppendVarint(std::uint64_t number, std::string& out) {
  while (number >= 0x80) {
    out += static_cast<char>(number | 0x80);
    number >>= 7;
  }
  out += static_cast<char>(number);
}

}  // namespace

struct Template::Layout {
  MessageLayout message;
};

void FieldPacker::Add(std::string_view value) {
  AppendVarint(value.size() + 1, out_);
  out_.append(value);
}

void FieldPacker::AddMissing() { out_ += '\0'; }

std::unexpected<Error> DamagedFields() {
  return Fail(ErrorCode::kCorrupt, "the row's packed merge fields do not fit its message");
}

Result<std::optional<std::string_view>> FieldUnpacker::Next() {
  std::uint64_t size = 0;
  int shift = 0;
  while (true) {
    if (packed_.empty() || shift > 28) return DamagedFields();
    const auto octet = static_cast<unsigned char>(packed_.front());
    packed_.remove_prefix(1);
    size |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
    if (octet < 0x80) break;
    shift += 7;
  }
  if (size == 0) return std::nullopt;
  --size;
  if (size > packed_.size()) return DamagedFields();
  const std::string_view value = packed_.substr(0, size);
  packed_.remove_prefix(size);
  return value;
}

std::expected<std::shared_ptr<const Template>, Diagnostics> Template::Compile(std::string_view message,
                                                                              const CompileOptions& options) {
  Findings findings(options.file, message);
  if (message.size() > options.size_max) {
    findings.AddWithoutPlace(
        fmt::format("the message has {} octets; at most {} are allowed", message.size(), options.size_max));
    return std::unexpected(findings.Take());
  }
  const Entity entity = ParseMessage(message, findings);
  LayoutBuilder builder;
  HeaderCompiler headers(options, builder, findings);
  BodyCompiler body(message, options, builder, findings);
  const PartPlan plan = body.Plan(entity);
  headers.CompileMessageHeaders(entity, plan.content);
  builder.Literal("\r\n");
  body.CompileBody(entity, plan, headers, true);
  if (builder.too_many_fields()) {
    findings.AddWithoutPlace(fmt::format("more than {} different merge fields, or more than {} places where they stand",
                                         kFieldsMax, kFieldUsesMax));
  }
  if (!findings.empty()) return std::unexpected(findings.Take());

  auto layout = std::make_unique<Layout>();
  builder.layout().needs_8bit = plan.eight_bit;
  layout->message = builder.Take();
  // A row's values may make a message larger than its template, but not beyond measure.
  layout->message.size_max = 2 * options.size_max;
  return std::shared_ptr<const Template>(new Template(std::move(layout)));
}

Template::Template(std::unique_ptr<Layout> layout) : layout_(std::move(layout)) {}
Template::~Template() = default;

std::span<const std::string> Template::fields() const { return layout_->message.field_names; }

std::optional<std::size_t> Template::FindField(std::string_view name) const {
  const std::size_t index = layout_->message.FindField(name);
  if (index == kNone) return std::nullopt;
  return index;
}

Result<void> Template::Check(const RenderJob& job) const { return CheckJob(layout_->message, job); }

Result<void> Template::Render(const RenderJob& job, std::string& out) const {
  return RenderMessage(layout_->message, job, out);
}

void Template::AppendMessageId(const RenderJob& job, std::string& out) const {
  AppendMessageIdOf(layout_->message, job, out);
}

std::uint64_t Template::EstimateSize(std::string_view fields) const {
  const MessageLayout& layout = layout_->message;
  RenderJob job;
  job.fields = fields;
  Values values(layout, job);
  std::uint64_t size = layout.fixed_size;
  if (!values.Unpack()) return size;
  for (std::size_t i = 0; i < layout.row_fields.size(); ++i) {
    size += layout.row_fields[i].growth * static_cast<std::uint64_t>(values.Row(i).size());
  }
  return size;
}

bool Template::needs_8bit() const { return layout_->message.needs_8bit; }
bool Template::needs_smtputf8() const { return layout_->message.needs_smtputf8; }
std::string_view Template::from_address() const { return layout_->message.from_address; }

}  // namespace postrider::message
