#include "engine/store_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/intake_door.h"
#include "queue/job_store.h"

namespace postrider::engine {
namespace {

using std::chrono::milliseconds;

class FixedClock : public io::Clock {
 public:
  Now Read() override { return now; }
  Now now{Monotonic{std::chrono::hours(1)}, Wall{milliseconds(1'800'000'000'000)}};
};

// Keeps what it was told, and can refuse to sync.
class MemoryLog : public observe::DeliveryLog {
 public:
  void Append(const queue::Event& event) override { appended.push_back(event); }
  Result<void> Sync() override {
    if (broken) return Fail(ErrorCode::kNoSpace, "the log's disk is full");
    synced = appended.size();
    return {};
  }
  void Rotate(Wall) override {}
  bool Compress() override { return steps_left > 0 && --steps_left > 0; }
  std::string TakeProblem() override { return {}; }
  std::uint64_t bytes_written() const override { return 0; }

  std::vector<queue::Event> appended;
  std::size_t synced = 0;
  bool broken = false;
  int steps_left = 0;  // of a closed file to compress
};

class StoreLoopTest : public testing::Test {
 protected:
  StoreLoopTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-store-loop-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    options_.queue.directory = directory_ / "queue";
    options_.queue.commit_interval = milliseconds(1);
    auto opened = queue::OpenJobStore(options_.queue, clock_.now.wall);
    EXPECT_TRUE(opened.has_value());
    store_ = *std::move(opened);
    loop_ = std::make_unique<StoreLoop>(*store_, log_, tally_, clock_, waker_, door_,
                                        std::vector<StoreLoop::CoreEnd>{{requests_, committed_}}, options_,
                                        [this](queue::CampaignPtr campaign) { changed_.push_back(campaign); });
  }
  ~StoreLoopTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Puts a running campaign of so many recipients at one domain into the store.
  queue::CampaignId Fill(std::uint64_t recipients, queue::CampaignSpec spec = {}) {
    spec.name = "offer";
    const auto id = store_->BeginCampaign(spec, "Subject: x\r\n\r\nhello\r\n", clock_.now.wall);
    EXPECT_TRUE(id.has_value());
    std::vector<std::string> addresses;
    for (std::uint64_t row = 1; row <= recipients; ++row) {
      addresses.push_back("a" + std::to_string(row) + "@example.org");
    }
    std::vector<queue::NewRow> rows;
    for (std::uint64_t row = 1; row <= recipients; ++row) {
      queue::NewRow& one = rows.emplace_back();
      one.row = row;
      one.domain = "example.org";
      one.address = addresses[row - 1];
    }
    queue::EnqueueBatch batch;
    batch.campaign = *id;
    batch.rows = rows;
    batch.rows_read = recipients;
    EXPECT_TRUE(store_->Enqueue(batch, clock_.now.wall).has_value());
    EXPECT_TRUE(store_->SetState(*id, queue::CampaignState::kRunning, clock_.now.wall, std::chrono::hours(48)));
    EXPECT_TRUE(store_->Commit().has_value());
    return *id;
  }

  static queue::CampaignSpec WithCanary() {
    queue::CampaignSpec spec;
    spec.canary_share = 0.01;
    spec.canary_wait = std::chrono::minutes(30);
    return spec;
  }

  // What a core reports when a job of the campaign was delivered.
  void ReportDelivered(const queue::Job& job) {
    delivery::StoreRequest* slot = requests_.Reserve();
    ASSERT_NE(slot, nullptr);
    slot->kind = delivery::StoreRequest::Kind::kOutcome;
    slot->outcome.Clear();
    slot->outcome.place = job.place;
    slot->outcome.event.kind = queue::EventKind::kDelivered;
    slot->outcome.event.final = true;
    slot->outcome.event.job = job.id;
    slot->outcome.event.domain = "example.org";
    slot->outcome.event.recipient = job.address;
    requests_.Publish();
  }

  queue::TakenJobs TakeAll() {
    auto taken = store_->Take({.domain = "example.org", .cursor = {}, .max_jobs = 256, .now = clock_.now.wall});
    EXPECT_TRUE(taken.has_value());
    return *std::move(taken);
  }

  std::filesystem::path directory_;
  Options options_;
  FixedClock clock_;
  MemoryLog log_;
  observe::EventTally tally_{10};
  io::Waker waker_;
  io::Waker core_waker_;
  StoreDoor door_{waker_};
  io::Mailbox<delivery::StoreRequest> requests_{16, waker_};
  io::Mailbox<delivery::Committed> committed_{16, core_waker_};
  std::vector<queue::CampaignPtr> changed_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<StoreLoop> loop_;
};

TEST_F(StoreLoopTest, ReleasesTheRestWhenTheCanarysWaitIsOver) {
  const queue::CampaignId id = Fill(100, WithCanary());
  const queue::TakenJobs canary = TakeAll();
  ASSERT_EQ(canary.jobs.size(), 1u);
  ReportDelivered(canary.jobs[0]);
  const auto second = [this](std::chrono::milliseconds later) {
    clock_.now.wall += later;
    clock_.now.monotonic += std::chrono::seconds(2);
    (void)loop_->RunOnce(milliseconds(0));
  };
  // The outcome says that it is of 1970, so the wait is over at once; the release is a step of its own.
  (void)loop_->RunOnce(milliseconds(0));
  ASSERT_EQ(store_->FindCampaign(id)->canary.phase, queue::CanaryPhase::kWaiting);
  EXPECT_TRUE(changed_.empty());
  second({});
  second({});
  ASSERT_EQ(changed_.size(), 1u);
  EXPECT_EQ(changed_[0]->canary.phase, queue::CanaryPhase::kReleased);
  EXPECT_EQ(TakeAll().jobs.size(), 99u);
  EXPECT_EQ(log_.appended.back().reply, "its canary is through: the rest is released");
  EXPECT_EQ(log_.synced, log_.appended.size());
  second(std::chrono::hours(1));
  EXPECT_EQ(changed_.size(), 1u);
}

TEST_F(StoreLoopTest, PausesTheWholeCampaignIfAGuardStopsItsCanary) {
  const queue::CampaignId id = Fill(100, WithCanary());
  const auto stop = [&] {
    delivery::StoreRequest* slot = requests_.Reserve();
    slot->kind = delivery::StoreRequest::Kind::kStopCanary;
    slot->outcome.Clear();
    slot->outcome.event.kind = queue::EventKind::kCampaign;
    slot->outcome.event.job.campaign = id;
    slot->outcome.event.reply = "too many were refused";
    requests_.Publish();
    (void)loop_->RunOnce(milliseconds(0));
  };
  stop();
  ASSERT_EQ(changed_.size(), 1u);
  EXPECT_EQ(changed_[0]->state, queue::CampaignState::kPaused);
  EXPECT_EQ(changed_[0]->note, "too many were refused");
  ASSERT_EQ(log_.appended.size(), 1u);
  EXPECT_EQ(log_.appended[0].reply, "paused: too many were refused");
  // Another core says the same a moment later.
  stop();
  EXPECT_EQ(changed_.size(), 1u);
  EXPECT_EQ(log_.appended.size(), 1u);
  EXPECT_EQ(committed_.Peek()->requests, 1u) << "its core waits for an answer all the same";
}

TEST_F(StoreLoopTest, AnswersACoreOnceItsOutcomesAreDurable) {
  const queue::CampaignId id = Fill(2);
  const queue::TakenJobs taken = TakeAll();
  ASSERT_EQ(taken.jobs.size(), 2u);
  for (const queue::Job& job : taken.jobs) ReportDelivered(job);

  EXPECT_TRUE(loop_->RunOnce(milliseconds(0)));
  delivery::Committed* answer = committed_.Peek();
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->requests, 2u);
  EXPECT_GE(log_.synced, 2u);
  EXPECT_EQ(store_->FindCampaign(id)->totals.delivered, 2u);
  EXPECT_TRUE(loop_->Trouble().empty());
}

TEST_F(StoreLoopTest, SettlesNothingWhileTheLogCannotBeSynced) {
  const queue::CampaignId id = Fill(1);
  const queue::TakenJobs taken = TakeAll();
  ReportDelivered(taken.jobs.at(0));
  log_.broken = true;

  EXPECT_FALSE(loop_->RunOnce(milliseconds(0)));
  EXPECT_EQ(committed_.Peek(), nullptr);
  EXPECT_EQ(store_->FindCampaign(id)->totals.delivered, 0u);
  EXPECT_EQ(loop_->Trouble(), "the log's disk is full");
  EXPECT_FALSE(loop_->Idle());

  log_.broken = false;
  EXPECT_TRUE(loop_->RunOnce(milliseconds(0)));
  ASSERT_NE(committed_.Peek(), nullptr);
  EXPECT_EQ(store_->FindCampaign(id)->totals.delivered, 1u);
  EXPECT_TRUE(loop_->Trouble().empty());
  // One line for the delivery, not one for each try.
  EXPECT_EQ(std::ranges::count(log_.appended, queue::EventKind::kDelivered, &queue::Event::kind), 1);
}

TEST_F(StoreLoopTest, TellsThatTheLogCannotBeWrittenThoughNothingIsToBeWritten) {
  log_.broken = true;
  loop_->RunOnce(milliseconds(0));
  EXPECT_EQ(loop_->Trouble(), "the log's disk is full");
  log_.broken = false;
  clock_.now.monotonic += std::chrono::seconds(2);
  loop_->RunOnce(milliseconds(0));
  EXPECT_EQ(loop_->Trouble(), "");
}

TEST_F(StoreLoopTest, TellsOfACampaignThatEndsAndLogsIt) {
  Fill(1);
  const queue::TakenJobs taken = TakeAll();
  ReportDelivered(taken.jobs.at(0));
  EXPECT_TRUE(loop_->RunOnce(milliseconds(0)));
  ASSERT_EQ(changed_.size(), 1u);
  EXPECT_EQ(changed_[0]->state, queue::CampaignState::kDone);
  ASSERT_FALSE(log_.appended.empty());
  EXPECT_EQ(log_.appended.back().kind, queue::EventKind::kCampaign);
  EXPECT_EQ(log_.appended.back().reply, "done");
}

TEST_F(StoreLoopTest, SyncsTheLineOfACampaignThatEndedThoughNothingElseComes) {
  Fill(1);
  const queue::TakenJobs taken = TakeAll();
  ReportDelivered(taken.jobs.at(0));
  EXPECT_TRUE(loop_->RunOnce(milliseconds(0)));
  EXPECT_FALSE(loop_->Idle());
  loop_->RunOnce(milliseconds(0));
  EXPECT_EQ(log_.appended.size(), 2u);
  EXPECT_EQ(log_.synced, 2u);
  EXPECT_TRUE(loop_->Idle());
}

TEST_F(StoreLoopTest, CompressesAPieceOfAClosedLogEachTurn) {
  log_.steps_left = 5;
  loop_->RunOnce(milliseconds(0));
  for (int turn = 0; turn < 4; ++turn) loop_->RunOnce(milliseconds(100));
  EXPECT_EQ(log_.steps_left, 0);
}

TEST_F(StoreLoopTest, FinishesWhatCameBeforeItWasStopped) {
  const queue::CampaignId id = Fill(1);
  const queue::TakenJobs taken = TakeAll();
  ReportDelivered(taken.jobs.at(0));
  const std::atomic<bool> stop{true};
  loop_->RunUntil(stop, milliseconds(0));
  ASSERT_NE(committed_.Peek(), nullptr);
  EXPECT_EQ(store_->FindCampaign(id)->totals.delivered, 1u);
  EXPECT_EQ(log_.synced, log_.appended.size());
  EXPECT_TRUE(loop_->Idle());
}

TEST_F(StoreLoopTest, AnswersACallThatCameBeforeTheDoorWasClosed) {
  Result<void> result = Fail(ErrorCode::kInvalid, "not run");
  std::thread caller([&] { result = door_.Run([](StoreTurn&) -> Result<void> { return {}; }); });
  while (door_.box().Peek() == nullptr) std::this_thread::yield();
  door_.Close();
  const std::atomic<bool> stop{true};
  loop_->RunUntil(stop, milliseconds(0));
  EXPECT_TRUE(loop_->Idle());
  while (!loop_->Idle()) loop_->RunOnce(milliseconds(0));  // lest a failure leaves the caller waiting
  caller.join();
  EXPECT_TRUE(result.has_value());
}

TEST_F(StoreLoopTest, AnswersACallAfterItsBatchIsSynced) {
  const auto options = std::make_shared<const Options>(options_);
  IntakeDoor intake(door_, *store_, options);
  queue::CampaignSpec spec;
  spec.name = "news";
  Result<queue::CampaignId> begun = Fail(ErrorCode::kInvalid, "not run");
  std::thread caller([&] { begun = intake.Begin(spec, "Subject: x\r\n\r\nhello\r\n"); });
  while (!loop_->RunOnce(milliseconds(100))) {
  }
  caller.join();
  ASSERT_TRUE(begun.has_value()) << begun.error().message;
  EXPECT_EQ(store_->FindCampaign("news")->id, *begun);
  ASSERT_EQ(changed_.size(), 1u);
  EXPECT_EQ(changed_[0]->state, queue::CampaignState::kLoading);
}

TEST_F(StoreLoopTest, TellsIntakeWhomTheSuppressionListHolds) {
  IntakeDoor intake(door_, *store_, std::make_shared<const Options>(options_));
  const std::vector<queue::Recipient> recipients{{"news", "ana@example.org", "example.org"},
                                                 {"news", "bob@example.org", "example.org"}};
  EXPECT_TRUE(intake.FindSuppressed(recipients, clock_.now.wall).value().empty());
  const queue::Suppression entry{.list = "news", .address = "bob@example.org", .when = clock_.now.wall, .who = "eve"};
  ASSERT_TRUE(store_->PutSuppressions({&entry, 1}).has_value());
  ASSERT_TRUE(store_->Commit().has_value());
  EXPECT_EQ(intake.FindSuppressed(recipients, clock_.now.wall).value(), std::vector<std::size_t>{1});
}

TEST_F(StoreLoopTest, TakesTheExpiryOfOptionsThatAreReloadedWhileIntakeWorks) {
  const auto make = [&](std::chrono::hours expiry) {
    Options changed = options_;
    changed.retry_bulk.expiry = expiry;
    return std::make_shared<const Options>(changed);
  };
  IntakeDoor intake(door_, *store_, make(std::chrono::hours(1)));
  intake.SetOptions(make(std::chrono::hours(2)));
  std::atomic<bool> done{false};
  std::thread caller([&] {
    for (int i = 0; i < 20; ++i) {
      queue::CampaignSpec spec;
      spec.name = "news" + std::to_string(i);
      const auto id = intake.Begin(spec, "Subject: x\r\n\r\nhello\r\n");
      EXPECT_TRUE(id && intake.Finish(*id, queue::CampaignState::kRunning, "").has_value());
    }
    done = true;
  });
  std::thread operator_thread([&] {
    while (!done.load()) intake.SetOptions(make(std::chrono::hours(2)));
  });
  loop_->RunUntil(done, milliseconds(1));
  caller.join();
  operator_thread.join();
  const queue::CampaignPtr last = store_->FindCampaign("news19");
  ASSERT_NE(last, nullptr);
  ASSERT_TRUE(last->expires_at.has_value());
  EXPECT_EQ(*last->expires_at, clock_.now.wall + std::chrono::hours(2));
}

TEST_F(StoreLoopTest, RefusesCallsOnceTheDoorIsClosed) {
  door_.Close();
  const Result<void> refused = door_.Run([](StoreTurn&) -> Result<void> { return {}; });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace postrider::engine
