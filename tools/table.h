#pragma once
// A table for a person: columns as wide as their widest cell, text to the left, numbers to the right. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "tools/terminal.h"

namespace postrider::tools {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
    std::size_t columns_max = 40;  // longer cells are cut
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Cells in the order of the columns; missing ones are empty. Text is made printable.
  void AddRow(const std::vector<std::string>& cells);
  // One more line of its own below the last row, indented; made printable. Empty: none.
  void AddNote(std::string_view note);
  // With the titles, each line ending in "\n". The last column, and notes, are cut where the terminal ends.
  [[nodiscard]] std::string Render(const Terminal& terminal) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::vector<std::string> notes;
  };

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace postrider::tools
