#include "engine/daemon.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "engine/host_check.h"
#include "engine/io/loop.h"
#include "engine/observe/operator_log.h"
#include "engine/queue_questions.h"

namespace postrider::engine {
namespace {

constexpr std::chrono::milliseconds kThreadTurn{250};
constexpr std::chrono::seconds kSnapshotDeadline{1};
// Free space must rise this far above the mark before sending goes on, so that it does not flap.
constexpr double kDiskHysteresis = 0.01;

std::uint32_t CountCores(const Options& options) {
  if (options.engine.cores > 0) return static_cast<std::uint32_t>(options.engine.cores);
  return std::max(1u, std::thread::hardware_concurrency() - 1);
}

// Thousands of connections need descriptors; the soft limit is often 1024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// What holds intake up, and that nothing does any more, once each. told is what was said last.
void TellIntakeTrouble(const intake::IntakeCounts& counts, std::string& told) {
  // How much of the disk is free changes all the time.
  const std::string trouble = counts.stopped_by_disk ? "the disk is nearly full" : counts.trouble;
  if (trouble == told) return;
  if (trouble.empty()) {
    observe::LogInfo("intake goes on");
  } else {
    observe::LogWarning("intake: " + counts.trouble);
  }
  told = trouble;
}

std::string ToText(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += "\n" + ToString(diagnostic);
  return text;
}

}  // namespace

Daemon::Daemon(std::filesystem::path config_file, OptionsPtr options, std::chrono::seconds last_commits)
    : config_file_(std::move(config_file)),
      options_(std::move(options)),
      last_commits_(last_commits),
      clock_(io::MakeSystemClock()),
      files_(queue::MakeSystemFiles()),
      tally_(options_->metrics.named_sites),
      door_(store_waker_),
      live_(
          config_file_, options_, *files_, *clock_,
          [this](const OptionsPtr& fresh, ReplyClassifierPtr classifier) { PutInForce(fresh, std::move(classifier)); },
          [this](std::string sentence) { TellPathEvent(std::move(sentence)); }),
      throttle_door_(live_, *clock_,
                     [this](const std::string& domain, std::shared_ptr<const dns::MxAnswer> mx) {
                       return Describe(domain, std::move(mx));
                     }),
      trace_desk_(*clock_,
                  [this](std::size_t core, const delivery::CoreCommand& command) { return TryPost(core, command); }) {}

Daemon::~Daemon() {
  if (running_) (void)Stop();
  // A Stop in vain, here or in a failed Start, leaves threads in the middle of what is about to go; why is in the
  // operator's log.
  if (store_thread_.joinable()) std::_Exit(1);
}

// --- Start -----------------------------------------------------------------------------------------------------------

Result<void> Daemon::Start() {
  RaiseDescriptorLimit();
  if (auto opened = Open(); !opened) return opened;
  running_ = true;
  StartThreads();
  if (auto cores = StartCores(); !cores) {
    (void)Stop();
    return cores;
  }
  auto admin = observe::MakeAdminServer(*options_, controls(), tally_);
  if (!admin) {
    (void)Stop();
    return std::unexpected(std::move(admin).error());
  }
  admin_ = *std::move(admin);
  return {};
}

// Everything that can be refused without a thread: sources, queue, log, spool, rings.
Result<void> Daemon::Open() {
  if (auto checked = ToResult(LookAtHost(*options_, *files_)); !checked) return checked;
  auto classifier = ReplyClassifier::Load(options_->reply_rules, options_->Providers());
  if (!classifier) return Fail(ErrorCode::kInvalid, "the reply rules are not valid:" + ToText(classifier.error()));
  classifier_ = *std::move(classifier);
  if (auto opened = live_.Open(); !opened) return opened;
  options_ = live_.get();
  const Now now = clock_->Read();
  started_ = now.wall;
  auto store = queue::OpenJobStore(options_->queue, now.wall);
  if (!store) return Fail("queue", std::move(store).error());
  store_ = *std::move(store);
  // Without its allowances and pauses it would send what it must not.
  const auto limits = store_->ReadState(SharedLimits::kPrefix);
  if (!limits) return Fail("queue", limits.error());
  for (const auto& [key, record] : *limits) {
    const Result<void> known = limits_->Remember(now, key, record);
    if (known) continue;
    observe::LogWarning(key + " begins anew: " + known.error().message);
    unsaved_limits_[key].clear();
  }
  auto log = observe::OpenDeliveryLog(options_->log, store_->run(), now.wall, options_->accounting);
  if (!log) return Fail("delivery log", std::move(log).error());
  log_ = *std::move(log);

  const std::uint32_t cores = CountCores(*options_);
  for (std::uint32_t core = 0; core < cores; ++core) {
    auto loop = io::MakeLoop({}, *clock_);
    if (!loop) return Fail("io_uring", std::move(loop).error());
    units_.push_back(std::make_unique<CoreUnit>(*std::move(loop), store_waker_, reader_waker_, collector_waker_,
                                                trace_desk_.waker()));
    trace_desk_.Add(units_.back()->traces);
  }
  snapshots_due_.resize(cores);
  last_snapshots_.resize(cores);

  std::vector<StoreLoop::CoreEnd> store_ends;
  std::vector<ReaderLoop::CoreEnd> reader_ends;
  for (const auto& unit : units_) {
    store_ends.push_back({unit->to_store, unit->from_store});
    reader_ends.push_back({unit->to_reader, unit->from_reader});
  }
  store_loop_ = std::make_unique<StoreLoop>(*store_, *log_, tally_, *clock_, store_waker_, door_, std::move(store_ends),
                                            *options_, [this](queue::CampaignPtr campaign) {
                                              delivery::CoreCommand command;
                                              command.kind = delivery::CoreCommand::Kind::kCampaign;
                                              command.campaign = std::move(campaign);
                                              Post(command);
                                            });
  suppression_door_ = std::make_unique<SuppressionDoor>(door_, *store_, *clock_);
  pause_door_ = std::make_unique<PauseDoor>(door_, *store_, live_, *this,
                                            [this](const delivery::CoreCommand& command) { Post(command); });
  retry_door_ = std::make_unique<RetryDoor>(door_, *store_, *clock_, *this, [this] { return live_.get(); });
  reader_loop_ = std::make_unique<ReaderLoop>(*store_, reader_waker_, std::move(reader_ends));
  intake_door_ = std::make_unique<IntakeDoor>(door_, *store_, options_);
  intake_ = std::make_unique<intake::Intake>(options_, *files_, *intake_door_, *clock_);
  if (auto opened = intake_->Open(); !opened) return Fail("spool", std::move(opened).error());
  return {};
}

void Daemon::StartThreads() {
  store_thread_ = std::thread([this] {
    store_loop_->RunUntil(stop_store_, kThreadTurn);
    store_finished_ = true;
  });
  pthread_setname_np(store_thread_.native_handle(), "store");
  reader_thread_ = std::thread([this] {
    while (!stop_reader_.load()) reader_loop_->RunOnce(kThreadTurn);
  });
  pthread_setname_np(reader_thread_.native_handle(), "reader");
  intake_thread_ = std::thread([this] {
    std::string told;
    while (!stop_intake_.load()) {
      const bool more = intake_->RunOnce();
      TellIntakeTrouble(intake_->counts(), told);
      for (const std::string& failure : intake_->TakeFailures()) observe::LogWarning(failure);
      if (!more) intake_->Wait(kThreadTurn);
    }
    intake_finished_ = true;
  });
  pthread_setname_np(intake_thread_.native_handle(), "intake");
}

Result<void> Daemon::StartCores() {
  const std::size_t cores = units_.size();
  for (std::size_t to = 0; to < cores; ++to) {
    for (std::size_t from = 0; from < cores; ++from) {
      units_[to]->from_peers.push_back(
          from == to ? nullptr : std::make_unique<io::Mailbox<delivery::PeerMessage>>(1024, units_[to]->loop->waker()));
    }
  }
  const auto state = store_->ReadState("");
  if (!state) return Fail("queue", state.error());
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  for (std::size_t core = 0; core < cores; ++core) {
    std::vector<io::Mailbox<delivery::PeerMessage>*> to;
    std::vector<io::Mailbox<delivery::PeerMessage>*> from;
    for (std::size_t peer = 0; peer < cores; ++peer) {
      to.push_back(peer == core ? nullptr : units_[peer]->from_peers[core].get());
      from.push_back(units_[core]->from_peers[peer].get());
    }
    delivery::CoreSettings settings;
    settings.core = static_cast<std::uint32_t>(core);
    settings.cores = static_cast<std::uint32_t>(cores);
    settings.shards = static_cast<std::uint32_t>(options_->queue.shards);
    settings.run = store_->run();
    settings.state = *state;
    settings.limits = limits_;
    settings.classifier = classifier_;
    // Processor 0 is left to the threads that sync and serve.
    const int processor = options_->engine.pin ? static_cast<int>((core + 1) % processors) : -1;
    auto started = units_[core]->Start(std::move(settings), options_, std::move(to), std::move(from), processor);
    if (!started) return Fail("core " + std::to_string(core), std::move(started).error());
    const std::lock_guard lock(command_mutex_);
    cores_started_ = core + 1;
  }
  return {};
}

// --- While it runs ---------------------------------------------------------------------------------------------------

void Daemon::Post(const delivery::CoreCommand& command) {
  const std::lock_guard lock(command_mutex_);
  for (std::size_t core = 0; core < cores_started_; ++core) {
    delivery::CoreCommand* slot = units_[core]->commands.Reserve();
    while (slot == nullptr) {
      // A core empties its box once a turn.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      slot = units_[core]->commands.Reserve();
    }
    *slot = command;
    units_[core]->commands.Publish();
  }
}

// A core that has ended, or whose box is full, hears nothing.
bool Daemon::TryPost(std::size_t core, const delivery::CoreCommand& command) {
  const std::lock_guard lock(command_mutex_);
  delivery::CoreCommand* slot = core < cores_started_ ? units_[core]->commands.Reserve() : nullptr;
  if (slot == nullptr) return false;
  *slot = command;
  units_[core]->commands.Publish();
  return true;
}

// What slow rates of sources, pools, campaigns and the whole sender have taken. What cannot be handed over now is
// handed over later.
void Daemon::SaveLimits() {
  for (auto& [key, record] : limits_->Unsaved(clock_->Read())) unsaved_limits_[key] = std::move(record);
  if (unsaved_limits_.empty()) return;
  const bool left = door_.Leave([records = unsaved_limits_](StoreTurn& turn) -> Result<void> {
    for (const auto& [key, record] : records) {
      if (record.empty()) {
        turn.store.DeleteState(key);
      } else {
        turn.store.PutState(key, record);
      }
    }
    return {};
  });
  if (left) unsaved_limits_.clear();
}

void Daemon::Watch() {
  live_.Watch();
  SaveLimits();
  limits_->Sweep(clock_->Read().monotonic);
  const OptionsPtr now_valid = live_.get();
  const double queue_free = files_->FreeShare(now_valid->queue.directory).value_or(1);
  const double log_free = files_->FreeShare(now_valid->log.directory).value_or(1);
  std::string reason = store_loop_->Trouble();
  bool was_stopped = false;
  {
    const std::lock_guard lock(state_mutex_);
    queue_free_share_ = queue_free;
    log_free_share_ = log_free;
    was_stopped = !stop_reason_.empty();
  }
  const double mark = now_valid->disk.stop_sending_below + (was_stopped ? kDiskHysteresis : 0);
  if (reason.empty() && std::min(queue_free, log_free) < mark) {
    reason = "free disk space is under disk.stop_sending_below; make room for " +
             (queue_free < log_free ? now_valid->queue.directory : now_valid->log.directory).string();
  }
  StopSending(std::move(reason));
}

void Daemon::StopSending(std::string reason) {
  delivery::CoreCommand command;
  {
    const std::lock_guard lock(state_mutex_);
    if (reason.empty() == stop_reason_.empty()) {
      stop_reason_ = std::move(reason);
      return;
    }
    command.kind = reason.empty() ? delivery::CoreCommand::Kind::kGoOn : delivery::CoreCommand::Kind::kStopSending;
    stop_reason_ = reason;
  }
  if (reason.empty()) {
    observe::LogInfo("sending goes on");
  } else {
    observe::LogError("sending stopped: " + reason);
  }
  Post(command);
}

void Daemon::AskCores(delivery::CoreCommand command) {
  command.kind = delivery::CoreCommand::Kind::kSnapshot;
  for (std::size_t core = 0; core < units_.size(); ++core) {
    if (TryPost(core, command)) ++snapshots_due_[core];  // else the last one is shown again
  }
  const Monotonic deadline = clock_->Read().monotonic + kSnapshotDeadline;
  while (true) {
    bool missing = false;
    for (std::size_t core = 0; core < units_.size(); ++core) {
      while (delivery::CoreSnapshot* answer = units_[core]->snapshots.Peek()) {
        last_snapshots_[core] = std::move(*answer);
        units_[core]->snapshots.Pop();
        if (snapshots_due_[core] > 0) --snapshots_due_[core];
      }
      missing |= snapshots_due_[core] > 0;
    }
    const Monotonic now = clock_->Read().monotonic;
    if (!missing || now >= deadline) return;
    collector_waker_.Wait(deadline - now);
  }
}

UnmatchedReplies Daemon::Unmatched() {
  const std::lock_guard lock(collect_mutex_);
  delivery::CoreCommand command;
  command.with_unmatched = true;
  AskCores(std::move(command));
  UnmatchedReplies all;
  for (delivery::CoreSnapshot& core : last_snapshots_) {
    if (core.unmatched) all.Merge(*core.unmatched);
    core.unmatched.reset();  // a scrape does not carry it about
  }
  return all;
}

observe::Snapshot Daemon::Collect(bool with_domains) {
  observe::Snapshot snapshot;
  {
    const std::lock_guard lock(collect_mutex_);
    delivery::CoreCommand command;
    command.with_domains = with_domains;
    AskCores(std::move(command));
    snapshot.cores = last_snapshots_;
  }
  snapshot.time = clock_->Read();
  snapshot.totals = store_->Totals();
  snapshot.store = store_->stats();
  snapshot.store_batch_requests = store_loop_->counts().requests;
  snapshot.intake = intake_->counts();
  snapshot.commits_failing = !store_loop_->Trouble().empty();
  snapshot.suppression = CountsOf(*store_->suppression_stats());
  for (const delivery::CoreSnapshot& core : snapshot.cores) snapshot.suppression.held += core.counts.suppressions_held;
  const std::lock_guard lock(state_mutex_);
  snapshot.started = started_;
  snapshot.queue_free_share = queue_free_share_;
  snapshot.log_free_share = log_free_share_;
  snapshot.sending_stopped = !stop_reason_.empty();
  snapshot.stop_reason = stop_reason_;
  const LiveOptions::LastReload reload = live_.last_reload();
  snapshot.last_reload = reload.time;
  snapshot.last_reload_good = reload.good;
  return snapshot;
}

std::optional<delivery::PlaceSnapshot> Daemon::Describe(const std::string& domain,
                                                        std::shared_ptr<const dns::MxAnswer> mx) {
  const std::lock_guard lock(collect_mutex_);
  delivery::CoreCommand command;
  command.place_of = domain;
  command.mx = std::move(mx);
  AskCores(std::move(command));
  for (delivery::CoreSnapshot& core : last_snapshots_) {
    if (core.place && core.place->domain == domain) return std::exchange(core.place, std::nullopt);
  }
  return std::nullopt;
}

std::vector<queue::CampaignPtr> Daemon::Campaigns() { return store_->Campaigns(); }

Result<void> Daemon::SetCampaignState(std::string_view name, queue::CampaignState state) {
  const auto campaign = FindCampaign(*store_, name);
  if (!campaign) return std::unexpected(campaign.error());
  const queue::CampaignPtr known = *campaign;
  const std::chrono::seconds expiry = live_.get()->RetryFor(known->spec.mail_class).expiry;
  return door_.Run([&](StoreTurn& turn) -> Result<void> {
    // A release ends the taking of rows, so while the list is being read it is intake's alone.
    const queue::CampaignPtr newest = turn.store.FindCampaign(known->id);
    if (state == queue::CampaignState::kRunning && newest && newest->state == queue::CampaignState::kLoading) {
      return Fail(ErrorCode::kInvalid, "campaign " + known->spec.name +
                                           " cannot be resumed: its list is still being read; wait for its release, "
                                           "or cancel it");
    }
    if (auto set = turn.store.SetState(known->id, state, turn.now, expiry); !set) return set;
    turn.changed.push_back(known->id);
    AppendCampaignEvent(turn, known->spec, known->id, queue::ToString(state), "by the operator");
    return {};
  });
}

Result<void> Daemon::VisitBacklog(const std::function<void(const queue::DomainBacklog&)>& visit) {
  return store_->VisitBacklog(clock_->Read().wall, visit);
}

Result<std::vector<observe::FoundJob>> Daemon::Find(std::string_view address) { return FindJobs(*store_, address); }

Result<void> Daemon::ExportRemaining(std::string_view campaign,
                                     const std::function<bool(std::string_view line)>& write) {
  const auto known = FindCampaign(*store_, campaign);
  if (!known) return std::unexpected(known.error());
  return engine::ExportRemaining(*store_, **known, write);
}

void Daemon::PutInForce(const OptionsPtr& fresh, ReplyClassifierPtr classifier) {
  intake_->SetOptions(fresh);
  intake_door_->SetOptions(fresh);
  delivery::CoreCommand command;
  command.kind = delivery::CoreCommand::Kind::kReload;
  command.options = fresh;
  command.classifier = std::move(classifier);
  Post(command);
}

void Daemon::TellPathEvent(std::string sentence) {
  const bool left = door_.Leave([sentence](StoreTurn& turn) -> Result<void> {
    AppendPathEvent(turn, sentence);
    return {};
  });
  if (!left) observe::LogWarning("not in the delivery log, for the queue has no time for it: " + sentence);
}

std::string Daemon::Trouble() {
  {
    const std::lock_guard lock(state_mutex_);
    if (!stop_reason_.empty()) return "sending stopped: " + stop_reason_;
  }
  const intake::IntakeCounts counts = intake_->counts();
  if (!counts.trouble.empty()) return "intake: " + counts.trouble;
  return {};
}

// --- Stop ------------------------------------------------------------------------------------------------------------

bool Daemon::Stop() {
  running_ = false;
  const std::chrono::seconds conversations = live_.get()->timeouts.shutdown;
  const Monotonic deadline = clock_->Read().monotonic + conversations + last_commits_;
  const auto wait_for = [&](auto&& condition) {
    while (!condition()) {
      if (clock_->Read().monotonic >= deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  };

  stop_intake_ = true;
  bool whole = wait_for([&] { return intake_finished_.load(); });
  whole = StopCores(conversations, wait_for) && whole;
  SaveLimits();
  // From here on nobody asks the store for anything new; what the operator asked before is still answered.
  door_.Close();
  stop_store_ = true;
  store_waker_.Wake();
  whole = wait_for([&] { return store_finished_.load(); }) && whole;
  if (!whole) {
    const std::string trouble = store_loop_->Trouble();
    observe::LogError("the last outcomes could not be made durable" + (trouble.empty() ? "" : ": " + trouble) +
                      "; after the next start these recipients are tried again");
    return false;
  }
  intake_thread_.join();
  stop_reader_ = true;
  reader_waker_.Wake();
  reader_thread_.join();
  store_thread_.join();
  admin_.reset();
  return true;
}

bool Daemon::StopCores(std::chrono::seconds conversations, const std::function<bool(std::function<bool()>)>& wait_for) {
  delivery::CoreCommand command;
  command.kind = delivery::CoreCommand::Kind::kDrain;
  command.deadline = conversations;
  Post(command);
  std::size_t started = 0;
  {
    // Nobody may post to a core that is about to end.
    const std::lock_guard lock(command_mutex_);
    started = std::exchange(cores_started_, 0);
  }
  bool whole = true;
  for (std::size_t core = 0; core < started; ++core) {
    if (wait_for([&] { return units_[core]->finished(); })) {
      units_[core]->Join();
    } else {
      whole = false;
    }
  }
  return whole;
}

}  // namespace postrider::engine
