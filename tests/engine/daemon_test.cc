#include "engine/daemon.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "engine/observe/operator_log.h"
#include "queue/job_store.h"
#include "throttle/saved_bucket.h"

namespace postrider::engine {
namespace {

class DaemonTest : public testing::Test {
 protected:
  DaemonTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-daemon-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    options_.queue.directory = directory_ / "queue";
    options_.spool.directory = directory_ / "spool";
    options_.log.directory = directory_ / "log";
    options_.admin.listen = SocketAddress::Parse("127.0.0.1:0").value();
    options_.engine.cores = 1;
    options_.host_name = "sender.example.org";
    options_.disk.stop_sending_below = 0;
    options_.disk.stop_intake_below = 0;
  }
  ~DaemonTest() override { std::filesystem::remove_all(directory_); }

  // A queue in which a campaign has been begun, and some of its rows are there.
  void LeaveHalfLoaded(std::string_view name) {
    const Wall now{std::chrono::milliseconds(1'800'000'000'000)};
    auto store = queue::OpenJobStore(options_.queue, now).value();
    queue::CampaignSpec spec;
    spec.name = name;
    const queue::CampaignId id = store->BeginCampaign(spec, "Subject: x\r\n\r\nhello\r\n", now).value();
    queue::NewRow row;
    row.row = 1;
    row.domain = "example.org";
    row.address = "ana@example.org";
    queue::EnqueueBatch batch;
    batch.campaign = id;
    batch.rows = {&row, 1};
    batch.rows_read = 1;
    ASSERT_TRUE(store->Enqueue(batch, now).has_value());
    ASSERT_TRUE(store->Commit().has_value());
  }

  // All lines of the delivery log.
  [[nodiscard]] std::string LoggedText() const {
    std::ostringstream text;
    for (const auto& entry : std::filesystem::directory_iterator(options_.log.directory)) {
      if (entry.path().extension() == ".jsonl") text << std::ifstream(entry.path()).rdbuf();
    }
    return text.str();
  }

  // A queue in which so many recipients of a campaign wait for a retry tomorrow.
  void LeaveDeferred(std::string_view name, std::uint64_t rows) {
    const Wall now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    auto store = queue::OpenJobStore(options_.queue, now).value();
    queue::CampaignSpec spec;
    spec.name = name;
    const queue::CampaignId id = store->BeginCampaign(spec, "Subject: x\r\n\r\nhello\r\n", now).value();
    for (std::uint64_t row = 1; row <= rows; ++row) {
      const std::string address = "r" + std::to_string(row) + "@example.org";
      queue::NewRow one;
      one.row = row;
      one.domain = "example.org";
      one.address = address;
      ASSERT_TRUE(store->Enqueue({.campaign = id, .rows = {&one, 1}, .rows_read = 1}, now).has_value());
    }
    ASSERT_TRUE(store->SetState(id, queue::CampaignState::kRunning, now, std::chrono::hours(48)).has_value());
    ASSERT_TRUE(store->Commit().has_value());
    const queue::TakenJobs taken = store->Take({.domain = "example.org", .now = now}).value();
    for (const queue::Job& job : taken.jobs) {
      queue::Outcome outcome;
      outcome.place = job.place;
      outcome.event.kind = queue::EventKind::kDeferred;
      outcome.event.job = job.id;
      outcome.event.attempt = 1;
      outcome.event.recipient = job.address;
      outcome.event.domain = "example.org";
      outcome.event.site = "mx.example.org";
      outcome.event.time = now;
      outcome.event.next_due = now + std::chrono::hours(24);
      store->Settle(outcome);
    }
    ASSERT_TRUE(store->Commit().has_value());
  }

  std::filesystem::path directory_;
  Options options_;
};

TEST_F(DaemonTest, DoesNotReleaseACampaignWhoseListIsStillBeingRead) {
  LeaveHalfLoaded("offer");
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  const Result<void> resumed = daemon.SetCampaignState("offer", queue::CampaignState::kRunning);
  ASSERT_FALSE(resumed.has_value());
  EXPECT_EQ(resumed.error().code, ErrorCode::kInvalid);
  EXPECT_NE(resumed.error().message.find("still being read"), std::string::npos) << resumed.error().message;
  ASSERT_EQ(daemon.Campaigns().size(), 1u);
  EXPECT_EQ(daemon.Campaigns()[0]->state, queue::CampaignState::kLoading);

  EXPECT_TRUE(daemon.SetCampaignState("offer", queue::CampaignState::kCancelled).has_value());
  EXPECT_TRUE(daemon.Stop());
}

// A port of loopback that another program listens on.
class TakenPort {
 public:
  TakenPort() {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    EXPECT_TRUE(bind(socket_, address, length) == 0 && listen(socket_, 1) == 0 &&
                getsockname(socket_, address, &length) == 0);
    port_ = ntohs(name.sin_port);
  }
  ~TakenPort() { close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  const int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

TEST_F(DaemonTest, SaysThatTheTlsRootsCannotBeRead) {
  options_.tls.ca_file = directory_ / "nowhere.pem";
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().message.find("nowhere.pem"), std::string::npos) << started.error().message;
}

// The last part to start, when all threads run already.
TEST_F(DaemonTest, SaysWhatIsWrongAndEndsCleanlyIfTheAdminCannotListen) {
  const TakenPort taken;
  options_.admin.listen.port = taken.port();
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().message.find("Address already in use"), std::string::npos) << started.error().message;
}

// As on a disk that does not answer: no time is left to wait for the store's thread.
TEST_F(DaemonTest, EndsTheProcessWithTheSentenceIfAFailedStartCannotBeUndone) {
  // In a process started anew: a child forked from one with threads may not start its own under ThreadSanitizer.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TakenPort taken;
  options_.admin.listen.port = taken.port();
  options_.timeouts.shutdown = std::chrono::seconds(0);
  const auto start = [&] {
    Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_), std::chrono::seconds(0));
    const Result<void> started = daemon.Start();
    if (!started) observe::LogError("cannot start: " + started.error().message);
  };
  EXPECT_EXIT(start(), testing::ExitedWithCode(1),
              "could not be made durable.*\n.*cannot start: .*Address already in use");
}

// Waits for what another thread will say; a test that waits in vain ends by its time-out.
template <typename Condition>
void Await(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

TEST_F(DaemonTest, SaysOnceThatTheSpoolIsGoneAndThatIntakeGoesOn) {
  options_.spool.scan_interval = std::chrono::seconds(1);
  testing::internal::CaptureStderr();
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  std::filesystem::rename(options_.spool.directory, directory_ / "elsewhere");
  Await([&] { return daemon.Trouble().starts_with("intake: "); });
  std::filesystem::rename(directory_ / "elsewhere", options_.spool.directory);
  Await([&] { return daemon.Trouble().empty(); });
  EXPECT_TRUE(daemon.Stop());
  const std::string said = testing::internal::GetCapturedStderr();
  const std::size_t first = said.find("intake: ");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_NE(said.find("No such file or directory", first), std::string::npos) << said;
  EXPECT_EQ(said.find("intake: ", first + 1), std::string::npos) << said;
  EXPECT_NE(said.find("intake goes on"), std::string::npos) << said;
}

TEST_F(DaemonTest, StopsSendingWhileTheLogsDirectoryCannotBeMadeAgain) {
  testing::internal::CaptureStderr();
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  std::filesystem::rename(options_.log.directory, directory_ / "elsewhere");
  std::ofstream(directory_ / "log-to-be") << "a file";
  std::filesystem::rename(directory_ / "log-to-be", options_.log.directory);
  const auto trouble = [&] {
    daemon.Watch();
    return daemon.Trouble();
  };
  Await([&] { return trouble().starts_with("sending stopped: the delivery log"); });
  std::filesystem::remove(options_.log.directory);
  Await([&] { return trouble().empty(); });
  EXPECT_TRUE(std::filesystem::is_directory(options_.log.directory));
  EXPECT_TRUE(daemon.Stop());
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("sending stopped: the delivery log"), std::string::npos) << said;
  EXPECT_NE(said.find("is gone: something removed it or moved it away"), std::string::npos) << said;
  EXPECT_NE(said.find("sending goes on"), std::string::npos) << said;
}

TEST_F(DaemonTest, RefusesASpoolOrALogThatAnotherDaemonWorksIn) {
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  const std::string holder = "in use by process " + std::to_string(getpid());
  for (const bool spool : {true, false}) {
    Options other = options_;
    other.queue.directory = directory_ / "other-queue";
    (spool ? other.log.directory : other.spool.directory) = directory_ / "other";
    Daemon second(directory_ / "postrider.toml", std::make_shared<const Options>(other));
    const Result<void> refused = second.Start();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
    EXPECT_NE(refused.error().message.find(holder), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find(spool ? "spool.directory" : "log.directory"), std::string::npos)
        << refused.error().message;
    std::filesystem::remove_all(directory_ / "other-queue");
  }
  EXPECT_TRUE(daemon.Stop());
}

TEST_F(DaemonTest, NamesEverySourceAddressThatThisHostDoesNotHave) {
  options_.sources = {
      {"a", IpAddress::Parse("203.0.113.9").value(), IpAddress::Parse("2001:db8::9").value(), "a.example"},
      {"b", IpAddress::Parse("127.0.0.1").value(), std::nullopt, "b.example"},
      {"c", IpAddress::Parse("192.0.2.7").value(), std::nullopt, "c.example"}};
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_FALSE(started.has_value());
  const std::string& message = started.error().message;
  EXPECT_NE(message.find("[[source]] \"a\": 203.0.113.9 is not an address of this host"), std::string::npos) << message;
  EXPECT_NE(message.find("[[source]] \"a\": 2001:db8::9"), std::string::npos) << message;
  EXPECT_NE(message.find("[[source]] \"c\": 192.0.2.7"), std::string::npos) << message;
  EXPECT_EQ(message.find("\"b\""), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(options_.queue.directory));
}

TEST_F(DaemonTest, RefusesAReloadThatBringsASourceThisHostDoesNotHave) {
  const std::filesystem::path file = directory_ / "postrider.toml";
  std::ofstream(file) << "[[source]]\nname = \"a\"\nipv4 = \"203.0.113.9\"\nehlo_name = \"a.example\"\n";
  Daemon daemon(file, std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  const Result<std::string> reloaded = daemon.Reload();
  ASSERT_FALSE(reloaded.has_value());
  EXPECT_EQ(reloaded.error().code, ErrorCode::kInvalid);
  EXPECT_NE(reloaded.error().message.find("203.0.113.9"), std::string::npos) << reloaded.error().message;
  EXPECT_FALSE(daemon.Collect().last_reload_good);
  EXPECT_TRUE(daemon.Stop());
}

TEST_F(DaemonTest, KeepsWhatASlowRateHasTakenAndNothingThatCannotBeRead) {
  const std::string good = "limit/shared/campaign/offer";
  const std::string bad = "limit/shared/campaign/other";
  const Now now = io::MakeSystemClock()->Read();
  Gcra bucket(1.0 / 3600, 1);
  bucket.Take(now.monotonic);
  {
    auto store = queue::OpenJobStore(options_.queue, now.wall).value();
    store->PutState(good, BucketWriter().Write(now, &bucket).value());
    store->PutState(bad, "x");
    ASSERT_TRUE(store->Commit().has_value());
  }
  {
    Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
    const Result<void> started = daemon.Start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    EXPECT_TRUE(daemon.Stop());
  }
  auto store = queue::OpenJobStore(options_.queue, now.wall).value();
  const auto state = store->ReadState("limit/").value();
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].first, good);
}

TEST_F(DaemonTest, RefusesAReloadThatBringsABadSuppressionFile) {
  const std::filesystem::path file = directory_ / "postrider.toml";
  std::ofstream(file) << "[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"a.example\"\n"
                      << "[spool]\nsuppression_file = \"suppressed\"\n";
  Daemon daemon(file, std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  const Result<std::string> missing = daemon.Reload();
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("spool.suppression_file: "), std::string::npos) << missing.error().message;
  std::ofstream(directory_ / "suppressed") << "ana@example.org\nno address\n";
  const Result<std::string> bad = daemon.Reload();
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalid);
  EXPECT_NE(bad.error().message.find("suppressed:2: "), std::string::npos) << bad.error().message;
  EXPECT_TRUE(daemon.Stop());
}

TEST_F(DaemonTest, NamesWhatWaitsForTheNextStartAtEveryReload) {
  const std::filesystem::path file = directory_ / "postrider.toml";
  const std::string same = "[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"a.example\"\n";
  Daemon daemon(file, std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  std::ofstream(file) << same << "[log]\ndirectory = \"elsewhere\"\n[dns]\ntries = 1\n";
  for (int i = 0; i < 2; ++i) {
    const Result<std::string> note = daemon.Reload();
    ASSERT_TRUE(note.has_value()) << note.error().message;
    EXPECT_NE(note->find("log.directory"), std::string::npos) << *note;
    EXPECT_NE(note->find("[dns]"), std::string::npos) << *note;
    EXPECT_EQ(note->find("tls"), std::string::npos) << *note;
  }
  EXPECT_EQ(daemon.Trouble(), "") << "what it has open is where it was";
  EXPECT_TRUE(daemon.Stop());
}

TEST_F(DaemonTest, DoesNotPassAMistypedPauseForADoneOne) {
  using Target = delivery::CoreCommand::Target;
  options_.sources = {{"a", IpAddress::Parse("127.0.0.1").value(), std::nullopt, "a.example"}};
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  const Result<std::string> paused = daemon.Pause({Target::kSource, "b"});
  ASSERT_FALSE(paused.has_value());
  EXPECT_EQ(paused.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(paused.error().message, "no [[source]] is named \"b\"; there are: a");
  for (const Target target : {Target::kSource, Target::kSite}) {
    const Result<void> resumed = daemon.Resume({target, "a"});
    ASSERT_FALSE(resumed.has_value());
    EXPECT_EQ(resumed.error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(daemon.Pause({target, "a"}).has_value());
    EXPECT_TRUE(daemon.Pause({target, "a"}).has_value());
    EXPECT_EQ(daemon.Pauses().size(), 1u);
    EXPECT_TRUE(daemon.Resume({target, "a"}).has_value());
    EXPECT_TRUE(daemon.Pauses().empty());
  }
  EXPECT_TRUE(daemon.Resume({Target::kAll, ""}).has_value());
  EXPECT_EQ(daemon.Pause({Target::kAll, ""}), "");
  EXPECT_EQ(daemon.Pause({Target::kSource, "a"}), "");
  const Result<std::string> note = daemon.Pause({Target::kSite, "mx.typo.test"});
  ASSERT_TRUE(note.has_value()) << "a site may be paused before its mail comes";
  EXPECT_NE(note->find("no site of that name has work or connections now; the pause holds"), std::string::npos)
      << *note;
  EXPECT_TRUE(daemon.Stop());
}

TEST_F(DaemonTest, BringsDeferredMailForwardForACampaignADomainOrASite) {
  LeaveDeferred("offer", 3);
  Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
  const Result<void> started = daemon.Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  observe::RetryControl& retry = daemon.controls().retry;
  // Far ahead all the same, so that nothing is tried while this runs.
  const auto all = retry.Retry("mx.example.org", std::chrono::hours(20));
  ASSERT_TRUE(all.has_value()) << all.error().message;
  EXPECT_EQ(all->kind, observe::RetryAnswer::Kind::kSite);
  EXPECT_EQ(all->deferred, 3u);
  EXPECT_EQ(all->moved, 3u);
  EXPECT_TRUE(all->holds.empty());
  EXPECT_EQ(retry.Retry("EXAMPLE.org", std::chrono::hours(24)).value().kind, observe::RetryAnswer::Kind::kDomain);

  EXPECT_TRUE(daemon.SetCampaignState("offer", queue::CampaignState::kPaused).has_value());
  EXPECT_TRUE(daemon.Pause({delivery::CoreCommand::Target::kAll, ""}).has_value());
  const auto held = retry.Retry("offer", std::chrono::hours(19)).value();
  EXPECT_EQ(held.kind, observe::RetryAnswer::Kind::kCampaign);
  EXPECT_EQ(held.deferred, 3u);
  ASSERT_EQ(held.holds.size(), 2u);
  EXPECT_EQ(held.holds[0].what + " " + held.holds[0].limit, "campaign paused");
  EXPECT_EQ(held.holds[1].what + " " + held.holds[1].limit, "all paused");

  const auto unknown = retry.Retry("mx.typo.test", std::chrono::minutes(5));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(daemon.Stop());
  EXPECT_NE(LoggedText().find("3 deferred recipients brought forward by the operator, over 20h"), std::string::npos);
}

TEST_F(DaemonTest, KeepsSuppressionsThatWereAnsweredAcrossARestart) {
  for (const bool first : {true, false}) {
    Daemon daemon(directory_ / "postrider.toml", std::make_shared<const Options>(options_));
    const Result<void> started = daemon.Start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    observe::SuppressionControl& suppressions = daemon.controls().suppression;
    if (first) {
      const std::vector<queue::Suppression> entries{
          {.list = "offers", .address = "ana@example.org", .when = suppressions.now(), .who = "eve", .why = "asked"},
          {.address = "@blocked.example", .when = suppressions.now(), .who = "eve"}};
      EXPECT_EQ(suppressions.Add(entries).value().added, 2u);
      const std::vector<queue::Suppression> wrong{{.address = "nobody"}};
      EXPECT_FALSE(suppressions.Add(wrong).has_value());
    }
    EXPECT_EQ(suppressions.Match("bob@blocked.example").value().entries.size(), 1u);
    EXPECT_EQ(suppressions.List({}, "", 10).value().entries.size(), 2u);
    const observe::SuppressionCounts counts = daemon.Collect().suppression;
    EXPECT_EQ(counts.lists.at("offers").addresses, 1u);
    EXPECT_EQ(counts.lists.at("").domains, 1u);
    EXPECT_EQ(counts.added_by_hand, first ? 2u : 0u);
    if (!first) {
      const std::vector<queue::SuppressionRemoval> removals{
          {.list = "offers", .address = "ana@example.org", .when = suppressions.now(), .who = "eve", .why = "back"}};
      EXPECT_EQ(suppressions.Remove(removals).value(), 1u);
      EXPECT_EQ(suppressions.ListPast({}, "", 10).value().entries.size(), 1u);
    }
    EXPECT_TRUE(daemon.Stop());
  }
  const std::string log = LoggedText();
  EXPECT_NE(
      log.find("\"reply\":\"suppression list: added 2 of 2: ana@example.org, @blocked.example; list offers, by hand "
               "(eve): asked\""),
      std::string::npos)
      << log;
  EXPECT_NE(log.find("\"recipient\":\"ana@example.org\",\"reply\":\"suppression list: removed ana@example.org; list "
                     "offers, by hand (eve): back\""),
            std::string::npos)
      << log;
}

}  // namespace
}  // namespace postrider::engine
