// `postrider sink`: its command line, turned into sink::Options.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/command.h"
#include "tools/sink/run.h"
#include "tools/sink/settings.h"

namespace postrider {
namespace {

using sink::Options;
using sink::Setting;

constexpr const char* kExamples = R"(
Personalities: plain, gmail, microsoft, yahoo, comcast, orange, qq. Settings of one address stand behind it
and win over those of all: --listen 127.0.0.2:2525=gmail,temporary=5%,delay=50ms
Shares are 2% or 0.02; durations 50ms, 10s, 5m, 2h.

All mail of a daemon comes here with this in its configuration:
  [[route]]
  match = "*"
  hosts = ["127.0.0.1:2525"]

Examples:
  postrider sink --listen 127.0.0.1:2525
      takes everything, says how much at the end (Ctrl-C)
  postrider sink --listen 127.0.0.2:2525=gmail --listen 127.0.0.3:2525=yahoo,message-cap=20 \
      --permanent 2% --temporary 5% --record received.jsonl --summary summary.json
      two providers that refuse some; who received what, as JSON lines
  postrider sink --listen 127.0.0.1:0=plain,tls=implicit --port-file port --write-certificate ca.pem \
      --host-name mx.example.test --store mail --exit-after 100
      TLS from the first byte, a free port, each message kept as a file; ends after 100
  postrider sink --listen 127.0.0.1:2525=plain,reset=final:1%,stall=data:0.5%,greylist=10s
      an unpleasant receiver
  postrider sink --listen 127.0.0.1:2525=plain,down-for=10m
      a dead site that comes back
  postrider sink --listen 127.0.0.2:2525=orange,limits=usual --listen 127.0.0.3:2525=qq,client-messages=60/1m \
      --listen 127.0.0.4:2525=microsoft,provider=m365,client-connections=10,client-site-connections=3 \
      --listen 127.0.0.5:2525=microsoft,provider=m365,client-connections=10,client-site-connections=3
      providers that hold each client address to limits; the summary counts what went beyond them

Signals: SIGUSR1 writes the summary so far; SIGTERM and SIGINT end it in order.
Exit codes: 0 ended as asked; 1 could not go on (port in use, file not writable); 2 wrong command line.
)";

// What the command line said, until all of it is known: the settings of all addresses apply before those of one.
struct CommandLine {
  Options options;
  std::vector<std::string> listen;
  std::vector<std::pair<std::string_view, std::vector<std::string>>> settings;  // by name, in the table's order
  std::string idle_exit;
  bool allow_remote = false;
  bool no_tickets = false;
};

Result<void> Complete(CommandLine& line) {
  sink::Behaviour defaults;
  for (const auto& [name, values] : line.settings) {
    for (const std::string& value : values) {
      if (Result<void> applied = sink::ApplySetting(defaults, name, value); !applied) {
        return Fail(ErrorCode::kInvalid, "--" + applied.error().message);
      }
    }
  }
  if (line.listen.empty()) line.listen.emplace_back("127.0.0.1:2525");
  for (const std::string& text : line.listen) {
    Result<sink::ListenOptions> listen = sink::ParseListen(text, defaults);
    if (!listen) return std::unexpected(listen.error());
    if (!listen->address.ip.IsLoopback() && !line.allow_remote) {
      return Fail(ErrorCode::kDenied,
                  fmt::format("--listen {}: expected a loopback address (127.x.y.z or [::1]): what arrives here is "
                              "thrown away; --allow-remote if others shall send to it all the same",
                              text));
    }
    line.options.listen.push_back(std::move(*listen));
  }
  if (!line.idle_exit.empty()) {
    const Result<std::chrono::milliseconds> idle = sink::ParseDuration(line.idle_exit);
    if (!idle) return Fail("--idle-exit", idle.error());
    line.options.idle_exit = std::chrono::ceil<std::chrono::seconds>(*idle);
  }
  line.options.session_tickets = !line.no_tickets;
  return {};
}

void AddOptions(CLI::App& command, CommandLine& line) {
  Options& options = line.options;
  command.add_option("--listen", line.listen, "where to listen, who to play; may be repeated (default 127.0.0.1:2525)")
      ->type_name("ADDRESS:PORT[=PERSONALITY[,SETTING=VALUE...]]")
      ->allow_extra_args(false);
  command.add_flag("--allow-remote", line.allow_remote, "listen on addresses beyond loopback too");
  command.add_option("--host-name", options.host_names, "names in the self-made certificate; may be repeated")
      ->type_name("NAME")
      ->capture_default_str()
      ->allow_extra_args(false);
  command.add_option("--certificate", options.certificate_file, "PEM chain to use instead of a self-made certificate")
      ->type_name("FILE");
  command.add_option("--key", options.key_file, "its key, if in another file")->type_name("FILE");
  command
      .add_option("--write-certificate", options.write_certificate_file,
                  "write the certificate in PEM, for clients that verify")
      ->type_name("FILE");
  command.add_flag("--tls12", options.tls12_only, "speak TLS 1.2 only");
  command.add_flag("--no-tickets", line.no_tickets, "never resume TLS sessions");
  command.add_option("--record", options.record_file, "a JSON line for each recipient of each accepted message")
      ->type_name("FILE");
  command.add_option("--store", options.store_directory, "keep each accepted message as a file")
      ->type_name("DIRECTORY");
  command.add_option("--summary", options.summary_file, "write the summary here instead of standard output")
      ->type_name("FILE");
  command
      .add_option("--port-file", options.port_file, "write the addresses here, one a line, once all are listened on")
      ->type_name("FILE");
  command.add_option("--exit-after", options.exit_after_messages, "end after so many accepted messages")
      ->type_name("N");
  command.add_option("--idle-exit", line.idle_exit, "end when no message has come for so long after the first")
      ->type_name("DURATION");
  command
      .add_option("--cores", options.cores,
                  "threads, each with its own connections; greylisting, attempts and "
                  "connection-cap are counted per thread, limits of a client over all")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command.add_option("--seed", options.seed, "another number, other victims: who is refused, which connections break")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--max-connections", options.connections_max, "open at once, per thread")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--max-message-bytes", options.message_bytes_max, "where no smaller SIZE is announced")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--max-recipients", options.recipients_per_message_max, "of one message")
      ->type_name("N")
      ->capture_default_str();

  line.settings.reserve(sink::Settings().size());
  for (const Setting& setting : sink::Settings()) {
    auto& [name, values] = line.settings.emplace_back(setting.name, std::vector<std::string>{});
    command.add_option("--" + std::string(name), values, std::string(setting.help))
        ->type_name(std::string(setting.value))
        ->allow_extra_args(false)
        ->group("Settings of all addresses (or of one, behind --listen)");
  }
}

}  // namespace

void AddSinkCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("sink", "an SMTP receiver for tests, dry runs and benchmarks");
  command->footer(kExamples);
  const auto line = std::make_shared<CommandLine>();
  AddOptions(*command, *line);
  command->callback([line, &exit_code] {
    if (Result<void> complete = Complete(*line); !complete) {
      fmt::print(stderr, "postrider sink: {}\n", complete.error().message);
      exit_code = 2;
      return;
    }
    exit_code = sink::RunSink(line->options);
  });
}

}  // namespace postrider
