// The command line of `postrider suppress`: its subcommands' options, help and examples.

#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tools/command.h"

namespace postrider::tools {
namespace {

using Chosen = std::function<int()>;
using Request = std::shared_ptr<SuppressRequest>;
using Run = int (*)(const SuppressRequest&);

CLI::App& Add(CLI::App& parent, Chosen& chosen, const Request& request, const char* name, const char* help, Run run,
              const char* footer) {
  CLI::App& command = *parent.add_subcommand(name, help);
  command.footer(footer);
  command.callback([request, run, &chosen] { chosen = [request, run] { return run(*request); }; });
  command
      .add_option("--admin", request->daemon.address,
                  "where the daemon's admin HTTP listens (default: as the configuration says)")
      ->type_name("ADDRESS:PORT");
  command
      .add_option("--config", request->daemon.config,
                  fmt::format("the configuration that says so (default: {})", kDefaultConfig))
      ->type_name("FILE");
  return command;
}

void AddAddresses(CLI::App& command, const Request& request) {
  command.add_option("ADDRESS", request->addresses, "ana@example.org; @example.org is all of a domain")
      ->required()
      ->type_name("ADDRESS");
}

void AddList(CLI::App& command, const Request& request, const char* otherwise) {
  CLI::Option* list =
      command.add_option("--list", request->list, fmt::format("the list of that name (default: {})", otherwise))
          ->type_name("NAME");
  command.add_flag("--global", request->global, "the list that counts for all mail")->excludes(list);
}

void AddAuthor(CLI::App& command, const Request& request) {
  command.add_option("--reason", request->reason, "why, for the audit")->type_name("TEXT");
  command.add_option("--who", request->who, "who says so, for the audit (default: your name on this host)")
      ->type_name("NAME");
}

void AddEnd(CLI::App& command, const Request& request) {
  command.add_option("--for", request->lasts, "how long it counts, as 30d (default: for ever)")->type_name("DURATION");
}

void AddJson(CLI::App& command, const Request& request) {
  command.add_flag("--json", request->json, "the daemon's answer as it is");
}

void AddConditions(CLI::App& command, const Request& request) {
  command.add_option("--domain", request->domain, "addresses there")->type_name("DOMAIN");
  command.add_option("--rule", request->rule, "by the reply rule of that name")->type_name("RULE");
  command.add_option("--site", request->site, "because of a reply from that site, as `postrider queue` names it")
      ->type_name("SITE");
  command.add_option("--provider", request->provider, "because of a reply from that provider")->type_name("PROVIDER");
  command.add_option("--since", request->since, "made since then: 2h ago, or 2026-11-24T09:00:00Z, or 2026-11-24")
      ->type_name("WHEN");
  command.add_option("--until", request->until, "made before then")->type_name("WHEN");
}

void AddSearch(CLI::App& command, const Request& request) {
  AddConditions(command, request);
  command.add_option("--by", request->by, "made by: rule, hand or import")
      ->type_name("ORIGIN")
      ->check(CLI::IsMember({"rule", "hand", "import"}));
  command.add_flag("--expired", request->expired, "those whose end has come too");
}

void AddFormat(CLI::App& command, const Request& request, const char* help) {
  command.add_option("--format", request->format, help)
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "csv", "jsonl"}));
}

}  // namespace

void AddSuppressCommand(CLI::App& app, Chosen& chosen) {
  CLI::App& suppress = *app.add_subcommand("suppress", "who gets no mail: hard bounces, unsubscribes, your own list");
  suppress.footer(R"(
The global list counts for all mail; a named one for the bulk mail of campaigns that say `list = "NAME"`. The list is
asked when a campaign is taken in, and again before each attempt. Reply rules put hard bounces on the global list by
themselves; where a rule wants two bounces, the first waits in the list "bounced-once", which counts for no mail.

Examples:
  postrider suppress add ana@example.org --list news --reason unsubscribe
  postrider suppress check ana@example.org
  postrider suppress import --list news unsubscribed.csv
  postrider suppress undo --site mx.example.org --since 2h --dry-run)");
  suppress.require_subcommand(1);
  const auto request = std::make_shared<SuppressRequest>();

  CLI::App& add = Add(suppress, chosen, request, "add", "put addresses or domains on a list", RunSuppressAdd, R"(
Durable when it answers; no attempt begins after that. Adding what is there already changes nothing.

Examples:
  postrider suppress add ana@example.org --list news --reason unsubscribe
  postrider suppress add @example.org --for 30d --reason "asked us to wait")");
  AddAddresses(add, request);
  AddList(add, request, "the global one");
  AddAuthor(add, request);
  AddEnd(add, request);
  AddJson(add, request);

  CLI::App& remove =
      Add(suppress, chosen, request, "remove", "take addresses or domains off a list", RunSuppressRemove, R"(
What was there, who removed it and why stays in the history that `check` and `export --history` show.

Examples:
  postrider suppress remove ana@example.org --list news --reason "subscribed again")");
  AddAddresses(remove, request);
  AddList(remove, request, "the global one");
  AddAuthor(remove, request);
  AddJson(remove, request);

  CLI::App& check = Add(suppress, chosen, request, "check", "whether an address is suppressed, since when, and why",
                        RunSuppressCheck, R"(
Shows every list that holds the address or its domain: since when, who said so and why; of a rule's entry also the
campaign, the row, the site and its reply. Then what it was before.

Examples:
  postrider suppress check ana@example.org
  postrider suppress check ana@example.org --list news        for mail to that list
  postrider suppress check ana@example.org --json | jq .suppressed)");
  AddAddresses(check, request);
  AddList(check, request, "for all mail");
  AddJson(check, request);

  CLI::App& list = Add(suppress, chosen, request, "list", "what is on the lists", RunSuppressList, R"(
Examples:
  postrider suppress list --list news
  postrider suppress list --by rule --site mx.example.org --since 2h)");
  AddList(list, request, "all lists");
  AddSearch(list, request);
  list.add_option("--limit", request->limit, "at most so many entries")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  AddJson(list, request);

  CLI::App& lists =
      Add(suppress, chosen, request, "lists", "the lists, and how many entries each has", RunSuppressLists, R"(
Examples:
  postrider suppress lists)");
  AddJson(lists, request);

  CLI::App& import = Add(suppress, chosen, request, "import", "put all of a file on a list", RunSuppressImport, R"(
FILE (.gz and .zst too; "-" is standard input) has an address or @domain a line, or is a CSV with a header, or JSON
lines; which of these shows in its first line. Columns and keys are address (or email, recipient, domain), list, when,
by, who, why, campaign, row, site, provider, reply, expires; others are ignored, missing ones are as the options say.
So a file that `export` wrote comes in again as it was. A line that is wrong is reported with its number and left
out (exit code 1); the others are in. It can be repeated: what is there already is left as it is.

Examples:
  postrider suppress import --list news --reason unsubscribe unsubscribed.csv
  zcat old/*.gz | postrider suppress import --global --reason "moved from the old system" -)");
  import.add_option("FILE", request->file, "what to import")->required();
  AddList(import, request, "the global one");
  AddAuthor(import, request);
  AddEnd(import, request);
  AddFormat(import, request, "text, csv or jsonl (default: as its first line looks)");
  AddJson(import, request);

  CLI::App& exported = Add(suppress, chosen, request, "export", "write the list to standard output", RunSuppressExport,
                           R"(
Examples:
  postrider suppress export > suppressions.jsonl
  postrider suppress export --list news --format csv
  postrider suppress export --history --since 2026-11-01      what was removed, replaced or has expired since)");
  AddList(exported, request, "all lists");
  AddSearch(exported, request);
  AddFormat(exported, request, "text, csv or jsonl (default: jsonl)");
  exported.add_flag("--history", request->history, "what is on no list any more, and who ended it; jsonl alone");

  CLI::App& undo = Add(suppress, chosen, request, "undo", "take back what reply rules put there", RunSuppressUndo, R"(
For a receiver that had trouble and called good addresses bad. Only entries by rules go, never what an operator or an
import put there; say at least a site, provider, domain or rule.

Examples:
  postrider suppress undo --site mx.example.org --since 2h --dry-run
  postrider suppress undo --site mx.example.org --since 2h --reason "their directory was down")");
  AddList(undo, request, "all lists");
  AddConditions(undo, request);
  AddAuthor(undo, request);
  undo.add_flag("--dry-run", request->dry_run, "only say how many it would be");
  AddJson(undo, request);
}

}  // namespace postrider::tools
