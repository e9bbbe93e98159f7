#include "tools/sink/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(Listen, ReadsAnAddressAloneAndTakesTheDefaults) {
  Behaviour defaults;
  defaults.temporary_share = 0.25;
  const Result<ListenOptions> listen = ParseListen("127.0.0.2:2525", defaults);
  ASSERT_TRUE(listen);
  EXPECT_EQ(ToString(listen->address), "127.0.0.2:2525");
  EXPECT_EQ(listen->personality, "plain");
  EXPECT_EQ(listen->behaviour.temporary_share, 0.25);
}

TEST(Listen, LetsItsOwnSettingsWin) {
  Behaviour defaults;
  defaults.temporary_share = 0.25;
  const Result<ListenOptions> listen = ParseListen(
      "[::1]:0=yahoo,temporary=5%,delay=50ms,tls=implicit,reset=data:1%,stall=final:0.5:3,size=off,"
      "chunking=on,auth=user:pass:word,down-for=10s:close,message-cap=20,replies=wild,greylist=1500ms,"
      "limits=usual,client-connections=4,client-site-connections=2,client-connects=10/1s,client-messages=600/1m,"
      "client-messages=9/1s,penalty=5m,provider=p",
      defaults);
  ASSERT_TRUE(listen) << listen.error().message;
  const Behaviour& b = listen->behaviour;
  EXPECT_EQ(listen->personality, "yahoo");
  EXPECT_DOUBLE_EQ(b.temporary_share, 0.05);
  EXPECT_EQ(b.delay, milliseconds(50));
  EXPECT_EQ(b.tls, TlsMode::kImplicit);
  ASSERT_EQ(b.faults.size(), 2u);
  EXPECT_EQ(b.faults[0].kind, Fault::Kind::kReset);
  EXPECT_EQ(b.faults[0].point, Point::kData);
  EXPECT_DOUBLE_EQ(b.faults[0].share, 0.01);
  EXPECT_EQ(b.faults[1].kind, Fault::Kind::kStall);
  EXPECT_EQ(b.faults[1].point, Point::kFinal);
  EXPECT_EQ(b.faults[1].nth_message, 3u);
  EXPECT_EQ(b.size, 0u);
  EXPECT_EQ(b.chunking, true);
  EXPECT_EQ(b.auth_user, "user");
  EXPECT_EQ(b.auth_password, "pass:word");
  EXPECT_EQ(b.down_for, std::chrono::seconds(10));
  EXPECT_EQ(b.down_mode, DownMode::kClose);
  EXPECT_EQ(b.message_cap, 20u);
  EXPECT_TRUE(b.usual_limits);
  EXPECT_EQ(b.provider, "p");
  const Limits limits{.connections = 4,
                      .site_connections = 2,
                      .connects = {{10, milliseconds(1000)}},
                      .messages = {{600, milliseconds(60'000)}, {9, milliseconds(1000)}},
                      .penalty = milliseconds(300'000)};
  EXPECT_EQ(b.limits, limits);
  EXPECT_TRUE(b.wild_replies);
  EXPECT_EQ(b.greylist, std::chrono::seconds(2));  // never shorter than asked
}

TEST(Listen, SaysWhatIsWrongAndWhatWasExpected) {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1", "127.0.0.1"},
      {"127.0.0.1:99999", "99999"},
      {"127.0.0.1:25=plain,delay", "expected setting=value"},
      {"127.0.0.1:25=plain,dleay=5s", "no setting is named \"dleay\""},
      {"127.0.0.1:25=plain,delay=5 s", "expected a duration"},
      {"127.0.0.1:25=plain,delay=-5s", "expected a duration"},
      {"127.0.0.1:25=plain,delay=99999999h", "expected a duration"},
      {"127.0.0.1:25=plain,permanent=101%", "expected a share"},
      {"127.0.0.1:25=plain,permanent=nan", "expected a share"},
      {"127.0.0.1:25=plain,permanent=%", "expected a share"},
      {"127.0.0.1:25=plain,permanent=-0.1", "expected a share"},
      {"127.0.0.1:25=plain,tls=maybe", "one of none, starttls, required, implicit"},
      {"127.0.0.1:25=plain,reset=data", "POINT:SHARE"},
      {"127.0.0.1:25=plain,reset=dada:1%", "one of banner"},
      {"127.0.0.1:25=plain,reset=data:1%:0", "from 1"},
      {"127.0.0.1:25=plain,auth=user", "USER:PASSWORD"},
      {"127.0.0.1:25=plain,auth=:x", "USER:PASSWORD"},
      {"127.0.0.1:25=plain,size=10k", "number of bytes"},
      {"127.0.0.1:25=plain,message-cap=-1", "whole number"},
      {"127.0.0.1:25=plain,pipelining=yes", "on or off"},
      {"127.0.0.1:25=plain,down-for=1s:open", "one of refuse, close"},
      {"127.0.0.1:25=plain,limits=on", "one of usual, none"},
      {"127.0.0.1:25=plain,client-connections=-1", "whole number"},
      {"127.0.0.1:25=plain,client-messages=600", "N/DURATION"},
      {"127.0.0.1:25=plain,client-messages=/1m", "N/DURATION"},
      {"127.0.0.1:25=plain,client-messages=0/1m", "N/DURATION"},
      {"127.0.0.1:25=plain,client-messages=1000001/1m", "N/DURATION"},
      {"127.0.0.1:25=plain,client-connects=5/0s", "N/DURATION"},
      {"127.0.0.1:25=plain,client-connects=5/1x", "N/DURATION"},
      {"127.0.0.1:25=plain,penalty=5x", "expected a duration"},
      {"127.0.0.1:25=plain,provider=", "a name"},
  };
  for (const auto& [text, problem] : cases) {
    const Result<ListenOptions> listen = ParseListen(text, {});
    ASSERT_FALSE(listen) << text;
    EXPECT_THAT(listen.error().message, HasSubstr(problem));
    EXPECT_THAT(listen.error().message, HasSubstr("--listen 127.0.0.1"));
  }
}

TEST(Duration, KnowsItsUnits) {
  EXPECT_EQ(ParseDuration("50ms").value(), milliseconds(50));
  EXPECT_EQ(ParseDuration("2").value(), milliseconds(2000));
  EXPECT_EQ(ParseDuration("2s").value(), milliseconds(2000));
  EXPECT_EQ(ParseDuration("3m").value(), milliseconds(180'000));
  EXPECT_EQ(ParseDuration("1h").value(), milliseconds(3'600'000));
  EXPECT_FALSE(ParseDuration(""));
  EXPECT_FALSE(ParseDuration("ms"));
  EXPECT_FALSE(ParseDuration("99999999999999999999s"));
}

TEST(Settings, AllHaveHelpAndRefuseNonsense) {
  for (const Setting& setting : Settings()) {
    Behaviour behaviour;
    EXPECT_FALSE(setting.help.empty()) << setting.name;
    EXPECT_FALSE(setting.value.empty()) << setting.name;
    EXPECT_FALSE(ApplySetting(behaviour, setting.name, "\x01")) << setting.name;
  }
}

}  // namespace
}  // namespace postrider::sink
