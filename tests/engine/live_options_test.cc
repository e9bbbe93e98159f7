#include "engine/live_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "config/load.h"
#include "engine/host_check.h"

namespace postrider::engine {
namespace {

using testing::HasSubstr;

class SteppedClock : public io::Clock {
 public:
  Now Read() override { return now; }
  Now now{Monotonic(std::chrono::hours(1)), Wall(std::chrono::milliseconds(1'795'000'000'000))};
};

class LiveOptionsTest : public testing::Test {
 protected:
  LiveOptionsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-live-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    file_ = directory_ / "postrider.toml";
    files_ = queue::MakeSystemFiles();
  }
  ~LiveOptionsTest() override { std::filesystem::remove_all(directory_); }

  void Configure(const std::string& source_address, const std::string& further = "") const {
    std::ofstream(file_) << "host_name = \"sender.example.org\"\n"
                         << further << "[[source]]\nname = \"a\"\nipv4 = \"" << source_address
                         << "\"\nehlo_name = \"a.example\"\n[queue]\ndirectory = \"queue\"\n[spool]\ndirectory = "
                            "\"spool\"\n[log]\ndirectory = \"log\"\n";
  }
  [[nodiscard]] std::unique_ptr<LiveOptions> Make() {
    return std::make_unique<LiveOptions>(
        file_, LoadOptions(file_).value(), *files_, clock_, [](const auto&, const auto&) {}, [](const auto&) {});
  }

  std::filesystem::path directory_;
  std::filesystem::path file_;
  std::unique_ptr<queue::Files> files_;
  SteppedClock clock_;
};

TEST_F(LiveOptionsTest, ASourceThatHasLostItsAddressIsAWarningAtAReloadAndANewOneWithoutItAnError) {
  Configure("203.0.113.9");
  const auto live = Make();
  Configure("203.0.113.9", "[[rule]]\nmatch = \"some.test\"\nconnections = 4\n");
  const Result<std::string> note = live->Reload();
  ASSERT_TRUE(note.has_value()) << note.error().message;
  EXPECT_THAT(*note, HasSubstr("[[source]] \"a\": 203.0.113.9 is not an address of this host"));
  Configure("203.0.113.10");
  const Result<std::string> refused = live->Reload();
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("203.0.113.10 is not an address of this host"));
}

TEST_F(LiveOptionsTest, LimitsThatCannotBeReadAreFoundBeforeTheStartAndAreNothingToAReload) {
  Configure("127.0.0.1");
  const auto live = Make();
  const OptionsPtr options = live->get();
  EXPECT_TRUE(ToResult(LookAtHost(*options, *files_)).has_value());
  std::filesystem::create_directories(options->queue.directory);
  std::ofstream(options->queue.directory / "throttle.toml") << "format = 1\n[[rule]]\nconnections = 3\n";
  const Result<void> opened = live->Open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message, HasSubstr("throttle.toml:2:1: [[rule]] needs match"));
  EXPECT_THAT(LookAtHost(*options, *files_).missing, testing::ElementsAre(opened.error().message));
  EXPECT_TRUE(live->Reload().has_value());
}

TEST_F(LiveOptionsTest, TheTimeOfTheLastReloadIsThatOfTheLastGoodOne) {
  Configure("127.0.0.1");
  const auto live = Make();
  const Wall read = clock_.now.wall;
  clock_.now.wall += std::chrono::hours(1);
  Configure("127.0.0.1", "nonsense = 1\n");
  EXPECT_FALSE(live->Reload().has_value());
  EXPECT_FALSE(live->last_reload().good);
  EXPECT_EQ(live->last_reload().time, read);
  Configure("127.0.0.1");
  EXPECT_TRUE(live->Reload().has_value());
  EXPECT_TRUE(live->last_reload().good);
  EXPECT_EQ(live->last_reload().time, read + std::chrono::hours(1));
}

}  // namespace
}  // namespace postrider::engine
