#pragma once
// Compiles bodies into a layout: decides how each part is sent, decodes the text parts once, and writes their literals
// encoded as they will be sent. While compiling only.

#include <string>
#include <string_view>
#include <vector>

#include "engine/message/header_compiler.h"
#include "engine/message/layout_builder.h"
#include "engine/message/merge.h"
#include "engine/message/mime_parser.h"
#include "engine/message/template.h"

namespace postrider::message {

// How one part, and what is in it, will be sent.
struct PartPlan {
  enum class Body {
    kAsWritten,     // the submitter's octets, with CRLF
    kBase64Octets,  // not text; its own encoding will not do
    kText,          // pieces, encoded as content.encoding says
    kParts,
  };
  Body body = Body::kAsWritten;
  ContentHeaders content;
  std::vector<MergePiece> pieces;
  bool html = false;
  bool eight_bit = false;  // it, or a part in it, is sent with octets outside ASCII
  std::vector<PartPlan> parts;
};

class BodyCompiler {
 public:
  BodyCompiler(std::string_view message, const CompileOptions& options, LayoutBuilder& builder, Findings& findings)
      : message_(message), options_(options), builder_(builder), findings_(findings) {}

  [[nodiscard]] PartPlan Plan(const Entity& entity);
  // The body, up to and with a last CRLF. headers compiles those of inner parts.
  void CompileBody(const Entity& entity, const PartPlan& plan, HeaderCompiler& headers, bool outermost);

 private:
  struct Text;

  PartPlan PlanParts(const Entity& entity);
  PartPlan PlanOpaque(const Entity& entity);
  PartPlan PlanText(const Entity& entity);
  bool DecodeText(const Entity& entity, Text& text);
  bool RefuseNul(const Entity& entity, std::string_view text);
  void KeepLines(PartPlan& plan, const Entity& entity, bool ascii);
  void CheckNoFields(Range body, std::string_view why);
  void ReportMerge(const Text& text, const std::vector<MergeProblem>& problems);

  void EmitAsWritten(Range range, bool end_line);
  void EmitQuotedPrintable(const PartPlan& plan, bool outermost);
  void EmitTextAfterField(std::string_view text);
  void EmitBase64(const PartPlan& plan);
  void EmitPlain(const PartPlan& plan, bool outermost);

  std::string_view message_;
  const CompileOptions& options_;
  LayoutBuilder& builder_;
  Findings& findings_;
};

}  // namespace postrider::message
