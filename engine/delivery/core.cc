#include "engine/delivery/core.h"

#include <algorithm>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/backlog.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/leases.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site_table.h"
#include "engine/delivery/source_health.h"
#include "engine/delivery/windows.h"
#include "engine/policy/tls_memory.h"

namespace postrider::delivery {

// Copies what a core counts and where its paths stand (snapshot.cc).
void FillSnapshot(Parts& parts, CoreSnapshot& snapshot, bool with_domains, bool with_unmatched);
void FillPlace(Parts& parts, CoreSnapshot& snapshot, const std::string& domain, const dns::MxAnswer* mx);

namespace {

constexpr std::chrono::seconds kTick{1};
// A lease that is not used is void after as long.
constexpr std::chrono::milliseconds kLeaseTick{250};
// While something cannot go on for want of room in a mailbox, the core looks again this soon.
constexpr std::chrono::milliseconds kCrowdedWait{1};

class CoreMachine final : public Core {
 public:
  CoreMachine(CoreSettings settings, CorePorts ports, OptionsPtr options, io::Loop& loop, tls::Tls& tls,
              dns::Resolver& resolver, std::unique_ptr<io::Random> random);

  void RunOnce(std::chrono::nanoseconds max_wait) override;
  bool drained() const override {
    return parts_.draining && admission_.connections() == 0 && parts_.writer.unsynced() == 0;
  }

 private:
  void ReadMailboxes();
  void Obey(CoreCommand& command);
  void Reload(OptionsPtr options);
  // What replies and failures have stopped or slowed of this source (or all) there (or everywhere) begins anew.
  void ForgetTrouble(std::string_view source, std::string_view place);
  void Drain(std::chrono::seconds deadline);
  void Tick();
  void LeaseTick();
  void AnswerSnapshots();
  void AnswerTrace(const TraceRequest& request);
  void RestoreState();
  void KeepTlsMemory();
  [[nodiscard]] std::chrono::nanoseconds WaitAtMost(std::chrono::nanoseconds max_wait) const;

  std::unique_ptr<io::Random> random_;
  Parts parts_;
  policy::TlsMemory tls_memory_;
  CampaignCache campaigns_;
  Leases leases_;
  SourceHealth sources_;
  KeptState kept_;
  DestinationTable destinations_;
  SiteTable sites_;
  Windows windows_;
  Settlement settlement_;
  Backlog backlog_;
  Admission admission_;
  io::Timer tick_;
  io::Timer drain_;
  io::Timer lease_tick_;
  int snapshots_wanted_ = 0;
  bool snapshots_name_domains_ = false;
  bool snapshots_have_unmatched_ = false;
  std::string place_of_;
  std::shared_ptr<const dns::MxAnswer> place_mx_;
};

CoreMachine::CoreMachine(CoreSettings settings, CorePorts ports, OptionsPtr options, io::Loop& loop, tls::Tls& tls,
                         dns::Resolver& resolver, std::unique_ptr<io::Random> random)
    : random_(std::move(random)),
      parts_{.settings = std::move(settings),
             .ports = std::move(ports),
             .options = std::move(options),
             .loop = loop,
             .tls = tls,
             .resolver = resolver,
             .random = *random_,
             .writer = OutcomeWriter(ports.to_store),
             .network = NetworkGuard(parts_.options->guard),
             .no_domains = DomainGuard(parts_.options->guard)},
      tls_memory_(parts_.options->tls),
      campaigns_(loop, *parts_.settings.limits),
      leases_(parts_),
      sources_(parts_),
      kept_(parts_),
      destinations_(parts_),
      sites_(parts_),
      windows_(parts_),
      settlement_(parts_),
      backlog_(parts_),
      admission_(parts_),
      tick_([this] { Tick(); }),
      drain_([this] { admission_.AbortAll("shutting down: the final reply did not come in time"); }),
      lease_tick_([this] { LeaseTick(); }) {
  parts_.tls_memory = &tls_memory_;
  parts_.campaigns = &campaigns_;
  parts_.leases = &leases_;
  parts_.sources = &sources_;
  parts_.kept = &kept_;
  parts_.destinations = &destinations_;
  parts_.sites = &sites_;
  parts_.windows = &windows_;
  parts_.admission = &admission_;
  parts_.settlement = &settlement_;
  parts_.backlog = &backlog_;
  leases_.Configure(*parts_.options);
  RestoreState();
  loop.timers().Set(tick_, parts_.now() + kTick);
  loop.timers().Set(lease_tick_, parts_.now() + kLeaseTick);
}

// Keys of the durable map: pause/all, pause/site/NAME, pause/source/NAME and pause/source-at/NAME/PLACE (written by
// engine); by us tls/HOST, allowance/SOURCE/DESTINATION, those of DestinationTable's rates and those of KeptState.
void CoreMachine::RestoreState() {
  constexpr std::string_view kTls = "tls/";
  constexpr std::string_view kAll = "pause/all";
  constexpr std::string_view kSite = "pause/site/";
  constexpr std::string_view kSource = "pause/source/";
  constexpr std::string_view kSourceAt = "pause/source-at/";
  for (const auto& [key, value] : parts_.settings.state) {
    destinations_.Remember(key, value);
    kept_.Load(key, value);
    if (key.starts_with(kTls)) tls_memory_.Load(std::string_view(key).substr(kTls.size()), value);
    if (key == kAll) admission_.Pause(CoreCommand::Target::kAll, {}, {}, true);
    if (key.starts_with(kSite)) admission_.Pause(CoreCommand::Target::kSite, key.substr(kSite.size()), {}, true);
    if (key.starts_with(kSource)) admission_.Pause(CoreCommand::Target::kSource, key.substr(kSource.size()), {}, true);
    if (key.starts_with(kSourceAt)) {
      const std::string names = key.substr(kSourceAt.size());
      const std::size_t slash = names.find('/');  // none in a source's name
      if (slash == names.npos) continue;
      admission_.Pause(CoreCommand::Target::kSourceAt, names.substr(0, slash), names.substr(slash + 1), true);
    }
  }
  parts_.settings.state = {};
}

void CoreMachine::KeepTlsMemory() {
  while (const auto change = tls_memory_.TakeChange()) {
    const std::string key = "tls/" + change->first;
    if (change->second.empty()) {
      parts_.writer.DeleteState(key);  // forgotten
    } else {
      parts_.writer.PutState(key, change->second);
    }
  }
}

void CoreMachine::RunOnce(std::chrono::nanoseconds max_wait) {
  ReadMailboxes();
  windows_.ProcessEnding();
  admission_.Pump();
  backlog_.Turn();
  windows_.FlushTakes();
  admission_.FlushConnections();
  KeepTlsMemory();
  parts_.writer.Flush();
  AnswerSnapshots();
  parts_.loop.RunOnce(WaitAtMost(max_wait));
}

std::chrono::nanoseconds CoreMachine::WaitAtMost(std::chrono::nanoseconds max_wait) const {
  if (admission_.anything_pending()) return std::chrono::nanoseconds(0);
  if (parts_.writer.waiting() || snapshots_wanted_ > 0)
    return std::min<std::chrono::nanoseconds>(max_wait, kCrowdedWait);
  const Monotonic scan = backlog_.NextScan();
  if (scan == Monotonic::max()) return max_wait;
  const std::chrono::nanoseconds left = scan - parts_.now();
  // A scan that is due but could not be asked for waits for room with the reader.
  return std::clamp<std::chrono::nanoseconds>(left, std::min<std::chrono::nanoseconds>(kCrowdedWait, max_wait),
                                              max_wait);
}

void CoreMachine::ReadMailboxes() {
  while (CoreCommand* command = parts_.ports.commands.Peek()) {
    Obey(*command);
    *command = {};
    parts_.ports.commands.Pop();
  }
  std::uint64_t durable = 0;
  while (Committed* committed = parts_.ports.from_store.Peek()) {
    durable += committed->requests;
    parts_.ports.from_store.Pop();
  }
  if (durable != 0) {
    parts_.writer.Committed(durable, [this](Lane& lane) { windows_.Committed(lane); });
    destinations_.Durable(parts_.writer.durable());
    admission_.Synced();
  }
  for (io::Mailbox<PeerMessage>* box : parts_.ports.from_peers) {
    if (box == nullptr) continue;
    while (PeerMessage* message = box->Peek()) {
      backlog_.OnPeerMessage(*message);
      message->mx.reset();
      box->Pop();
    }
  }
  while (ReadAnswer* answer = parts_.ports.from_reader.Peek()) {
    if (std::holds_alternative<queue::DomainScan>(answer->what) || (answer->error && answer->domain.empty())) {
      backlog_.OnScan(*answer);
    } else {
      windows_.OnTaken(*answer);
    }
    answer->what = std::monostate();
    parts_.ports.from_reader.Pop();
  }
}

void CoreMachine::Obey(CoreCommand& command) {
  switch (command.kind) {
    case CoreCommand::Kind::kReload:
      if (command.classifier != nullptr) parts_.settings.classifier = std::move(command.classifier);
      if (command.options != nullptr) Reload(std::move(command.options));
      return;
    case CoreCommand::Kind::kCampaign:
      if (command.campaign == nullptr) return;
      windows_.CampaignChanged(campaigns_.Update(command.campaign));
      if (command.campaign->state >= queue::CampaignState::kCancelled)
        destinations_.CampaignIsOver(command.campaign->id);
      backlog_.ScanNow(command.campaign->state == queue::CampaignState::kCancelled);
      return;
    case CoreCommand::Kind::kPause:
      return admission_.Pause(command.target, command.name, command.at, true);
    case CoreCommand::Kind::kResume:
      if (command.target == CoreCommand::Target::kCampaignAt) return destinations_.Resume(command.name, command.at);
      if (command.target == CoreCommand::Target::kSite) {
        sites_.BelieveAgain(command.name);
        ForgetTrouble({}, command.name);
      }
      if (command.target == CoreCommand::Target::kSource) ForgetTrouble(command.name, {});
      if (command.target == CoreCommand::Target::kSourceAt) ForgetTrouble(command.name, command.at);
      if (command.target == CoreCommand::Target::kAll && parts_.no_domains.Tripped(parts_.now())) {
        parts_.no_domains.Resume(parts_.now());
        kept_.KeepDomains();
        backlog_.ScanNow(true);
      }
      return admission_.Pause(command.target, command.name, command.at, false);
    case CoreCommand::Kind::kStopSending:
      return admission_.StopSending(true);
    case CoreCommand::Kind::kGoOn:
      return admission_.StopSending(false);
    case CoreCommand::Kind::kSnapshot:
      ++snapshots_wanted_;
      snapshots_name_domains_ |= command.with_domains;
      snapshots_have_unmatched_ |= command.with_unmatched;
      if (!command.place_of.empty()) {
        place_of_ = std::move(command.place_of);
        place_mx_ = std::move(command.mx);
      }
      return;
    case CoreCommand::Kind::kTrace:
      return AnswerTrace(command.trace);
    case CoreCommand::Kind::kDrain:
      return Drain(command.deadline);
  }
}

void CoreMachine::ForgetTrouble(std::string_view source, std::string_view place) {
  destinations_.ForgetTrouble(source, place);
  sites_.ForgetFailures(source, place);
}

void CoreMachine::Reload(OptionsPtr options) {
  parts_.options = std::move(options);
  tls_memory_.SetOptions(parts_.options->tls);
  parts_.network.SetNumbers(parts_.options->guard);
  parts_.no_domains.SetNumbers(parts_.options->guard);
  leases_.Configure(*parts_.options);
  sources_.Reload();
  sites_.Reload();
  windows_.Reload();
  admission_.Reloaded();
  backlog_.ScanNow(true);
}

void CoreMachine::Drain(std::chrono::seconds deadline) {
  if (std::exchange(parts_.draining, true)) return;
  windows_.Drain();
  admission_.Drain();
  destinations_.SaveAll();
  parts_.loop.timers().Set(drain_, parts_.now() + deadline);
}

void CoreMachine::Tick() {
  sources_.Tick();
  kept_.Tick();
  windows_.Tick();
  sites_.Tick(parts_.now());
  destinations_.Tick();
  campaigns_.Tick(parts_.now());
  parts_.traces.Tick(parts_.now());
  parts_.loop.timers().Set(tick_, parts_.now() + kTick);
}

void CoreMachine::LeaseTick() {
  leases_.ReturnUnused();
  campaigns_.ReturnUnusedLeases();
  parts_.loop.timers().Set(lease_tick_, parts_.now() + kLeaseTick);
}

void CoreMachine::AnswerTrace(const TraceRequest& request) {
  TraceAnswer* slot = parts_.ports.traces == nullptr ? nullptr : parts_.ports.traces->Reserve();
  if (slot == nullptr) return;
  parts_.traces.Answer(request, parts_.now(), *slot);
  slot->site_known =
      std::ranges::any_of(sites_.sites(), [&](const auto& site) { return site.second->name == request.site; });
  parts_.ports.traces->Publish();
}

void CoreMachine::AnswerSnapshots() {
  for (; snapshots_wanted_ > 0; --snapshots_wanted_) {
    CoreSnapshot* slot = parts_.ports.snapshots.Reserve();
    if (slot == nullptr) return;
    FillSnapshot(parts_, *slot, snapshots_name_domains_, snapshots_have_unmatched_);
    if (!place_of_.empty()) FillPlace(parts_, *slot, place_of_, place_mx_.get());
    parts_.ports.snapshots.Publish();
  }
  snapshots_name_domains_ = false;
  snapshots_have_unmatched_ = false;
  place_of_.clear();
  place_mx_.reset();
}

}  // namespace

std::unique_ptr<Core> MakeCore(CoreSettings settings, CorePorts ports, OptionsPtr options, io::Loop& loop,
                               tls::Tls& tls, dns::Resolver& resolver, std::unique_ptr<io::Random> random) {
  if (settings.limits == nullptr) settings.limits = std::make_shared<SharedLimits>();
  return std::make_unique<CoreMachine>(std::move(settings), std::move(ports), std::move(options), loop, tls, resolver,
                                       std::move(random));
}

}  // namespace postrider::delivery
