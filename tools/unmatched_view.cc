#include "tools/unmatched_view.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {

Result<UnmatchedView> ParseUnmatched(std::string_view answer) {
  using nlohmann::json;
  try {
    const json object = json::parse(answer);
    UnmatchedView view;
    view.total = object.at("total").get<std::uint64_t>();
    for (const json& cluster : object.at("clusters")) {
      view.clusters.push_back({.count = cluster.at("count").get<std::uint64_t>(),
                               .provider = cluster.value("provider", std::string()),
                               .stage = cluster.value("stage", std::string()),
                               .text = cluster.at("text").get<std::string>(),
                               .example = cluster.value("example", std::string()),
                               .last = cluster.value("last", std::string())});
    }
    return view;
  } catch (const json::exception& error) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the daemon's answer is not what this program expects; are they of one version? ({})",
                            error.what()));
  }
}

std::string RenderUnmatched(const UnmatchedView& view, const Terminal& terminal) {
  if (view.clusters.empty()) return "No reply came that no rule knows.\n";
  Table table({{"replies", Table::Align::kRight},
               {"provider"},
               {"stage"},
               {"last", Table::Align::kLeft, 24},
               {"reply", Table::Align::kLeft, 240}});
  std::uint64_t shown = 0;
  for (const UnmatchedView::Cluster& cluster : view.clusters) {
    table.AddRow({FormatCount(cluster.count), cluster.provider.empty() ? "-" : cluster.provider, cluster.stage,
                  cluster.last, cluster.text});
    shown += cluster.count;
  }
  std::string out = table.Render(terminal);
  if (shown < view.total) out += fmt::format("... and {} more\n", FormatCount(view.total - shown));
  return out;
}

}  // namespace postrider::tools
