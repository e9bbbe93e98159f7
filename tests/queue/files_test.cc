#include "queue/files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path Path(const std::string& name) const { return directory_.path() / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
  }
  [[nodiscard]] std::string Read(const std::string& name) {
    auto text = files_->ReadWhole(Path(name), 1 << 20);
    return text ? *text : "<" + text.error().message + ">";
  }
  template <typename T>
  static ErrorCode CodeOf(const Result<T>& result) {
    EXPECT_FALSE(result.has_value());
    return result ? ErrorCode::kExists : result.error().code;
  }
  static mode_t ModeOf(const std::filesystem::path& path) {
    struct stat found {};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0);
    return found.st_mode & 0777;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Files> files_ = MakeSystemFiles();
};

TEST_F(FilesTest, ListsByName) {
  Write("b", "12345");
  Write("a", "");
  std::filesystem::create_directory(Path("c"));
  const auto entries = files_->List(directory_.path());
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[1].bytes, 5u);
  EXPECT_FALSE((*entries)[1].directory);
  EXPECT_TRUE((*entries)[2].directory);
  EXPECT_GT((*entries)[0].modified, At(1'000'000'000));
  EXPECT_EQ(CodeOf(files_->List(Path("missing"))), ErrorCode::kNotFound);
}

TEST_F(FilesTest, ReadsUpToALimit) {
  const std::string text(10'000, 'x');
  Write("file", text);
  EXPECT_EQ(files_->ReadWhole(Path("file"), 10'000), text);
  EXPECT_EQ(CodeOf(files_->ReadWhole(Path("file"), 9'999)), ErrorCode::kTooLarge);
  EXPECT_EQ(CodeOf(files_->ReadWhole(Path("missing"), 1)), ErrorCode::kNotFound);
  Write("empty", "");
  EXPECT_EQ(files_->ReadWhole(Path("empty"), 0), "");
}

TEST_F(FilesTest, StreamsAFileToItsEnd) {
  Write("file", "abcdefg");
  auto reader = files_->OpenReader(Path("file"));
  ASSERT_TRUE(reader);
  std::string text = ">";
  EXPECT_EQ((*reader)->Read(text, 3), 3u);
  EXPECT_EQ(text, ">abc");
  EXPECT_EQ((*reader)->Read(text, 100), 4u);
  EXPECT_EQ((*reader)->Read(text, 100), 0u);
  EXPECT_EQ(text, ">abcdefg");
}

TEST_F(FilesTest, AppendsAfterWhatIsKept) {
  auto first = files_->OpenAppender(Path("log"), 0);
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->Append("one\ntwo\n"));
  ASSERT_TRUE((*first)->Sync());
  EXPECT_EQ(ModeOf(Path("log")), 0600u);
  auto second = files_->OpenAppender(Path("log"), 4);
  ASSERT_TRUE(second);
  ASSERT_TRUE((*second)->Append("three\n"));
  EXPECT_EQ(Read("log"), "one\nthree\n");
  // Shorter than it was known to be: something is wrong with that file.
  EXPECT_EQ(CodeOf(files_->OpenAppender(Path("log"), 1000)), ErrorCode::kCorrupt);
  EXPECT_EQ(Read("log"), "one\nthree\n");
}

TEST_F(FilesTest, WritesWholeOrNotAtAll) {
  ASSERT_TRUE(files_->WriteDurably(Path("error.txt"), "first"));
  EXPECT_EQ(ModeOf(Path("error.txt")), 0600u);
  Write(".error.txt.tmp", "left by a crash");
  ASSERT_TRUE(files_->WriteDurably(Path("error.txt"), "second"));
  EXPECT_EQ(Read("error.txt"), "second");
  EXPECT_EQ(files_->List(directory_.path())->size(), 1u);
  EXPECT_EQ(CodeOf(files_->WriteDurably(Path("missing/file"), "x")), ErrorCode::kNotFound);
  std::filesystem::create_directory(Path("taken"));
  EXPECT_FALSE(files_->WriteDurably(Path("taken"), "x"));
  EXPECT_FALSE(files_->Exists(Path(".taken.tmp")));
}

TEST_F(FilesTest, RenamesOverNothing) {
  std::filesystem::create_directory(Path("new"));
  std::filesystem::create_directory(Path("work"));
  Write("new/offer", "1");
  ASSERT_TRUE(files_->Rename(Path("new/offer"), Path("work/offer")));
  EXPECT_EQ(Read("work/offer"), "1");
  Write("new/offer", "2");
  EXPECT_EQ(CodeOf(files_->Rename(Path("new/offer"), Path("work/offer"))), ErrorCode::kExists);
  EXPECT_EQ(Read("work/offer"), "1");
  EXPECT_EQ(CodeOf(files_->Rename(Path("new/none"), Path("work/none"))), ErrorCode::kNotFound);
}

TEST_F(FilesTest, MakesPrivateDirectoriesWithParents) {
  ASSERT_TRUE(files_->MakeDirectory(Path("done/2026-11-24/offer")));
  EXPECT_EQ(ModeOf(Path("done")), 0700u);
  EXPECT_EQ(ModeOf(Path("done/2026-11-24/offer")), 0700u);
  EXPECT_TRUE(files_->MakeDirectory(Path("done/2026-11-24/offer")));
  Write("file", "");
  EXPECT_FALSE(files_->MakeDirectory(Path("file")));
  EXPECT_FALSE(files_->MakeDirectory(Path("file/below")));
  EXPECT_EQ(CodeOf(files_->MakeDirectory("relative")), ErrorCode::kInvalid);
}

TEST_F(FilesTest, RemovesADirectoryWithAllInIt) {
  std::filesystem::create_directories(Path("offer/inner"));
  Write("offer/inner/file", "x");
  Write("kept", "x");
  std::filesystem::create_symlink(Path("kept"), Path("offer/link"));
  std::filesystem::create_directory_symlink(directory_.path(), Path("offer/inner/up"));
  ASSERT_TRUE(files_->Remove(Path("offer")));
  EXPECT_FALSE(files_->Exists(Path("offer")));
  EXPECT_EQ(Read("kept"), "x");
  EXPECT_EQ(CodeOf(files_->Remove(Path("offer"))), ErrorCode::kNotFound);
}

TEST_F(FilesTest, FollowsNoSymbolicLink) {
  Write("secret", "x");
  std::filesystem::create_symlink(Path("secret"), Path("link"));
  std::filesystem::create_directory(Path("real"));
  Write("real/file", "x");
  std::filesystem::create_directory_symlink(Path("real"), Path("alias"));
  EXPECT_EQ(CodeOf(files_->ReadWhole(Path("link"), 100)), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->OpenReader(Path("link"))), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->OpenAppender(Path("link"), 0)), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->ReadWhole(Path("alias/file"), 100)), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->List(Path("alias"))), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->MakeDirectory(Path("alias"))), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->WriteDurably(Path("alias/file"), "y")), ErrorCode::kDenied);
  const auto error = files_->ReadWhole(Path("link"), 100);
  EXPECT_THAT(error.error().message, HasSubstr("is a symbolic link"));
  EXPECT_EQ(Read("secret"), "x");
  EXPECT_EQ(Read("real/file"), "x");
  EXPECT_TRUE(files_->Exists(Path("link")));
}

TEST_F(FilesTest, ReadsOnlyRegularFiles) {
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(CodeOf(files_->ReadWhole(Path("fifo"), 100)), ErrorCode::kDenied);
  EXPECT_EQ(CodeOf(files_->OpenReader(directory_.path())), ErrorCode::kDenied);
}

TEST_F(FilesTest, RefusesPathsThatNameNothing) {
  EXPECT_EQ(CodeOf(files_->ReadWhole("relative", 1)), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(files_->ReadWhole(directory_.path() / "..", 1)), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(files_->Remove("/")), ErrorCode::kInvalid);
}

TEST_F(FilesTest, TellsTheFreeShare) {
  const auto share = files_->FreeShare(directory_.path());
  ASSERT_TRUE(share);
  EXPECT_GE(*share, 0.0);
  EXPECT_LE(*share, 1.0);
  EXPECT_EQ(CodeOf(files_->FreeShare(Path("missing"))), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace postrider::queue
