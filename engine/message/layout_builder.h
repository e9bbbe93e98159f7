#pragma once
// Grows a MessageLayout: keeps neighbouring literals in one step, and each field name once. Used while compiling only.

#include <string>
#include <string_view>
#include <vector>

#include "engine/message/layout.h"
#include "engine/message/merge.h"

namespace postrider::message {

// Where a use stands, for what a value may be there and how large it may become.
enum class UsePlace { kHeader, kQuotedPrintable, kBase64, kPlain };

class LayoutBuilder {
 public:
  // Bytes as they will be sent.
  void Literal(std::string_view bytes);
  // The column after the last literal, for a quoted-printable step that follows it.
  void SetColumn(std::size_t column);
  void AddStep(StepKind kind) { StepWithIndex(kind, 0); }
  void StepWithText(StepKind kind, std::string_view text);
  void StepWithIndex(StepKind kind, std::size_t index);
  void Field(StepKind kind, const MergePiece& piece, UsePlace place, bool html);

  // Index into uses. A field beyond the limits is counted, not added.
  std::uint32_t AddUse(const MergePiece& piece, UsePlace place, bool escapes);
  PieceRange AddPieces(const std::vector<MergePiece>& pieces, bool escapes = false);
  Stretch Store(std::string_view bytes);

  [[nodiscard]] bool too_many_fields() const { return too_many_fields_; }
  [[nodiscard]] MessageLayout& layout() { return layout_; }
  // Sorts the names and estimates the size; nothing may be added after it.
  MessageLayout Take();

 private:
  std::size_t RowField(std::string_view name);

  MessageLayout layout_;
  bool too_many_fields_ = false;
};

}  // namespace postrider::message
