#include "tools/trace_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/text.h"

namespace postrider::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& object, const char* key) { return Printable(object.value(key, std::string())); }

std::string JsonLine(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// "14:03:22.123" of "2026-11-24T14:03:22.123Z".
std::string ClockTime(const std::string& time) { return time.size() == 24 ? time.substr(11, 12) : time; }

Tone ToneOf(std::string_view direction, std::string_view text) {
  if (direction == "<" && (text.starts_with('4') || text.starts_with('5'))) return Tone::kBad;
  return direction == "<" ? Tone::kGood : direction == "*" ? Tone::kFaint : Tone::kStrong;
}

void AppendLine(const Json& line, const Terminal& terminal, std::string& out) {
  const std::string direction = Text(line, "direction");
  const std::string start = fmt::format("{}  {}#{} {}", ClockTime(Text(line, "time")),
                                        Text(line, "source").empty() ? "" : Text(line, "source") + " ",
                                        line.at("connection").get<std::uint64_t>(), direction);
  const std::string text = line.value("text", std::string());
  for (std::string_view rest = text;;) {
    const std::size_t end = rest.find('\n');
    const std::string one = Printable(rest.substr(0, end));
    out += start + " " + terminal.Paint(ToneOf(direction, one), one) + "\n";
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
}

// nlohmann throws where a thing is missing or of another type.
template <typename Function>
auto Parsed(std::string_view answer, Function function) -> Result<decltype(function(Json()))> {
  try {
    return function(Json::parse(answer));
  } catch (const Json::exception& problem) {
    return Fail(ErrorCode::kCorrupt, fmt::format("the daemon's answer cannot be read: {}", problem.what()));
  }
}

}  // namespace

Result<TracePage> RenderTrace(std::string_view answer, bool json, const Terminal& terminal) {
  return Parsed(answer, [&](const Json& object) {
    TracePage page;
    page.next = object.at("next").get<std::string>();
    page.site_known = object.at("site_known").get<bool>();
    page.more = object.at("more").get<bool>();
    if (const auto lost = object.at("lost").get<std::uint64_t>(); lost != 0) {
      page.text =
          json ? JsonLine({{"lost", lost}})
               : fmt::format("... {} lines are left out: they came faster than they can be shown\n", FormatCount(lost));
    }
    for (const Json& line : object.at("lines")) {
      if (json) {
        page.text += JsonLine(line);
      } else {
        AppendLine(line, terminal, page.text);
      }
    }
    return page;
  });
}

Result<std::string> RenderFailures(std::string_view answer, bool json, const Terminal& terminal) {
  return Parsed(answer, [&](const Json& object) {
    std::string text;
    const Json& failures = object.at("failures");
    for (auto failure = failures.rbegin(); failure != failures.rend(); ++failure) {
      if (json) {
        text += JsonLine(*failure);
        continue;
      }
      if (!text.empty()) text += "\n";
      const std::string address = Text(*failure, "mx_address");
      text += terminal.Paint(Tone::kStrong,
                             fmt::format("{}  site {}, source {}, connection {}, host {}{}", Text(*failure, "time"),
                                         Text(*failure, "site"), Text(*failure, "source"),
                                         failure->at("connection").get<std::uint64_t>(), Text(*failure, "mx_host"),
                                         address.empty() ? "" : " (" + address + ")")) +
              "\n";
      text += terminal.Paint(Tone::kBad, Text(*failure, "problem")) + "\n";
      for (Json line : failure->at("lines")) {
        line.erase("source");  // stands above
        AppendLine(line, terminal, text);
      }
    }
    return text;
  });
}

}  // namespace postrider::tools
