#pragma once
// The options that are in force: what the configuration said when it was read last, with the limits of `throttle set`
// over it. It is the one way in which either changes: a reload (by signal, by command, or because a file has changed),
// a limit that is set, taken back or over. Each change is said in the operator's log, and those of limits in the
// delivery log too. Owned by the daemon; any thread, but for Open and Watch, which are main's.

#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/options.h"
#include "config/overrides.h"
#include "engine/file_watch.h"
#include "engine/io/clock.h"
#include "engine/override_book.h"
#include "queue/files.h"
#include "throttle/reply_classifier.h"

namespace postrider::engine {

class LiveOptions {
 public:
  // Makes options known to all who work by them. The classifier is null where it stays as it is.
  using Apply = std::function<void(const OptionsPtr& options, ReplyClassifierPtr classifier)>;
  // A sentence for the delivery log; must not wait.
  using Tell = std::function<void(std::string sentence)>;

  // first: what config_file said at the start; the classifier of its reply rules has been loaded by then.
  LiveOptions(std::filesystem::path config_file, OptionsPtr first, queue::Files& files, io::Clock& clock, Apply apply,
              Tell tell);

  // Reads the limits that were set in earlier runs. Applies nothing.
  [[nodiscard]] Result<void> Open();
  [[nodiscard]] OptionsPtr get() const;

  // With a note for the operator if something waits for the next start, or a source has lost its address; else empty.
  [[nodiscard]] Result<std::string> Reload();
  struct LastReload {
    Wall time{};  // of the last good one: when what is in force was read
    bool good = true;
  };
  [[nodiscard]] LastReload last_reload() const;
  // Once a second or so: limits that are over, files that have changed.
  void Watch();

  [[nodiscard]] Overrides overrides() const;
  // What was in force before and what is now.
  struct Change {
    OptionsPtr before;
    OptionsPtr now;
    std::size_t fields = 0;  // taken back
  };
  [[nodiscard]] Result<Change> Set(RuleOptions rule);
  // kNotFound if nothing of it was set.
  [[nodiscard]] Result<Change> Unset(const DomainPattern& pattern, std::span<const std::string> keys,
                                     std::string_view by);

 private:
  void PutInForce(ReplyClassifierPtr classifier);
  void Say(std::string sentence);
  [[nodiscard]] Result<std::string> ReloadLocked();

  const std::filesystem::path config_file_;
  const OptionsPtr first_;
  queue::Files& files_;
  io::Clock& clock_;
  const Apply apply_;
  const Tell tell_;

  mutable std::mutex change_mutex_;  // one change at a time; guards what follows
  OptionsPtr configured_;            // without overrides
  OverrideBook book_;
  FileWatch watch_;

  mutable std::mutex mutex_;  // guards what is asked for meanwhile
  OptionsPtr in_force_;
  LastReload last_reload_;
};

}  // namespace postrider::engine
