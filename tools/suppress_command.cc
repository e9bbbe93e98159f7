// `postrider suppress`: who gets no mail. The daemon owns the list; this asks it.

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/duration.h"
#include "engine/intake/list_input.h"
#include "engine/observe/rfc3339.h"
#include "engine/observe/url_text.h"
#include "queue/files.h"
#include "tools/command.h"
#include "tools/exit_code.h"
#include "tools/progress.h"
#include "tools/suppress_view.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "suppress";
constexpr const char* kPath = "/api/v1/suppressions";
constexpr std::size_t kAddedAtOnce = 1000;  // the daemon takes no more in one request
constexpr int kPageMost = 1000;             // ... and shows no more
constexpr std::chrono::milliseconds kRedraw{200};

// Who does it, for the audit: behind sudo the one who called it.
std::string WhoAmI() {
  const char* caller = geteuid() == 0 ? std::getenv("SUDO_USER") : nullptr;
  if (caller != nullptr && *caller != '\0') return caller;
  const passwd* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : fmt::format("uid {}", geteuid());
}

// The fields of a query, in order; those without a value are left out.
class Query {
 public:
  explicit Query(std::string path) : text_(std::move(path)) {}
  Query& Add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += std::exchange(first_, false) ? '?' : '&';
    text_.append(name).append("=").append(observe::PercentEncode(value));
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool first_ = true;
};

std::string ListOf(const SuppressRequest& request) { return request.global ? "global" : request.list; }
std::string WhoOf(const SuppressRequest& request) { return request.who.empty() ? WhoAmI() : request.who; }

// "2h" -> the moment two hours ago, as the daemon reads it; a moment stays as it is.
std::string MomentOf(const std::string& text) {
  const Result<std::chrono::milliseconds> before = ParseDuration(text);
  if (!before) return text;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return observe::FormatRfc3339(now - *before);
}

// What list and export look for.
void AddConditions(Query& query, const SuppressRequest& request) {
  query.Add("list", ListOf(request))
      .Add("domain", request.domain)
      .Add("by", request.by)
      .Add("rule", request.rule)
      .Add("site", request.site)
      .Add("provider", request.provider)
      .Add("since", MomentOf(request.since))
      .Add("until", MomentOf(request.until))
      .Add("expired", request.expired ? "1" : "");
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Prints the answer as it is, or what render makes of its view.
template <typename Parse, typename Render>
int Show(const SuppressRequest& request, const std::string& answer, Parse parse, Render render) {
  if (request.json) return Print(answer) ? kExitDone : kExitFailed;
  const auto view = parse(answer);
  if (!view) return Report(kName, view.error());
  return Print(render(*view)) ? kExitDone : kExitFailed;
}

// What an import reads: a file, compressed or not, or standard input.
class Lines {
 public:
  static Result<std::unique_ptr<Lines>> Open(const std::string& file) {
    auto lines = std::make_unique<Lines>();
    if (file == "-") return lines;
    lines->files_ = queue::MakeSystemFiles();
    std::error_code ignored;
    auto input = intake::OpenListInput(*lines->files_, std::filesystem::absolute(file, ignored));
    if (!input) return std::unexpected(std::move(input).error());
    lines->input_ = *std::move(input);
    struct stat status {};
    const bool plain = !file.ends_with(".gz") && !file.ends_with(".zst");
    if (plain && stat(file.c_str(), &status) == 0) lines->size_ = static_cast<std::uint64_t>(status.st_size);
    return lines;
  }
  Result<std::size_t> Read(std::span<char> into) {
    if (input_ != nullptr) {
      Result<std::size_t> count = input_->Read(into.data(), into.size());
      if (count) done_ += *count;
      return count;
    }
    // What is there, not what fills the span: whoever feeds us slowly would be taken for dead.
    const ssize_t count = read(STDIN_FILENO, into.data(), into.size());
    if (count < 0) return Fail(ErrorCode::kIo, "standard input cannot be read");
    done_ += static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }  // 0: not known

 private:
  std::unique_ptr<queue::Files> files_;
  std::unique_ptr<intake::ListInput> input_;
  std::uint64_t done_ = 0;
  std::uint64_t size_ = 0;
};

// Draws how far an upload is, on a terminal only.
class UploadProgress {
 public:
  UploadProgress(const Terminal& terminal, bool wanted) : display_(terminal), wanted_(wanted && terminal.interactive) {}
  void Show(const Lines& lines) {
    const auto now = std::chrono::steady_clock::now();
    if (!wanted_ || now < next_) return;
    next_ = now + kRedraw;
    meter_.Observe(now, lines.done());
    const double rate = meter_.PerSecond().value_or(0);
    std::string line;
    if (lines.size() > 0) {
      line = ProgressBar(static_cast<double>(lines.done()) / static_cast<double>(lines.size()), 32) + "  ";
    }
    line += FormatBytes(lines.done());
    if (lines.size() > 0) line += " of " + FormatBytes(lines.size());
    line += fmt::format("  {}/s", FormatBytes(static_cast<std::uint64_t>(rate)));
    if (lines.size() > lines.done()) {
      if (const auto left = TimeLeft(lines.size() - lines.done(), rate)) line += "  " + FormatSpan(*left) + " left";
    }
    (void)Print(display_.Show(line + "\n"));
  }
  void End() {
    if (wanted_) (void)Print(display_.Show(""));
  }

 private:
  Display display_;
  const bool wanted_;
  RateMeter meter_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace

int RunSuppressAdd(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  SuppressionTallyView sum;
  for (std::size_t at = 0; at < request.addresses.size(); at += kAddedAtOnce) {
    const std::size_t end = std::min(at + kAddedAtOnce, request.addresses.size());
    nlohmann::json body = {{"who", WhoOf(request)}};
    body["addresses"] = std::vector<std::string>(request.addresses.begin() + static_cast<std::ptrdiff_t>(at),
                                                 request.addresses.begin() + static_cast<std::ptrdiff_t>(end));
    if (const std::string list = ListOf(request); !list.empty()) body["list"] = list;
    if (!request.reason.empty()) body["why"] = request.reason;
    if (!request.lasts.empty()) body["for"] = request.lasts;
    const Result<std::string> answer = client->Post(kPath, Dump(body));
    if (!answer) return Report(kName, answer.error());
    if (request.json && !Print(*answer)) return kExitFailed;
    const auto tally = ParseSuppressionTally(*answer);
    if (!tally) return Report(kName, tally.error());
    sum.added += tally->added;
    sum.replaced += tally->replaced;
    sum.unchanged += tally->unchanged;
  }
  if (request.json) return kExitDone;
  return Print(RenderSuppressionTally(sum) + "\n") ? kExitDone : kExitFailed;
}

int RunSuppressRemove(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  int exit_code = kExitDone;
  for (const std::string& address : request.addresses) {
    Query query(kPath);
    query.Add("address", address).Add("list", ListOf(request)).Add("who", WhoOf(request)).Add("why", request.reason);
    const Result<std::string> answer = client->Delete(query.text());
    if (!answer) {
      exit_code = Report(kName, answer.error());
      if (exit_code == kExitUnreachable) return exit_code;
      continue;
    }
    if (!Print(request.json ? *answer : "removed " + Printable(address) + "\n")) return kExitFailed;
  }
  return exit_code;
}

int RunSuppressCheck(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  int exit_code = kExitDone;
  for (const std::string& address : request.addresses) {
    Query query(kPath);
    query.Add("address", address).Add("list", ListOf(request));
    const Result<std::string> answer = client->Get(query.text());
    if (!answer) {
      exit_code = Report(kName, answer.error());
      if (exit_code == kExitUnreachable) return exit_code;
      continue;
    }
    const int shown = Show(request, *answer, ParseSuppressionCheck, [](const SuppressionCheckView& view) {
      return RenderSuppressionCheck(view, Terminal::Detect());
    });
    if (shown != kExitDone) return shown;
  }
  return exit_code;
}

int RunSuppressList(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  std::vector<SuppressionView> entries;
  std::string next;
  do {
    Query query(kPath);
    AddConditions(query, request);
    const int left = request.limit - static_cast<int>(entries.size());
    query.Add("limit", std::to_string(std::min(left, kPageMost))).Add("after", next);
    const Result<std::string> answer = client->Get(query.text());
    if (!answer) return Report(kName, answer.error());
    if (request.json && !Print(*answer)) return kExitFailed;
    auto page = ParseSuppressionPage(*answer);
    if (!page) return Report(kName, page.error());
    std::ranges::move(page->entries, std::back_inserter(entries));
    next = std::move(page->next);
  } while (!next.empty() && static_cast<int>(entries.size()) < request.limit);
  if (request.json) return kExitDone;
  std::string out = entries.empty() ? "no such entry\n" : RenderSuppressions(entries, Terminal::Detect());
  if (!next.empty()) out += "... and more: --limit N, or `postrider suppress export` for all\n";
  return Print(out) ? kExitDone : kExitFailed;
}

int RunSuppressLists(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Result<std::string> answer = client->Get(std::string(kPath) + "/lists");
  if (!answer) return Report(kName, answer.error());
  return Show(request, *answer, ParseSuppressionLists, [](const std::vector<SuppressionListView>& lists) {
    return RenderSuppressionLists(lists, Terminal::Detect());
  });
}

int RunSuppressImport(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const std::string name = request.file == "-" ? "standard input" : request.file;
  const auto lines = Lines::Open(request.file);
  if (!lines) return Report(kName, lines.error());
  Query query(std::string(kPath) + "/import");
  query.Add("list", ListOf(request))
      .Add("who", WhoOf(request))
      .Add("why", request.reason)
      .Add("for", request.lasts)
      .Add("format", request.format);
  UploadProgress progress(Terminal::Detect(), !request.json);
  const Result<std::string> answer = client->Upload(query.text(), [&](std::span<char> into) {
    progress.Show(**lines);
    return (*lines)->Read(into);
  });
  progress.End();
  if (!answer) return Report(kName, answer.error());
  const auto tally = ParseSuppressionTally(*answer);
  if (!tally) return Report(kName, tally.error());
  for (const SuppressionTallyView::Problem& problem : tally->problems) {
    (void)Report(kName, {ErrorCode::kInvalid, fmt::format("{}:{}: {}", name, problem.line, problem.problem)});
  }
  if (tally->rejected > tally->problems.size()) {
    (void)Report(kName, {ErrorCode::kInvalid, fmt::format("{}: {} lines more are wrong", name,
                                                          FormatCount(tally->rejected - tally->problems.size()))});
  }
  const std::string said =
      request.json ? *answer : fmt::format("{} lines: {}\n", FormatCount(tally->lines), RenderSuppressionTally(*tally));
  if (!Print(said)) return kExitFailed;
  return tally->rejected == 0 ? kExitDone : kExitFailed;
}

int RunSuppressExport(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  Query query(std::string(kPath) + "/export");
  AddConditions(query, request);
  query.Add("format", request.format).Add("history", request.history ? "1" : "");
  bool taken = true;
  const Result<void> streamed = client->Stream(query.text(), [&](std::string_view bytes) {
    taken = Print(bytes);
    return taken;
  });
  if (!streamed) return Report(kName, streamed.error());
  if (!taken) return Report(kName, {ErrorCode::kIo, "cannot write to standard output; the list is not complete"});
  return kExitDone;
}

int RunSuppressUndo(const SuppressRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  nlohmann::json body = {{"who", WhoOf(request)}};
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) body[name] = value;
  };
  put("site", request.site);
  put("provider", request.provider);
  put("domain", request.domain);
  put("rule", request.rule);
  put("list", ListOf(request));
  put("since", MomentOf(request.since));
  put("until", MomentOf(request.until));
  put("why", request.reason);
  if (request.dry_run) body["dry_run"] = true;
  const Result<std::string> answer = client->Post(std::string(kPath) + "/undo", Dump(body));
  if (!answer) return Report(kName, answer.error());
  return Show(request, *answer, ParseSuppressionUndo, [&](const SuppressionUndoView& undo) {
    std::string out = request.dry_run ? FormatCount(undo.found) + " entries would be removed\n"
                                      : FormatCount(undo.removed) + " entries removed\n";
    if (!undo.examples.empty()) out += RenderSuppressions(undo.examples, Terminal::Detect());
    if (undo.found > undo.examples.size()) out += "...\n";
    return out;
  });
}

}  // namespace postrider::tools
