#include "engine/file_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace postrider::engine {
namespace {

using namespace std::chrono_literals;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-watch-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    Write("a", "one");
    Write("b", "two");
    watch_.KeepOnly(std::vector{directory_ / "a", directory_ / "b"});
  }
  ~FileWatchTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }
  bool ChangedAt(std::chrono::milliseconds moment) { return watch_.Changed(Monotonic(1h) + moment); }

  std::filesystem::path directory_;
  FileWatch watch_;
};

TEST_F(FileWatchTest, TellsAChangeOnceItHasBeenStill) {
  EXPECT_FALSE(ChangedAt(0ms));
  Write("a", "longer");
  EXPECT_FALSE(ChangedAt(1000ms));
  EXPECT_FALSE(ChangedAt(1500ms));
  EXPECT_TRUE(ChangedAt(2000ms));
  EXPECT_FALSE(ChangedAt(3000ms)) << "once";
}

TEST_F(FileWatchTest, WaitsWhileItGoesOnChanging) {
  for (int i = 0; i < 5; ++i) {
    Write(i % 2 == 0 ? "a" : "b", std::string(static_cast<std::size_t>(10 + i), 'x'));
    EXPECT_FALSE(ChangedAt(700ms * i)) << i;
  }
  EXPECT_TRUE(ChangedAt(700ms * 4 + 800ms));
}

TEST_F(FileWatchTest, SeesAnotherFileOfTheSameLengthAndTime) {
  Write("new", "one");
  struct stat status {};
  ASSERT_EQ(stat((directory_ / "a").c_str(), &status), 0);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (directory_ / "new").c_str(), times, 0), 0);
  std::filesystem::rename(directory_ / "new", directory_ / "a");
  EXPECT_FALSE(ChangedAt(0ms));
  EXPECT_TRUE(ChangedAt(1s));
}

TEST_F(FileWatchTest, SeesOneThatGoesAndOneThatComes) {
  std::filesystem::remove(directory_ / "a");
  EXPECT_FALSE(ChangedAt(0ms));
  EXPECT_TRUE(ChangedAt(1s));
  Write("a", "one");
  EXPECT_FALSE(ChangedAt(2s));
  EXPECT_TRUE(ChangedAt(3s));
}

TEST_F(FileWatchTest, DoesNotTellWhatWasReadMeanwhile) {
  Write("a", "longer");
  EXPECT_FALSE(ChangedAt(0ms));
  watch_.Note(directory_ / "a");
  EXPECT_FALSE(ChangedAt(1s));
  EXPECT_FALSE(ChangedAt(2s));
}

TEST_F(FileWatchTest, LooksAtNothingElse) {
  watch_.KeepOnly(std::vector{directory_ / "b", directory_ / "c"});
  Write("a", "longer");
  EXPECT_FALSE(ChangedAt(0ms));
  EXPECT_FALSE(ChangedAt(1s));
  Write("c", "new");
  EXPECT_FALSE(ChangedAt(2s));
  EXPECT_TRUE(ChangedAt(3s));
}

}  // namespace
}  // namespace postrider::engine
