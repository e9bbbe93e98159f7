#include "engine/observe/suppression_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace postrider::observe {
namespace {

using queue::Suppression;
using queue::SuppressionOrigin;
using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Wall kMoment{std::chrono::milliseconds(1'800'000'000'123)};

Suppression Defaults() {
  return {.list = "offers", .when = kMoment, .origin = SuppressionOrigin::kImport, .who = "ana", .why = "old system"};
}

Suppression Full() {
  return {.list = "news",
          .address = "\"a,b\"@example.org",
          .when = kMoment,
          .origin = SuppressionOrigin::kRule,
          .who = "",
          .why = "says \"no such user\", twice",
          .campaign = "2026-11",
          .row = 7,
          .site = "mx.example.org",
          .provider = "Example",
          .reply = "550 5.1.1 no \"such\" user, sorry",
          .expires = kMoment + std::chrono::hours(1)};
}

struct Read {
  std::vector<Suppression> entries;
  std::vector<std::string> problems;  // "line: what"
  std::uint64_t lines = 0;
};

Read ReadAll(std::string_view text, std::optional<SuppressionForm> form = {}, std::size_t piece = 1 << 20) {
  Read read;
  SuppressionLines lines(form, Defaults());
  const auto take = [&](std::uint64_t line, Result<Suppression> entry) {
    if (entry) {
      read.entries.push_back(*entry);
    } else {
      read.problems.push_back(std::to_string(line) + ": " + entry.error().message);
    }
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) lines.Feed(text.substr(0, piece), take);
  lines.Finish(take);
  read.lines = lines.lines();
  return read;
}

std::vector<std::string> AddressesOf(const Read& read) {
  std::vector<std::string> addresses;
  for (const Suppression& entry : read.entries) addresses.push_back(entry.address);
  return addresses;
}

TEST(SuppressionText, ReadsAnAddressOrDomainALine) {
  const Read read = ReadAll("# comment\nAna@Example.org\r\n\n  @Blocked.example \nother.example");
  EXPECT_THAT(AddressesOf(read), ElementsAre("ana@example.org", "@blocked.example", "@other.example"));
  EXPECT_THAT(read.problems, IsEmpty());
  EXPECT_EQ(read.lines, 5u);
  Suppression expected = Defaults();
  expected.address = "ana@example.org";
  EXPECT_EQ(read.entries[0], expected);
}

TEST(SuppressionText, SaysWhatIsWrongAndWhereAndGoesOn) {
  const Read read = ReadAll("ana@example.org\nnobody\n\n<eve@example.org>\nbob@example.org\n");
  EXPECT_THAT(AddressesOf(read), ElementsAre("ana@example.org", "bob@example.org"));
  ASSERT_EQ(read.problems.size(), 2u);
  EXPECT_THAT(read.problems[0], HasSubstr("2: expected an address"));
  EXPECT_THAT(read.problems[1], HasSubstr("4: "));
}

TEST(SuppressionText, ReadsTheColumnsOfACsvByTheirNames) {
  const Read read = ReadAll(
      "\xef\xbb\xbfid,EMAIL,list,why,expires\r\n1,ana@example.org,,\"moved, she says \"\"bye\"\"\",\r\n"
      "2,bob@example.org,news,,2027-01-01\r\n3,@blocked.example,global,,2027-01-01T10:00:00Z\r\n");
  EXPECT_THAT(read.problems, IsEmpty());
  ASSERT_EQ(read.entries.size(), 3u);
  EXPECT_EQ(read.entries[0].list, "offers");
  EXPECT_EQ(read.entries[0].why, "moved, she says \"bye\"");
  EXPECT_EQ(read.entries[1].list, "news");
  EXPECT_EQ(read.entries[1].why, "old system");
  EXPECT_EQ(read.entries[1].expires, Wall(std::chrono::sys_days(std::chrono::year(2027) / 1 / 1)));
  EXPECT_EQ(read.entries[2].list, "");
  EXPECT_EQ(read.entries[2].address, "@blocked.example");
  EXPECT_EQ(read.entries[2].expires,
            Wall(std::chrono::sys_days(std::chrono::year(2027) / 1 / 1) + std::chrono::hours(10)));
}

TEST(SuppressionText, TakesAColumnOfDomains) {
  EXPECT_THAT(AddressesOf(ReadAll("domain\nexample.org\n@example.net\nlocalhost\n", SuppressionForm::kCsv)),
              ElementsAre("@example.org", "@example.net", "@localhost"));
}

TEST(SuppressionText, DoesNotTakeADomainBesideAnAddressForAnEntry) {
  for (const char* text : {"email,domain\nana@example.org,example.org\n", "domain,email\nexample.org,ana@example.org\n",
                           "{\"domain\":\"example.org\",\"recipient\":\"ana@example.org\"}\n"}) {
    EXPECT_THAT(AddressesOf(ReadAll(text)), ElementsAre("ana@example.org")) << text;
  }
}

TEST(SuppressionText, SaysWhatIsWrongWithACsv) {
  const auto problem = [](std::string_view text) {
    const Read read = ReadAll(text, SuppressionForm::kCsv);
    return read.problems.size() == 1 ? read.problems[0] : std::to_string(read.problems.size());
  };
  EXPECT_THAT(problem("name,city\nana@example.org,Rome\nx,y\n"), HasSubstr("1: expected a header row with a column"));
  EXPECT_THAT(problem("email,why\nana@example.org\n"), HasSubstr("2: 1 fields, but the header has 2"));
  EXPECT_THAT(problem("email,why\nana@example.org,\"two\nlines\"\n"), HasSubstr("2"));
  EXPECT_THAT(problem("email\n\"ana@example.org\"x\n"), HasSubstr("2: column 18: after a quoted field"));
  EXPECT_THAT(problem("email,expires\nana@example.org,tomorrow\n"), HasSubstr("2: expires: expected a moment"));
  EXPECT_THAT(problem("email,list\nana@example.org,two words\n"), HasSubstr("2: list: not the name of a list"));
  EXPECT_THAT(problem("email,by\nana@example.org,me\n"), HasSubstr("2: by: expected"));
  EXPECT_THAT(problem("email,row\nana@example.org,7x\n"), HasSubstr("2: row: expected a number"));
  EXPECT_THAT(problem("email,why\n,x\n"), HasSubstr("2: neither an address nor a domain"));
}

TEST(SuppressionText, ReadsJsonLines) {
  const Read read = ReadAll(
      "{\"email\":\"ana@example.org\",\"why\":null,\"age\":[1]}\n\n{\"domain\":\"blocked.example\",\"row\":5}\n");
  EXPECT_THAT(read.problems, IsEmpty());
  EXPECT_THAT(AddressesOf(read), ElementsAre("ana@example.org", "@blocked.example"));
  EXPECT_EQ(read.entries[0].why, "old system");
  EXPECT_EQ(read.entries[1].row, 5u);
}

TEST(SuppressionText, SaysWhatIsWrongWithAJsonLine) {
  for (const auto& [text, what] :
       {std::pair("{\"address\":5.5}", "address: expected a text"), std::pair("{}", "neither an address"),
        std::pair("[]", "one JSON object"), std::pair("{\"address\":\"ana@example.org\"", "one JSON object"),
        std::pair("{\"address\":\"nobody\"}", "expected an address"),
        std::pair("ana@example.org", "one JSON object")}) {
    const Read read = ReadAll(text, SuppressionForm::kJson);
    ASSERT_EQ(read.problems.size(), 1u) << text;
    EXPECT_THAT(read.problems[0], HasSubstr(what));
  }
}

TEST(SuppressionText, WritesWhatItReadsAgain) {
  Suppression plain = Defaults();
  plain.address = "@example.org";
  Suppression global = Full();
  global.list.clear();
  global.why = "=cmd|' /C calc'!A0";
  const std::vector<Suppression> entries{Full(), plain, global};
  for (const SuppressionForm form : {SuppressionForm::kJson, SuppressionForm::kCsv}) {
    std::string text(SuppressionHeader(form));
    for (const Suppression& entry : entries) AppendSuppression(text, entry, form);
    // Told apart without being told.
    const Read read = ReadAll(text);
    EXPECT_THAT(read.problems, IsEmpty());
    std::vector<Suppression> expected = entries;
    // What an entry leaves empty, the importer's word fills.
    for (Suppression& entry : expected) {
      if (entry.who.empty()) entry.who = "ana";
    }
    EXPECT_EQ(read.entries, expected);
  }
  std::string text;
  AppendSuppression(text, Full(), SuppressionForm::kText);
  EXPECT_EQ(text, "\"a,b\"@example.org\n");
  EXPECT_THAT(AddressesOf(ReadAll(text)), ElementsAre("\"a,b\"@example.org"));
}

TEST(SuppressionText, WritesOneLineWhateverTheWordsAre) {
  Suppression entry = Full();
  entry.why = "line\r\nbreak \xff \x01 end";
  for (const SuppressionForm form : {SuppressionForm::kJson, SuppressionForm::kCsv}) {
    std::string text;
    AppendSuppression(text, entry, form);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    EXPECT_TRUE(text.ends_with('\n'));
  }
}

TEST(SuppressionText, ReadsTheSameInPiecesOfAnySize) {
  std::string text = "email,why\n";
  for (int i = 0; i < 50; ++i) text += "user" + std::to_string(i) + "@example.org,\"because, yes\"\n";
  text += "bad,\nlast@example.org,x";
  const Read whole = ReadAll(text);
  EXPECT_EQ(whole.entries.size(), 51u);
  EXPECT_EQ(whole.problems.size(), 1u);
  for (const std::size_t piece : {1, 2, 3, 7, 64, 1000}) {
    const Read read = ReadAll(text, {}, piece);
    EXPECT_EQ(read.entries, whole.entries);
    EXPECT_EQ(read.problems, whole.problems);
    EXPECT_EQ(read.lines, whole.lines);
  }
}

TEST(SuppressionText, RefusesALineWithoutAnEndAndGoesOnAfterIt) {
  const std::string text = "ana@example.org\n" + std::string(1 << 20, 'x') + "\nbob@example.org\n";
  for (const std::size_t piece : {1000u, 1u << 21}) {
    const Read read = ReadAll(text, {}, piece);
    EXPECT_THAT(AddressesOf(read), ElementsAre("ana@example.org", "bob@example.org"));
    ASSERT_EQ(read.problems.size(), 1u);
    EXPECT_THAT(read.problems[0], HasSubstr("2: longer than 65536 bytes"));
  }
}

TEST(SuppressionText, SurvivesAnyBytes) {
  std::mt19937_64 random(11);
  const std::string good = "email,list,why\nana@example.org,\"news\",{\"a\":1}\n{\"address\":\"ana@example.org\"}\n";
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int changes = 0; changes < 4; ++changes) text[random() % text.size()] = static_cast<char>(random());
    for (const auto form : {std::optional<SuppressionForm>(), std::optional(SuppressionForm::kCsv),
                            std::optional(SuppressionForm::kJson), std::optional(SuppressionForm::kText)}) {
      const Read read = ReadAll(text, form, 1 + random() % 40);
      for (const Suppression& entry : read.entries) EXPECT_TRUE(queue::ParseSuppressed(entry.address));
    }
  }
  EXPECT_EQ(ReadAll(std::string(30'000, '[') + "\n", SuppressionForm::kJson).problems.size(), 1u);
  EXPECT_THAT(ReadAll("\0\0\n"s).entries, IsEmpty());
}

TEST(SuppressionText, ReadsMomentsInTheirShorterForms) {
  EXPECT_EQ(ParseMoment("2027-01-15T08:00:00.123Z"), kMoment);
  EXPECT_EQ(ParseMoment("2027-01-15T08:00:00Z"), kMoment - std::chrono::milliseconds(123));
  EXPECT_EQ(ParseMoment("2027-01-15"), kMoment - std::chrono::milliseconds(123) - std::chrono::hours(8));
  for (const char* bad : {"", "yesterday", "2027-13-01", "2027-01-15T08:00:00", "2027-01-15T08:00:00+01:00"}) {
    EXPECT_FALSE(ParseMoment(bad)) << bad;
  }
}

}  // namespace
}  // namespace postrider::observe
