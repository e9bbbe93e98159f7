#include "engine/retry_door.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/observe/fake_control.h"

namespace postrider::engine {
namespace {

using observe::RetryAnswer;

constexpr Wall kNow{std::chrono::milliseconds(1'800'000'000'000)};

class FixedClock final : public io::Clock {
 public:
  Now Read() override { return {Monotonic(std::chrono::hours(1)), kNow}; }
};

class NoLog final : public queue::EventSink {
 public:
  void Append(const queue::Event&) override {}
  Result<void> Sync() override { return {}; }
};

// A door behind which a thread of the test stages at once.
class RetryDoorTest : public testing::Test {
 protected:
  RetryDoorTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-retry-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    QueueOptions options;
    options.directory = directory_ / "queue";
    store_ = queue::OpenJobStore(options, kNow).value();
    retry_ =
        std::make_unique<RetryDoor>(door_, *store_, clock_, control_, [] { return std::make_shared<const Options>(); });
    serving_ = std::thread([this] { Serve(); });
  }
  ~RetryDoorTest() override {
    stop_ = true;
    waker_.Wake();
    serving_.join();
    retry_.reset();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  void Serve() {
    while (!stop_) {
      waker_.Wait(std::chrono::seconds(1));
      while (StoreCall** call = door_.box().Peek()) {
        StoreTurn turn{*store_, log_, changed_, kNow};
        StoreCall* const one = *call;
        door_.box().Pop();
        one->result = one->stage(turn);
        StoreCall::Answered(one);
      }
    }
  }

  delivery::SiteSnapshot& AddPath(std::string site, std::string domain) {
    if (control_.snapshot.cores.empty()) control_.snapshot.cores.emplace_back();
    delivery::SiteSnapshot& path = control_.snapshot.cores[0].sites.emplace_back();
    path.site = std::move(site);
    path.source = "a";
    path.domain_names = {std::move(domain)};
    return path;
  }
  void AddWaiting(std::string domain, std::uint64_t waiting) {
    queue::DomainBacklog& backlog = control_.backlog.emplace_back();
    backlog.domain = std::move(domain);
    backlog.waiting = waiting;
  }

  std::filesystem::path directory_;
  FixedClock clock_;
  NoLog log_;
  std::vector<queue::CampaignId> changed_;
  io::Waker waker_;
  StoreDoor door_{waker_};
  std::unique_ptr<queue::JobStore> store_;
  observe::FakeControl control_;
  std::unique_ptr<RetryDoor> retry_;
  std::atomic<bool> stop_{false};
  std::thread serving_;
};

TEST_F(RetryDoorTest, SaysWhatHoldsMailThatWaitsForItsFirstTry) {
  delivery::SiteSnapshot& path = AddPath("mx.example.org", "example.org");
  path.mode = delivery::SiteMode::kBackingOff;
  path.last_reply = "connection refused";
  const Wall until = kNow + std::chrono::minutes(5);
  path.blocked_until = until;
  AddPath("mx.example.net", "example.net").mode = delivery::SiteMode::kBackingOff;
  AddWaiting("example.org", 10);
  AddWaiting("example.net", 3);
  for (const auto& [target, kind] :
       {std::pair("MX.example.org", RetryAnswer::Kind::kSite), std::pair("example.org", RetryAnswer::Kind::kDomain)}) {
    const Result<RetryAnswer> answer = retry_->Retry(target, std::chrono::minutes(5));
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->kind, kind);
    EXPECT_EQ(answer->deferred, 0u);
    EXPECT_EQ(answer->untried, 10u);
    ASSERT_EQ(answer->holds.size(), 1u);
    EXPECT_EQ(answer->holds[0].name, "mx.example.org");
    EXPECT_EQ(answer->holds[0].limit, "backing off");
    EXPECT_EQ(answer->holds[0].reason, "connection refused");
    EXPECT_EQ(answer->holds[0].until, until);
  }
}

TEST_F(RetryDoorTest, KnowsNothingOfASiteWhereNothingWaits) {
  AddPath("mx.example.org", "example.org");
  AddWaiting("example.net", 3);
  for (const char* target : {"mx.example.org", "example.org", "offer"}) {
    const Result<RetryAnswer> answer = retry_->Retry(target, std::chrono::minutes(5));
    ASSERT_FALSE(answer.has_value()) << target;
    EXPECT_EQ(answer.error().code, ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace postrider::engine
