#include "throttle/limit.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};

TEST(Limit, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < kLimits; ++i) names.emplace(ToString(static_cast<Limit>(i)));
  EXPECT_EQ(names.size(), kLimits);
  EXPECT_EQ(ToString(Limit::kNone), "none");
  EXPECT_EQ(ToString(Limit::kBackoff), "backoff");
  EXPECT_EQ(ToString(Limit::kMessageRate), "message-rate");
}

TEST(Admission, JoinedAnswersWaitForTheLatest) {
  Admission answer{kStart, Limit::kNone};
  answer.Join({kStart + 5s, Limit::kNone});
  EXPECT_TRUE(answer.Go());
  answer.Join({kStart + 2s, Limit::kMessageRate});
  EXPECT_EQ(answer.limit, Limit::kMessageRate);
  answer.Join({kStart + 1s, Limit::kConnectRate});
  EXPECT_EQ(answer.limit, Limit::kMessageRate);
  answer.Join({Monotonic::max(), Limit::kConnections});
  EXPECT_EQ(answer.limit, Limit::kConnections);
  answer.Join({kStart, Limit::kNone});
  EXPECT_FALSE(answer.Go());
}

}  // namespace
}  // namespace postrider
