#include "engine/observe/build_info.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "engine/observe/process_usage.h"

namespace postrider::observe {
namespace {

TEST(BuildInfo, NamesTheVersionOfTheBuild) {
  std::ifstream file(POSTRIDER_TEST_DATA "/../../../CMakeLists.txt");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find("project(postrider VERSION " + std::string(kVersion) + " "), std::string::npos);
}

TEST(ProcessUsage, SeesThisProcess) {
  const ProcessUsage usage = ReadProcessUsage();
  EXPECT_GT(usage.cpu_seconds, 0);
  EXPECT_GT(usage.resident_bytes, 1u << 20);
  EXPECT_GE(usage.peak_resident_bytes, 1u << 20);
}

}  // namespace
}  // namespace postrider::observe
