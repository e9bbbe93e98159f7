// Random worlds: receivers that misbehave in every way we know, operators who change their minds, one to three cores.
// Whatever happens, each job is in one place, and once all is well again each has its one final event.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::CampaignState;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : chance_(seed), world_(Settings(seed)) {
    const std::size_t sites = 3 + Below(12);
    for (std::size_t i = 0; i < sites; ++i) {
      std::vector<std::string> domains;
      for (std::size_t d = 0; d <= Below(3); ++d) domains.push_back(fmt::format("d{}-{}.test", i, d));
      const std::size_t hosts = 1 + Below(2);
      for (std::size_t host = 0; host < hosts; ++host) {
        receivers_.push_back(&world_.AddReceiver(fmt::format("mx{}-{}.test", i, host), domains,
                                                 static_cast<std::uint16_t>(10 * (1 + Below(2)))));
        receivers_.back()->keep_content = false;
        Misbehave(*receivers_.back());
      }
      domains_.insert(domains_.end(), domains.begin(), domains.end());
    }
    world_.names.mx["null.test"].status = dns::MxStatus::kNullMx;
    world_.names.mx["fails.test"].status = dns::MxStatus::kFailed;
    domains_.insert(domains_.end(), {"null.test", "fails.test", "gone.test"});
  }

  // An hour or two of trouble.
  void Live() {
    for (int step = 0; step < 40; ++step) {
      if (campaigns_.size() < 6 && Below(4) == 0) Submit();
      if (!campaigns_.empty() && Below(4) == 0) ChangeCampaign();
      if (Below(3) == 0) Misbehave(*receivers_[Below(receivers_.size())]);
      if (Below(10) == 0) Pause(Below(2) == 0);
      if (Below(12) == 0) world_.store_stands_still = !world_.store_stands_still;
      world_.RunFor(std::chrono::milliseconds(1 + Below(Below(3) == 0 ? 400'000 : 3000)));
      ASSERT_EQ(world_.queue.complaint(), "");
      ASSERT_LE(world_.most_unsynced, unsynced_max_ + kEventsBeside);
    }
  }

  // All is well again.
  void Heal() {
    for (Receiver* receiver : receivers_) receiver->script = {};
    Pause(false);
    world_.store_stands_still = false;
    for (const queue::CampaignId id : campaigns_) {
      if (paused_.contains(id)) world_.SetState(id, CampaignState::kRunning);
    }
    world_.names.mx["fails.test"].status = dns::MxStatus::kNullMx;
    ASSERT_TRUE(world_.RunToEnd(hours(60))) << world_.queue.queued() << " are left of " << world_.queue.accepted();
    EXPECT_EQ(world_.CheckConservation(), "");
    for (std::uint32_t core = 0; core < cores_; ++core) {
      const CoreSnapshot snapshot = world_.Snapshot(core);
      EXPECT_EQ(snapshot.in_flight, 0u);
      EXPECT_EQ(snapshot.window_jobs, 0u);
      EXPECT_EQ(snapshot.unsynced_outcomes, 0u);
    }
    EXPECT_TRUE(world_.Drain(seconds(30), minutes(1)));
  }

 private:
  // Path events and what is remembered of TLS are not bounded by unsynced_outcomes_max, only by what changes state.
  static constexpr std::size_t kEventsBeside = 200;

  std::size_t Below(std::size_t end) { return chance_() % end; }

  WorldSettings Settings(std::uint64_t seed) {
    WorldSettings settings;
    settings.seed = seed;
    cores_ = 1 + static_cast<std::uint32_t>(Below(3));
    settings.cores = cores_;
    settings.options = TestOptions();
    Options& options = settings.options;
    for (int i = 0; i < static_cast<int>(Below(3)); ++i) {
      SourceOptions source = options.sources[0];
      source.name = fmt::format("source{}", i);
      source.ipv4->bytes[3] = static_cast<std::uint8_t>(2 + i);
      options.sources.push_back(source);
    }
    if (Below(2) == 0) options.engine.connections = 2 + static_cast<int>(Below(20));
    if (Below(2) == 0) options.engine.active_domains = 2 + static_cast<int>(Below(10));
    if (Below(2) == 0) options.engine.window_jobs = 100 + Below(2000);
    if (Below(2) == 0) options.rules[0].messages_per_connection = 1 + static_cast<int>(Below(20));
    if (Below(3) == 0) options.rules[0].message_rate = 1 + static_cast<double>(Below(50));
    options.rules[0].connections = 1 + static_cast<int>(Below(10));
    unsynced_max_ = options.queue.unsynced_outcomes_max = 10 + Below(500);
    return settings;
  }

  std::string Mishap() {
    static const std::vector<std::string> kMishaps = {
        "450 4.2.0 greylisted", "451 4.3.0 later",   "550 5.1.1 no such user",     "550 5.2.1 disabled",
        "554 5.7.1 blocked",    "421 4.7.0 enough",  "552 5.2.2 over quota",       "nonsense",
        std::string(kReset),    std::string(kStall), "250 2.0.0 yes\r\n250 again", "500 5.5.2 unknown command"};
    return kMishaps[Below(kMishaps.size())];
  }

  void Misbehave(Receiver& receiver) {
    ReceiverScript script;
    script.round_trip = std::chrono::microseconds(500 + Below(80'000));
    script.listening = Below(8) != 0;
    script.silent = Below(12) == 0;
    if (Below(12) == 0) script.banner = Below(2) == 0 ? "421 4.3.2 busy" : "554 5.7.1 go away";
    if (Below(4) == 0) script.extensions = {"SIZE 1000000"};
    script.offers_tls = Below(5) != 0;
    script.tls_broken = Below(8) == 0;
    if (Below(4) == 0) script.messages_per_session = 1 + static_cast<std::uint32_t>(Below(9));
    const auto sometimes = [this](std::size_t one_in) {
      return [this, one_in](const ReceivedMessage&) { return Below(one_in) == 0 ? Mishap() : std::string(); };
    };
    if (Below(3) == 0) script.on_mail = sometimes(20 + Below(200));
    if (Below(2) == 0) script.on_rcpt = sometimes(5 + Below(100));
    if (Below(3) == 0) script.on_content = sometimes(10 + Below(200));
    receiver.script = script;
  }

  void Submit() {
    CampaignPlan plan;
    std::vector<std::string> domains = domains_;
    std::shuffle(domains.begin(), domains.end(), chance_);
    domains.resize(1 + Below(domains.size()));
    const std::size_t count = 1 + Below(1500);
    for (std::size_t i = 0; i < count; ++i) {
      plan.recipients.push_back(fmt::format("c{}r{}@{}", campaigns_.size(), i, domains[Below(domains.size())]));
    }
    if (Below(3) == 0) plan.spec.mail_class = MailClass::kTransactional;
    if (Below(3) == 0) plan.spec.on_unknown = queue::OnUnknown::kReport;
    if (Below(4) == 0) plan.spec.messages_per_second = 1 + static_cast<double>(Below(100));
    plan.expires_after = Below(2) == 0 ? hours(48) : minutes(1 + Below(100));
    campaigns_.push_back(world_.Submit(plan)->id);
  }

  void ChangeCampaign() {
    const queue::CampaignId id = campaigns_[Below(campaigns_.size())];
    if (cancelled_.contains(id)) return;
    if (Below(5) == 0) {
      cancelled_.insert(id);
      paused_.erase(id);
      world_.SetState(id, CampaignState::kCancelled);
    } else if (paused_.contains(id)) {
      paused_.erase(id);
      world_.SetState(id, CampaignState::kRunning);
    } else {
      paused_.insert(id);
      world_.SetState(id, CampaignState::kPaused);
    }
  }

  void Pause(bool pause) {
    for (const auto& [target, name] :
         {std::pair(CoreCommand::Target::kAll, ""), std::pair(CoreCommand::Target::kSite, "mx0-0.test"),
          std::pair(CoreCommand::Target::kSource, "source0")}) {
      if (pause && Below(2) == 0) continue;
      CoreCommand command;
      command.kind = pause ? CoreCommand::Kind::kPause : CoreCommand::Kind::kResume;
      command.target = target;
      command.name = name;
      world_.Command(command);
    }
  }

  std::mt19937_64 chance_;
  std::uint32_t cores_ = 1;
  std::size_t unsynced_max_ = 0;
  World world_;
  std::vector<Receiver*> receivers_;
  std::vector<std::string> domains_;
  std::vector<queue::CampaignId> campaigns_;
  std::set<queue::CampaignId> paused_;
  std::set<queue::CampaignId> cancelled_;
};

class RandomWorlds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomWorlds, LoseNothingAndEndEverythingOnce) {
  RandomWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.Live());
  world.Heal();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomWorlds, testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace postrider::delivery
