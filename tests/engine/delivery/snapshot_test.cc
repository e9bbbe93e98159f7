// What an operator is shown of the paths of a core.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using testing::UnorderedElementsAre;

TEST(Snapshot, ShowsTheLastReplyWithItsCode) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("452 4.2.2 mailbox full"); };
  world.Submit({.recipients = {"ana@some.test"}});
  world.RunFor(std::chrono::seconds(2));
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_EQ(snapshot.sites[0].last_reply, "452 4.2.2 mailbox full");
}

TEST(Snapshot, ShowsOurOwnWordsWhereThereWasNoReply) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.dead.test", {"dead.test"});
  receiver.script.listening = false;
  world.Submit({.recipients = {"ana@dead.test"}});
  world.RunFor(std::chrono::seconds(2));
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_THAT(snapshot.sites[0].last_reply, testing::HasSubstr("refused"));
  EXPECT_NE(snapshot.sites[0].last_reply.find_first_of("0123456789"), 0u) << "no code was said";
}

TEST(Snapshot, NamesTheDomainsOfASiteAndCountsPathsByTheirMode) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test", "other.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string(kStall); };
  world.Submit({.recipients = Recipients(4, {"some.test", "other.test"})});
  world.RunFor(std::chrono::seconds(2));
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_THAT(snapshot.sites[0].domain_names, UnorderedElementsAre("some.test", "other.test"));
  EXPECT_EQ(snapshot.paths[static_cast<std::size_t>(SiteMode::kNormal)], 1u);
  EXPECT_EQ(snapshot.paths[static_cast<std::size_t>(SiteMode::kStopped)], 0u);
}

}  // namespace
}  // namespace postrider::delivery
