#include "tools/reply_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postrider::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Read {
  std::vector<ReplyRow> rows;
  std::vector<std::string> errors;
};

Read ReadAll(const std::string& text, ReplyReader::Defaults defaults = {}) {
  std::istringstream input(text);
  ReplyReader reader(input, "in", *ProviderTable::Shipped(), std::move(defaults));
  Read read;
  while (std::optional<Result<ReplyRow>> row = reader.Next()) {
    if (*row) {
      read.rows.push_back(**std::move(row));
    } else {
      read.errors.push_back((*row).error().message);
    }
  }
  return read;
}

TEST(ReplyReader, ReadsLinesOfText) {
  const Read read = ReadAll("550 5.1.1 one\n\n  \n421 two\r\n452-4.2.2 three\n452 4.2.2 lines\n550 last");
  ASSERT_EQ(read.rows.size(), 4u);
  EXPECT_THAT(read.errors, testing::IsEmpty());
  EXPECT_EQ(read.rows[0].reply.enhanced, (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(read.rows[1].line, 4u);
  EXPECT_EQ(read.rows[1].reply.text, "two");
  EXPECT_EQ(read.rows[2].line, 5u);
  EXPECT_EQ(read.rows[2].reply.text, "4.2.2 three\n4.2.2 lines");
  EXPECT_EQ(read.rows[2].shown, "452-4.2.2 three | 452 4.2.2 lines");
  EXPECT_EQ(read.rows[3].line, 7u);
}

TEST(ReplyReader, LeavesOutAByteOrderMarkAtTheBeginning) {
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(ReadAll(mark + "550 one").rows.at(0).reply.text, "one");
  EXPECT_EQ(ReadAll(mark + "{\"reply\":\"550 one\"}").rows.at(0).reply.text, "one");
  EXPECT_EQ(ReadAll("550 one\n" + mark + "550 two").errors.size(), 1u);
}

TEST(ReplyReader, EndsAReplyWhereAnotherCodeBegins) {
  const Read read = ReadAll("550-one\n421 two\n550-three");
  ASSERT_EQ(read.rows.size(), 3u);
  EXPECT_EQ(read.rows[0].reply.text, "one");
  EXPECT_EQ(read.rows[1].reply.code, 421);
  EXPECT_EQ(read.rows[1].line, 2u);
  EXPECT_EQ(read.rows[2].reply.text, "three");
}

TEST(ReplyReader, ReadsJsonLines) {
  const Read read = ReadAll(R"({"reply": "550 5.1.1 a", "provider": "Gmail", "stage": "content"}
{"reply": "550-a\n550 b", "provider": "unknown", "expected": "bad-mailbox", "accept": ["other", "bad-domain"], "x": 1}
550 text between
{"reply": "421 c"})",
                            {.stage = Stage::kMail, .provider = "yahoo"});
  ASSERT_EQ(read.rows.size(), 4u);
  EXPECT_EQ(read.rows[0].provider, "google");
  EXPECT_EQ(read.rows[0].stage, Stage::kContent);
  EXPECT_FALSE(read.rows[0].expected);
  // What the row says of its provider counts, even if nobody knows it.
  EXPECT_EQ(read.rows[1].provider, "");
  EXPECT_EQ(read.rows[1].stage, Stage::kMail);
  EXPECT_EQ(read.rows[1].reply.text, "a\nb");
  EXPECT_EQ(read.rows[1].expected, Category::kBadMailbox);
  EXPECT_THAT(read.rows[1].accept, ElementsAre(Category::kOther, Category::kBadDomain));
  EXPECT_EQ(read.rows[2].provider, "yahoo");
  EXPECT_EQ(read.rows[3].provider, "yahoo");
}

TEST(ReplyReader, UnderstandsTheDeliveryLog) {
  const Read read = ReadAll(R"({"v":1,"event":"bounced","provider":"google","code":550,"enhanced":"5.1.1",)"
                            R"("reply":"5.1.1 no\n5.1.1 user","stage":"rcpt"}
{"v":1,"event":"path","reply":"the connection broke"}
{"v":1,"event":"campaign","campaign":"offer"})");
  EXPECT_THAT(read.errors, testing::IsEmpty());
  ASSERT_EQ(read.rows.size(), 1u);
  EXPECT_EQ(read.rows[0].reply.code, 550);
  EXPECT_EQ(read.rows[0].reply.text, "5.1.1 no\n5.1.1 user");
  EXPECT_EQ(read.rows[0].stage, Stage::kRcpt);
}

TEST(ReplyReader, SaysWhatIsWrongAndGoesOn) {
  const std::pair<const char*, const char*> cases[] = {
      {"no code",
       "in:1: expected a reply that begins with its code, as in \"550 5.1.1 no such user\", found \"no code\""},
      {"\x1b[31m", "found \"?[31m\""},
      {"{", "in:1: expected a JSON object"},
      {"{}", "in:1: expected \"reply\" with a text that begins with its code, found \"\""},
      {R"({"reply": 550})", "in:1: expected texts in reply, stage, provider and expected"},
      {R"({"reply": "x"})", "expected \"reply\" with a text"},
      {R"({"reply": "550 x", "stage": "soon"})", "in:1: there is no stage \"soon\""},
      {R"({"reply": "550 x", "expected": "bad"})", "in:1: there is no category \"bad\""},
      {R"({"reply": "550 x", "expected": "other", "accept": "other"})", "expected a list of categories in accept"},
      {R"({"reply": "550 x", "expected": "other", "accept": ["x"]})", "expected a list of categories in accept"},
      {R"({"reply": "550 x", "expected": "other", "accept": [1]})", "expected a list of categories in accept"},
  };
  for (const auto& [line, error] : cases) {
    const Read read = ReadAll(std::string(line) + "\n550 good");
    ASSERT_EQ(read.errors.size(), 1u) << line;
    EXPECT_THAT(read.errors[0], HasSubstr(error));
    ASSERT_EQ(read.rows.size(), 1u) << line;
    EXPECT_EQ(read.rows[0].line, 2u);
  }
}

TEST(ReplyReader, TakesAnyBytesWithoutHarm) {
  const std::string nul("550 a\0b\n", 8);
  std::string deep = R"({"reply": )" + std::string(100'000, '[');
  const Read read = ReadAll(nul + deep + "\n" + "550 " + std::string(2 << 20, 'x') + "\n550 \xff\xfe\n");
  EXPECT_EQ(read.rows.size(), 2u);
  EXPECT_EQ(read.errors.size(), 2u);
  EXPECT_EQ(read.rows[1].shown, "550 ??");
  std::string endless;
  for (int i = 0; i < 1000; ++i) endless += "550-more\n";
  EXPECT_EQ(ReadAll(endless).rows.size(), 10u);
}

}  // namespace
}  // namespace postrider::tools
