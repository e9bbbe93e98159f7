#include "engine/delivery/trace_book.h"

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postrider::delivery {
namespace {

using std::chrono::seconds;

constexpr Monotonic kNow(seconds(100));
constexpr Wall kWall(seconds(1'000'000));

TracePlace Place(std::string_view site, std::uint64_t connection = 1, std::string_view source = "a") {
  return {.site = site, .source = source, .host = site, .address = "192.0.2.1", .connection = connection};
}

TraceAnswer Watch(TraceBook& book, std::string site, std::uint64_t after, Monotonic now = kNow,
                  std::string source = {}) {
  TraceAnswer answer;
  book.Answer({.number = 5, .site = std::move(site), .source = std::move(source), .live = true, .after = after}, now,
              answer);
  return answer;
}

std::vector<FailedConversation> Failures(TraceBook& book, std::string site, std::size_t most, std::string source = {}) {
  TraceAnswer answer;
  book.Answer({.site = std::move(site), .source = std::move(source), .failures = most}, kNow, answer);
  EXPECT_FALSE(book.watching()) << "who asks for failures watches nothing";
  return answer.failures;
}

void Say(TraceBook& book, const TracePlace& place, std::string_view text) {
  book.Pass(place, kWall, TraceDirection::kSent, 0, text);
}

void Fail(TraceBook& book, const TracePlace& place, std::string_view problem) {
  Transcript transcript;
  transcript.Begin({kNow, kWall});
  transcript.Add(kNow, TraceDirection::kReceived, 554, problem);
  book.Failed(place, kWall, problem, transcript);
}

TEST(TraceBook, TellsEachLineOfTheWatchedSiteOnceAndNoneFromBefore) {
  TraceBook book;
  EXPECT_FALSE(book.watching());
  TraceAnswer answer = Watch(book, "mx.one.test", 0);
  EXPECT_TRUE(book.watching());
  EXPECT_EQ(answer.number, 5u);
  EXPECT_TRUE(answer.lines.empty());
  EXPECT_NE(answer.next, 0u) << "0 would mean: from now on";
  Say(book, Place("mx.one.test"), "first");
  Say(book, Place("mx.two.test"), "another's");
  Say(book, Place("mx.one.test"), "second");
  answer = Watch(book, "mx.one.test", answer.next);
  ASSERT_EQ(answer.lines.size(), 2u);
  EXPECT_EQ(answer.lines[0].text, "first");
  EXPECT_EQ(answer.lines[1].text, "second");
  EXPECT_TRUE(Watch(book, "mx.one.test", answer.next).lines.empty());
}

TEST(TraceBook, ShowsTwoWhoWatchTheSameSiteAllOfIt) {
  TraceBook book;
  const std::uint64_t next = Watch(book, "mx.one.test", 0).next;
  Say(book, Place("mx.one.test"), "first");
  const std::uint64_t late = Watch(book, "mx.one.test", 0).next;
  Say(book, Place("mx.one.test"), "second");
  EXPECT_EQ(Watch(book, "mx.one.test", next).lines.size(), 2u);
  EXPECT_EQ(Watch(book, "mx.one.test", late).lines.size(), 1u);
}

TEST(TraceBook, ShowsOneSourceIfAsked) {
  TraceBook book;
  const std::uint64_t next = Watch(book, "mx.one.test", 0, kNow, "b").next;
  Say(book, Place("mx.one.test", 1, "a"), "by a");
  Say(book, Place("mx.one.test", 2, "b"), "by b");
  const TraceAnswer answer = Watch(book, "mx.one.test", next, kNow, "b");
  ASSERT_EQ(answer.lines.size(), 1u);
  EXPECT_EQ(answer.lines[0].text, "by b");
  EXPECT_EQ(answer.lines[0].connection, 2u);
}

TEST(TraceBook, EndsAWatchThatNobodyAsksForAndGoesOnWithItsNumbers) {
  TraceBook book;
  std::uint64_t next = Watch(book, "mx.one.test", 0).next;
  Say(book, Place("mx.one.test"), "first");
  next = Watch(book, "mx.one.test", next).next;
  book.Tick(kNow + TraceBook::kWatchFor - seconds(1));
  EXPECT_TRUE(book.watching());
  book.Tick(kNow + TraceBook::kWatchFor);
  EXPECT_FALSE(book.watching());
  const TraceAnswer again = Watch(book, "mx.one.test", next, kNow + seconds(60));
  EXPECT_TRUE(again.lines.empty());
  Say(book, Place("mx.one.test"), "second");
  EXPECT_EQ(Watch(book, "mx.one.test", again.next, kNow + seconds(61)).lines.size(), 1u);
}

TEST(TraceBook, CountsWhatHadToMakeRoomAndTellsTheRestInPieces) {
  TraceBook book;
  std::uint64_t next = Watch(book, "mx.one.test", 0).next;
  constexpr std::size_t kLines = 10'000;
  for (std::size_t i = 0; i < kLines; ++i) Say(book, Place("mx.one.test"), fmt::format("line {:04}", i));
  std::size_t seen = 0;
  std::uint64_t lost = 0;
  TraceAnswer answer;
  do {
    answer = Watch(book, "mx.one.test", next);
    ASSERT_FALSE(answer.lines.empty());
    ASSERT_LE(answer.lines.size() * TraceBook::kLineOverhead, TraceBook::kAnswerBytes + TraceBook::kLineBytes);
    next = answer.next;
    seen += answer.lines.size();
    lost += answer.lost;
  } while (answer.more);
  EXPECT_EQ(answer.lines.back().text, "line 9999");
  EXPECT_EQ(seen + lost, kLines);
  EXPECT_GT(lost, 0u);
  EXPECT_LE(seen * TraceBook::kLineOverhead, TraceBook::kWatchBytes);
}

TEST(TraceBook, WatchesFewSitesAtOnce) {
  TraceBook book;
  for (int i = 0; i < 100; ++i) (void)Watch(book, fmt::format("mx{}.test", i), 0, kNow + seconds(i));
  std::uint64_t next = Watch(book, "mx99.test", 0, kNow + seconds(100)).next;
  Say(book, Place("mx99.test"), "still here");
  EXPECT_EQ(Watch(book, "mx99.test", next, kNow + seconds(100)).lines.size(), 1u);
}

TEST(TraceBook, TakesANumberThatIsNotItsOwnForNone) {
  TraceBook book;
  (void)Watch(book, "mx.one.test", 0);
  Say(book, Place("mx.one.test"), "first");
  const TraceAnswer answer = Watch(book, "mx.one.test", 123'456'789);
  EXPECT_TRUE(answer.lines.empty());
  EXPECT_EQ(answer.lost, 0u);
  Say(book, Place("mx.one.test"), "second");
  EXPECT_EQ(Watch(book, "mx.one.test", answer.next).lines.size(), 1u);
}

TEST(TraceBook, KeepsTheLastFailuresNewestFirst) {
  TraceBook book;
  Fail(book, Place("mx.one.test", 1), "go away");
  Fail(book, Place("mx.two.test", 2, "b"), "not you");
  Fail(book, Place("mx.one.test", 3), "later");
  const std::vector<FailedConversation> one = Failures(book, "mx.one.test", 10);
  ASSERT_EQ(one.size(), 2u);
  EXPECT_EQ(one[0].problem, "later");
  EXPECT_EQ(one[0].connection, 3u);
  EXPECT_EQ(one[0].host, "mx.one.test");
  EXPECT_EQ(one[0].address, "192.0.2.1");
  EXPECT_EQ(one[0].time, kWall);
  ASSERT_EQ(one[0].lines.size(), 1u);
  EXPECT_EQ(one[0].lines[0].text, "554 later");
  EXPECT_EQ(Failures(book, "mx.one.test", 1).size(), 1u);
  EXPECT_EQ(Failures(book, "", 10).size(), 3u);
  EXPECT_EQ(Failures(book, "", 10, "b").size(), 1u);
}

TEST(TraceBook, HasOneRecordOfAConnectionThatFailsAgainAndAgain) {
  TraceBook book;
  for (int i = 0; i < 100; ++i) Fail(book, Place("mx.one.test", 1), fmt::format("busy {}", i));
  const std::vector<FailedConversation> failures = Failures(book, "", 100);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].problem, "busy 99");
}

TEST(TraceBook, IsNotFilledByOneSiteWhereEverythingFails) {
  TraceBook book;
  Fail(book, Place("mx.rare.test", 1), "rare");
  for (std::uint64_t i = 0; i < 1000; ++i) Fail(book, Place("mx.dead.test", 2 + i), "dead");
  EXPECT_EQ(Failures(book, "mx.dead.test", 100).size(), TraceBook::kFailuresOfOneSite);
  EXPECT_EQ(Failures(book, "mx.rare.test", 100).size(), 1u);
  for (std::uint64_t i = 0; i < 1000; ++i) Fail(book, Place(fmt::format("mx{}.test", i), 2000 + i), "each once");
  EXPECT_EQ(Failures(book, "", 1000).size(), TraceBook::kFailures);
  EXPECT_EQ(Failures(book, "mx999.test", 10).size(), 1u);
}

}  // namespace
}  // namespace postrider::delivery
