#include "tools/table.h"

#include <algorithm>

#include "tools/text.h"

namespace postrider::tools {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNoteIndent = 4;

}  // namespace

void Table::AddRow(const std::vector<std::string>& cells) {
  std::vector<std::string>& row = rows_.emplace_back().cells;
  row.resize(columns_.size());
  for (std::size_t i = 0; i < std::min(cells.size(), columns_.size()); ++i) {
    row[i] = Shorten(Printable(cells[i]), columns_[i].columns_max);
  }
}

void Table::AddNote(std::string_view note) {
  if (!rows_.empty() && !note.empty()) rows_.back().notes.push_back(Printable(note));
}

std::string Table::Render(const Terminal& terminal) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = Columns(columns_[i].title);
    for (const Row& row : rows_) width = std::max(width, Columns(row.cells[i]));
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell_of) {
    std::string text;
    std::size_t used = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const bool last = i + 1 == columns_.size();
      std::string cell = cell_of(i);
      if (last && terminal.interactive) {
        cell = Shorten(cell, terminal.columns > used ? terminal.columns - used : 0);
      }
      const std::string padding(widths[i] - std::min(widths[i], Columns(cell)), ' ');
      const bool right = columns_[i].align == Align::kRight;
      text += right ? padding + cell : cell + (last ? "" : padding);
      if (!last) text.append(kGap, ' ');
      used += widths[i] + kGap;
    }
    text.resize(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::string out = terminal.Paint(Tone::kStrong, line([&](std::size_t i) { return columns_[i].title; })) + "\n";
  for (const Row& row : rows_) {
    out += line([&](std::size_t i) { return row.cells[i]; }) + "\n";
    const std::size_t room = terminal.columns > kNoteIndent ? terminal.columns - kNoteIndent : 0;
    for (const std::string& note : row.notes) {
      const std::string shown = terminal.interactive ? Shorten(note, room) : note;
      out += std::string(kNoteIndent, ' ') + terminal.Paint(Tone::kFaint, shown) + "\n";
    }
  }
  return out;
}

}  // namespace postrider::tools
