#pragma once
// The subcommands of `postrider`, one per tools/*_command.cc. Each adds itself to the program's command line with
// options, help and examples, and does its work in its own callback, which leaves the program's exit code in exit_code:
// 0 done, 1 it could not be done (said on standard error: what, where, what to do), 2 the command line or a
// configuration is wrong. CLI11's own failures (unknown option and the like) become 2 in main.
// CLI11 takes five seconds to compile: include it in the *_command.cc files only, not here.

namespace CLI {
class App;
}

namespace postrider {

// exit_code outlives the parsing of the command line.
void AddSinkCommand(CLI::App& app, int& exit_code);

}  // namespace postrider
