#include "engine/io/local_address.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace postrider::io {
namespace {

TEST(LocalAddress, IsOneThatThisHostHas) {
  EXPECT_TRUE(CheckLocalAddress(IpAddress::Parse("127.0.0.1").value()).has_value());
  EXPECT_TRUE(CheckLocalAddress(IpAddress::Parse("127.8.7.6").value()).has_value());
}

TEST(LocalAddress, IsNotOneOfTheDocumentationNetworks) {
  for (const char* text : {"192.0.2.10", "203.0.113.9", "2001:db8::10"}) {
    const Result<void> checked = CheckLocalAddress(IpAddress::Parse(text).value());
    ASSERT_FALSE(checked.has_value()) << text;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(checked.error().message.find(text), 0u) << checked.error().message;
  }
}

TEST(LocalAddress, IsUsableWhileItsInterfaceIsUp) {
  EXPECT_TRUE(CheckLocalInterface(IpAddress::Parse("127.0.0.1").value()).has_value());
  EXPECT_TRUE(CheckLocalInterface(IpAddress::Parse("127.8.7.6").value()).has_value());
  const Result<void> checked = CheckLocalInterface(IpAddress::Parse("192.0.2.10").value());
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().message, "192.0.2.10 is not an address of this host");
}

TEST(LocalAddress, ThoseOfTheInterfacesHoldTheLoopbackAndNoStrangers) {
  const std::vector<IpAddress> own = LocalAddresses();
  EXPECT_NE(std::ranges::find(own, *IpAddress::Parse("127.0.0.1")), own.end());
  EXPECT_EQ(std::ranges::find(own, *IpAddress::Parse("192.0.2.1")), own.end());
}

}  // namespace
}  // namespace postrider::io
