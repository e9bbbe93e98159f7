#include "engine/intake/recipient_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::intake {
namespace {

Options WithRoutes(std::initializer_list<const char*> patterns) {
  Options options;
  for (const char* pattern : patterns) {
    RouteOptions& route = options.routes.emplace_back();
    route.match = DomainPattern::Parse(pattern).value();
  }
  return options;
}

TEST(RecipientRules, TakeNoAddressLiteralForAMailDomain) {
  const RecipientRules rules(WithRoutes({"*", "example.org"}));
  for (const char* text : {"user@[127.0.0.1]", "user@[192.0.2.1]", "user@[IPv6:2001:db8::1]"}) {
    const Result<EmailAddress> address = rules.Parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(address.error().message, testing::HasSubstr("is an address literal, not a mail domain")) << text;
  }
  EXPECT_EQ(rules.Parse("user@example.org").value().domain, "example.org");
  EXPECT_FALSE(rules.Parse("user@[nonsense"));
  EXPECT_FALSE(rules.Parse(""));
}

TEST(RecipientRules, TakeTheLiteralThatARouteNames) {
  const RecipientRules rules(WithRoutes({"[127.0.0.1]", "[IPv6:2001:0db8::0001]"}));
  EXPECT_EQ(rules.Parse("user@[127.0.0.1]").value().domain, "[127.0.0.1]");
  EXPECT_TRUE(rules.Parse("user@[IPv6:2001:db8::1]")) << "however it is spelled";
  EXPECT_FALSE(rules.Parse("user@[127.0.0.2]"));
}

}  // namespace
}  // namespace postrider::intake
