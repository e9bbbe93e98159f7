// Writes the schema out as a configuration file: a comment and a line for each option, at its default. A line that a
// default does not need stands behind a "#" with no blank after it, so that taking the "#" away is all it takes.
#include <string>
#include <string_view>

#include "config/load.h"
#include "config/schema.h"

namespace postrider {
namespace {

constexpr std::size_t kColumns = 100;

constexpr std::string_view kOpening =
    "A complete configuration of Postrider: every option at its default, with its kind, its range and the reason. Only "
    "the [[source]] has to be changed; what is left out keeps its default. Durations are text with a unit (\"5ms\", "
    "\"90s\", \"15min\", \"4h\", \"2d\"), sizes too (\"64KiB\", \"256MiB\"). Relative paths are taken from the folder "
    "of "
    "the file. `postrider config --explain` prints this text.";

void AppendComment(std::string& out, std::string_view text) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    text.remove_prefix(blank == text.npos ? text.size() : blank + 1);
    if (column > 0 && column + 1 + word.size() > kColumns) {
      out += '\n';
      column = 0;
    }
    if (column == 0) {
      out += '#';
      column = 1;
    }
    out += ' ';
    out += word;
    column += 1 + word.size();
  }
  out += '\n';
}

std::string About(const OptionSchema& option) {
  std::string about = std::string(option.about) + ".";
  if (about.front() >= 'a' && about.front() <= 'z') about.front() = static_cast<char>(about.front() - 'a' + 'A');
  if (option.presence == Presence::kRequired) about += " Required.";
  return about;
}

void AppendOption(std::string& out, const TableSchema& table, const OptionSchema& option, const void* values) {
  AppendComment(out, option.help);
  AppendComment(out, About(option));
  // In an array of tables nothing is there yet to show but samples.
  const bool sampled = !option.sample.empty();
  const std::string value = sampled ? std::string(option.sample) : option.show(values);
  const bool live = table.shown && (!sampled || option.presence != Presence::kOptional);
  if (!live) out += '#';
  out += std::string(option.key) + " = " + value + "\n";
}

}  // namespace

std::string ExplainOptions() {
  const Options defaults;
  std::string out;
  AppendComment(out, kOpening);
  for (const TableSchema& table : Schema()) {
    out += '\n';
    if (!table.name.empty()) {
      AppendComment(out, table.help);
      if (!table.shown) out += '#';
      out += (table.is_array ? "[[" : "[") + std::string(table.name) + (table.is_array ? "]]\n" : "]\n");
    }
    const void* values = table.example(defaults);
    for (const OptionSchema& option : table.options) AppendOption(out, table, option, values);
  }
  return out;
}

}  // namespace postrider
