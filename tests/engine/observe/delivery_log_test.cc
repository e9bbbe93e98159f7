#include "engine/observe/accounting.h"
#include "engine/observe/delivery_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <zstd.h>

#include "engine/observe/log_files.h"
#include "tests/engine/observe/temporary_directory.h"

namespace postrider::observe {
namespace {

namespace fs = std::filesystem;
using queue::Event;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr Wall kStart{milliseconds(1'795'499'045'007)};

Event EventFor(std::string recipient) {
  Event event;
  event.time = kStart;
  event.final = true;
  event.recipient = std::move(recipient);
  return event;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const fs::path& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

std::vector<std::string> Names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });  // locks
  std::ranges::sort(names);
  return names;
}

mode_t ModeOf(const fs::path& path) {
  struct stat status {};
  stat(path.c_str(), &status);
  return status.st_mode & 07777;
}

// A limit on the size of files stands for a full disk: write() writes what fits, then fails.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

class DeliveryLogTest : public testing::Test {
 protected:
  DeliveryLogTest() { options_.directory = directory_.path() / "log"; }

  std::unique_ptr<DeliveryLog> Open(std::uint64_t run = 3, Wall now = kStart) {
    Result<std::unique_ptr<DeliveryLog>> log = OpenDeliveryLog(options_, run, now);
    EXPECT_TRUE(log) << log.error().message;
    return log ? *std::move(log) : nullptr;
  }
  static void Write(DeliveryLog& log, std::string recipient) {
    log.Append(EventFor(std::move(recipient)));
    const Result<void> synced = log.Sync();
    EXPECT_TRUE(synced) << synced.error().message;
  }
  std::vector<std::string> Find(std::string_view recipient, std::size_t most = 100) {
    Result<FoundInLog> found = FindInLog(options_, recipient, most);
    EXPECT_TRUE(found) << found.error().message;
    if (!found) return {};
    EXPECT_THAT(found->problems, testing::IsEmpty());
    return std::move(found->lines);
  }
  fs::path PathOf(std::string_view name) { return options_.directory / name; }

  TemporaryDirectory directory_;
  LogOptions options_;
  const std::string first_ = "delivery-20261124T054405.007Z-3.jsonl";
};

TEST_F(DeliveryLogTest, NamesItsFileAfterTimeAndRunForTheOwnerAlone) {
  const auto log = Open();
  Write(*log, "a@example.org");
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_));
  EXPECT_EQ(ModeOf(options_.directory), 0700);
  EXPECT_EQ(ModeOf(PathOf(first_)), 0600);
  const std::string text = ReadFile(PathOf(first_));
  EXPECT_THAT(text, HasSubstr("\"recipient\":\"a@example.org\""));
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(log->bytes_written(), text.size());
}

TEST_F(DeliveryLogTest, WritesNothingBeforeSync) {
  const auto log = Open();
  log->Append(EventFor("a@example.org"));
  EXPECT_EQ(ReadFile(PathOf(first_)), "");
  ASSERT_TRUE(log->Sync());
  EXPECT_NE(ReadFile(PathOf(first_)), "");
}

TEST_F(DeliveryLogTest, ContinuesTheNewestFileAndCutsItsTornLine) {
  Write(*Open(), "a@example.org");
  const std::string whole = ReadFile(PathOf(first_));
  WriteFile(PathOf(first_), whole + whole.substr(0, whole.size() / 2));
  const auto log = Open(4, kStart + std::chrono::hours(1));
  EXPECT_EQ(ReadFile(PathOf(first_)), whole);
  Write(*log, "b@example.org");
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_));
  EXPECT_TRUE(ReadFile(PathOf(first_)).starts_with(whole));
  EXPECT_THAT(ReadFile(PathOf(first_)), HasSubstr("b@example.org"));
}

TEST_F(DeliveryLogTest, CutsATornLineThatIsLongerThanOnePieceAndOneWithoutAnyEnd) {
  Write(*Open(), "a@example.org");
  const std::string whole = ReadFile(PathOf(first_));
  WriteFile(PathOf(first_), whole + std::string(9000, 'x'));
  Open();
  EXPECT_EQ(ReadFile(PathOf(first_)), whole);
  WriteFile(PathOf(first_), std::string(9000, 'x'));
  Open();
  EXPECT_EQ(ReadFile(PathOf(first_)), "");
}

TEST_F(DeliveryLogTest, RotatesBySize) {
  options_.rotate_bytes = 1;
  const auto log = Open();
  log->Rotate(kStart);
  EXPECT_THAT(Names(options_.directory), SizeIs(1)) << "an empty file is kept";
  Write(*log, "a@example.org");
  log->Rotate(kStart);
  Write(*log, "b@example.org");
  // The clock stands still, or goes back: names rise all the same.
  log->Rotate(kStart - std::chrono::hours(1));
  EXPECT_THAT(Names(options_.directory),
              ElementsAre(first_, "delivery-20261124T054405.008Z-3.jsonl", "delivery-20261124T054405.009Z-3.jsonl"));
}

TEST_F(DeliveryLogTest, RotatesByAge) {
  const auto log = Open();
  Write(*log, "a@example.org");
  log->Rotate(kStart + options_.rotate_age - milliseconds(1));
  EXPECT_THAT(Names(options_.directory), SizeIs(1));
  log->Rotate(kStart + options_.rotate_age);
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_, "delivery-20261125T054405.007Z-3.jsonl"));
}

TEST_F(DeliveryLogTest, CompressesClosedFilesAndRemovesThePlainOne) {
  options_.rotate_bytes = 1;
  const auto log = Open();
  for (int i = 0; i < 5000; ++i) log->Append(EventFor(fmt::format("r{}@example.org", i)));
  ASSERT_TRUE(log->Sync());
  const std::string whole = ReadFile(PathOf(first_));
  log->Rotate(kStart);
  int steps = 0;
  while (log->Compress()) ++steps;
  EXPECT_GT(steps, 2) << "not all in one step";
  EXPECT_EQ(log->TakeProblem(), "");
  EXPECT_FALSE(fs::exists(PathOf(first_)));
  const std::string compressed = ReadFile(PathOf(first_ + ".zst"));
  EXPECT_EQ(ModeOf(PathOf(first_ + ".zst")), 0600);
  std::string back(whole.size() + 1, '\0');
  back.resize(
      ZSTD_decompressDCtx(std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)>(ZSTD_createDCtx(), ZSTD_freeDCtx).get(),
                          back.data(), back.size(), compressed.data(), compressed.size()));
  EXPECT_EQ(back, whole);
}

TEST_F(DeliveryLogTest, CompressesAtOpenWhatAnEarlierRunLeftPlain) {
  options_.rotate_bytes = 1;
  {
    const auto log = Open();
    Write(*log, "a@example.org");
    log->Rotate(kStart);
    Write(*log, "b@example.org");
  }
  WriteFile(PathOf(first_ + ".zst.tmp"), "half a compression");
  const auto log = Open();
  EXPECT_FALSE(fs::exists(PathOf(first_ + ".zst.tmp")));
  while (log->Compress()) {
  }
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_ + ".zst", "delivery-20261124T054405.008Z-3.jsonl"));
}

TEST_F(DeliveryLogTest, RemovesAPlainFileWhoseCompressedTwinIsWhole) {
  options_.rotate_bytes = 1;
  {
    const auto log = Open();
    Write(*log, "a@example.org");
    log->Rotate(kStart);
    const std::string whole = ReadFile(PathOf(first_));
    while (log->Compress()) {
    }
    // As if the crash had come between the rename and the removal.
    WriteFile(PathOf(first_), whole);
    fs::remove(PathOf("delivery-20261124T054405.008Z-3.jsonl"));
  }
  EXPECT_THAT(Find("a@example.org"), SizeIs(1)) << "not found twice";
  const auto log = Open();
  EXPECT_FALSE(fs::exists(PathOf(first_)));
  Write(*log, "b@example.org");
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_ + ".zst", "delivery-20261124T054405.008Z-3.jsonl"));
}

TEST_F(DeliveryLogTest, FailsSyncOnAFullDiskAndWritesTheRestLater) {
  const auto log = Open();
  Write(*log, "a@example.org");
  const std::size_t before = ReadFile(PathOf(first_)).size();
  log->Append(EventFor("b@example.org"));
  log->Append(EventFor("c@example.org"));
  {
    const FullDisk disk(before + 20);
    for (int i = 0; i < 2; ++i) {
      const Result<void> synced = log->Sync();
      ASSERT_FALSE(synced);
      EXPECT_EQ(synced.error().code, ErrorCode::kNoSpace);
      EXPECT_THAT(synced.error().message, HasSubstr(first_));
    }
    log->Rotate(kStart + std::chrono::hours(100));
    EXPECT_THAT(Names(options_.directory), SizeIs(1)) << "a file with half a line is not closed";
  }
  ASSERT_TRUE(log->Sync());
  for (const char* recipient : {"a@example.org", "b@example.org", "c@example.org"}) {
    EXPECT_THAT(Find(recipient), SizeIs(1)) << recipient;
  }
}

TEST_F(DeliveryLogTest, KeepsThePlainFileWhenItCannotBeCompressed) {
  options_.rotate_bytes = 1;
  const auto log = Open();
  Write(*log, "a@example.org");
  log->Rotate(kStart);
  {
    const FullDisk disk(0);
    while (log->Compress()) {
    }
  }
  EXPECT_THAT(log->TakeProblem(), HasSubstr(first_));
  EXPECT_EQ(log->TakeProblem(), "");
  EXPECT_TRUE(fs::exists(PathOf(first_)));
  EXPECT_FALSE(fs::exists(PathOf(first_ + ".zst.tmp")));
}

TEST_F(DeliveryLogTest, SaysWhatIsWrongWithTheDirectory) {
  WriteFile(directory_.path() / "file", "");
  options_.directory = directory_.path() / "file";
  const auto log = OpenDeliveryLog(options_, 1, kStart);
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().message, HasSubstr("log.directory"));
  EXPECT_THAT(log.error().message, HasSubstr(options_.directory.string()));
}

TEST_F(DeliveryLogTest, NeverFollowsASymbolicLink) {
  fs::create_directories(options_.directory);
  WriteFile(directory_.path() / "victim", "precious");
  fs::create_symlink(directory_.path() / "victim", PathOf(first_));
  const auto log = OpenDeliveryLog(options_, 3, kStart);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kDenied);
  EXPECT_EQ(ReadFile(directory_.path() / "victim"), "precious");
}

TEST_F(DeliveryLogTest, FindsARecipientInPlainAndCompressedFilesOldestFirst) {
  options_.rotate_bytes = 1;
  const auto log = Open();
  for (int i = 0; i < 4; ++i) {
    for (int other = 0; other < 1000; ++other) log->Append(EventFor(fmt::format("x{}@example.org", other)));
    Event event = EventFor("ana@example.org");
    event.attempt = static_cast<std::uint16_t>(i + 1);
    log->Append(event);
    ASSERT_TRUE(log->Sync());
    log->Rotate(kStart);
    // The first two files are compressed, the others plain.
    while (i < 2 && log->Compress()) {
    }
  }
  ASSERT_THAT(Find("ana@example.org"), SizeIs(4));
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(Find("ana@example.org")[i], HasSubstr(fmt::format("\"attempt\":{},", i + 1)));
  }
  ASSERT_THAT(Find("ana@example.org", 3), SizeIs(3)) << "the newest three";
  EXPECT_THAT(Find("ana@example.org", 3)[0], HasSubstr("\"attempt\":2,"));
  EXPECT_THAT(Find("na@example.org"), SizeIs(0));
}

TEST_F(DeliveryLogTest, FindPassesOverWhatIsNoLineOfOurs) {
  const auto log = Open();
  Write(*log, "ana@example.org");
  const std::string line = ReadFile(PathOf(first_));
  // Garbage, an endless line with the mark in it, and a last line without its end.
  WriteFile(PathOf(first_), "\0\xff garbage\n" + line.substr(0, line.size() - 1) + std::string(2 << 20, 'x') + "\n" +
                                line + line.substr(0, line.size() - 1));
  WriteFile(PathOf("delivery-nonsense.jsonl"), line);
  WriteFile(PathOf("delivery-20261124T054405.007Z-3.jsonl.gz"), line);
  EXPECT_THAT(Find("ana@example.org"), ElementsAre(line.substr(0, line.size() - 1)));
}

TEST_F(DeliveryLogTest, FindPassesOverADamagedFileAndSaysWhich) {
  options_.rotate_bytes = 1;
  const auto log = Open();
  for (int i = 0; i < 3; ++i) {
    for (int other = 0; other < 2000; ++other) log->Append(EventFor(fmt::format("x{}@example.org", other * (i + 1))));
    Write(*log, "ana@example.org");
    log->Rotate(kStart);
    while (log->Compress()) {
    }
  }
  const std::vector<std::string> names = Names(options_.directory);
  ASSERT_THAT(names, SizeIs(4)) << "three compressed, one begun";
  const std::string whole = ReadFile(PathOf(names[1]));
  struct Case {
    std::string bytes, problem;
  };
  std::string changed = whole;
  changed[whole.size() / 2] = static_cast<char>(~changed[whole.size() / 2]);
  for (const Case& damage : {Case{"this is no zstd at all", names[1]},
                             Case{whole.substr(0, whole.size() / 2), "is cut short"}, Case{changed, names[1]}}) {
    WriteFile(PathOf(names[1]), damage.bytes);
    const Result<FoundInLog> found = FindInLog(options_, "ana@example.org", 10);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_GE(found->lines.size(), 2u) << "those of the other files";
    ASSERT_THAT(found->problems, SizeIs(1));
    EXPECT_THAT(found->problems[0], HasSubstr(names[1]));
    EXPECT_THAT(found->problems[0], HasSubstr(damage.problem));
  }
  WriteFile(PathOf(names[1]), whole);
  EXPECT_THAT(Find("ana@example.org"), SizeIs(3));
  fs::remove(PathOf(names[1]));
  fs::create_symlink("/dev/null", PathOf(names[1]));
  const Result<FoundInLog> found = FindInLog(options_, "ana@example.org", 10);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->lines, SizeIs(2));
  EXPECT_THAT(found->problems, SizeIs(1)) << "a file that cannot be opened is one of those";
}

TEST_F(DeliveryLogTest, FindsAnAddressInWhateverCaseItIsWritten) {
  Write(*Open(), "Ana.O@example.org");
  Write(*Open(), "\"recipient\":\"ana.o@example.org");
  EXPECT_THAT(Find("ana.o@example.org"), SizeIs(1));
  EXPECT_THAT(Find("ANA.o@example.org"), SizeIs(1));
  EXPECT_THAT(Find("ana.p@example.org"), SizeIs(0));
}

TEST_F(DeliveryLogTest, FindEndsWhenToldTo) {
  Write(*Open(), "ana@example.org");
  const auto found = FindInLog(options_, "ana@example.org", 10, [] { return false; });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnavailable);
}

// The accounting file beside the log.
class AccountingFileTest : public DeliveryLogTest {
 protected:
  AccountingFileTest() {
    accounting_.enabled = true;
    accounting_.directory = options_.directory;
  }
  std::unique_ptr<DeliveryLog> OpenBoth(std::uint64_t run = 3, Wall now = kStart) {
    Result<std::unique_ptr<DeliveryLog>> log = OpenDeliveryLog(options_, run, now, accounting_);
    EXPECT_TRUE(log) << log.error().message;
    return log ? *std::move(log) : nullptr;
  }
  static std::size_t Lines(const std::string& text) { return static_cast<std::size_t>(std::ranges::count(text, '\n')); }

  AccountingOptions accounting_;
  const std::string csv_ = "acct-20261124T054405.007Z-3.csv";
};

TEST_F(AccountingFileTest, IsWrittenWithTheLogAndBeginsWithItsHeader) {
  const auto log = OpenBoth();
  EXPECT_EQ(ReadFile(PathOf(csv_)), kAccountingHeader);
  log->Append(EventFor("a@example.org"));
  EXPECT_EQ(ReadFile(PathOf(csv_)), kAccountingHeader) << "nothing before the sync";
  ASSERT_TRUE(log->Sync());
  EXPECT_THAT(Names(options_.directory), ElementsAre(csv_, first_));
  EXPECT_EQ(ModeOf(PathOf(csv_)), 0600);
  EXPECT_THAT(ReadFile(PathOf(csv_)), HasSubstr(",a@example.org,"));
  EXPECT_EQ(Lines(ReadFile(PathOf(csv_))), 2u);
  EXPECT_THAT(Find("a@example.org"), SizeIs(1)) << "find reads the log alone";
}

TEST_F(AccountingFileTest, IsNotThereUnlessAskedFor) {
  Write(*Open(), "a@example.org");
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_));
}

TEST_F(AccountingFileTest, LiesWhereItsOptionSays) {
  accounting_.directory = directory_.path() / "accounting";
  Write(*OpenBoth(), "a@example.org");
  EXPECT_THAT(Names(accounting_.directory), ElementsAre(csv_));
  EXPECT_EQ(ModeOf(accounting_.directory), 0700);
  EXPECT_THAT(Names(options_.directory), ElementsAre(first_));
}

TEST_F(AccountingFileTest, RotatesWithItsHeaderAndStaysPlain) {
  options_.rotate_bytes = accounting_.rotate_bytes = 1;
  const auto log = OpenBoth();
  log->Rotate(kStart);
  EXPECT_THAT(Names(options_.directory), SizeIs(2)) << "a file that holds nothing but its header is kept";
  Write(*log, "a@example.org");
  log->Rotate(kStart);
  Write(*log, "b@example.org");
  while (log->Compress()) {
  }
  const std::string second = "acct-20261124T054405.008Z-3.csv";
  EXPECT_THAT(Names(options_.directory),
              ElementsAre(csv_, second, first_ + ".zst", "delivery-20261124T054405.008Z-3.jsonl"));
  EXPECT_TRUE(ReadFile(PathOf(second)).starts_with(kAccountingHeader));
  EXPECT_THAT(ReadFile(PathOf(second)), HasSubstr("b@example.org"));
  EXPECT_EQ(Lines(ReadFile(PathOf(csv_))), 2u);
}

TEST_F(AccountingFileTest, GoesOnAfterACrashWhereverItCame) {
  Write(*OpenBoth(), "a@example.org");
  const std::string whole = ReadFile(PathOf(csv_));
  const std::string header(kAccountingHeader);
  struct Case {
    std::string left, begins;
  };
  for (const Case& crash : {Case{"", header}, Case{header.substr(0, 20), header}, Case{header, header},
                            Case{header + "d,2026-11-24 05", header}, Case{whole + "b,\"half a re", whole}}) {
    WriteFile(PathOf(csv_), crash.left);
    Write(*OpenBoth(4), "b@example.org");
    const std::string text = ReadFile(PathOf(csv_));
    EXPECT_TRUE(text.starts_with(crash.begins)) << crash.left;
    EXPECT_EQ(Lines(text), Lines(crash.begins) + 1) << crash.left;
    EXPECT_THAT(text, HasSubstr(",b@example.org,"));
  }
}

TEST_F(AccountingFileTest, LeavesAFileWithOtherFieldsAlone) {
  Write(*OpenBoth(), "a@example.org");
  WriteFile(PathOf(csv_), "type,rcpt\r\nd,x@example.org\r\n");
  Write(*OpenBoth(4), "b@example.org");
  EXPECT_EQ(ReadFile(PathOf(csv_)), "type,rcpt\r\nd,x@example.org\r\n");
  EXPECT_THAT(ReadFile(PathOf("acct-20261124T054405.008Z-4.csv")), HasSubstr("b@example.org"));
}

TEST_F(AccountingFileTest, RepeatsNoLogLineWhenItAloneCannotBeWritten) {
  accounting_.directory = directory_.path() / "accounting";
  const auto log = OpenBoth();
  // The CSV is the longer of the two by its header; the limit lets the log's line pass.
  log->Append(EventFor("a@example.org"));
  ASSERT_TRUE(log->Sync());
  log->Append(EventFor("b@example.org"));
  const std::size_t log_bytes = ReadFile(PathOf(first_)).size();
  const std::size_t csv_bytes = ReadFile(accounting_.directory / csv_).size();
  ASSERT_GT(csv_bytes, log_bytes) << "or the limit would stop the log first";
  {
    const FullDisk disk(csv_bytes + 40);
    ASSERT_LT(2 * log_bytes, csv_bytes + 40);
    const Result<void> synced = log->Sync();
    ASSERT_FALSE(synced);
    EXPECT_EQ(synced.error().code, ErrorCode::kNoSpace);
    EXPECT_THAT(synced.error().message, HasSubstr("the accounting file; sending stops"));
  }
  ASSERT_TRUE(log->Sync());
  EXPECT_THAT(Find("b@example.org"), SizeIs(1));
  EXPECT_EQ(Lines(ReadFile(accounting_.directory / csv_)), 3u);
}

TEST_F(AccountingFileTest, SaysWhichOptionNamesAnUnusableDirectory) {
  WriteFile(directory_.path() / "file", "");
  accounting_.directory = directory_.path() / "file";
  const auto log = OpenDeliveryLog(options_, 1, kStart, accounting_);
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().message, HasSubstr("accounting.directory"));
}

TEST(LogFileNames, AreReadBackAndNothingElseIs) {
  const std::optional<LogFile> file = ParseLogFileName("/x/" + LogFileName(kStart, 42));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->opened, kStart);
  EXPECT_EQ(file->run, 42u);
  EXPECT_FALSE(file->compressed);
  EXPECT_TRUE(ParseLogFileName("/x/" + LogFileName(kStart, 42) + ".zst")->compressed);
  for (const std::string_view name :
       {"", "delivery-", "delivery-.jsonl", "delivery-20261124T054405.007Z.jsonl",
        "delivery-20261124T054405.007Z-.jsonl", "delivery-20261124T054405.007Z-x.jsonl",
        "delivery-20261124T054405.007Z-1.jsonl.zst.tmp", "delivery-20261124T054405.007Z-99999999999999999999.jsonl",
        "delivery-20261324T054405.007Z-1.jsonl", "delivery-20261124T05440.5007Z-1.jsonl",
        "x-20261124T054405.007Z-1.jsonl", "acct-20261124T054405.007Z-1.csv"}) {
    EXPECT_FALSE(ParseLogFileName(name)) << name;
  }
  EXPECT_TRUE(ParseLogFileName("acct-20261124T054405.007Z-1.csv", kAccountingFiles));
  EXPECT_FALSE(ParseLogFileName("delivery-20261124T054405.007Z-1.jsonl", kAccountingFiles));
}

}  // namespace
}  // namespace postrider::observe
