#include "throttle/unmatched_replies.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

Wall At(int seconds) { return Wall(std::chrono::seconds(seconds)); }

Reply Said(std::string_view text) { return ParseReplyText(text).value(); }

TEST(NormalizeReply, PutsPlaceholdersWhereRepliesDiffer) {
  const std::pair<const char*, const char*> cases[] = {
      {"550 5.1.1 <ana@example.org>: no mailbox 4711 at mx1.example.org.",
       "550 5.1.1 <address>: no mailbox <n> at <host>."},
      {"550-5.7.1 [192.0.2.7] not today\n550 5.7.1 see https://example.org/x?id=1",
       "550 5.7.1 [<ip>] not today see <url>"},
      {"451 4.7.1 try again, id=wFHMeGMHMYJ41234 2001:db8::1", "451 4.7.1 try again, <id> <ip>"},
      // Marks that mean something stay.
      {"550 refused (S3140) OFR005_104", "550 refused (S3140) OFR005_104"},
      {"421 GLXTWVLGZHZNHVXYABCDEFGHIJKLM bye", "421 <id> bye"},
      {"554 12:34:56 no", "554 <n> no"},
      {"554 ana@example.org", "554 <address>"},
      {"554 @ . - <>", "554 @ . - <>"},
      {"554", "554"},
  };
  for (const auto& [said, normalized] : cases) EXPECT_EQ(NormalizeReply(Said(said)), normalized);
}

TEST(NormalizeReply, CutsLongTextsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "é ";
  const std::string cut = NormalizeReply(Reply{550, std::nullopt, text});
  EXPECT_LE(cut.size(), 240u);
  EXPECT_TRUE(cut.ends_with("é") || cut.ends_with(' ')) << cut.substr(cut.size() - 4);
  EXPECT_EQ(NormalizeReply(Reply{550, std::nullopt, std::string(100'000, 'x')}), "550 <id>");
  EXPECT_EQ(NormalizeReply(Reply{550, std::nullopt, std::string("a\0b\xff", 4)}), "550 a b?");
}

TEST(UnmatchedReplies, CountsWhatIsTheSameButForNamesAndNumbers) {
  UnmatchedReplies replies;
  replies.Add(Said("550 no cake for ana@example.org"), Stage::kRcpt, "google", At(5));
  replies.Add(Said("550 no cake for bob@example.net"), Stage::kRcpt, "google", At(7));
  replies.Add(Said("550 no tea for bob@example.net"), Stage::kContent, "", At(6));
  const auto top = replies.Top(10);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].count, 2u);
  EXPECT_EQ(top[0].provider, "google");
  EXPECT_EQ(top[0].text, "550 no cake for <address>");
  EXPECT_EQ(top[0].example, "550 no cake for ana@example.org");
  EXPECT_EQ(top[0].stage, Stage::kRcpt);
  EXPECT_EQ(top[0].first, At(5));
  EXPECT_EQ(top[0].last, At(7));
  EXPECT_EQ(top[1].stage, Stage::kContent);
  EXPECT_EQ(replies.Top(1).size(), 1u);
  EXPECT_EQ(replies.total(), 3u);
}

TEST(UnmatchedReplies, KeepsProvidersApart) {
  UnmatchedReplies replies;
  replies.Add(Said("550 no cake"), Stage::kRcpt, "google", At(1));
  replies.Add(Said("550 no cake"), Stage::kRcpt, "yahoo", At(2));
  EXPECT_EQ(replies.clusters(), 2u);
}

TEST(UnmatchedReplies, LetsTheLeastUsedGo) {
  UnmatchedReplies replies(2);
  for (int i = 0; i < 3; ++i) replies.Add(Said("550 often"), Stage::kRcpt, "", At(i));
  replies.Add(Said("550 once"), Stage::kRcpt, "", At(10));
  replies.Add(Said("550 new"), Stage::kRcpt, "", At(11));
  const auto top = replies.Top(10);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].text, "550 often");
  EXPECT_EQ(top[1].text, "550 new");
  EXPECT_EQ(replies.total(), 5u);
}

TEST(UnmatchedReplies, StaysBoundedUnderRepliesThatAreAllDifferent) {
  UnmatchedReplies replies(50);
  for (int i = 0; i < 5000; ++i) {
    const std::string word{static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26),
                           static_cast<char>('a' + i / 676)};
    replies.Add(Said("550 " + word), Stage::kRcpt, "", At(i));
  }
  EXPECT_EQ(replies.clusters(), 50u);
  EXPECT_EQ(replies.total(), 5000u);
  UnmatchedReplies none(0);
  none.Add(Said("550 x"), Stage::kRcpt, "", At(1));
  EXPECT_EQ(none.clusters(), 0u);
}

TEST(UnmatchedReplies, MergeWhatSeveralCoresSaw) {
  UnmatchedReplies all(2);
  UnmatchedReplies one(2);
  UnmatchedReplies two(2);
  one.Add(Said("550 both"), Stage::kRcpt, "", At(5));
  one.Add(Said("550 mine"), Stage::kRcpt, "", At(6));
  two.Add(Said("550 both"), Stage::kRcpt, "", At(3));
  two.Add(Said("550 theirs"), Stage::kRcpt, "", At(9));
  all.Merge(one);
  all.Merge(two);
  const auto top = all.Top(10);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].text, "550 both");
  EXPECT_EQ(top[0].count, 2u);
  EXPECT_EQ(top[0].first, At(3));
  EXPECT_EQ(top[0].last, At(5));
  EXPECT_EQ(top[1].text, "550 theirs");
  EXPECT_EQ(all.total(), 4u);
}

}  // namespace
}  // namespace postrider
