#include "engine/intake/row_parser.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::intake {
namespace {

using testing::HasSubstr;

std::shared_ptr<const message::Template> Wanted() {
  return message::Template::Compile("From: a@b.example\n\n{{name|}} {{city|}} {{n|}}\n", {}).value();
}

class RowParserTest : public testing::Test {
 protected:
  // "to id name,city,n", "-" for what is missing; or the reason.
  std::string Parse(RowParser& parser, std::string text) {
    text.reserve(text.size() + 64);
    Record record;
    record.text = text;
    Row row;
    const Result<void> parsed = parser.Parse(record, row);
    if (!parsed) return parsed.error().message;
    std::string shown = std::string(row.to) + " " + std::string(row.id) + " ";
    for (const std::string_view value : row.values) shown += (value.data() == nullptr ? "-" : std::string(value)) + ",";
    shown.pop_back();
    return shown;
  }
  std::string Json(std::string text) { return Parse(json_, std::move(text)); }
  std::string Csv(std::string_view header, std::string text) {
    RowParser csv(*wanted_, ListFormat::kCsv);
    Record record;
    record.text = header;
    const Result<void> read = csv.ReadHeader(record);
    return read ? Parse(csv, std::move(text)) : read.error().message;
  }

  std::shared_ptr<const message::Template> wanted_ = Wanted();
  RowParser json_{*wanted_, ListFormat::kJsonLines};
};

TEST_F(RowParserTest, ReadsJson) {
  EXPECT_EQ(Json(R"({"to":"a@b.c"})"), "a@b.c  -,-,-");
  EXPECT_EQ(Json(R"( {"id":"x","to":"a@b.c","name":"Zo\u00eb \"Z\"","other":"?"} )"), "a@b.c x Zoë \"Z\",-,-");
  EXPECT_EQ(Json(R"({"to":"a@b.c","vars":{"name":"inner","city":"Ulm"},"name":"outer"})"), "a@b.c  inner,Ulm,-");
  EXPECT_EQ(Json(R"({"to":"a@b.c","name":"outer","vars":{"name":"inner"}})"), "a@b.c  inner,-,-");
  EXPECT_EQ(Json(R"({"to":"a@b.c","name":null,"city":"","vars":null})"), "a@b.c  -,,-");
}

TEST_F(RowParserTest, KeepsNumbersAsTheyAreWritten) {
  EXPECT_EQ(Json(R"({"other":"1\"2","skip":7,"to":"a@b.c","id":007e})").substr(0, 14), "not valid JSON");
  EXPECT_EQ(Json(R"({"other":"1\"2","skip":7,"to":"a@b.c","id":4711,"n":19.90,"name":-1e3,"city":true})"),
            "a@b.c 4711 -1e3,true,19.90");
  EXPECT_EQ(Json(R"({"to":"a@b.c","vars":{"n":100000000000000000.10},"city":false,"name":0})"),
            "a@b.c  0,false,100000000000000000.10");
}

TEST_F(RowParserTest, LetsAValueThatNobodyAsksForBeAnything) {
  EXPECT_EQ(Json(R"({"tags":["vip",1,{"x":[2.50,null]}],"to":"a@b.c","n":3.0})"), "a@b.c  -,-,3.0");
  EXPECT_EQ(Json(R"({"to":"a@b.c","more":{"to":"x","n":4},"vars":{"list":[5,6],"n":7.10,"deep":{"n":8}},"city":9})"),
            "a@b.c  -,9,7.10");
}

TEST_F(RowParserTest, SaysWhatIsWrongWithAJsonRow) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {R"({"to":"a@b.c"} x)", "not valid JSON"},
      {"\"a@b.c\"", "expected an object"},
      {"[]", "expected an object"},
      {"{}", "\"to\" is missing"},
      {R"({"to":7})", "\"to\" must be text"},
      {R"({"to":null})", "\"to\" must be text"},
      {R"({"to":"a@b.c","name":["x"]})", "\"name\" is a list; a field must be text"},
      {R"({"to":"a@b.c","id":[7]})", "\"id\" is a list"},
      {R"({"to":"a@b.c","name":{"x":1}})", "\"name\" is an object; a field must be text"},
      {R"({"to":"a@b.c","vars":{"city":{}}})", "\"city\" is an object"},
      {R"({"to":"a@b.c","vars":"x"})", "\"vars\" must be an object"},
      {R"({"to":"a@b.c","id":"a\nb"})", "\"id\" holds a control character"},
      {"{\"to\":\"a@b.c\",\"name\":\"\xff\"}", "not valid JSON"},
  };
  for (const auto& [text, reason] : cases) EXPECT_THAT(Json(text), HasSubstr(reason)) << text;
  EXPECT_THAT(Json(R"({"to":"a@b.c","id":")" + std::string(257, 'x') + "\"}"), HasSubstr("longer than 256"));
  EXPECT_THAT(Json(std::string(2000, '[')), HasSubstr("not valid JSON"));
}

TEST_F(RowParserTest, SaysOfARowOrHeaderThatIsTooLongWhatTheLimitIs) {
  Record record;
  record.too_long = true;
  record.limit = 65536;
  Row row;
  for (const ListFormat format : {ListFormat::kJsonLines, ListFormat::kCsv}) {
    row.to = "before@b.c";
    row.id = "before";
    RowParser parser(*wanted_, format);
    const Result<void> parsed = parser.Parse(record, row);
    ASSERT_FALSE(parsed);
    EXPECT_TRUE(row.to.empty() && row.id.empty()) << "of another row";
    EXPECT_EQ(parsed.error().message, "the row is longer than spool.row_bytes_max allows: 65536 octets");
  }
  RowParser csv(*wanted_, ListFormat::kCsv);
  const Result<void> read = csv.ReadHeader(record);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "the header row is longer than spool.row_bytes_max allows: 65536 octets");
}

TEST_F(RowParserTest, RefusesARowThatHasOneKeyTwice) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"to":"a@b.c","to":"d@e.f"})", "to"},
      {R"({"to":"a@b.c","id":"1","name":"x","id":"2"})", "id"},
      {R"({"to":"a@b.c","name":"x","name":"x"})", "name"},
      {R"({"to":"a@b.c","unknown":1,"unknown":2})", "unknown"},
      {R"({"to":"a@b.c","vars":{},"vars":{}})", "vars"},
      {R"({"to":"a@b.c","vars":{"city":"x","n":1,"city":"y"}})", "city"},
      {R"({"to":"a@b.c","":1,"":2})", ""},
      {R"({"to":"a@b.c","na\u006de":1,"name":2})", "name"},
      {R"({"to":"a@b.c","vars":{"\n":1,"\n":2}})", "\n"},
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& [text, key] : cases) {
      EXPECT_EQ(Json(text), std::string("the key \"") + key + "\" stands twice in the row") << text;
    }
  }
  EXPECT_EQ(Json(R"({"to":"a@b.c","name":"outer","vars":{"name":"inner"}})"), "a@b.c  inner,-,-")
      << "vars may say again what stands outside";
}

TEST_F(RowParserTest, FindsAKeyThatStandsTwiceAmongThousandsOfStrangeOnes) {
  std::string many = "{\"to\":\"a@b.c\"";
  for (int i = 0; i < 5000; ++i) many += ",\"k" + std::to_string(i * 7919 % 5000) + "\":" + std::to_string(i);
  EXPECT_EQ(Json(many + "}"), "a@b.c  -,-,-");
  EXPECT_EQ(Json(many + ",\"k4999\":1}"), "the key \"k4999\" stands twice in the row");
  EXPECT_EQ(Json(many + ",\"k" + std::to_string(7919 % 5000) + "\":1}"), "the key \"k2919\" stands twice in the row")
      << "one of those remembered";
  EXPECT_EQ(Json(R"({"to":"a@b.c","k4999":1})"), "a@b.c  -,-,-") << "nothing is carried over";
}

TEST_F(RowParserTest, ForgetsNothingAndCarriesNothingOver) {
  EXPECT_EQ(Json(R"({"to":"a@b.c","name":"A","city":"X"})"), "a@b.c  A,X,-");
  EXPECT_EQ(Json(R"({"city":"Y","to":"d@b.c"})"), "d@b.c  -,Y,-");
  EXPECT_EQ(Json(R"({"n":1,"to":"e@b.c","unknown":2,"name":"E"})"), "e@b.c  E,-,1");
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(Json("{\"to\":\"a@b.c\",\"key" + std::to_string(i) + "\":1,\"city\":\"C\"}"), "a@b.c  -,C,-");
  }
}

TEST_F(RowParserTest, ReadsCsv) {
  EXPECT_EQ(Csv("to,id,name,city", "a@b.c,7,Ana,Ulm"), "a@b.c 7 Ana,Ulm,-");
  EXPECT_EQ(Csv(" name , other,to", "\"Lima, \"\"Ana\"\"\",x, a@b.c "), "a@b.c  Lima, \"Ana\",-,-");
  EXPECT_EQ(Csv("to,name,city", "a@b.c,,\"\""), "a@b.c  ,,-");
  EXPECT_EQ(Csv("to", "a@b.c"), "a@b.c  -,-,-");
  EXPECT_EQ(Csv("to,name", "a@b.c,\"two\nlines\""), "a@b.c  two\nlines,-,-");
}

TEST_F(RowParserTest, SaysWhatIsWrongWithACsvList) {
  EXPECT_THAT(Csv("email,name", "x"), HasSubstr("no column \"to\"; the first line of a CSV list names its columns"));
  EXPECT_THAT(Csv("to;name", "x"), HasSubstr("columns must be separated by commas"));
  EXPECT_THAT(Csv("to,name,name", "x"), HasSubstr("names the column \"name\" twice"));
  EXPECT_THAT(Csv("to,\xff", "x"), HasSubstr("the header row is not valid UTF-8"));
  EXPECT_THAT(Csv("to,name", "a@b.c"), HasSubstr("expected 2 columns as in the header row, found 1"));
  EXPECT_THAT(Csv("to,name", "a@b.c,x,"), HasSubstr("expected 2 columns as in the header row, found 3"));
  EXPECT_THAT(Csv("to,name", ",x"), HasSubstr("\"to\" is empty"));
  EXPECT_THAT(Csv("to,name", "a@b.c,a\"b"), HasSubstr("a quote stands inside a column"));
  EXPECT_THAT(Csv("to,name", "a@b.c,\"a\"b"), HasSubstr("text stands behind a closing quote"));
  EXPECT_THAT(Csv("to,name", "a@b.c,\"ab"), HasSubstr("a quote is not closed"));
}

TEST_F(RowParserTest, SurvivesDamage) {
  const std::string whole = R"({"to":"a@b.c","id":"7","n":19.90,"vars":{"name":"Zo\u00eb"},"city":null})";
  std::mt19937 random(2);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int round = 0; round < 20; ++round) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(random());
      EXPECT_FALSE(Json(damaged).empty());
      EXPECT_FALSE(Csv("to,id,name,city", damaged).empty());
      EXPECT_FALSE(Json(whole.substr(0, i)).empty());
    }
  }
}

}  // namespace
}  // namespace postrider::intake
