// Whole messages: golden/NAME.eml with the values of golden/NAME.fields gives golden/NAME.expected, byte for byte
// (line ends apart: the files have LF). UPDATE_GOLDEN=1 in the environment writes the expected files anew, for review.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/engine/message/rendering.h"

namespace postrider::message {
namespace {

std::string ReadFile(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

FieldMap ReadFields(const std::filesystem::path& file) {
  FieldMap fields;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    fields[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  return fields;
}

std::string WithLf(std::string text) {
  std::erase(text, '\r');
  return text;
}

TEST(Golden, MessagesComeOutAsExpected) {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(POSTRIDER_TEST_DATA) + "/golden")) {
    if (entry.path().extension() != ".eml") continue;
    ++seen;
    SCOPED_TRACE(entry.path().filename().string());
    std::filesystem::path expected_file = entry.path();
    expected_file.replace_extension(".expected");
    std::filesystem::path fields_file = entry.path();
    fields_file.replace_extension(".fields");
    const TemplatePtr compiled = MustCompile(ReadFile(entry.path()));
    ASSERT_NE(compiled, nullptr);
    const std::string rendered = MustRender(*compiled, ReadFields(fields_file));
    EXPECT_EQ(FormProblem(rendered), "");
    if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(expected_file, std::ios::binary) << WithLf(rendered);
    EXPECT_EQ(WithLf(rendered), ReadFile(expected_file));
    // A message with CRLF is the same message.
    std::string crlf;
    for (const char c : ReadFile(entry.path())) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
    EXPECT_EQ(MustRender(*MustCompile(crlf), ReadFields(fields_file)), rendered);
  }
  EXPECT_GE(seen, 4u);
}

}  // namespace
}  // namespace postrider::message
