#include "engine/message/layout_builder.h"

#include <algorithm>
#include <numeric>

#include "config/check.h"

namespace postrider::message {
namespace {

constexpr std::uint32_t kAddressMax = 254;   // of {{to}} and {{domain}}; row ids and campaign names are shorter
constexpr std::uint64_t kOwnHeaders = 1024;  // Date, Message-ID, To, folds

// The most octets one octet of a value can become.
std::uint32_t Growth(UsePlace place, bool escape) {
  switch (place) {
    case UsePlace::kHeader:
      return 4;  // "=XX" and the frames of encoded-words
    case UsePlace::kQuotedPrintable:
      return escape ? 7 : 4;  // "&quot;", "=XX", soft line ends
    case UsePlace::kBase64:
      return escape ? 9 : 2;
    case UsePlace::kPlain:
      return escape ? 6 : 1;
  }
  return 1;
}

}  // namespace

FieldSource SourceOf(std::string_view name) {
  if (name == "to") return FieldSource::kTo;
  if (name == "id") return FieldSource::kId;
  if (name == "domain") return FieldSource::kDomain;
  if (name == "campaign") return FieldSource::kCampaign;
  return FieldSource::kRow;
}

std::size_t MessageLayout::FindField(std::string_view name) const {
  const auto found =
      std::lower_bound(by_name.begin(), by_name.end(), name,
                       [&](std::uint16_t index, std::string_view key) { return field_names[index] < key; });
  return found != by_name.end() && field_names[*found] == name ? *found : kNone;
}

Stretch LayoutBuilder::Store(std::string_view bytes) {
  const Stretch stretch{static_cast<std::uint32_t>(layout_.arena.size()), static_cast<std::uint32_t>(bytes.size())};
  layout_.arena.append(bytes);
  return stretch;
}

void LayoutBuilder::Literal(std::string_view bytes) {
  if (bytes.empty()) return;
  const bool joins = !layout_.steps.empty() && layout_.steps.back().kind == StepKind::kLiteral &&
                     layout_.steps.back().stretch.begin + layout_.steps.back().stretch.size == layout_.arena.size();
  const Stretch stretch = Store(bytes);
  if (joins) {
    layout_.steps.back().stretch.size += stretch.size;
  } else {
    layout_.steps.push_back({.kind = StepKind::kLiteral, .column = 0, .index = 0, .stretch = stretch});
  }
}

void LayoutBuilder::SetColumn(std::size_t column) {
  CHECK(!layout_.steps.empty() && layout_.steps.back().kind == StepKind::kLiteral && column < 256);
  layout_.steps.back().column = static_cast<std::uint8_t>(column);
}

void LayoutBuilder::StepWithText(StepKind kind, std::string_view text) {
  layout_.steps.push_back({.kind = kind, .column = 0, .index = 0, .stretch = Store(text)});
}

void LayoutBuilder::StepWithIndex(StepKind kind, std::size_t index) {
  layout_.steps.push_back({.kind = kind, .column = 0, .index = static_cast<std::uint32_t>(index), .stretch = {}});
}

void LayoutBuilder::Field(StepKind kind, const MergePiece& piece, UsePlace place, bool html) {
  StepWithIndex(kind, AddUse(piece, place, html));
}

std::size_t LayoutBuilder::RowField(std::string_view name) {
  const auto found = std::find(layout_.field_names.begin(), layout_.field_names.end(), name);
  if (found != layout_.field_names.end()) return static_cast<std::size_t>(found - layout_.field_names.begin());
  if (layout_.field_names.size() >= kFieldsMax) {
    too_many_fields_ = true;
    return 0;
  }
  layout_.field_names.emplace_back(name);
  layout_.row_fields.emplace_back();
  return layout_.field_names.size() - 1;
}

std::uint32_t LayoutBuilder::AddUse(const MergePiece& piece, UsePlace place, bool escapes) {
  if (layout_.uses.size() >= kFieldUsesMax) {
    too_many_fields_ = true;
    return 0;
  }
  FieldUse use;
  use.source = SourceOf(piece.name);
  use.has_default = piece.has_default;
  use.escape = escapes && !piece.raw;
  use.default_text = Store(piece.text);
  const std::uint32_t growth = Growth(place, use.escape);
  layout_.fixed_size += static_cast<std::uint64_t>(piece.text.size()) * growth;
  if (use.source == FieldSource::kRow) {
    const std::size_t index = RowField(piece.name);
    use.row_field = static_cast<std::uint16_t>(index);
    auto& field = layout_.row_fields[index];
    field.required |= !piece.has_default;
    field.in_header |= place == UsePlace::kHeader;
    field.growth += growth;
  } else {
    layout_.id_required |= use.source == FieldSource::kId && !piece.has_default;
    layout_.fixed_size += static_cast<std::uint64_t>(kAddressMax) * growth;
  }
  layout_.uses.push_back(use);
  return static_cast<std::uint32_t>(layout_.uses.size() - 1);
}

PieceRange LayoutBuilder::AddPieces(const std::vector<MergePiece>& pieces, bool escapes) {
  PieceRange range{static_cast<std::uint32_t>(layout_.pieces.size()), 0};
  for (const MergePiece& piece : pieces) {
    if (piece.is_field) {
      const std::uint32_t use = AddUse(piece, UsePlace::kHeader, escapes);
      layout_.pieces.push_back({.is_field = true, .use = use, .literal = {}});
    } else {
      layout_.pieces.push_back({.is_field = false, .use = 0, .literal = Store(piece.text)});
    }
  }
  range.end = static_cast<std::uint32_t>(layout_.pieces.size());
  return range;
}

MessageLayout LayoutBuilder::Take() {
  layout_.by_name.resize(layout_.field_names.size());
  std::iota(layout_.by_name.begin(), layout_.by_name.end(), std::uint16_t{0});
  std::sort(layout_.by_name.begin(), layout_.by_name.end(),
            [&](std::uint16_t a, std::uint16_t b) { return layout_.field_names[a] < layout_.field_names[b]; });
  for (std::uint32_t i = 0; i < layout_.headers.size(); ++i) {
    if (layout_.headers[i].kind != HeaderKind::kUnstructured) layout_.checked_headers.push_back(i);
  }
  layout_.fixed_size += kOwnHeaders + kAddressMax;
  std::uint64_t sent_as_it_is = 0;
  std::uint64_t encoded_later = 0;
  for (const Step& step : layout_.steps) {
    (step.kind == StepKind::kBase64Text ? encoded_later : sent_as_it_is) += step.stretch.size;
  }
  for (const Piece& piece : layout_.pieces) layout_.fixed_size += 4 * static_cast<std::uint64_t>(piece.literal.size);
  layout_.fixed_size += sent_as_it_is + encoded_later * 3 / 2;
  return std::move(layout_);
}

}  // namespace postrider::message
