// Turns the command line into a request and runs it: every subcommand's options, help and examples.

#include <charconv>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "config/duration.h"
#include "config/load.h"
#include "config/provider.h"
#include "config/reply_rules.h"
#include "engine/engine.h"
#include "engine/observe/build_info.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/throttle_try.h"

namespace postrider::tools {
namespace {

// What was chosen; run after the whole line is parsed.
using Chosen = std::function<int()>;

constexpr const char* kFooter = R"(
Examples:
  postrider config --explain > postrider.toml     every option with its default; then edit
  postrider check --config postrider.toml         says everything that is wrong with it
  postrider run --config postrider.toml           the daemon
  postrider submit 2026-11-24-offer               a campaign into its spool
  postrider status --watch                        progress, rate and time left

Each command has its own --help with examples.
Exit codes: 0 done; 1 failed; 2 wrong command line or configuration; 3 the daemon does not answer.)";

void AddDaemonOptions(CLI::App& command, AdminPlace& place) {
  command
      .add_option("--admin", place.address,
                  "where the daemon's admin HTTP listens (default: as the configuration says)")
      ->type_name("ADDRESS:PORT");
  command
      .add_option("--config", place.config, fmt::format("the configuration that says so (default: {})", kDefaultConfig))
      ->type_name("FILE");
}

void AddConfigOption(CLI::App& command, std::filesystem::path& config) {
  command.add_option("--config", config, fmt::format("the configuration (default: {})", kDefaultConfig))
      ->type_name("FILE");
}

template <typename Request>
std::shared_ptr<Request> AddRequest(CLI::App& command, Chosen& chosen, int (*run)(const Request&)) {
  auto request = std::make_shared<Request>();
  command.callback([request, run, &chosen] { chosen = [request, run] { return run(*request); }; });
  return request;
}

// CLI11's own check would name the largest double as the limit.
std::string CheckPeriod(const std::string& text) {
  constexpr std::chrono::hours kLongest{24};
  const Result<std::chrono::milliseconds> period = ParseDuration(text);
  if (!period) return Printable(period.error().message);
  return *period <= kLongest ? "" : fmt::format("expected at most {}, found {}", FormatDuration(kLongest), text);
}

std::string CheckLine(const std::string& text) {
  std::uint64_t line = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), line);
  if (error == std::errc() && end == text.data() + text.size() && line > 0) return {};
  return fmt::format("expected the number of a line, from 1, found \"{}\"", Printable(text));
}

std::string CheckLast(const std::string& text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count >= 1 && count <= 100) return {};
  return fmt::format("expected 1 to 100, found \"{}\"; a SITE stands before --last", Printable(text));
}

void AddRun(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("run", "the daemon: takes campaigns from the spool and delivers them");
  command.footer(R"(
Examples:
  postrider run --config /etc/postrider/postrider.toml

SIGTERM stops in order (what is being sent is finished first, at most timeouts.shutdown). The configuration, and the
files it names, are read again when they have changed, or at SIGHUP, without dropping a connection; a bad one changes
nothing and says why.)");
  auto config = std::make_shared<std::filesystem::path>(kDefaultConfig);
  AddConfigOption(command, *config);
  command.callback([config, &chosen] {
    chosen = [config] { return ConfigIsMissing("run", *config) ? kExitUsage : engine::RunDaemon(*config); };
  });
}

void AddSubmit(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("submit", "check a campaign and put it into the spool");
  command.footer(R"(
A PATH is a campaign's directory (campaign.toml, message.eml, recipients.jsonl or .csv) or a single .eml file.
Every row of its list is read first, as `postrider check` does, so that what is wrong with it shows at once;
--no-check leaves that to the daemon. It is copied; the daemon takes it from the spool as soon as it runs.
Submitting the same campaign again does no harm: the same name with the same content is "already accepted", with
other content it is refused. A .eml file has no name that lasts: each time it is submitted it is a message of its own,
and is sent again, as a password mail may be.

Examples:
  postrider submit 2026-11-24-offer
  postrider submit --config postrider.toml offer-a offer-b welcome.eml)");
  const auto request = AddRequest(command, chosen, RunSubmit);
  AddConfigOption(command, request->config);
  command.add_option("PATH", request->paths, "campaign directories or .eml files")->required();
  command.add_flag("--no-check", request->no_check, "do not read the list first");
}

void AddCheck(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("check", "say everything that is wrong with a configuration or campaign");
  command.footer(R"(
Without a PATH the configuration alone is checked: exit code 2 if it is wrong, 1 if it is right but the daemon would not
start on this host (an address it does not have, a directory that cannot be written, ...), as `run` would say it. What
would only hold some mail is a warning. Nothing is sent or changed. Run it as the daemon's user (sudo -u postrider):
what can be read and written here depends on who asks.

Examples:
  postrider check --config postrider.toml
  postrider check 2026-11-24-offer                every row, against template and rules
  postrider check --json 2026-11-24-offer)");
  const auto request = AddRequest(command, chosen, RunCheck);
  AddConfigOption(command, request->config);
  command.add_option("PATH", request->paths, "campaign directories or .eml files");
  command.add_flag("--json", request->json, "one JSON object");
}

void AddClassify(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("classify", "what receivers' replies mean, and which rule says so");
  command.footer(R"(
FILE holds replies as servers wrote them, or JSON lines {"reply": "550 ...", "provider": "google", "stage": "rcpt"};
lines of the delivery log are such lines too. Needs no daemon, but for --unmatched. Rows to score also say what is
right: {"reply": ..., "expected": "bad-mailbox", "accept": ["inactive-mailbox"]}.

Examples:
  echo "550 5.1.1 no such user" | postrider classify --explain
  zstdcat delivery-*.jsonl.zst | postrider classify --json
  postrider classify --rules reply_rules.toml --explain replies.txt
  postrider classify --score replies.jsonl --cross-validate 10
  postrider classify --unmatched                  what the daemon heard that no rule knows)");
  const auto request = AddRequest(command, chosen, RunClassify);
  AddDaemonOptions(command, request->daemon);
  command.add_option("FILE", request->file, "replies; \"-\" is standard input")->capture_default_str();
  command.add_flag("--explain", request->explain, "the rule that decided, what it asks for, and what the codes say");
  command.add_flag("--json", request->json, "JSON lines");
  CLI::Option* rules =
      command.add_option("--rules", request->rules, "rules to ask before the shipped ones (default: reply_rules)")
          ->type_name("FILE");
  command.add_flag("--no-shipped", request->no_shipped, "ask the rules of --rules alone")->needs(rules);
  command.add_option("--stage", request->stage, "of replies that do not say theirs (default: any)")->type_name("STAGE");
  command.add_option("--provider", request->provider, "of replies that do not say theirs (default: unknown)")
      ->type_name("NAME");
  CLI::Option* score =
      command.add_option("--score", request->score, "how often the rules are right about the rows of this file")
          ->type_name("FILE");
  command
      .add_option("--cross-validate", request->cross_validate,
                  "score each of N parts with those rules alone that decide something in the others")
      ->type_name("N")
      ->needs(score)
      ->check(CLI::Range(2, 1000));
  CLI::Option* unmatched =
      command.add_flag("--unmatched", request->unmatched, "replies that no rule knew, from the daemon")
          ->excludes(score);
  command.add_option("--top", request->top, "at most so many kinds of them")
      ->type_name("N")
      ->capture_default_str()
      ->needs(unmatched)
      ->check(CLI::Range(1, 1000));
}

void AddPlan(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("plan", "when a campaign will be done, and which limit decides");
  command.footer(R"(
Works out from the limits of the configuration and the campaign's list when each receiver and the whole will be done:
rates, connections, quotas and their pace, warm-up, limits of sources, pool, sender and campaign, send windows and
canary. The MX of the domains with the most recipients is looked up, so that those of one provider count together. It
says what it takes for granted. Needs no daemon and sends nothing.

Examples:
  postrider plan 2026-11-24-offer
  postrider plan 2026-11-24-offer --no-dns
  postrider plan 2026-11-24-offer --json | jq .done)");
  const auto request = AddRequest(command, chosen, RunPlan);
  AddConfigOption(command, request->config);
  command.add_option("CAMPAIGN_DIR", request->path, "the campaign's directory")->required();
  CLI::Option* no_dns = command.add_flag("--no-dns", request->no_dns, "look up no MX: limits of domains alone");
  command.add_option("--top", request->top, "look up the MX of so many domains")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000))
      ->excludes(no_dns);
  command.add_option("--seconds-per-message", request->seconds_per_message, "what a message takes on its connection")
      ->type_name("SECONDS")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command.add_option("--seconds-per-connection", request->seconds_per_connection, "what opening a connection takes")
      ->type_name("SECONDS")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command.add_flag("--json", request->json, "one JSON object");
}

void AddRender(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("render", "print the exact message of one recipient");
  command.footer(R"(
A PATH is a campaign's directory or a single .eml file. A row is named by its line in the list, from 1; in a CSV
line 1 is the header. Of an .eml it is the first recipient, the second, and so on.
A Date or Message-ID that the message does not bring is made from the moment it was last changed, and so the same at
each call; when the campaign is accepted, it is made from that moment and the campaign's number.

Examples:
  postrider render 2026-11-24-offer --row 1
  postrider render 2026-11-24-offer --row 4711 > message.eml
  postrider render welcome.eml)");
  const auto request = AddRequest(command, chosen, RunRender);
  AddConfigOption(command, request->config);
  command.add_option("PATH", request->path, "the campaign's directory, or an .eml file")->required();
  command.add_option("--row", request->row, "the recipient on this line of the list")
      ->type_name("N")
      ->capture_default_str()
      ->check(CheckLine);
}

void AddStatus(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("status", "how the daemon and its campaigns are doing");
  command.footer(R"(
Examples:
  postrider status
  postrider status 2026-11-24-offer --watch       until it is over
  postrider status --json | jq .totals)");
  const auto request = AddRequest(command, chosen, RunStatus);
  AddDaemonOptions(command, request->daemon);
  command.add_option("CAMPAIGN", request->campaign, "only this one, in full");
  command.add_flag("--watch", request->watch, "again and again: in place on a terminal, else a line per campaign");
  command.add_flag("--json", request->json, "the daemon's answer as it is");
  command.add_flag("--all", request->all, "campaigns that ended long ago too");
  command
      .add_option_function<double>(
          "--interval",
          [request](double seconds) {
            request->interval = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
          },
          "between two looks of --watch (default: 1)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
}

void AddQueue(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("queue", "what waits where, how fast it goes, and which limit binds");
  command.footer(R"(
Why is it slow? Each line is one path, a source towards a site: what it does (normal, backing off, stopped, paused,
idle), its rate and connections, the limit that binds it now, and when it goes on. Below it stands the last reply that
was not positive. What waits or is deferred, how long already, and when it will be done at this rate, is of the whole
site and stands on its first line alone.
--age shows the domains with the most mail by its age in minutes, as qshape does.

Examples:
  postrider queue
  postrider queue --domains 100
  postrider queue --age
  postrider queue --json | jq '.sites[] | select(.mode == "backing off")')");
  const auto request = AddRequest(command, chosen, RunQueue);
  AddDaemonOptions(command, request->daemon);
  command.add_option("--domains", request->domains, "how many of the domains with the most waiting")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  CLI::Option* age = command.add_flag("--age", request->age, "how old the mail of these domains is");
  command.add_flag("--json", request->json, "the daemon's answer as it is, ages included")->excludes(age);
}

void AddTrace(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("trace", "conversations with a site as they go on, or the last that failed");
  command.footer(R"(
Each line has the time (UTC), the source, the connection's number, and what passed: > by us, < a reply, * what happened.
Of a message only the size is shown, of a login only ***. --last shows what the daemon remembers of conversations that
failed (no connection, TLS, refusals, time-outs; not of bounces), the newest at the end; without SITE, of all sites.

Examples:
  postrider trace mx.example.org
  postrider trace mx.example.org --source a --seconds 300
  postrider trace mx.example.org --last
  postrider trace --last 20 --json | jq .problem)");
  const auto request = AddRequest(command, chosen, RunTrace);
  AddDaemonOptions(command, request->daemon);
  command.add_option("SITE", request->site, "its name, as `postrider queue` shows it");
  command.add_option("--source", request->source, "only of this source")->type_name("SOURCE");
  CLI::Option* seconds = command.add_option("--seconds", request->seconds, "so long")
                             ->type_name("N")
                             ->capture_default_str()
                             ->check(CLI::Range(1, 86'400));
  command.add_option("--last", request->last, "instead, the last N failed ones (default: 3)")
      ->type_name("[N]")
      ->expected(0, 1)
      ->default_str("3")
      ->check(CheckLast)
      ->excludes(seconds);
  command.add_flag("--json", request->json, "JSON lines");
}

void AddFind(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("find", "an address: what waits for it, and what the delivery log says");
  command.footer(R"(
The daemon reads its whole log for this, compressed files too: about a second per GB.

Examples:
  postrider find ana@example.org
  postrider find ana@example.org --events 5 --json)");
  const auto request = AddRequest(command, chosen, RunFind);
  AddDaemonOptions(command, request->daemon);
  command.add_option("ADDRESS", request->address, "the recipient")->required();
  command.add_option("--events", request->events, "at most so many of the newest")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command.add_flag("--json", request->json, "the daemon's answer as it is");
}

void AddChange(CLI::App& app, Chosen& chosen, const std::string& action, const std::string& help, const char* examples,
               bool wide) {
  CLI::App& command = *app.add_subcommand(action, help);
  command.footer(examples);
  const auto request = AddRequest(command, chosen, RunChange);
  request->action = action;
  AddDaemonOptions(command, request->daemon);
  CLI::Option* campaign = command.add_option("CAMPAIGN", request->campaign, "its name, as `postrider status` shows it");
  if (!wide) {
    campaign->required();
    return;
  }
  CLI::Option_group& target = *command.add_option_group("Target", "exactly one");
  target.add_option(campaign);
  target.add_flag("--all", request->all, "everything");
  target.add_option("--site", request->site, "one site, as `postrider queue` names it")->type_name("SITE");
  target.add_option("--source", request->source, "one source of the configuration")->type_name("SOURCE");
  target.require_option(1);
  if (action != "resume") return;
  command.add_option("--at", request->at, "only what a guard holds of it at this provider, or site")
      ->type_name("PROVIDER")
      ->needs(campaign);
}

void AddChanges(CLI::App& app, Chosen& chosen) {
  AddChange(app, chosen, "pause", "hold a campaign, a site, a source, or everything", R"(
What is being sent is finished; nothing new begins until `postrider resume`. A paused campaign's expiry stands still.

Examples:
  postrider pause 2026-11-24-offer
  postrider pause --site mx.example.org
  postrider pause --source a
  postrider pause --all)",
            true);
  AddChange(app, chosen, "resume", "let go on what is paused, or release a campaign that is held", R"(
What a guard has paused of a campaign at one provider goes on with --at; the guard counts anew from then on.
`postrider status` says what is held where, and why. With --site and --source also stops, back-off and lowered rates end
that replies and failures brought about; with --site a guard's doubt about what a site says of its mailboxes, and with
--all one about domains that do not exist.

Examples:
  postrider resume 2026-11-24-offer
  postrider resume 2026-11-24-offer --at google
  postrider resume --all)",
            true);
  AddChange(app, chosen, "cancel", "end a campaign: what was not sent yet never will be", R"(
Each recipient that is left gets its final event "cancelled".

Examples:
  postrider cancel 2026-11-24-offer)",
            false);
}

void AddThrottle(CLI::App& app, Chosen& chosen) {
  using Action = ThrottleRequest::Action;
  CLI::App& command = *app.add_subcommand("throttle", "limits: what holds for a domain and why; change them now");
  command.footer(R"(
A PATTERN is one as in [[rule]]: example.org, *.example.org, mx:.google.com, mx:mx1.example.org, provider:google or *.
What is set holds at once, over the configuration, and outlives a restart; connections stay open and what was sent
still counts. A more specific pattern goes before a less specific one, whoever has set it. What is set with --for
lies over what was set without it, which holds again afterwards; a set without --for, and unset, take back both.

Examples:
  postrider throttle show example.org
  postrider throttle set provider:google message_rate=5/s connections=3 --for 2h
  postrider throttle unset provider:google
  postrider throttle list
  postrider throttle try my_rules.toml --log /var/log/postrider)");
  command.require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Action action, const char* examples) {
    CLI::App& verb = *command.add_subcommand(name, help);
    verb.footer(examples);
    const auto request = AddRequest(verb, chosen, RunThrottle);
    request->action = action;
    AddDaemonOptions(verb, request->daemon);
    verb.add_flag("--json", request->json, "the daemon's answer as it is");
    return std::pair<CLI::App*, std::shared_ptr<ThrottleRequest>>(&verb, request);
  };
  const auto [show, shown] =
      add("show", "each limit of a domain's mail, where it comes from, and what binds now", Action::kShow, R"(
Examples:
  postrider throttle show example.org
  postrider throttle show example.org --json | jq '.rule[] | select(.field == "message_rate")')");
  show->add_option("DOMAIN", shown->name, "what stands behind the @")->required();
  const auto [set, wanted] = add("set", "set limits of a pattern's mail, at once", Action::kSet, R"(
Examples:
  postrider throttle set provider:google message_rate=5/s connections=3 --for 2h
  postrider throttle set example.org message_rate=none
  postrider throttle set '*' messages_per_connection=20)");
  set->add_option("PATTERN", wanted->name, "whose mail")->required();
  set->add_option("KEY=VALUE", wanted->fields, "as in [[rule]]; `postrider config --explain` shows all")->required();
  set->add_option("--for", wanted->duration, "then what held before holds again (default: until it is taken back)")
      ->type_name("TIME");
  const auto [unset, taken] = add("unset", "take back what was set", Action::kUnset, R"(
Examples:
  postrider throttle unset provider:google                 all of it
  postrider throttle unset provider:google message_rate)");
  unset->add_option("PATTERN", taken->name, "whose mail")->required();
  unset->add_option("KEY", taken->fields, "these limits alone");
  (void)add("list", "what is set now, by whom, and until when", Action::kList, R"(
Examples:
  postrider throttle list)");
  AddThrottleTry(command, chosen);
}

void AddSource(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("source", "what is sent from: the state of each source; hold one");
  command.footer(R"(
Examples:
  postrider source list
  postrider source pause a --at google
  postrider source resume a --at google)");
  command.require_subcommand(1);
  CLI::App& list = *command.add_subcommand("list", "each source: address, connections, rate, where it stands still");
  list.footer(R"(
Examples:
  postrider source list
  postrider source list --json | jq '.sources[] | select(.stopped_count > 0)')");
  const auto listed = AddRequest(list, chosen, RunSourceList);
  AddDaemonOptions(list, listed->daemon);
  list.add_flag("--json", listed->json, "the daemon's answer as it is");
  const auto add = [&](const char* name, const char* help, const char* examples) {
    CLI::App& verb = *command.add_subcommand(name, help);
    verb.footer(examples);
    const auto request = AddRequest(verb, chosen, RunChange);
    request->action = name;
    AddDaemonOptions(verb, request->daemon);
    verb.add_option("NAME", request->source, "the source, as the configuration calls it")->required();
    verb.add_option("--at", request->at, "at this provider, or at this site as `postrider queue` names it, alone")
        ->type_name("PLACE");
  };
  add("pause", "send nothing from it, everywhere or at one place", R"(
What is being sent is finished. Other sources of its pools take its mail.

Examples:
  postrider source pause a
  postrider source pause a --at google
  postrider source pause a --at mx.example.org)");
  add("resume", "let it go on", R"(
Whatever keeps it: a pause, a stop, back-off or breaker after replies and failures, a rate that replies have lowered.
One message goes as a probe before the others, and connections begin as after a start. A receiver may have meant what
it said: `postrider throttle show` gives its replies.

Examples:
  postrider source resume a --at google)");
}

void AddExport(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("export", "the recipients of a campaign that have no final event yet");
  command.footer(R"(
Writes a recipients.jsonl, ready for a campaign on another host. Pause or cancel the campaign first, or what is
delivered meanwhile is in it too.

Examples:
  postrider pause 2026-11-24-offer
  postrider export --remaining 2026-11-24-offer > recipients.jsonl)");
  const auto request = AddRequest(command, chosen, RunExport);
  AddDaemonOptions(command, request->daemon);
  command.add_option("--remaining", request->campaign, "of this campaign")->type_name("CAMPAIGN")->required();
}

void AddConfig(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("config", "every option of the configuration, and what the program ships");
  command.footer(R"(
What is shipped is built into the program; put what you want otherwise into your own configuration.

Examples:
  postrider config --explain > postrider.toml
  postrider config --providers | grep -A6 provider:google
  postrider config --reply-rules)");
  const auto add = [&](const char* name, const char* help, std::string (*text)()) {
    const auto wanted = std::make_shared<bool>(false);
    command.add_flag(name, *wanted, help);
    return std::pair(wanted, text);
  };
  const std::vector<std::pair<std::shared_ptr<bool>, std::string (*)()>> pages = {
      add("--explain", "print a complete, commented configuration with every option at its default", ExplainOptions),
      add("--providers", "print the providers that the program knows, with their limits",
          [] { return std::string(ShippedProviders()); }),
      add("--reply-rules", "print the rules for what receivers' replies mean",
          [] { return std::string(ShippedReplyRules()); }),
  };
  command.require_option(1);
  command.callback([pages, &chosen] {
    for (const auto& [wanted, text] : pages) {
      if (*wanted) chosen = [text = text] { return Print(text()) ? kExitDone : kExitFailed; };
    }
  });
}

void AddRetry(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("retry", "try deferred recipients sooner");
  command.footer(R"(
Deferred recipients of a campaign, a domain or a site are due anew, evenly spread over a period from now on, so that no
burst goes out; none is put off, and all limits hold. Back-off and stops of the receiver's hosts and of sources stay as
they are, and so do pauses: the answer names those that still hold this mail, until when, and what lifts them now. So it
does at a domain or site where nothing is deferred but mail waits for its first try.

Examples:
  postrider retry 2026-11-24-offer
  postrider retry mx.example.org --over 30min
  postrider retry example.org --json | jq .moved)");
  const auto request = AddRequest(command, chosen, RunRetry);
  AddDaemonOptions(command, request->daemon);
  command.add_option("TARGET", request->target, "a campaign, or a domain or site as `postrider queue` names it")
      ->required();
  command.add_option("--over", request->over, "spread over so long, such as 90s, 5min or 2h")
      ->type_name("DURATION")
      ->capture_default_str()
      ->check(CheckPeriod);
  command.add_flag("--json", request->json, "the daemon's answer as it is");
}

void AddReload(CLI::App& app, Chosen& chosen) {
  CLI::App& command = *app.add_subcommand("reload", "let the daemon read its configuration again");
  command.footer(R"(
No connection is dropped. A bad configuration changes nothing; what is wrong with it is printed (exit code 2).

Examples:
  postrider reload)");
  const auto request = AddRequest(command, chosen, RunReload);
  AddDaemonOptions(command, *request);
}

bool HasCommand(CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](CLI::App* command) { return command->get_name() == name; }).empty();
}

// An empty value is a variable of the shell that was never set: taken as none given, it would widen a command to
// everything.
void RefuseEmptyValues(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_size() == 0) continue;                                 // a flag
    if (option->check_lname("who") || option->check_lname("reason")) continue;  // for people to read; may be nothing
    option->check([](const std::string& value) { return value.empty() ? "expected a value, found nothing" : ""; });
  }
  for (CLI::App* command : app.get_subcommands({})) RefuseEmptyValues(*command);
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv) {
  // A reader of our output that goes away is a failed write, not our death.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Postrider sends bulk mail, as fast as each receiver allows and no faster.", "postrider");
  app.set_version_flag("--version", fmt::format("postrider {}", observe::kVersion));
  app.footer(kFooter);
  app.require_subcommand(1);

  Chosen chosen;
  int exit_code = kExitDone;
  AddRun(app, chosen);
  AddSubmit(app, chosen);
  AddCheck(app, chosen);
  AddClassify(app, chosen);
  AddPlan(app, chosen);
  AddRender(app, chosen);
  AddStatus(app, chosen);
  AddQueue(app, chosen);
  AddTrace(app, chosen);
  AddFind(app, chosen);
  AddChanges(app, chosen);
  AddThrottle(app, chosen);
  AddSource(app, chosen);
  AddSuppressCommand(app, chosen);
  AddExport(app, chosen);
  AddConfig(app, chosen);
  AddRetry(app, chosen);
  AddReload(app, chosen);
  AddSinkCommand(app, exit_code);
  RefuseEmptyValues(app);
  // CLI11 would only say that a command is needed.
  if (argc > 1 && *argv[1] != '-' && *argv[1] != '\0' && !HasCommand(app, argv[1])) {
    fmt::print(stderr, "postrider: there is no command \"{}\"; `postrider --help` lists them\n", Printable(argv[1]));
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return chosen ? chosen() : exit_code;
}

}  // namespace postrider::tools
