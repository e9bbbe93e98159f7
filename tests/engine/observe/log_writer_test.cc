// What may happen to the log's directory while the log is being written.

#include "engine/observe/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/engine/observe/temporary_directory.h"

namespace postrider::observe {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Wall kStart{std::chrono::milliseconds(1'795'499'045'007)};

class LogWriterTest : public testing::Test {
 protected:
  LogWriterTest() {
    settings_.what = "the delivery log";
    settings_.option = "log.directory";
    settings_.directory = directory_.path() / "log";
    settings_.series = kDeliveryFiles;
    settings_.compress = true;
    settings_.rotate_bytes = 1 << 20;
    settings_.rotate_age = std::chrono::hours(24);
  }
  std::unique_ptr<LogWriter> Open() {
    auto opened = LogWriter::Open(settings_, 3, kStart);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *std::move(opened) : nullptr;
  }
  // Everything in the directory's log files, in their order.
  std::string All() {
    std::string all;
    const auto files = ListLogFiles(settings_.directory);
    EXPECT_TRUE(files.has_value());
    for (const LogFile& file : files.value_or(std::vector<LogFile>())) {
      std::ifstream in(file.path, std::ios::binary);
      std::ostringstream text;
      text << in.rdbuf();
      all += text.str();
    }
    return all;
  }

  TemporaryDirectory directory_;
  LogWriterSettings settings_;
};

TEST_F(LogWriterTest, GoesOnInANewFileWhereTheDirectoryWasRemoved) {
  const auto log = Open();
  log->lines() += "one\n";
  ASSERT_TRUE(log->Sync());
  fs::remove_all(settings_.directory);
  log->lines() += "two\n";
  const Result<void> synced = log->Sync();
  ASSERT_TRUE(synced) << synced.error().message;
  EXPECT_EQ(All(), "two\n");
  EXPECT_THAT(log->TakeProblem(), HasSubstr("is gone: something removed it or moved it away"));
  struct stat found {};
  ASSERT_EQ(stat(settings_.directory.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777u, 0700u);
  log->lines() += "three\n";
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(All(), "two\nthree\n");
  EXPECT_THAT(log->TakeProblem(), IsEmpty());
}

TEST_F(LogWriterTest, FailsSyncAsLongAsTheDirectoryCannotBeMadeAgainAndLosesNothing) {
  const auto log = Open();
  log->lines() += "one\n";
  ASSERT_TRUE(log->Sync());
  fs::remove_all(settings_.directory);
  std::ofstream(settings_.directory) << "a file where the directory was";
  log->lines() += "two\n";
  for (int i = 0; i < 2; ++i) {
    const Result<void> synced = log->Sync();
    ASSERT_FALSE(synced);
    EXPECT_THAT(synced.error().message, HasSubstr("the delivery log; sending stops until it can be written again"));
    EXPECT_THAT(synced.error().message, HasSubstr(settings_.directory.string()));
  }
  fs::remove(settings_.directory);
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(All(), "two\n");
}

TEST_F(LogWriterTest, KnowsThatTheDirectoryIsGoneBeforeThereIsALine) {
  const auto log = Open();
  fs::remove_all(settings_.directory);
  std::ofstream(settings_.directory) << "a file where the directory was";
  EXPECT_FALSE(log->Sync());
  fs::remove(settings_.directory);
  EXPECT_TRUE(log->Sync());
  EXPECT_TRUE(fs::is_directory(settings_.directory));
}

TEST_F(LogWriterTest, LeavesAFileThatWasMovedAwayAloneAndBeginsTheNext) {
  const auto log = Open();
  log->lines() += "one\n";
  ASSERT_TRUE(log->Sync());
  const fs::path first = ListLogFiles(settings_.directory).value().front().path;
  fs::rename(first, directory_.path() / "taken");
  std::ofstream(first) << "another's\n";
  log->lines() += "two\n";
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(All(), "another's\ntwo\n");
  EXPECT_EQ(fs::file_size(directory_.path() / "taken"), 4u);
}

TEST_F(LogWriterTest, FailsSyncAsLongAsTheNextFileCannotBeBegun) {
  settings_.rotate_bytes = 1;
  const auto log = Open();
  log->lines() += "one\n";
  ASSERT_TRUE(log->Sync());
  // Something that bears the next file's name.
  const fs::path next = settings_.directory / LogFileName(kStart + std::chrono::hours(1), 3);
  fs::create_directory(next);
  log->Rotate(kStart + std::chrono::hours(1));
  EXPECT_FALSE(log->Sync()) << "though no line waits";
  log->lines() += "two\n";
  const Result<void> synced = log->Sync();
  ASSERT_FALSE(synced);
  EXPECT_THAT(synced.error().message, HasSubstr("sending stops until it can be written again"));
  fs::remove(next);
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(All(), "one\ntwo\n");
}

TEST_F(LogWriterTest, RefusesADirectoryThatAnotherWritesTo) {
  const auto log = Open();
  const auto second = LogWriter::Open(settings_, 4, kStart);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_THAT(second.error().message, HasSubstr("in use by process " + std::to_string(::getpid())));
  EXPECT_THAT(second.error().message, HasSubstr("log.directory"));
  // And where it was made again: the new one is locked too.
  fs::remove_all(settings_.directory);
  ASSERT_TRUE(log->Sync());
  EXPECT_FALSE(LogWriter::Open(settings_, 4, kStart));
  // Another kind of log may lie there.
  settings_.series = kAccountingFiles;
  EXPECT_TRUE(LogWriter::Open(settings_, 4, kStart));
}

}  // namespace
}  // namespace postrider::observe
