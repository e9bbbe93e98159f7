#pragma once
// The subcommands of `postrider`, one per tools/*_command.cc. A request is what the command line said; Run... does it
// and returns the program's exit code (tools/exit_code.h). tools/command_line.cc, and a file of their own for
// commands with many options, turn arguments into requests: CLI11 takes five seconds to compile, so it is included in
// them and nowhere else.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/admin_client.h"

namespace CLI {
class App;
}

namespace postrider::tools {

struct StatusRequest {
  AdminPlace daemon;
  std::string campaign;  // empty: all
  bool watch = false;
  bool json = false;
  bool all = false;  // long ended campaigns too
  std::chrono::milliseconds interval{1000};
};
[[nodiscard]] int RunStatus(const StatusRequest& request);

struct QueueRequest {
  AdminPlace daemon;
  int domains = 20;
  bool age = false;  // the table of ages instead
  bool json = false;
};
[[nodiscard]] int RunQueue(const QueueRequest& request);

struct TraceRequest {
  AdminPlace daemon;
  std::string site;    // empty: all, for failures only
  std::string source;  // empty: all
  int seconds = 30;
  int last = 0;  // so many failed conversations instead; 0: live
  bool json = false;
};
[[nodiscard]] int RunTrace(const TraceRequest& request);

struct FindRequest {
  AdminPlace daemon;
  std::string address;
  int events = 100;
  bool json = false;
};
[[nodiscard]] int RunFind(const FindRequest& request);

// `pause`, `resume`, `cancel`: a campaign, or one of the wider targets.
struct ChangeRequest {
  AdminPlace daemon;
  std::string action;
  std::string campaign;
  bool all = false;
  std::string site;
  std::string source;
  std::string at;  // with source, or with campaign: at this provider or site alone
};
[[nodiscard]] int RunChange(const ChangeRequest& request);

[[nodiscard]] int RunReload(const AdminPlace& daemon);

struct ThrottleRequest {
  enum class Action { kShow, kSet, kUnset, kList };
  AdminPlace daemon;
  Action action = Action::kList;
  std::string name;                 // the domain to show; else the pattern
  std::vector<std::string> fields;  // key=value of set, keys of unset
  std::string duration;             // of set; empty: until it is taken back
  bool json = false;
};
[[nodiscard]] int RunThrottle(const ThrottleRequest& request);

struct SourceListRequest {
  AdminPlace daemon;
  bool json = false;
};
[[nodiscard]] int RunSourceList(const SourceListRequest& request);

struct RetryRequest {
  AdminPlace daemon;
  std::string target;  // a campaign, a domain or a site
  std::string over = "5min";
  bool json = false;
};
[[nodiscard]] int RunRetry(const RetryRequest& request);

struct ExportRequest {
  AdminPlace daemon;
  std::string campaign;
};
[[nodiscard]] int RunExport(const ExportRequest& request);

struct SubmitRequest {
  std::filesystem::path config;
  std::vector<std::filesystem::path> paths;
  bool no_check = false;  // leave the rows to intake
};
[[nodiscard]] int RunSubmit(const SubmitRequest& request);

struct CheckRequest {
  std::filesystem::path config;              // empty: the default one, if it is there
  std::vector<std::filesystem::path> paths;  // empty: the configuration alone
  bool json = false;
};
[[nodiscard]] int RunCheck(const CheckRequest& request);

struct ClassifyRequest {
  AdminPlace daemon;            // its configuration names providers and the operator's rules
  std::string file = "-";       // replies, as text or JSON lines; "-": standard input
  std::filesystem::path rules;  // instead of the configuration's reply_rules
  bool no_shipped = false;      // these rules alone
  std::string stage;            // of replies that do not say theirs; empty: any
  std::string provider;         // of such replies; empty: unknown
  bool explain = false;
  bool json = false;
  std::filesystem::path score;  // rows with the right answers; empty: none
  int cross_validate = 0;       // folds; 0: none
  bool unmatched = false;       // what the daemon saw
  int top = 50;                 // of that
};
[[nodiscard]] int RunClassify(const ClassifyRequest& request);

// `suppress` and its own subcommands; each uses what it needs.
struct SuppressRequest {
  AdminPlace daemon;
  std::vector<std::string> addresses;
  std::string list;     // empty: the global one; to list, export and undo: all of them
  bool global = false;  // the global one alone
  std::string reason;
  std::string who;     // empty: the operator's name on this host
  std::string lasts;   // a duration; empty: for ever
  std::string file;    // to import; "-": standard input
  std::string format;  // text, csv or jsonl; empty: import finds out, export writes jsonl
  std::string domain;
  std::string by;  // rule, hand or import
  std::string rule;
  std::string site;
  std::string provider;
  std::string since;  // a moment, a day, or a duration before now
  std::string until;
  bool expired = false;  // entries that count no more too
  bool history = false;  // what is no longer in the list
  bool dry_run = false;
  bool json = false;
  int limit = 100;
};
[[nodiscard]] int RunSuppressAdd(const SuppressRequest& request);
[[nodiscard]] int RunSuppressRemove(const SuppressRequest& request);
[[nodiscard]] int RunSuppressCheck(const SuppressRequest& request);
[[nodiscard]] int RunSuppressList(const SuppressRequest& request);
[[nodiscard]] int RunSuppressLists(const SuppressRequest& request);
[[nodiscard]] int RunSuppressImport(const SuppressRequest& request);
[[nodiscard]] int RunSuppressExport(const SuppressRequest& request);
[[nodiscard]] int RunSuppressUndo(const SuppressRequest& request);
// tools/suppress_line.cc; chosen becomes what to run.
void AddSuppressCommand(CLI::App& app, std::function<int()>& chosen);

struct PlanRequest {
  std::filesystem::path config;
  std::filesystem::path path;  // the campaign's directory
  int top = 200;               // domains whose MX is looked up
  bool no_dns = false;
  double seconds_per_message = 0.5;
  double seconds_per_connection = 1;
  bool json = false;
};
[[nodiscard]] int RunPlan(const PlanRequest& request);

struct RenderRequest {
  std::filesystem::path config;
  std::filesystem::path path;
  std::uint64_t row = 1;
};
[[nodiscard]] int RunRender(const RenderRequest& request);

// Parses and runs; the exit code.
[[nodiscard]] int RunCommandLine(int argc, const char* const* argv);

}  // namespace postrider::tools

namespace postrider {

// Adds `sink` with options, help and examples; its callback leaves the exit code in exit_code, which outlives the
// parsing of the command line.
void AddSinkCommand(CLI::App& app, int& exit_code);

}  // namespace postrider
