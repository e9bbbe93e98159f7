#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/observe/admin_api.h"
#include "tests/engine/observe/fake_control.h"

namespace postrider::observe {
namespace {

using nlohmann::json;
using queue::Suppression;
using queue::SuppressionOrigin;
using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SuppressionApiTest : public testing::Test {
 protected:
  struct Answer {
    int status = 0;
    std::string body;
    [[nodiscard]] json Json() const { return json::parse(body, nullptr, false); }
  };

  Answer Ask(std::string_view method, std::string_view target, std::string_view body = "") {
    const std::size_t mark = std::min(target.find('?'), target.size());
    ApiRequest request{.method = method, .path = target.substr(0, mark), .query = {}, .body = body};
    if (mark < target.size()) request.query = target.substr(mark + 1);
    if (AdminApi::StreamsBody(method, request.path)) {
      request.body = {};
      // A few bytes at a time; it ends by breaking off if it shall.
      request.stream = [this, body](std::span<char> into) mutable -> std::optional<std::size_t> {
        if (body.empty()) {
          read_to_end_ = true;
          return breaks_off_ ? std::nullopt : std::optional<std::size_t>(0);
        }
        const std::size_t count = std::min({body.size(), into.size(), piece_});
        std::ranges::copy(body.substr(0, count), into.begin());
        body.remove_prefix(count);
        return count;
      };
    }
    const ApiAnswer answer = api_.Handle(request);
    Answer told{answer.status, answer.body};
    if (answer.stream) {
      const Result<void> streamed = answer.stream([&](std::string_view bytes) {
        told.body += bytes;
        return true;
      });
      EXPECT_TRUE(streamed);
    }
    return told;
  }
  Suppression& Put(const std::string& list, const std::string& address,
                   SuppressionOrigin origin = SuppressionOrigin::kHand) {
    return suppressions_.entries[{list, address}] = {
               .list = list, .address = address, .when = suppressions_.moment, .origin = origin};
  }
  Suppression& PutByRule(const std::string& address, const std::string& rule, const std::string& site) {
    Suppression& entry = Put("", address, SuppressionOrigin::kRule);
    entry.why = rule;
    entry.site = site;
    return entry;
  }
  [[nodiscard]] std::vector<std::string> Addresses() const {
    std::vector<std::string> all;
    for (const auto& [key, entry] : suppressions_.entries) all.push_back(key.second);
    return all;
  }

  Options options_;
  FakeControl control_;
  EventTally tally_{10};
  AdminApi api_{options_, control_.All(), tally_};
  FakeSuppressions& suppressions_ = control_.suppressions;
  std::size_t piece_ = 7;
  bool breaks_off_ = false;
  bool read_to_end_ = false;
};

TEST_F(SuppressionApiTest, AddsAnAddressWithWhoAndWhy) {
  const Answer answer = Ask("POST", "/api/v1/suppressions",
                            R"({"address":"Ana@Example.org","list":"offers","who":"eve","why":"asked","for":"30d"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"added\":1,\"replaced\":0,\"unchanged\":0}\n");
  const Suppression& entry = suppressions_.entries.at({"offers", "ana@example.org"});
  EXPECT_EQ(entry.who, "eve");
  EXPECT_EQ(entry.why, "asked");
  EXPECT_EQ(entry.when, suppressions_.moment);
  EXPECT_EQ(entry.origin, SuppressionOrigin::kHand);
  EXPECT_EQ(entry.expires, suppressions_.moment + hours(24 * 30));
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions", R"({"addresses":["bob@example.org","@blocked.example"]})").status, 200);
  EXPECT_EQ(suppressions_.entries.at({"", "@blocked.example"}).who, "api");
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions", R"({"address":"bob@example.org"})").Json()["unchanged"], 1);
}

TEST_F(SuppressionApiTest, AddsNothingIfAnyOfItIsWrong) {
  for (const auto& [body, what] :
       {std::pair("", "expected a JSON object"), std::pair("[]", "expected a JSON object"),
        std::pair("{}", "expected {\"address\""), std::pair(R"({"address":5})", "address: expected a text"),
        std::pair(R"({"address":"nobody"})", "\"nobody\": expected an address"),
        std::pair(R"({"addresses":["ana@example.org","x y@example.org"]})", "\"x y@example.org\""),
        std::pair(R"({"addresses":"ana@example.org"})", "addresses: expected a list"),
        std::pair(R"({"addresses":[]})", "expected {\"address\""),
        std::pair(R"({"address":"ana@example.org","list":"two words"})", "list: not the name of a list"),
        std::pair(R"({"address":"ana@example.org","lst":"a"})", "\"lst\" is not known here; known are address, list"),
        std::pair(R"({"address":"ana@example.org","for":"ever"})", "for: "),
        std::pair(R"({"address":"ana@example.org","for":"106000000000d"})", "for: expected a time from "),
        std::pair(R"({"address":"ana@example.org","for":"0s"})", "for: expected a time from "),
        std::pair(R"({"address":"ana@example.org","expires":"later"})", "expires: expected a moment")}) {
    const Answer answer = Ask("POST", "/api/v1/suppressions", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.Json().value("error", ""), HasSubstr(what)) << body;
  }
  json many;
  many["addresses"] = std::vector<std::string>(1001, "ana@example.org");
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions", many.dump()).status, 400);
  EXPECT_THAT(suppressions_.entries, IsEmpty());
}

TEST_F(SuppressionApiTest, SaysWhatIsKnownOfAnAddress) {
  PutByRule("ana@example.org", "no-such-user", "mx.example.org");
  Put("offers", "@example.org");
  suppressions_.past.push_back(
      {Suppression{.list = "news", .address = "ana@example.org"}, queue::SuppressionEnd::kRemoved, {}, "eve", "back"});
  json told = Ask("GET", "/api/v1/suppressions?address=ANA@example.org").Json();
  EXPECT_EQ(told["address"], "ana@example.org");
  EXPECT_EQ(told["suppressed"], true);
  EXPECT_EQ(told["list"], "global");
  ASSERT_EQ(told["entries"].size(), 2u);
  EXPECT_EQ(told["entries"][0]["by"], "rule");
  EXPECT_EQ(told["entries"][0]["why"], "no-such-user");
  EXPECT_EQ(told["entries"][0]["site"], "mx.example.org");
  EXPECT_EQ(told["entries"][0]["list"], "global");
  EXPECT_EQ(told["entries"][1]["list"], "offers");
  EXPECT_EQ(told["history"][0]["ended_who"], "eve");
  EXPECT_EQ(told["history"][0]["list"], "news");

  EXPECT_EQ(Ask("GET", "/api/v1/suppressions?address=bob@example.org").Json()["suppressed"], false);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions?address=bob@example.org&list=offers").Json()["suppressed"], true);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions?address=nobody").status, 400);
  suppressions_.failure = Error{ErrorCode::kUnavailable, "the queue is closed"};
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions?address=bob@example.org").status, 503);
}

TEST_F(SuppressionApiTest, DoesNotCallAnExpiredEntryASuppression) {
  Put("", "ana@example.org").expires = suppressions_.moment;
  const json told = Ask("GET", "/api/v1/suppressions?address=ana@example.org").Json();
  EXPECT_EQ(told["suppressed"], false);
  EXPECT_EQ(told["entries"].size(), 1u);
  EXPECT_THAT(Ask("GET", "/api/v1/suppressions").Json()["entries"], IsEmpty());
  EXPECT_THAT(Ask("GET", "/api/v1/suppressions?expired=1").Json()["entries"], SizeIs(1));
}

TEST_F(SuppressionApiTest, ListsInPages) {
  for (int i = 0; i < 9; ++i) Put("offers", "user" + std::to_string(i) + "@example.org");
  PutByRule("zoe@example.net", "rule", "mx");
  std::vector<std::string> found;
  std::string after;
  for (int pages = 0; pages < 20; ++pages) {
    const json told = Ask("GET", "/api/v1/suppressions?list=offers&limit=1&after=" + after).Json();
    for (const json& entry : told["entries"]) found.push_back(entry["address"]);
    if (!told.contains("next")) break;
    after = told["next"];
  }
  EXPECT_THAT(found, SizeIs(9));
  // Empty pieces on the way are not shown.
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions?domain=example.net&by=rule").Json()["entries"].size(), 1u);
  for (const char* bad : {"limit=0", "limit=1001", "limit=x", "after=xyz", "after=zz", "by=me", "since=yesterday",
                          "domain=a..b", "list=a%20b", "lits=x", "list=a&list=b", "%zz"}) {
    EXPECT_EQ(Ask("GET", std::string("/api/v1/suppressions?") + bad).status, 400) << bad;
  }
}

TEST_F(SuppressionApiTest, TellsTheLists) {
  Put("", "ana@example.org");
  Put("", "@example.org");
  Put("offers", "ana@example.org");
  const json told = Ask("GET", "/api/v1/suppressions/lists").Json()["lists"];
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0], (json{{"list", "global"}, {"addresses", 1}, {"domains", 1}, {"expiring", 0}}));
  EXPECT_EQ(told[1]["list"], "offers");
}

TEST_F(SuppressionApiTest, RemovesOneAndRemembersWhoDidIt) {
  Put("offers", "ana@example.org");
  EXPECT_EQ(Ask("DELETE", "/api/v1/suppressions?address=ana@example.org").status, 404);
  const Answer answer =
      Ask("DELETE", "/api/v1/suppressions?address=Ana@example.org&list=offers&who=eve&why=came%20back");
  EXPECT_EQ(answer.body, "{\"removed\":1}\n");
  ASSERT_THAT(suppressions_.past, SizeIs(1));
  EXPECT_EQ(suppressions_.past[0].who, "eve");
  EXPECT_EQ(suppressions_.past[0].why, "came back");
  EXPECT_EQ(Ask("DELETE", "/api/v1/suppressions").status, 400);
  EXPECT_EQ(Ask("DELETE", "/api/v1/suppressions?adress=x").status, 400);
}

TEST_F(SuppressionApiTest, ImportsLinesPieceByPiece) {
  std::string body;
  for (int i = 0; i < 10'000; ++i) body += "user" + std::to_string(i) + "@example.org\n";
  body += "nobody\nuser5@example.org\n";
  piece_ = 60'000;
  const Answer answer = Ask("POST", "/api/v1/suppressions/import?list=offers&who=eve&why=moved", body);
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json told = answer.Json();
  EXPECT_EQ(told["lines"], 10'002);
  EXPECT_EQ(told["added"], 10'000);
  EXPECT_EQ(told["unchanged"], 1);
  EXPECT_EQ(told["rejected"], 1);
  EXPECT_EQ(told["problems"][0]["line"], 10'001);
  EXPECT_THAT(told["problems"][0]["problem"], HasSubstr("expected an address"));
  const Suppression& entry = suppressions_.entries.at({"offers", "user77@example.org"});
  EXPECT_EQ(entry.who, "eve");
  EXPECT_EQ(entry.why, "moved");
  EXPECT_EQ(entry.origin, SuppressionOrigin::kImport);
  // In batches that one sync each takes, bounded.
  EXPECT_THAT(suppressions_.calls, SizeIs(3));
  EXPECT_THAT(suppressions_.calls, testing::Each(testing::Le(4096u)));
}

TEST_F(SuppressionApiTest, ShowsTheFirstHundredProblemsOfAnImport) {
  std::string body;
  for (int i = 0; i < 500; ++i) body += "nobody\n";
  const json told = Ask("POST", "/api/v1/suppressions/import?format=text", body).Json();
  EXPECT_EQ(told["rejected"], 500);
  EXPECT_EQ(told["problems"].size(), 100u);
}

TEST_F(SuppressionApiTest, SaysHowFarAnImportCameThatBrokeOff) {
  breaks_off_ = true;
  const Answer answer = Ask("POST", "/api/v1/suppressions/import", "ana@example.org\nbob@exa");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("broke off after line 1"));
  EXPECT_THAT(suppressions_.entries, IsEmpty());
}

TEST_F(SuppressionApiTest, ReadsARefusedImportToItsEndSoThatTheAnswerIsHeard) {
  suppressions_.failure = Error{ErrorCode::kNoSpace, "the disk is full"};
  const Answer answer = Ask("POST", "/api/v1/suppressions/import", "ana@example.org\n");
  EXPECT_EQ(answer.status, 507);
  EXPECT_THAT(answer.body, HasSubstr("near line 1: the disk is full; 0 entries before it are in"));
  EXPECT_TRUE(read_to_end_);
  for (const char* bad : {"format=xml", "list=a%20b", "for=ever", "wy=x"}) {
    read_to_end_ = false;
    EXPECT_EQ(Ask("POST", std::string("/api/v1/suppressions/import?") + bad, "ana@example.org\n").status, 400) << bad;
    EXPECT_TRUE(read_to_end_) << bad;
  }
}

TEST_F(SuppressionApiTest, ExportsWhatItCanImport) {
  Put("", "@blocked.example").why = "spam trap, \"really\"";
  Put("offers", "ana@example.org").expires = suppressions_.moment + hours(1);
  Put("offers", "gone@example.org").expires = suppressions_.moment - hours(1);
  PutByRule("zoe@example.net", "no-such-user", "mx.example.net").row = 5;
  const auto before = suppressions_.entries;
  for (const char* format : {"jsonl", "csv"}) {
    const Answer exported = Ask("GET", std::string("/api/v1/suppressions/export?expired=1&format=") + format);
    EXPECT_EQ(exported.status, 200);
    suppressions_.entries.clear();
    EXPECT_EQ(Ask("POST", "/api/v1/suppressions/import?list=elsewhere", exported.body).Json()["added"], 4)
        << exported.body;
    auto again = suppressions_.entries;
    for (auto& [key, entry] : again) {
      if (entry.who == "api") entry.who.clear();
    }
    // A list is said in each line; only the importer's default would be "elsewhere".
    EXPECT_EQ(again.at({"offers", "ana@example.org"}), before.at({"offers", "ana@example.org"}));
    EXPECT_TRUE(again == before) << exported.body;
  }
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/export?format=text&list=offers").body, "ana@example.org\n");
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/export?format=xml").status, 400);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/export?format=csv&history=1").status, 400);
}

TEST_F(SuppressionApiTest, ExportsTheHistory) {
  for (const char* address : {"ana@example.org", "bob@example.org", "eve@example.org"}) {
    suppressions_.past.push_back({Suppression{.list = "", .address = address, .why = "r"},
                                  queue::SuppressionEnd::kRemoved, suppressions_.moment, "kim", "undo"});
  }
  const std::string body = Ask("GET", "/api/v1/suppressions/export?history=1").body;
  EXPECT_EQ(std::ranges::count(body, '\n'), 3);
  const json first = json::parse(body.substr(0, body.find('\n')));
  EXPECT_EQ(first["ended"], "removed");
  EXPECT_EQ(first["ended_who"], "kim");
  EXPECT_EQ(first["address"], "ana@example.org");
}

TEST_F(SuppressionApiTest, UndoesWhatARuleDidAtASiteInAPeriod) {
  PutByRule("a@example.org", "no-such-user", "mx.example.org");
  PutByRule("b@example.org", "no-such-user", "mx.example.org").when -= hours(5);
  PutByRule("c@example.org", "no-such-user", "mx.other.example");
  PutByRule("d@example.org", "mailbox-gone", "mx.example.org");
  Put("", "e@example.org").site = "mx.example.org";
  const std::string order =
      R"({"site":"mx.example.org","since":"2027-01-15T07:00:00Z","rule":"no-such-user","who":"eve","dry_run":true})";
  json told = Ask("POST", "/api/v1/suppressions/undo", order).Json();
  EXPECT_EQ(told["found"], 1);
  EXPECT_EQ(told["removed"], 0);
  EXPECT_EQ(told["examples"][0]["address"], "a@example.org");
  EXPECT_THAT(Addresses(), SizeIs(5));
  told = Ask("POST", "/api/v1/suppressions/undo",
             R"({"site":"mx.example.org","since":"2027-01-15T07:00:00Z",)"
             R"("rule":"no-such-user","who":"eve"})")
             .Json();
  EXPECT_EQ(told["removed"], 1);
  EXPECT_THAT(Addresses(), ElementsAre("b@example.org", "c@example.org", "d@example.org", "e@example.org"));
  EXPECT_EQ(suppressions_.past[0].who, "eve");
  EXPECT_EQ(suppressions_.past[0].why, "undo");

  EXPECT_EQ(Ask("POST", "/api/v1/suppressions/undo", R"({"domain":"@Example.org"})").Json()["removed"], 3);
  EXPECT_THAT(Addresses(), ElementsAre("e@example.org"));
}

TEST_F(SuppressionApiTest, UndoesNothingUnlessItIsToldWhat) {
  PutByRule("a@example.org", "no-such-user", "mx.example.org");
  for (const char* body : {"", "{}", R"({"since":"2027-01-15"})", R"({"list":"offers"})", R"({"site":""})",
                           R"({"site":"mx.example.org","untill":"2020-01-01"})", R"({"site":["mx.example.org"]})",
                           R"({"site":"mx.example.org","until":"soon"})", R"({"domain":"a..b"})"}) {
    EXPECT_EQ(Ask("POST", "/api/v1/suppressions/undo", body).status, 400) << body;
  }
  EXPECT_THAT(Addresses(), SizeIs(1));
}

TEST_F(SuppressionApiTest, KnowsItsPagesAndTheirMethods) {
  EXPECT_EQ(Ask("PUT", "/api/v1/suppressions").status, 405);
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions/lists").status, 405);
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions/export").status, 405);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/import").status, 405);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/undo").status, 405);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/nothing").status, 404);
  EXPECT_EQ(Ask("GET", "/api/v1/suppressions/lists/x").status, 404);
  EXPECT_TRUE(AdminApi::StreamsBody("POST", "/api/v1/suppressions/import"));
  EXPECT_FALSE(AdminApi::StreamsBody("POST", "/api/v1/suppressions"));
  EXPECT_FALSE(AdminApi::StreamsBody("GET", "/api/v1/suppressions/import"));
}

TEST_F(SuppressionApiTest, EndsWhatTakesLongWhenTheProgramStops) {
  Put("", "ana@example.org");
  api_.Stop();
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions/import", "ana@example.org\n").status, 503);
  EXPECT_EQ(Ask("POST", "/api/v1/suppressions/undo", R"({"site":"x"})").status, 503);
}

}  // namespace
}  // namespace postrider::observe
