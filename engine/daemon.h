#pragma once
// The running program: builds every part in one visible order, starts their threads, answers the operator (Control),
// and stops everything in reverse: intake, admission, conversations, store, log, admin. All threads of the house start
// here (or in CoreUnit). Made, started and stopped by one thread.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/core_unit.h"
#include "engine/intake/intake.h"
#include "engine/intake_door.h"
#include "engine/io/clock.h"
#include "engine/io/mailbox.h"
#include "engine/live_options.h"
#include "engine/observe/admin_server.h"
#include "engine/observe/control.h"
#include "engine/observe/delivery_log.h"
#include "engine/observe/event_tally.h"
#include "engine/pause_door.h"
#include "engine/reader_loop.h"
#include "engine/retry_door.h"
#include "engine/store_call.h"
#include "engine/store_loop.h"
#include "engine/suppression_door.h"
#include "engine/throttle_door.h"
#include "engine/trace_desk.h"
#include "queue/files.h"
#include "queue/job_store.h"

namespace postrider::engine {

class Daemon : public observe::Control {
 public:
  // What the store gets to write the last outcomes once the conversations are over.
  static constexpr std::chrono::seconds kLastCommits{15};

  // config_file is read again by Reload; options is what it said.
  Daemon(std::filesystem::path config_file, OptionsPtr options, std::chrono::seconds last_commits = kLastCommits);
  // Stops what runs. If a thread does not end, as it waits for a disk that does not answer, the process does: exit 1.
  ~Daemon() override;

  // Opens the queue and starts everything. On failure nothing runs but what could not be stopped.
  [[nodiscard]] Result<void> Start();
  // Once a second or so: disks, the store's trouble, limits that are over or to be saved, a changed configuration.
  void Watch();
  // The orderly end. False: something could not be made durable (the sentence is in the operator's log); the queue
  // still holds it.
  [[nodiscard]] bool Stop();

  // Once it is started.
  [[nodiscard]] observe::Controls controls() {
    return {*this, *suppression_door_, throttle_door_, trace_desk_, *retry_door_};
  }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_ ? admin_->port() : 0; }

  // observe::Control
  observe::Snapshot Collect() override { return Collect(false); }
  observe::Snapshot CollectWithDomains() override { return Collect(true); }
  UnmatchedReplies Unmatched() override;
  std::vector<queue::CampaignPtr> Campaigns() override;
  Result<void> SetCampaignState(std::string_view name, queue::CampaignState state) override;
  Result<std::string> Pause(const observe::PauseTarget& target) override { return pause_door_->Pause(target); }
  Result<void> Resume(const observe::PauseTarget& target) override { return pause_door_->Resume(target); }
  std::vector<observe::PauseTarget> Pauses() override { return pause_door_->Pauses(); }
  Result<void> VisitBacklog(const std::function<void(const queue::DomainBacklog&)>& visit) override;
  Result<std::vector<observe::FoundJob>> Find(std::string_view address) override;
  Result<void> ExportRemaining(std::string_view campaign,
                               const std::function<bool(std::string_view line)>& write) override;
  Result<std::string> Reload() override { return live_.Reload(); }
  std::string Trouble() override;

 private:
  Result<void> Open();
  Result<void> StartCores();
  void StartThreads();
  void Post(const delivery::CoreCommand& command);
  bool TryPost(std::size_t core, const delivery::CoreCommand& command);
  bool StopCores(std::chrono::seconds conversations, const std::function<bool(std::function<bool()>)>& wait_for);
  observe::Snapshot Collect(bool with_domains);
  // Asks each core for a snapshot with what the command names and waits for the answers, into last_snapshots_. With
  // collect_mutex_ held.
  void AskCores(delivery::CoreCommand command);
  std::optional<delivery::PlaceSnapshot> Describe(const std::string& domain, std::shared_ptr<const dns::MxAnswer> mx);
  void PutInForce(const OptionsPtr& fresh, ReplyClassifierPtr classifier);
  void TellPathEvent(std::string sentence);
  void StopSending(std::string reason);
  void SaveLimits();

  const std::filesystem::path config_file_;
  OptionsPtr options_;  // of the start; from then on live_ has them
  const std::chrono::seconds last_commits_;

  std::unique_ptr<io::Clock> clock_;
  std::unique_ptr<queue::Files> files_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<observe::DeliveryLog> log_;
  observe::EventTally tally_;
  io::Waker store_waker_;
  io::Waker reader_waker_;
  io::Waker collector_waker_;
  StoreDoor door_;
  LiveOptions live_;
  ThrottleDoor throttle_door_;
  TraceDesk trace_desk_;
  const std::shared_ptr<SharedLimits> limits_ = std::make_shared<SharedLimits>();
  std::map<std::string, std::string> unsaved_limits_;  // by key; an empty record is to be deleted
  ReplyClassifierPtr classifier_;                      // of the start; a reload hands the cores another
  std::vector<std::unique_ptr<CoreUnit>> units_;
  std::unique_ptr<StoreLoop> store_loop_;
  std::unique_ptr<ReaderLoop> reader_loop_;
  std::unique_ptr<SuppressionDoor> suppression_door_;
  std::unique_ptr<PauseDoor> pause_door_;
  std::unique_ptr<RetryDoor> retry_door_;
  std::unique_ptr<IntakeDoor> intake_door_;
  std::unique_ptr<intake::Intake> intake_;
  std::unique_ptr<observe::AdminServer> admin_;

  std::atomic<bool> stop_intake_{false};
  std::atomic<bool> intake_finished_{false};
  std::atomic<bool> stop_reader_{false};
  std::atomic<bool> stop_store_{false};
  std::atomic<bool> store_finished_{false};
  std::thread intake_thread_;
  std::thread reader_thread_;
  std::thread store_thread_;
  bool running_ = false;

  std::mutex command_mutex_;       // makes the many who post commands one producer
  std::size_t cores_started_ = 0;  // guarded by command_mutex_; they hear commands

  std::mutex collect_mutex_;  // one collector of snapshots at a time
  std::vector<std::uint32_t> snapshots_due_;
  std::vector<delivery::CoreSnapshot> last_snapshots_;

  mutable std::mutex state_mutex_;  // guards what follows
  Wall started_{};
  std::string stop_reason_;
  double queue_free_share_ = 1;
  double log_free_share_ = 1;
};

}  // namespace postrider::engine
