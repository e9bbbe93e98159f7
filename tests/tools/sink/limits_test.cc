#include "tools/sink/limits.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "tools/sink/receiver.h"
#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Monotonic kStart{std::chrono::hours(1)};

TEST(ClientLimits, CountsOpenConnectionsOfEachClientOverAllSitesAndAtEach) {
  ClientLimits limits({.connections = 3, .site_connections = 2, .connects = {}, .messages = {}});
  EXPECT_EQ(limits.Connect("192.0.2.1", 0, kStart), Passed::kNothing);
  EXPECT_EQ(limits.Connect("192.0.2.1", 0, kStart), Passed::kNothing);
  EXPECT_EQ(limits.Connect("192.0.2.1", 0, kStart), Passed::kSiteConnections);
  EXPECT_EQ(limits.Connect("192.0.2.1", 1, kStart), Passed::kNothing);
  EXPECT_EQ(limits.Connect("192.0.2.1", 1, kStart), Passed::kConnections);
  EXPECT_EQ(limits.Connect("192.0.2.2", 0, kStart), Passed::kNothing);
  limits.Disconnected("192.0.2.1", 0);
  EXPECT_EQ(limits.Connect("192.0.2.1", 0, kStart), Passed::kNothing);
  EXPECT_EQ(limits.Connect("192.0.2.1", 0, kStart), Passed::kConnections);
}

TEST(ClientLimits, HoldsEachWindowAtAnyInstant) {
  ClientLimits limits({.connections = 0,
                       .site_connections = 0,
                       .connects = {{2, seconds(10)}},
                       .messages = {{3, seconds(1)}, {4, minutes(1)}}});
  EXPECT_EQ(limits.Connect("a", 0, kStart), Passed::kNothing);
  EXPECT_EQ(limits.Connect("a", 0, kStart + seconds(9)), Passed::kNothing);
  EXPECT_EQ(limits.Connect("a", 0, kStart + milliseconds(9999)), Passed::kConnects);
  EXPECT_EQ(limits.Connect("a", 0, kStart + seconds(10)), Passed::kNothing);

  for (int i = 0; i < 3; ++i) EXPECT_EQ(limits.Message("a", kStart + milliseconds(i)), Passed::kNothing);
  EXPECT_EQ(limits.Message("a", kStart + milliseconds(999)), Passed::kMessages);
  EXPECT_EQ(limits.Message("a", kStart + seconds(1)), Passed::kNothing);
  EXPECT_EQ(limits.Message("a", kStart + seconds(30)), Passed::kMessages) << "the minute is full";
  EXPECT_EQ(limits.Message("b", kStart + seconds(30)), Passed::kNothing);
  EXPECT_EQ(limits.Message("a", kStart + seconds(60)), Passed::kNothing);
}

TEST(ClientLimits, PunishesWhoSentTooMuch) {
  ClientLimits limits(
      {.connections = 0, .site_connections = 0, .connects = {}, .messages = {{1, seconds(1)}}, .penalty = minutes(5)});
  EXPECT_EQ(limits.Message("a", kStart), Passed::kNothing);
  EXPECT_EQ(limits.Message("a", kStart + milliseconds(500)), Passed::kMessages);
  EXPECT_EQ(limits.Message("a", kStart + minutes(4)), Passed::kPenalty);
  EXPECT_EQ(limits.Message("b", kStart + minutes(4)), Passed::kNothing);
  EXPECT_EQ(limits.Message("a", kStart + minutes(6)), Passed::kNothing);
}

TEST(ClientLimits, ForgetClientsOfWhomNothingIsLeft) {
  ClientLimits limits({.connections = 1, .site_connections = 0, .connects = {{1, seconds(1)}}, .messages = {}});
  EXPECT_EQ(limits.Connect("open", 0, kStart), Passed::kNothing);
  for (int i = 0; i < 50'000; ++i) {
    const std::string client = fmt::format("client{}", i);
    EXPECT_EQ(limits.Connect(client, 0, kStart + milliseconds(i)), Passed::kNothing);
    limits.Disconnected(client, 0);
  }
  EXPECT_LE(limits.clients(), 10'001u);
  EXPECT_EQ(limits.Connect("open", 0, kStart + minutes(10)), Passed::kConnections);
}

std::vector<Receiver> Receivers(const std::vector<std::string>& listen) {
  std::vector<Receiver> receivers;
  for (const std::string& text : listen) {
    receivers.push_back(
        MakeReceiver(static_cast<std::uint16_t>(receivers.size()), ParseListen(text, {}).value(), {}).value());
  }
  return receivers;
}

TEST(ShareLimits, CountsTheAddressesOfOneProviderTogetherAndOthersAlone) {
  std::vector<Receiver> receivers =
      Receivers({"127.0.0.1:25=plain", "127.0.0.2:25=orange,limits=usual", "127.0.0.3:25=orange,limits=usual",
                 "127.0.0.4:25=gmail,provider=g,limits=usual", "127.0.0.5:25=gmail,provider=g,client-connections=5"});
  const Result<ClientLimitsList> limits = ShareLimits(receivers);
  ASSERT_TRUE(limits) << limits.error().message;
  EXPECT_EQ(limits->size(), 3u);
  EXPECT_EQ(receivers[0].limits, nullptr);
  ASSERT_NE(receivers[1].limits, nullptr);
  EXPECT_NE(receivers[1].limits, receivers[2].limits);
  EXPECT_EQ(receivers[3].limits, receivers[4].limits);
  EXPECT_EQ(receivers[1].limits->limits().connections, 2u);
  EXPECT_EQ(receivers[1].options.behaviour.message_cap, 100u);
}

TEST(ShareLimits, RefusesAddressesOfOneProviderThatDiffer) {
  for (const char* other : {"127.0.0.2:25=plain,provider=p,client-connections=4", "127.0.0.2:25=plain,provider=p"}) {
    std::vector<Receiver> receivers = Receivers({"127.0.0.1:25=plain,provider=p,client-connections=3", other});
    const Result<ClientLimitsList> limits = ShareLimits(receivers);
    ASSERT_FALSE(limits);
    EXPECT_NE(limits.error().message.find("127.0.0.2:25"), std::string::npos);
    EXPECT_NE(limits.error().message.find("provider p"), std::string::npos);
    std::swap(receivers[0], receivers[1]);
    EXPECT_FALSE(ShareLimits(receivers)) << "in the other order";
  }
}

}  // namespace
}  // namespace postrider::sink
