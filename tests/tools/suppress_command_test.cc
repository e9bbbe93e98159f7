#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/admin_server.h"
#include "tests/engine/observe/fake_control.h"
#include "tests/engine/observe/temporary_directory.h"
#include "tests/tools/run_program.h"
#include "tools/command.h"

namespace postrider::tools {
namespace {

using nlohmann::json;
using queue::Suppression;
using queue::SuppressionOrigin;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class SuppressCommandTest : public testing::Test {
 protected:
  SuppressCommandTest() {
    Options options;
    options.admin.listen.port = 0;
    auto server = observe::MakeAdminServer(options, control_.All(), tally_);
    EXPECT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }

  Outcome Suppress(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "suppress");
    arguments.insert(arguments.end(), {"--admin", fmt::format("127.0.0.1:{}", server_->port())});
    return RunProgram(arguments);
  }
  Suppression& Put(const std::string& list, const std::string& address) {
    return list_.entries[{list, address}] = {.list = list, .address = address, .when = list_.moment};
  }
  Suppression& PutByRule(const std::string& address) {
    Suppression& entry = Put("", address);
    entry.origin = SuppressionOrigin::kRule;
    entry.why = "no-such-user";
    entry.campaign = "offer";
    entry.row = 12;
    entry.site = "mx.example.org";
    entry.reply = "550 5.1.1 no \x1b[31msuch user";
    return entry;
  }
  std::string File(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = directory_.path() / name;
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

  observe::TemporaryDirectory directory_;
  observe::FakeControl control_;
  observe::FakeSuppressions& list_ = control_.suppressions;
  observe::EventTally tally_{10};
  std::unique_ptr<observe::AdminServer> server_;
};

TEST_F(SuppressCommandTest, AddsForAListOrForAllMail) {
  const Outcome added =
      Suppress({"add", "Ana@Example.org", "--list", "news", "--reason", "unsubscribe", "--who", "web"});
  EXPECT_EQ(added.exit_code, 0) << added.err;
  EXPECT_EQ(added.out, "1 added\n");
  const Suppression& entry = list_.entries.at({"news", "ana@example.org"});
  EXPECT_EQ(entry.why, "unsubscribe");
  EXPECT_EQ(entry.who, "web");
  EXPECT_EQ(Suppress({"add", "ana@example.org", "bob@example.org", "@blocked.example", "--for", "30d"}).out,
            "3 added\n");
  EXPECT_EQ(list_.entries.at({"", "bob@example.org"}).expires, list_.moment + std::chrono::hours(720));
  EXPECT_NE(list_.entries.at({"", "bob@example.org"}).who, "");
  EXPECT_EQ(Suppress({"add", "ana@example.org", "--for", "30d"}).out, "0 added, 1 there already\n");
  EXPECT_EQ(json::parse(Suppress({"add", "kim@example.org", "--json"}).out)["added"], 1);
}

TEST_F(SuppressCommandTest, AddsMoreThanOneRequestHolds) {
  std::vector<std::string> arguments{"add"};
  for (int i = 0; i < 2500; ++i) arguments.push_back(fmt::format("user{}@example.org", i));
  EXPECT_EQ(Suppress(arguments).out, "2,500 added\n");
  EXPECT_THAT(list_.entries, SizeIs(2500));
}

TEST_F(SuppressCommandTest, SaysWhatIsWrongWithAnAddress) {
  const Outcome bad = Suppress({"add", "nobody"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, StartsWith("postrider suppress: \"nobody\": expected an address"));
  EXPECT_THAT(list_.entries, IsEmpty());
}

TEST_F(SuppressCommandTest, RemovesAndSaysWhichWereNotThere) {
  Put("news", "ana@example.org");
  const Outcome removed =
      Suppress({"remove", "eve@example.org", "ana@example.org", "--list", "news", "--reason", "back"});
  EXPECT_EQ(removed.exit_code, 1);
  EXPECT_EQ(removed.out, "removed ana@example.org\n");
  EXPECT_THAT(removed.err, HasSubstr("eve@example.org is not in the list news"));
  ASSERT_THAT(list_.past, SizeIs(1));
  EXPECT_EQ(list_.past[0].why, "back");
}

TEST_F(SuppressCommandTest, ChecksWhoSaidSoWhenWhyAndWhere) {
  PutByRule("ana@example.org");
  Put("news", "@example.org").who = "kim";
  list_.past.push_back({Suppression{.list = "news", .address = "ana@example.org", .when = list_.moment, .who = "web"},
                        queue::SuppressionEnd::kRemoved, list_.moment, "eve", "came back"});
  const Outcome check = Suppress({"check", "ana@example.org"});
  EXPECT_EQ(check.exit_code, 0) << check.err;
  EXPECT_EQ(
      check.out,
      "ana@example.org: suppressed, gets no mail\n"
      "  in list global as ana@example.org since 2027-01-15 08:00:00Z, by rule no-such-user\n"
      "    campaign offer, row 12, site mx.example.org\n"
      "    550 5.1.1 no ?[31msuch user\n"
      "  in list news as @example.org since 2027-01-15 08:00:00Z, by kim\n"
      "  was in list news as ana@example.org from 2027-01-15 08:00:00Z to 2027-01-15 08:00:00Z, by web; removed by "
      "eve: came back\n");
  EXPECT_THAT(Suppress({"check", "bob@example.org"}).out,
              StartsWith("bob@example.org: not suppressed; gets none of list news:\n"));
  EXPECT_THAT(Suppress({"check", "bob@example.org", "--list", "news"}).out,
              StartsWith("bob@example.org: suppressed, gets no mail of list news\n"));
  EXPECT_EQ(json::parse(Suppress({"check", "ana@example.org", "--json"}).out)["entries"][0]["row"], 12);
}

TEST_F(SuppressCommandTest, ListsWhatIsAskedFor) {
  for (int i = 0; i < 30; ++i) Put("news", fmt::format("user{:02}@example.org", i)).who = "kim";
  PutByRule("ana@example.org");
  EXPECT_THAT(Suppress({"list", "--list", "news", "--limit", "30"}).out, HasSubstr("user29@example.org"));
  const Outcome some = Suppress({"list", "--list", "news", "--limit", "5"});
  EXPECT_THAT(some.out, HasSubstr("user04@example.org"));
  EXPECT_THAT(some.out, Not(HasSubstr("user05@example.org")));
  EXPECT_THAT(some.out, HasSubstr("... and more: --limit N"));
  const Outcome by_rule = Suppress({"list", "--by", "rule", "--site", "mx.example.org"});
  EXPECT_THAT(by_rule.out, HasSubstr("ana@example.org"));
  EXPECT_THAT(by_rule.out, HasSubstr("rule no-such-user"));
  EXPECT_THAT(by_rule.out, Not(HasSubstr("user0")));
  EXPECT_EQ(Suppress({"list", "--domain", "example.net"}).out, "no such entry\n");
  EXPECT_THAT(Suppress({"lists"}).out, HasSubstr("news           30"));
}

TEST_F(SuppressCommandTest, ImportsAFileOfAnyFormAndSaysWhichLinesAreWrong) {
  std::string text = "email,name,why\n";
  for (int i = 0; i < 9000; ++i) text += fmt::format("user{}@example.org,\"A, {}\",unsubscribe\n", i, i);
  text += "nobody,x,y\n";
  const std::string file = File("list.csv", text);
  const Outcome imported = Suppress({"import", "--list", "news", file});
  EXPECT_EQ(imported.exit_code, 1);
  EXPECT_EQ(imported.out, "9,002 lines: 9,000 added, 1 rejected\n");
  EXPECT_THAT(imported.err, StartsWith("postrider suppress: " + file + ":9002: "));
  EXPECT_EQ(list_.entries.at({"news", "user7@example.org"}).why, "unsubscribe");
  EXPECT_EQ(list_.entries.at({"news", "user7@example.org"}).origin, SuppressionOrigin::kImport);
  const Outcome again = Suppress({"import", "--list", "news", "--json", file});
  EXPECT_EQ(json::parse(again.out)["unchanged"], 9000);
}

TEST_F(SuppressCommandTest, TakesAPathAsItWasGiven) {
  (void)File("list.txt", "ana@example.org\n");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  EXPECT_EQ(Suppress({"import", "list.txt"}).out, "1 lines: 1 added\n");
  std::filesystem::current_path(before);
}

TEST_F(SuppressCommandTest, ImportsCompressedLists) {
  const std::string file = (directory_.path() / "list.txt.gz").string();
  gzFile out = gzopen(file.c_str(), "wb");
  for (int i = 0; i < 5000; ++i) gzprintf(out, "user%d@example.org\n", i);
  gzclose(out);
  EXPECT_EQ(Suppress({"import", file}).out, "5,000 lines: 5,000 added\n");
  EXPECT_TRUE(list_.entries.contains({"", "user4999@example.org"}));

  // One that is cut says so, and what came before stays.
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 100);
  list_.entries.clear();
  const Outcome cut = Suppress({"import", file});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.err, HasSubstr("list.txt.gz"));
  EXPECT_EQ(cut.out, "");
}

TEST_F(SuppressCommandTest, SaysWhyNothingCanBeImported) {
  EXPECT_EQ(Suppress({"import", (directory_.path() / "nothing").string()}).exit_code, 1);
  const std::string file = File("list.txt", "ana@example.org\n");
  list_.failure = Error{ErrorCode::kNoSpace, "the disk is full"};
  const Outcome full = Suppress({"import", file});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.err, HasSubstr("the disk is full"));
  EXPECT_EQ(Suppress({"import", "--list", "two words", file}).exit_code, 1);
  EXPECT_EQ(RunProgram({"suppress", "import", file, "--admin", "127.0.0.1:1"}).exit_code, 3);
}

TEST_F(SuppressCommandTest, ExportsWhatItImports) {
  PutByRule("ana@example.org").reply = "550 no";
  Put("news", "@example.net").why = "a, \"b\"";
  const auto before = list_.entries;
  for (const char* format : {"jsonl", "csv"}) {
    const Outcome exported = Suppress({"export", "--format", format});
    EXPECT_EQ(exported.exit_code, 0) << exported.err;
    list_.entries.clear();
    EXPECT_EQ(Suppress({"import", File("again", exported.out), "--who", ""}).exit_code, 0);
    for (auto& [key, entry] : list_.entries) entry.who.clear();
    EXPECT_TRUE(list_.entries == before) << exported.out;
  }
  EXPECT_EQ(Suppress({"export", "--global", "--format", "text"}).out, "ana@example.org\n");
}

TEST_F(SuppressCommandTest, UndoesWhatARuleDid) {
  PutByRule("ana@example.org");
  PutByRule("old@example.org").when -= std::chrono::hours(10'000);
  Put("", "eve@example.org").site = "mx.example.org";
  const std::vector<std::string> order{"undo", "--site", "mx.example.org", "--since", "2027-01-15"};
  std::vector<std::string> dry = order;
  dry.push_back("--dry-run");
  const Outcome tried = Suppress(dry);
  EXPECT_EQ(tried.exit_code, 0) << tried.err;
  EXPECT_THAT(tried.out, StartsWith("1 entries would be removed\n"));
  EXPECT_THAT(tried.out, HasSubstr("ana@example.org"));
  EXPECT_THAT(list_.entries, SizeIs(3));
  EXPECT_THAT(Suppress(order).out, StartsWith("1 entries removed\n"));
  EXPECT_THAT(list_.entries, SizeIs(2));
  EXPECT_EQ(Suppress({"undo", "--since", "2h"}).exit_code, 1);
}

TEST_F(SuppressCommandTest, TakesADurationForAMomentBeforeNow) {
  // The list's clock is a fixed moment, so "ten years ago" is before it and "one second ago" is not.
  PutByRule("ana@example.org").when = Wall(std::chrono::milliseconds(1'000'000'000'000));
  EXPECT_EQ(Suppress({"list", "--by", "rule", "--since", "1s"}).out, "no such entry\n");
  EXPECT_THAT(Suppress({"list", "--by", "rule", "--since", "20000d"}).out, HasSubstr("ana@example.org"));
}

TEST_F(SuppressCommandTest, RefusesWhatMakesNoSense) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"suppress"},
                                                    {"suppress", "explode"},
                                                    {"suppress", "add"},
                                                    {"suppress", "check"},
                                                    {"suppress", "add", "a@example.org", "--list", "x", "--global"},
                                                    {"suppress", "import"},
                                                    {"suppress", "list", "--limit", "0"},
                                                    {"suppress", "list", "--by", "me"},
                                                    {"suppress", "export", "--format", "xml"}}) {
    const Outcome outcome = RunProgram(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_NE(outcome.err, "") << testing::PrintToString(arguments);
  }
  for (const std::string command : {"add", "remove", "check", "list", "lists", "import", "export", "undo"}) {
    const Outcome help = RunProgram({"suppress", command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.out, HasSubstr("\n  postrider suppress " + command)) << command;
  }
}

}  // namespace
}  // namespace postrider::tools
