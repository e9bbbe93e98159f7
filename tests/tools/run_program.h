#pragma once
// Runs the program's command line within the test and catches what it prints.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/command.h"

namespace postrider::tools {

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline Outcome RunProgram(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"postrider"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.exit_code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace postrider::tools
