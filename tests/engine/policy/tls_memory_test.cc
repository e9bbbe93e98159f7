#include "engine/policy/tls_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider::policy {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

const Wall kNow{milliseconds(1'800'000'000'000)};
constexpr std::string_view kHost = "mx.example.org";

TEST(TlsMemory, AllowsPlaintextOnlyAfterTwoBrokenHandshakesInARow) {
  TlsMemory memory(TlsOptions{});
  EXPECT_FALSE(memory.MayUsePlaintext(kHost, kNow));
  memory.Failed(kHost, kNow);
  EXPECT_FALSE(memory.MayUsePlaintext(kHost, kNow));
  memory.Failed(kHost, kNow);
  EXPECT_TRUE(memory.MayUsePlaintext(kHost, kNow));
  EXPECT_FALSE(memory.MayUsePlaintext("other.example.org", kNow));
}

TEST(TlsMemory, TriesTlsAgainWhenTheMemoryIsOverAndJudgesItAnew) {
  TlsMemory memory(TlsOptions{});
  memory.Failed(kHost, kNow);
  memory.Failed(kHost, kNow);
  const Wall later = kNow + hours(24);
  EXPECT_TRUE(memory.MayUsePlaintext(kHost, later - milliseconds(1)));
  EXPECT_FALSE(memory.MayUsePlaintext(kHost, later));
  memory.Failed(kHost, later);
  EXPECT_FALSE(memory.MayUsePlaintext(kHost, later));
  memory.Failed(kHost, later);
  EXPECT_TRUE(memory.MayUsePlaintext(kHost, later));
}

TEST(TlsMemory, NeverFallsBackWhereTlsWorkedWithinAMonth) {
  TlsMemory memory(TlsOptions{});
  memory.Worked(kHost, kNow);
  for (int i = 0; i < 5; ++i) memory.Failed(kHost, kNow + hours(1));
  EXPECT_TRUE(memory.MustUseTls(kHost, kNow + hours(1)));
  EXPECT_FALSE(memory.MayUsePlaintext(kHost, kNow + hours(1)));
  EXPECT_FALSE(memory.MustUseTls(kHost, kNow + hours(24 * 30)));
}

TEST(TlsMemory, KeepsWhatItLearntAcrossARestart) {
  TlsMemory first(TlsOptions{});
  first.Failed(kHost, kNow);
  EXPECT_EQ(first.TakeChange(), std::nullopt);
  first.Failed(kHost, kNow);
  first.Worked("good.example.org", kNow);
  TlsMemory second(TlsOptions{});
  int changes = 0;
  while (const auto change = first.TakeChange()) {
    second.Load(change->first, change->second);
    ++changes;
  }
  EXPECT_EQ(changes, 2);
  EXPECT_TRUE(second.MayUsePlaintext(kHost, kNow));
  EXPECT_TRUE(second.MustUseTls("good.example.org", kNow));
}

TEST(TlsMemory, WritesThatTlsWorksDownOnceADay) {
  TlsMemory memory(TlsOptions{});
  memory.Worked(kHost, kNow);
  EXPECT_TRUE(memory.TakeChange().has_value());
  memory.Worked(kHost, kNow + hours(23));
  EXPECT_FALSE(memory.TakeChange().has_value());
  memory.Worked(kHost, kNow + hours(24));
  EXPECT_TRUE(memory.TakeChange().has_value());
}

TEST(TlsMemory, IgnoresTextThatNoRunWrote) {
  TlsMemory memory(TlsOptions{});
  for (const std::string text : {"", "x", "1 2", "1 2 9", "1 2 2 3", "1 2 -1", "99999999999999999999 0 2", "1,2,2"}) {
    memory.Load(kHost, text);
    EXPECT_FALSE(memory.MayUsePlaintext(kHost, Wall(milliseconds(2)))) << text;
    EXPECT_FALSE(memory.MustUseTls(kHost, Wall(milliseconds(2)))) << text;
  }
}

TEST(TlsMemory, ForgetsTheHostUsedLongestAgoFirst) {
  TlsMemory memory(TlsOptions{}, 2);
  for (const std::string_view host : {"a", "b"}) {
    memory.Failed(host, kNow);
    memory.Failed(host, kNow);
  }
  memory.Failed("a", kNow);
  memory.Failed("c", kNow);
  EXPECT_TRUE(memory.MayUsePlaintext("a", kNow));
  EXPECT_FALSE(memory.MayUsePlaintext("b", kNow));
}

TEST(TlsMemory, SaysOfAForgottenHostThatItsTextMayGo) {
  TlsMemory memory(TlsOptions{}, 1);
  memory.Worked("a", kNow);
  EXPECT_EQ(memory.TakeChange()->first, "a");
  memory.Worked("b", kNow);
  EXPECT_EQ(memory.TakeChange(), std::pair(std::string("a"), std::string()));
  EXPECT_EQ(memory.TakeChange()->first, "b");
  // Forgotten before its change was taken.
  memory.Worked("c", kNow);
  memory.Worked("d", kNow);
  std::string taken;
  while (const auto change = memory.TakeChange()) taken += change->first + (change->second.empty() ? "- " : "+ ");
  EXPECT_EQ(taken, "b- c- d+ ");
  // One failure is kept nowhere, so nothing need go; a host that was loaded is.
  memory.Failed("e", kNow);
  EXPECT_EQ(memory.TakeChange(), std::pair(std::string("d"), std::string()));
  memory.Load("f", "1800000000000 0 0");
  EXPECT_EQ(memory.TakeChange(), std::nullopt);
  memory.Failed("g", kNow);
  EXPECT_EQ(memory.TakeChange(), std::pair(std::string("f"), std::string()));
}

TEST(TlsMemory, AHostThatComesBackAfterBeingForgottenIsKeptAsItIsNow) {
  TlsMemory memory(TlsOptions{}, 1);
  memory.Worked("a", kNow);
  EXPECT_TRUE(memory.TakeChange().has_value());
  memory.Failed("b", kNow);
  memory.Worked("a", kNow);
  std::string last;
  while (const auto change = memory.TakeChange()) {
    if (change->first == "a") last = change->second;
  }
  EXPECT_FALSE(last.empty());
}

}  // namespace
}  // namespace postrider::policy
