// The `postrider` program: one subcommand each from tools/*_command.cc.

#include <CLI/CLI.hpp>
#include <csignal>

#include "tools/command.h"

#ifndef POSTRIDER_VERSION
#define POSTRIDER_VERSION "unknown"
#endif

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader of our output that goes away is a failed write, not our death
  CLI::App app("Postrider sends bulk mail, as fast as each receiver allows and no faster.", "postrider");
  app.set_version_flag("--version", "postrider " POSTRIDER_VERSION);
  app.require_subcommand(1);

  int exit_code = 0;
  postrider::AddSinkCommand(app, exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    constexpr int kUsage = 2;
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return exit_code;
}
