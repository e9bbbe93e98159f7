#include "engine/live_options.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/load.h"
#include "config/time_zone.h"
#include "engine/host_check.h"
#include "engine/observe/operator_log.h"

namespace postrider::engine {
namespace {

std::string ToText(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += "\n" + ToString(diagnostic);
  return text;
}

// The files whose content counts when the configuration is read. Intake looks at its suppression file by itself.
std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& config_file, const Options& options) {
  std::vector<std::filesystem::path> files{config_file};
  if (!options.reply_rules.empty()) files.push_back(options.reply_rules);
  for (const RouteOptions& route : options.routes) {
    if (!route.auth_secret_file.empty()) files.push_back(route.auth_secret_file);
  }
  return files;
}

// "provider:google message_rate = 5/s, burst = 3".
std::string Describe(const RuleOptions& rule) {
  std::string text;
  for (const SetField& field : FieldsOf(rule)) {
    text += fmt::format("{} {} = {}", text.empty() ? "" : ",", field.key, field.value);
  }
  return rule.match.text() + text;
}

std::string By(std::string_view who) { return who.empty() ? std::string() : fmt::format(" by {}", who); }

}  // namespace

LiveOptions::LiveOptions(std::filesystem::path config_file, OptionsPtr first, queue::Files& files, io::Clock& clock,
                         Apply apply, Tell tell)
    : config_file_(std::move(config_file)),
      first_(std::move(first)),
      files_(files),
      clock_(clock),
      apply_(std::move(apply)),
      tell_(std::move(tell)),
      configured_(first_),
      book_(first_->queue.directory, files),
      in_force_(first_) {
  last_reload_.time = clock.Read().wall;
  watch_.KeepOnly(FilesOf(config_file_, *first_));
}

Result<void> LiveOptions::Open() {
  const std::lock_guard change(change_mutex_);
  if (auto read = book_.Read(); !read) return read;
  const std::lock_guard lock(mutex_);
  in_force_ = LayOver(*configured_, book_.all(), clock_.Read().wall).options;
  return {};
}

OptionsPtr LiveOptions::get() const {
  const std::lock_guard lock(mutex_);
  return in_force_;
}

LiveOptions::LastReload LiveOptions::last_reload() const {
  const std::lock_guard lock(mutex_);
  return last_reload_;
}

Overrides LiveOptions::overrides() const {
  const std::lock_guard change(change_mutex_);
  return book_.all();
}

void LiveOptions::PutInForce(ReplyClassifierPtr classifier) {
  const OptionsPtr fresh = LayOver(*configured_, book_.all(), clock_.Read().wall).options;
  {
    const std::lock_guard lock(mutex_);
    in_force_ = fresh;
  }
  apply_(fresh, std::move(classifier));
}

void LiveOptions::Say(std::string sentence) {
  observe::LogInfo(sentence);
  tell_(std::move(sentence));
}

Result<std::string> LiveOptions::Reload() {
  const std::lock_guard change(change_mutex_);
  return ReloadLocked();
}

Result<std::string> LiveOptions::ReloadLocked() {
  watch_.Note(config_file_);
  auto loaded = LoadOptions(config_file_);
  std::string problems;
  std::vector<std::string> notes;
  ReplyClassifierPtr classifier;
  if (!loaded) {
    problems = ToText(loaded.error());
  } else {
    // What is read by its new names is watched by them, also if it is bad.
    for (const std::filesystem::path& file : FilesOf(config_file_, **loaded)) {
      if (file != config_file_) watch_.Note(file);
    }
    watch_.KeepOnly(FilesOf(config_file_, **loaded));
    HostFindings here = LookAtHost(**loaded, files_, configured_.get());
    notes = std::move(here.warnings);
    if (auto checked = ToResult(std::move(here)); !checked) problems = "\n" + checked.error().message;
  }
  if (problems.empty()) {
    auto made = ReplyClassifier::Load((*loaded)->reply_rules, (*loaded)->Providers());
    if (made) {
      classifier = *std::move(made);
    } else {
      problems = ToText(made.error());
    }
  }
  {
    const std::lock_guard lock(mutex_);
    last_reload_.good = problems.empty();
    if (last_reload_.good) last_reload_.time = clock_.Read().wall;
  }
  if (!problems.empty()) {
    observe::LogError("reload refused, the old configuration stays:" + problems);
    return Fail(ErrorCode::kInvalid, "the configuration is not valid, the old one stays:" + problems);
  }
  // Where the queue, the log and the spool are does not change while they are open, and who looks at their disks must
  // not look elsewhere.
  const auto fresh = std::make_shared<Options>(**loaded);
  fresh->spool.directory = first_->spool.directory;
  fresh->queue.directory = first_->queue.directory;
  fresh->log.directory = first_->log.directory;
  configured_ = fresh;
  PutInForce(std::move(classifier));
  if (const auto names = OptionsThatNeedARestart(*first_, **loaded); !names.empty()) {
    notes.push_back(
        fmt::format("only the next start takes what the configuration says now of: {}", fmt::join(names, ", ")));
  }
  observe::LogInfo("configuration reloaded");
  for (const std::string& note : notes) observe::LogWarning(note);
  return fmt::format("{}", fmt::join(notes, "; "));
}

void LiveOptions::Watch() {
  const std::lock_guard change(change_mutex_);
  const Now now = clock_.Read();
  if (const Overrides over = book_.TakeExpired(now.wall); !over.empty()) {
    PutInForce(nullptr);
    for (const RuleOptions& rule : over) {
      Say(fmt::format("throttle: over is what was set{}: {}", By(rule.origin.set_by), Describe(rule)));
    }
  }
  if (!watch_.Changed(now.monotonic)) return;
  observe::LogInfo("the configuration, or a file it names, has changed");
  (void)ReloadLocked();  // what is wrong with it is in the operator's log
}

Result<LiveOptions::Change> LiveOptions::Set(RuleOptions rule) {
  const std::lock_guard change(change_mutex_);
  const OptionsPtr before = get();
  const std::string sentence =
      fmt::format("throttle set{}: {}{}", By(rule.origin.set_by), Describe(rule),
                  rule.origin.until ? ", until " + FormatMoment(*rule.origin.until) : std::string());
  if (auto set = book_.Set(std::move(rule), *configured_); !set) return std::unexpected(std::move(set).error());
  PutInForce(nullptr);
  Say(sentence);
  return Change{.before = before, .now = get(), .fields = 0};
}

Result<LiveOptions::Change> LiveOptions::Unset(const DomainPattern& pattern, std::span<const std::string> keys,
                                               std::string_view by) {
  const std::lock_guard change(change_mutex_);
  const OptionsPtr before = get();
  const Result<std::size_t> removed = book_.Unset(pattern, keys);
  if (!removed) return std::unexpected(removed.error());
  if (*removed == 0) {
    return Fail(ErrorCode::kNotFound, fmt::format("nothing {}is set for {}; `postrider throttle list` shows what is",
                                                  keys.empty() ? "" : "of this ", pattern.text()));
  }
  PutInForce(nullptr);
  std::string names;
  for (const std::string& key : keys) names += (names.empty() ? " " : ", ") + key;
  Say(fmt::format("throttle unset{}: {}{}", By(by), pattern.text(), names));
  return Change{.before = before, .now = get(), .fields = *removed};
}

}  // namespace postrider::engine
