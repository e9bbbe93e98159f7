#include "config/manifest.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <tuple>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "config/email_address.h"
#include "config/list_name.h"
#include "config/option_kind.h"
#include "config/toml_value.h"

namespace postrider {
namespace {

constexpr std::size_t kManifestBytesMax = 1 << 20;  // a thousand times a long one
constexpr std::size_t kHeadersMax = 100;
constexpr int kPriorityMax = 100;
constexpr int kWeightMax = 1000;
constexpr std::size_t kWindowsMax = 50;  // a different one for each day and season, and some
constexpr double kRateMax = 1'000'000;   // per second; more than any host sends
constexpr std::string_view kKeys =
    "format, class, from, envelope_from, pool, list, start, not_before, expires, rate, priority, weight, canary, "
    "canary_wait, windows, time_zone, duplicates, on_unknown, recipients, sha256, max_reject_share, eight_bit, "
    "subject, "
    "[headers]";

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 32 || octet == 127;
  });
}

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  std::expected<Manifest, Diagnostics> Read(const toml::table& root) {
    for (const auto& [key, node] : root) ReadKey(key, node);
    if (!root.contains("format")) Report(root.source(), "format is missing; write format = 1");
    if (manifest_.not_before && manifest_.expires && *manifest_.expires <= *manifest_.not_before) {
      Report(root.get("expires")->source(), "expires: it must come after not_before");
    }
    CheckCanary(root);
    if (root.contains("time_zone") && !root.contains("windows")) {
      Report(root.get("time_zone")->source(), "time_zone is for windows, of which there are none");
    }
    if (diagnostics_.empty()) return std::move(manifest_);
    std::ranges::stable_sort(diagnostics_, {}, [](const Diagnostic& diagnostic) {
      return std::tuple(diagnostic.where.line, diagnostic.where.column);
    });
    return std::unexpected(std::move(diagnostics_));
  }

 private:
  void Report(const toml::source_region& where, std::string message) {
    diagnostics_.push_back(
        {{file_, static_cast<int>(where.begin.line), static_cast<int>(where.begin.column)}, std::move(message)});
  }

  template <typename Kind, typename T>
  void Take(const toml::key& key, const toml::node& node, const Kind& kind, T& member) {
    const Problem problem = kind.Read(ToFileValue(node), member);
    if (!problem.empty()) Report(node.source(), fmt::format("{}: {}", key.str(), problem));
  }

  // One of two words; true for the second.
  void Choose(const toml::key& key, const toml::node& node, std::string_view no, std::string_view yes, bool& member) {
    const auto word = node.value<std::string>();
    if (!node.is_string() || (*word != no && *word != yes)) {
      const Problem problem = Expected(fmt::format("\"{}\" or \"{}\"", no, yes), ToFileValue(node));
      Report(node.source(), fmt::format("{}: {}", key.str(), problem));
      return;
    }
    member = *word == yes;
  }

  void TakeMoment(const toml::key& key, const toml::node& node, std::optional<Wall>& member) {
    const Result<Wall> moment = ToMoment(node);
    if (moment) {
      member = *moment;
    } else {
      Report(node.source(), fmt::format("{}: {}", key.str(), moment.error().message));
    }
  }

  void TakeText(const toml::key& key, const toml::node& node, std::string& member) {
    const auto* text = node.as_string();
    if (text == nullptr || HasControl(text->get())) {
      Report(node.source(), fmt::format("{}: expected one line of text in quotes", key.str()));
      return;
    }
    member = text->get();
  }

  void TakeEnvelopeFrom(const toml::key& key, const toml::node& node) {
    std::string text;
    TakeText(key, node, text);
    if (text == "<>") text.clear();
    if (!text.empty()) {
      const Result<EmailAddress> address = EmailAddress::Parse(text);
      if (!address || address->needs_smtputf8) {
        Report(node.source(), fmt::format("{}: {}", key.str(),
                                          address ? "only ASCII may stand before the \"@\"" : address.error().message));
        return;
      }
      text = ToString(*address);
    }
    manifest_.envelope_from = text;
  }

  void TakeList(const toml::key& key, const toml::node& node) {
    std::string text;
    TakeText(key, node, text);
    Result<std::string> list = ParseListName(text);
    if (!list) {
      Report(node.source(), fmt::format("{}: {}", key.str(), list.error().message));
      return;
    }
    if (*list == kBouncedOnceListName) {
      Report(node.source(), fmt::format("{}: \"{}\" is the program's own; it suppresses nobody yet", key.str(), text));
      return;
    }
    manifest_.list = *std::move(list);
  }

  // canary = "1%".
  void TakeCanary(const toml::key& key, const toml::node& node) {
    constexpr double kLeast = 0.01;
    constexpr double kMost = 50;
    const auto* text = node.as_string();
    double percent = 0;
    if (text != nullptr && text->get().ends_with('%')) {
      const char* begin = text->get().data();
      const char* end = begin + text->get().size() - 1;
      const auto [stop, error] = std::from_chars(begin, end, percent, std::chars_format::fixed);
      if (error != std::errc() || stop != end) percent = 0;
    }
    if (!(percent >= kLeast && percent <= kMost)) {
      Report(node.source(), fmt::format("{}: expected a share from \"{}%\" to \"{}%\" in quotes, such as \"1%\"",
                                        key.str(), kLeast, kMost));
      return;
    }
    manifest_.canary_share = percent / 100;
  }

  void CheckCanary(const toml::table& root) {
    if (root.contains("canary_wait") && !root.contains("canary")) {
      Report(root.get("canary_wait")->source(), "canary_wait is for a canary, of which there is none");
    }
    if (root.contains("canary") && manifest_.streaming) {
      Report(root.get("canary")->source(),
             "canary: a share of the list is not known before the list is; leave start = \"streaming\" out");
    }
  }

  void TakeWindows(const toml::key& key, const toml::node& node) {
    const FileValue value = ToFileValue(node);
    const auto* texts = std::get_if<TextList>(&value);
    if (texts == nullptr || texts->empty() || texts->size() > kWindowsMax) {
      Report(node.source(), fmt::format("{}: expected a list of 1 to {} windows such as [\"Mon-Fri 08:00-20:00\"]",
                                        key.str(), kWindowsMax));
      return;
    }
    for (const std::string& text : *texts) {
      const Result<SendWindow> window = SendWindow::Parse(text);
      if (!window) {
        Report(node.source(), fmt::format("{}: {}", key.str(), window.error().message));
        return;
      }
      manifest_.windows.push_back(*window);
    }
  }

  void TakeDigest(const toml::key& key, const toml::node& node) {
    std::string text;
    TakeText(key, node, text);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::size_t kDigits = 64;
    if (text.size() != kDigits || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
      Report(node.source(), fmt::format("{}: expected 64 hexadecimal digits, as sha256sum prints them", key.str()));
      return;
    }
    manifest_.sha256 = text;
  }

  void TakeHeaders(const toml::key& key, const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr || table->size() > kHeadersMax) {
      Report(key.source(),
             fmt::format("headers: expected a table [headers] of at most {} lines Name = \"value\"", kHeadersMax));
      return;
    }
    // toml++ sorts a table's keys; a header keeps the place its submitter gave it.
    struct Line {
      toml::source_position where;
      std::pair<std::string, std::string> header;
    };
    std::vector<Line> lines;
    for (const auto& [name, value] : *table) {
      Line line{name.source().begin, {std::string(name.str()), ""}};
      TakeText(name, value, line.header.second);
      lines.push_back(std::move(line));
    }
    std::ranges::stable_sort(lines, {},
                             [](const Line& line) { return std::tuple(line.where.line, line.where.column); });
    for (Line& line : lines) manifest_.headers.push_back(std::move(line.header));
  }

  void ReadKey(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    if (name == "format") {
      if (node.value<std::int64_t>() != 1) Report(node.source(), "format: this program reads format = 1");
    } else if (name == "class") {
      bool transactional = false;
      Choose(key, node, "bulk", "transactional", transactional);
      if (transactional) manifest_.mail_class = MailClass::kTransactional;
    } else if (name == "from") {
      TakeText(key, node, manifest_.from);
    } else if (name == "envelope_from") {
      TakeEnvelopeFrom(key, node);
    } else if (name == "pool") {
      Take(key, node, NameKind(), manifest_.pool);
    } else if (name == "list") {
      TakeList(key, node);
    } else if (name == "start") {
      Choose(key, node, "whole", "streaming", manifest_.streaming);
    } else if (name == "not_before") {
      TakeMoment(key, node, manifest_.not_before);
    } else if (name == "expires") {
      TakeMoment(key, node, manifest_.expires);
    } else if (name == "rate") {
      constexpr double kOnePerDay = 1.0 / 86'400;
      Take(key, node, RateKind{kOnePerDay, kRateMax}, manifest_.messages_per_second);
    } else if (name == "priority") {
      Take(key, node, IntegerKind{-kPriorityMax, kPriorityMax}, manifest_.priority);
    } else if (name == "weight") {
      Take(key, node, IntegerKind{1, kWeightMax}, manifest_.weight);
    } else if (name == "canary") {
      TakeCanary(key, node);
    } else if (name == "canary_wait") {
      Take(key, node, DurationKind{std::chrono::minutes(1), std::chrono::hours(24 * 7)}, manifest_.canary_wait);
    } else if (name == "windows") {
      TakeWindows(key, node);
    } else if (name == "time_zone") {
      Take(key, node, TimeZoneKind(), manifest_.time_zone);
    } else if (name == "duplicates") {
      bool send = false;
      Choose(key, node, "skip", "send", send);
      manifest_.skip_duplicates = !send;
    } else if (name == "on_unknown") {
      Choose(key, node, "retry", "report", manifest_.report_unknown);
    } else {
      ReadRarerKey(key, node);
    }
  }

  void ReadRarerKey(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    if (name == "recipients") {
      Take(key, node, IntegerKind{1, 1'000'000'000'000}, manifest_.recipients.emplace());
    } else if (name == "sha256") {
      TakeDigest(key, node);
    } else if (name == "max_reject_share") {
      Take(key, node, ShareKind{0, 1}, manifest_.max_reject_share.emplace());
    } else if (name == "eight_bit") {
      Take(key, node, BooleanKind(), manifest_.eight_bit);
    } else if (name == "subject") {
      TakeText(key, node, manifest_.subject.emplace());
    } else if (name == "headers") {
      TakeHeaders(key, node);
    } else {
      Report(key.source(), fmt::format("unknown key \"{}\"; known are: {}", name, kKeys));
    }
  }

  std::string file_;
  Manifest manifest_;
  Diagnostics diagnostics_;
};

}  // namespace

std::expected<Manifest, Diagnostics> ParseManifest(std::string_view toml, std::string_view name) {
  const std::string file(name);
  if (toml.size() > kManifestBytesMax) {
    return std::unexpected(Diagnostics{{{file, 0, 0}, fmt::format("larger than {} bytes", kManifestBytesMax)}});
  }
  try {
    return Reader(name).Read(toml::parse(toml, name));
  } catch (const toml::parse_error& error) {
    const toml::source_position& where = error.source().begin;
    return std::unexpected(Diagnostics{
        {{file, static_cast<int>(where.line), static_cast<int>(where.column)}, std::string(error.description())}});
  }
}

}  // namespace postrider
