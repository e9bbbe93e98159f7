// engine/observe/README.md and the program say the same: every metric is in its table, and every request is known.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "engine/observe/admin_api.h"
#include "engine/observe/metrics.h"
#include "tests/engine/observe/fake_control.h"

namespace postrider::observe {
namespace {

// The lines of a section up to the next of its rank.
std::string Section(const std::string& heading) {
  std::ifstream file(std::filesystem::path(POSTRIDER_TEST_DATA) / "../../../engine/observe/README.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = text.find("\n## " + heading + "\n");
  if (begin == std::string::npos) return {};
  const std::size_t end = text.find("\n## ", begin + 4);
  return text.substr(begin, end == std::string::npos ? end : end - begin);
}

// The first cells of the section's table rows.
std::vector<std::string> FirstCells(const std::string& section) {
  std::vector<std::string> cells;
  std::istringstream lines(section);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| `")) cells.push_back(line.substr(2, line.find(" |", 2) - 2));
  }
  return cells;
}

std::vector<std::string> CodeIn(const std::string& cell) {
  const std::regex code("`([^`]+)`");
  std::vector<std::string> found;
  for (std::sregex_iterator match(cell.begin(), cell.end(), code), end; match != end; ++match) {
    found.push_back((*match)[1]);
  }
  return found;
}

TEST(Documentation, NamesEveryMetricAndNoOther) {
  std::set<std::string> documented;
  for (const std::string& cell : FirstCells(Section("Metrics"))) {
    // "_x" stands for postrider_x.
    for (const std::string& name : CodeIn(cell)) documented.insert(name.starts_with('_') ? "postrider" + name : name);
  }
  std::set<std::string> exported;
  std::istringstream page(RenderMetrics({}, {}, EventTally(10).Copy()));
  for (std::string line; std::getline(page, line);) {
    constexpr std::string_view kHelp = "# HELP ";
    if (line.starts_with(kHelp))
      exported.insert(line.substr(kHelp.size(), line.find(' ', kHelp.size()) - kHelp.size()));
  }
  EXPECT_GT(exported.size(), 50u);
  EXPECT_EQ(documented, exported);
}

TEST(Documentation, NamesRequestsThatTheApiKnows) {
  FakeControl control;
  control.AddCampaign("NAME", queue::CampaignState::kRunning);
  EventTally tally(10);
  AdminApi api(Options(), control.All(), tally);
  std::string method;
  std::size_t requests = 0;
  for (const std::string& cell : FirstCells(Section("The admin HTTP"))) {
    for (std::string request : CodeIn(cell)) {
      if (request.starts_with("GET ") || request.starts_with("POST ")) {
        method = request.substr(0, request.find(' '));
        request.erase(0, method.size() + 1);
      }
      // "[?all=1]" may follow, and "/resume" stands for the path before it with another end: those are the code's to
      // know.
      request = request.substr(0, request.find_first_of("?["));
      if (!request.starts_with("/api/") && request != "/metrics" && request != "/healthz") continue;
      const ApiAnswer answer = api.Handle({.method = method, .path = request, .query = {}, .body = {}});
      EXPECT_THAT(answer.body, testing::Not(testing::HasSubstr("no such page"))) << method << " " << request;
      EXPECT_NE(answer.status, 405) << method << " " << request;
      ++requests;
    }
  }
  EXPECT_GT(requests, 10u);
}

}  // namespace
}  // namespace postrider::observe
