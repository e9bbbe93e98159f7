#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "config/consistency.h"
#include "config/schema.h"
#include "config/toml_value.h"
#include "config/unknown_key.h"

namespace postrider {
namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;  // a thousand times a long configuration
constexpr std::size_t kElementsMax = 10'000;     // of one [[table]]; rules are compared with each other

// Walks a parsed file beside the schema.
class Reader {
 public:
  Reader(std::string_view file, const std::filesystem::path& base)
      : file_(file), base_(base), places_(std::string(file)) {}

  std::expected<OptionsPtr, Diagnostics> Read(const toml::table& root) {
    ReadTable(root, *FindTable(""), "", &options_);
    CompleteOptions(options_, places_, diagnostics_);
    // Paths at their defaults are absolute, and this leaves them alone.
    for (const TableSchema& table : Schema()) {
      if (!table.is_array) Rebase(table, table.target(options_));
    }
    if (diagnostics_.empty()) return std::make_shared<const Options>(std::move(options_));
    return Findings();
  }

  // A file of nothing but [[provider]] and [[rule]] tables.
  std::expected<ProviderTablePtr, Diagnostics> ReadProviders(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (name != "provider" && name != "rule") {
        Report(key.source(), fmt::format("expected [[provider]] and [[rule]] tables alone, found {}", Quote(name)));
      } else {
        (void)ReadSubtable(key, node, name);
      }
    }
    ProviderTablePtr table = CompleteProviders(options_, places_, diagnostics_);
    if (diagnostics_.empty()) return table;
    return Findings();
  }

 private:
  std::unexpected<Diagnostics> Findings() {
    std::ranges::stable_sort(diagnostics_, {}, [](const Diagnostic& diagnostic) {
      return std::tuple(diagnostic.where.line, diagnostic.where.column);
    });
    return std::unexpected(std::move(diagnostics_));
  }

  void Report(const toml::source_region& where, std::string message) {
    diagnostics_.push_back(
        {{file_, static_cast<int>(where.begin.line), static_cast<int>(where.begin.column)}, std::move(message)});
  }

  void Remember(std::string_view what, const toml::source_region& where) {
    places_.Remember(what, static_cast<int>(where.begin.line), static_cast<int>(where.begin.column));
  }

  // place is how Places calls this table: "", "timeouts", "source[1]".
  void ReadTable(const toml::table& from, const TableSchema& schema, const std::string& place, void* target) {
    for (const auto& [key, node] : from) {
      const std::string name = place.empty() ? std::string(key.str()) : fmt::format("{}.{}", place, key.str());
      if (const OptionSchema* option = schema.Find(key.str())) {
        Remember(name, node.source());
        Problem problem = option->read(target, ToFileValue(node));
        if (!problem.empty()) Report(node.source(), fmt::format("{}: {}", key.str(), problem));
      } else if (!schema.is_array && ReadSubtable(key, node, name)) {
        continue;
      } else {
        Report(key.source(), UnknownKey(schema, key.str()));
      }
    }
    for (const OptionSchema& option : schema.options) {
      if (option.presence != Presence::kRequired || from.contains(option.key)) continue;
      Report(from.source(), fmt::format("{} needs {} = ... ({})", InBrackets(schema), option.key, option.about));
    }
    if (schema.is_array) Rebase(schema, target);
  }

  // True if name is a table of ours, or the first part of one's name; whatever is wrong inside has been reported.
  bool ReadSubtable(const toml::key& key, const toml::node& node, const std::string& name) {
    if (const TableSchema* schema = FindTable(name)) {
      if (schema->is_array) {
        ReadArray(key, node, *schema);
      } else if (const toml::table* table = node.as_table()) {
        Remember(name, table->source());
        ReadTable(*table, *schema, name, schema->target(options_));
      } else {
        Report(key.source(),
               fmt::format("expected the table {}, found something else of that name", InBrackets(*schema)));
      }
      return true;
    }
    const std::string prefix = name + ".";
    const bool is_prefix =
        std::ranges::any_of(Schema(), [&](const TableSchema& table) { return table.name.starts_with(prefix); });
    if (!is_prefix) return false;
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      Report(key.source(), fmt::format("expected tables such as [{}...], found something else of that name", prefix));
      return true;
    }
    for (const auto& [inner, inner_node] : *table) {
      if (ReadSubtable(inner, inner_node, prefix + std::string(inner.str()))) continue;
      Report(inner.source(), fmt::format("unknown table [{}{}]{}", prefix, inner.str(),
                                         Suggestion(prefix + std::string(inner.str()), TableNames())));
    }
    return true;
  }

  void ReadArray(const toml::key& key, const toml::node& node, const TableSchema& schema) {
    const toml::array* array = node.as_array();
    const bool of_tables =
        array != nullptr && std::ranges::all_of(*array, [](const toml::node& element) { return element.is_table(); });
    if (!of_tables) {
      Report(key.source(), fmt::format("expected {} with two brackets on each side, for there may be several of it",
                                       InBrackets(schema)));
      return;
    }
    if (array->size() > kElementsMax) {
      Report(key.source(),
             fmt::format("at most {} {} are allowed, found {}", kElementsMax, InBrackets(schema), array->size()));
      return;
    }
    for (std::size_t i = 0; i < array->size(); ++i) {
      const toml::table& element = *array->get(i)->as_table();
      const std::string place = fmt::format("{}[{}]", schema.name, i);
      Remember(place, element.source());
      ReadTable(element, schema, place, schema.target(options_));
    }
  }

  void Rebase(const TableSchema& schema, void* target) const {
    for (const OptionSchema& option : schema.options) {
      if (option.rebase && !option.show(target).empty()) option.rebase(target, base_);
    }
  }

  std::string file_;
  const std::filesystem::path& base_;
  Options options_;
  Places places_;
  Diagnostics diagnostics_;
};

std::unexpected<Diagnostics> OneProblem(Location where, std::string message) {
  return std::unexpected(Diagnostics{{std::move(where), std::move(message)}});
}

struct FileText {
  std::string text;
  bool writable_by_others = false;
};

Result<FileText> ReadFile(const std::filesystem::path& file) {
  const auto failed = [] { return Fail(ErrorCode::kIo, fmt::format("cannot read it: {}", std::strerror(errno))); };
  // O_NONBLOCK: a pipe of that name must not hang the start.
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed();
  const auto close_it = [](const int* number) { close(*number); };
  const std::unique_ptr<const int, decltype(close_it)> owner(&descriptor, close_it);

  struct stat status {};
  if (fstat(descriptor, &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalid, "expected a file, found a directory or device");
  FileText read;
  read.writable_by_others = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  for (;;) {
    char buffer[16384];
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return read;
    read.text.append(buffer, static_cast<std::size_t>(count));
    if (read.text.size() > kFileBytesMax) return Fail(ErrorCode::kTooLarge, "a configuration has at most 16MiB");
  }
}

}  // namespace

std::expected<OptionsPtr, Diagnostics> ParseOptions(std::string_view toml, std::string_view name,
                                                    const std::filesystem::path& base) {
  try {
    const toml::table root = toml::parse(toml, name);
    return Reader(name, base).Read(root);
  } catch (const toml::parse_error& error) {
    return OneProblem(ToLocation(std::string(name), error.source().begin), std::string(error.description()));
  }
}

std::expected<ProviderTablePtr, Diagnostics> ParseProviders(std::string_view toml, std::string_view name) {
  try {
    const toml::table root = toml::parse(toml, name);
    const std::filesystem::path no_paths_in_it;
    return Reader(name, no_paths_in_it).ReadProviders(root);
  } catch (const toml::parse_error& error) {
    return OneProblem(ToLocation(std::string(name), error.source().begin), std::string(error.description()));
  }
}

std::expected<OptionsPtr, Diagnostics> LoadOptions(const std::filesystem::path& file) {
  Result<FileText> read = ReadFile(file);
  if (!read) return OneProblem({file.string(), 0, 0}, std::move(read.error().message));
  std::error_code ignored;
  const std::filesystem::path absolute = std::filesystem::absolute(file, ignored);
  auto options = ParseOptions(read->text, file.string(), absolute.parent_path());
  if (!options || !read->writable_by_others) return options;
  // Who can write this file can name any other file as the secret, and any host to receive it.
  const bool names_secrets = std::ranges::any_of(
      (*options)->routes, [](const RouteOptions& route) { return !route.auth_secret_file.empty(); });
  if (!names_secrets) return options;
  return OneProblem({file.string(), 0, 0},
                    "it names an auth_secret_file and others than its owner may write to it; run chmod go-w on it");
}

}  // namespace postrider
