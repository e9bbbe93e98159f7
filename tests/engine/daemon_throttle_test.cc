// The running program's limits: what `throttle set` changes, what a changed file changes, what outlives a restart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/load.h"
#include "engine/daemon.h"

namespace postrider::engine {
namespace {

using observe::ChangedField;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::string_view kSource = "[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"a.example\"\n";

// Waits for what another thread will do; a test that waits in vain ends by its time-out.
template <typename Condition>
void Await(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

class DaemonThrottleTest : public testing::Test {
 protected:
  DaemonThrottleTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-throttle-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    Configure("");
  }
  ~DaemonThrottleTest() override {
    if (daemon_) Stop();
    std::filesystem::remove_all(directory_);
  }

  void Write(const std::string& name, const std::string& text) const { std::ofstream(directory_ / name) << text; }
  std::string Read(const std::filesystem::path& name) const {
    std::ifstream file(directory_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Configure(const std::string& further) const {
    Write("postrider.toml", "host_name = \"sender.example.org\"\n" + further + std::string(kSource) +
                                "[queue]\ndirectory = \"queue\"\n[spool]\ndirectory = \"spool\"\n"
                                "[log]\ndirectory = \"log\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[engine]\ncores = 1\n"
                                "[[route]]\nmatch = \"some.test\"\nhosts = [\"127.0.0.9\"]\nallow_private = true\n"
                                "[disk]\nstop_sending_below = 0.0\nstop_intake_below = 0.001\n");
  }
  Result<void> TryStart() {
    const auto options = LoadOptions(directory_ / "postrider.toml");
    if (!options) return Fail(ErrorCode::kInvalid, ToString(options.error().front()));
    daemon_ = std::make_unique<Daemon>(directory_ / "postrider.toml", *options);
    Result<void> started = daemon_->Start();
    if (!started) daemon_.reset();
    return started;
  }
  void Start() {
    const Result<void> started = TryStart();
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }
  void Stop() {
    EXPECT_TRUE(daemon_->Stop());
    daemon_.reset();
  }
  observe::ThrottleControl& Throttle() { return daemon_->controls().throttle; }

  RuleOptions Rule(std::string_view pattern, const std::vector<std::string>& fields,
                   std::optional<std::chrono::milliseconds> lasts = {}) {
    RuleOptions rule;
    rule.match = DomainPattern::Parse(pattern).value();
    for (const std::string& field : fields) EXPECT_TRUE(SetRuleField(rule, field).has_value()) << field;
    rule.origin.set_by = "ana";
    rule.origin.set_at = Throttle().now();
    if (lasts) rule.origin.until = Throttle().now() + *lasts;
    return rule;
  }
  std::vector<ChangedField> Set(std::string_view pattern, const std::vector<std::string>& fields,
                                std::optional<std::chrono::milliseconds> lasts = {}) {
    auto changed = Throttle().Set(Rule(pattern, fields, lasts));
    EXPECT_TRUE(changed.has_value()) << changed.error().message;
    return changed ? *changed : std::vector<ChangedField>();
  }
  std::string InForce(std::string_view field, std::string_view domain = "some.test") {
    const auto limits = Throttle().Show(domain);
    EXPECT_TRUE(limits.has_value()) << limits.error().message;
    const auto found = std::ranges::find(limits->rule.fields, field, &ExplainedField::name);
    return found->value + " from " + ToString(found->origin);
  }
  std::string Log() const {
    std::string text;
    for (const auto& file : std::filesystem::directory_iterator(directory_ / "log")) {
      if (file.path().extension() == ".jsonl") text += Read(file.path());
    }
    return text;
  }

  std::filesystem::path directory_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(DaemonThrottleTest, SaysWhatWasInForceAndWhatIsNow) {
  Start();
  std::vector<ChangedField> changed = Set("some.test", {"message_rate=5/s", "connections=3"}, std::chrono::hours(2));
  ASSERT_THAT(changed, SizeIs(2));
  EXPECT_EQ(changed[0].now.name, "connections");
  EXPECT_EQ(changed[0].before.value, "8");
  EXPECT_EQ(changed[0].now.value, "3");
  EXPECT_EQ(changed[1].before.value, "none");
  EXPECT_EQ(changed[1].now.value, "5/s");
  EXPECT_THAT(ToString(changed[1].now.origin), AllOf(HasSubstr("throttle set by ana at "), HasSubstr(", until ")));
  EXPECT_THAT(InForce("message_rate"), HasSubstr("5/s from throttle set by ana"));
  EXPECT_THAT(InForce("idle"), HasSubstr("from built in"));

  changed = Set("some.test", {"message_rate=7/s"});
  ASSERT_THAT(changed, SizeIs(1));
  EXPECT_EQ(changed[0].before.value, "5/s");
  EXPECT_EQ(changed[0].now.value, "7/s");
  EXPECT_THAT(Throttle().List(), SizeIs(2));

  const auto unset = Throttle().Unset(DomainPattern::Parse("some.test").value(), {}, "bob");
  ASSERT_TRUE(unset.has_value()) << unset.error().message;
  ASSERT_THAT(*unset, SizeIs(3)) << "a burst goes with its rate";
  EXPECT_EQ((*unset)[0].now.value, "8");
  EXPECT_EQ((*unset)[1].now.value, "none");
  EXPECT_TRUE(Throttle().List().empty());
  const auto again = Throttle().Unset(DomainPattern::Parse("some.test").value(), {}, "bob");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kNotFound);

  Stop();
  EXPECT_THAT(Log(), AllOf(HasSubstr("throttle set by ana: some.test connections = 3, message_rate = 5/s, until "),
                           HasSubstr("throttle unset by bob: some.test")));
}

TEST_F(DaemonThrottleTest, ShowsThePlaceWhereADomainsMailGoes) {
  Start();
  const auto limits = Throttle().Show("SOME.test");
  ASSERT_TRUE(limits.has_value()) << limits.error().message;
  EXPECT_EQ(limits->domain, "some.test");
  EXPECT_TRUE(limits->fixed_hosts);
  EXPECT_EQ(limits->hosts, std::vector<std::string>{"127.0.0.9"});
  ASSERT_TRUE(limits->place.has_value());
  EXPECT_EQ(limits->place->site, "127.0.0.9");
  EXPECT_TRUE(limits->place->paths.empty());
  for (const std::string_view wrong : {"", "a b", "a..b", "ana@some.test", "\xff"}) {
    EXPECT_FALSE(Throttle().Show(wrong).has_value()) << wrong;
  }
}

TEST_F(DaemonThrottleTest, KeepsWhatIsSetOverARestartInAFileOfItsOwn) {
  Start();
  Set("some.test", {"message_rate=5/s"});
  Set("provider:google", {"connections=2"}, std::chrono::hours(2));
  struct stat status {};
  ASSERT_EQ(stat((directory_ / "queue" / "throttle.toml").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  Stop();
  Write("queue/.throttle.toml.tmp", "format = ");  // as a crash in the midst of a change leaves it
  Start();
  EXPECT_THAT(InForce("message_rate"), HasSubstr("5/s from throttle set by ana"));
  ASSERT_THAT(Throttle().List(), SizeIs(2));
  EXPECT_TRUE(Throttle().List()[1].origin.until.has_value());
}

TEST_F(DaemonThrottleTest, DoesNotStartOverAFileItCannotRead) {
  Start();
  Stop();
  Write("queue/throttle.toml", "format = 1\n[[rule]]\nmatch = \"a.org\"\nconections = 3\n");
  const Result<void> started = TryStart();
  ASSERT_FALSE(started.has_value());
  EXPECT_THAT(started.error().message,
              AllOf(HasSubstr("queue/throttle.toml:4:1: "), HasSubstr("did you mean connections?")));
}

TEST_F(DaemonThrottleTest, RefusesWhatMakesNoSenseAndChangesNothing) {
  Start();
  Set("some.test", {"message_rate=5/s"});
  const std::string kept = Read("queue/throttle.toml");
  for (const auto& [pattern, fields] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"provider:nobody", {"connections=2"}}, {"a.org", {}}, {"a.org", {"connections=2", "site_connections=3"}}}) {
    EXPECT_FALSE(Throttle().Set(Rule(pattern, fields)).has_value()) << pattern;
  }
  EXPECT_EQ(Read("queue/throttle.toml"), kept);
  // Nor does what cannot be kept.
  std::filesystem::remove(directory_ / "queue" / "throttle.toml");
  std::filesystem::create_directory(directory_ / "queue" / "throttle.toml");
  const auto refused = Throttle().Set(Rule("some.test", {"message_rate=9/s"}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("throttle.toml"));
  EXPECT_THAT(InForce("message_rate"), HasSubstr("5/s"));
  std::filesystem::remove(directory_ / "queue" / "throttle.toml");
}

TEST_F(DaemonThrottleTest, LetsWhatIsSetForATimeFallAwayByItself) {
  testing::internal::CaptureStderr();
  Start();
  Set("some.test", {"message_rate=5/s"}, std::chrono::milliseconds(1));
  Await([&] {
    daemon_->Watch();
    return Throttle().List().empty();
  });
  EXPECT_THAT(InForce("message_rate"), HasSubstr("none from built in"));
  EXPECT_EQ(Read("queue/throttle.toml").find("some.test"), std::string::npos);
  Stop();
  const std::string over = "throttle: over is what was set by ana: some.test message_rate = 5/s";
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(over));
  EXPECT_THAT(Log(), HasSubstr(over));
}

TEST_F(DaemonThrottleTest, AReloadKeepsWhatIsSet) {
  Start();
  Set("some.test", {"message_rate=5/s"});
  Configure("[[rule]]\nmatch = \"some.test\"\nmessage_rate = \"9/s\"\nconnections = 4\n");
  ASSERT_TRUE(daemon_->Reload().has_value());
  EXPECT_THAT(InForce("message_rate"), HasSubstr("5/s from throttle set by ana"));
  EXPECT_THAT(InForce("connections"), HasSubstr("4 from " + (directory_ / "postrider.toml").string() + ":2"));
}

TEST_F(DaemonThrottleTest, ReadsAChangedConfigurationByItselfAndSaysOnceWhyABadOneDoesNotCount) {
  testing::internal::CaptureStderr();
  Start();
  Configure("[[rule]]\nmatch = \"some.test\"\nconnections = 4\n");
  const auto watched = [&](const auto& condition) {
    return [this, condition] {
      daemon_->Watch();
      return condition();
    };
  };
  Await(watched([&] { return InForce("connections").starts_with("4 "); }));
  Configure("nonsense = 1\n");
  Await(watched([&] { return !daemon_->Collect().last_reload_good; }));
  for (int i = 0; i < 10; ++i) daemon_->Watch();
  EXPECT_THAT(InForce("connections"), HasSubstr("4 "));
  Configure("");
  Await(watched([&] { return daemon_->Collect().last_reload_good; }));
  EXPECT_THAT(InForce("connections"), HasSubstr("8 "));
  Stop();
  const std::string said = testing::internal::GetCapturedStderr();
  const std::size_t refused = said.find("reload refused");
  ASSERT_NE(refused, std::string::npos) << said;
  EXPECT_NE(said.find("postrider.toml:2:1: ", refused), std::string::npos) << said;
  EXPECT_EQ(said.find("reload refused", refused + 1), std::string::npos) << said;
}

TEST_F(DaemonThrottleTest, ReadsAChangedFileThatTheConfigurationNames) {
  Write("rules.toml", "format = 1\n");
  Configure("reply_rules = \"rules.toml\"\n");
  Start();
  Write("rules.toml", "[[rule]]\nnonsense = 1\n");
  Await([&] {
    daemon_->Watch();
    return !daemon_->Collect().last_reload_good;
  });
}

TEST_F(DaemonThrottleTest, PausesASourceAtOnePlaceOverARestart) {
  using Target = delivery::CoreCommand::Target;
  Start();
  EXPECT_EQ(daemon_->Pause({Target::kSourceAt, "a", "Gmail"}), "") << "a provider by what people call it";
  const auto note = daemon_->Pause({Target::kSourceAt, "a", "mx.some.test"});
  ASSERT_TRUE(note.has_value());
  EXPECT_THAT(*note, HasSubstr("no site of that name has work"));
  EXPECT_EQ(daemon_->Pause({Target::kSourceAt, "b", "google"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(
      daemon_->Resume({Target::kSource, "a", {}}).error().message,
      "the source \"a\" is neither paused nor stopped or slowed by replies; `postrider status` and `postrider queue` "
      "list what is");
  EXPECT_EQ(daemon_->Resume({Target::kSourceAt, "a", "yahoo"}).error().message,
            "the source \"a\" at yahoo is neither paused nor stopped or slowed by replies; `postrider status` and "
            "`postrider queue` "
            "list what is");
  Stop();
  Start();
  const std::vector<observe::PauseTarget> pauses = daemon_->Pauses();
  ASSERT_THAT(pauses, SizeIs(2));
  EXPECT_EQ(pauses[0].target, Target::kSourceAt);
  EXPECT_EQ(pauses[0].name, "a");
  EXPECT_EQ(pauses[0].at, "google");
  EXPECT_TRUE(daemon_->Resume({Target::kSourceAt, "a", "google"}).has_value());
  EXPECT_TRUE(daemon_->Resume({Target::kSourceAt, "a", "mx.some.test"}).has_value());
  EXPECT_TRUE(daemon_->Pauses().empty());
}

}  // namespace
}  // namespace postrider::engine
