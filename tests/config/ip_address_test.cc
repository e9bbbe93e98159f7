#include "config/ip_address.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider {
namespace {

IpAddress Ip(std::string_view text) {
  const Result<IpAddress> address = IpAddress::Parse(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress());
}

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  for (const auto& [text, canonical] :
       {std::pair("192.0.2.1", "192.0.2.1"), std::pair("255.255.255.255", "255.255.255.255"), std::pair("::", "::"),
        std::pair("2001:DB8:0:0::1", "2001:db8::1"), std::pair("::ffff:192.0.2.1", "::ffff:192.0.2.1")}) {
    EXPECT_EQ(ToString(Ip(text)), canonical);
    EXPECT_EQ(Ip(canonical), Ip(text));
  }
  EXPECT_TRUE(Ip("192.0.2.1").IsIpv4());
  EXPECT_FALSE(Ip("::ffff:192.0.2.1").IsIpv4());
}

TEST(IpAddress, RefusesWhatIsNotExactlyAnAddress) {
  for (std::string text : {"",
                           " ",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "01.2.3.4",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "0x7f.0.0.1",
                           "127.1",
                           ":",
                           ":::",
                           "1::2::3",
                           "fe80::1%eth0",
                           "[::1]",
                           "1.2.3.4:25",
                           "g::1",
                           "1:2:3:4:5:6:7:8:9",
                           "::1.2.3.256"}) {
    EXPECT_FALSE(IpAddress::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string("1.2.3.4\0", 8)).has_value());
  EXPECT_FALSE(IpAddress::Parse(std::string(100'000, '1')).has_value());
}

TEST(IpAddress, UnusedBytesOfIpv4StayZeroSoThatEqualMeansEqual) {
  const IpAddress address = Ip("1.2.3.4");
  for (std::size_t i = 4; i < 16; ++i) EXPECT_EQ(address.bytes[i], 0);
}

TEST(IpAddress, KnowsLoopbackInEveryGuise) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"}) {
    EXPECT_TRUE(Ip(text).IsLoopback()) << text;
    EXPECT_TRUE(Ip(text).IsPrivate()) << text;
  }
  for (const char* text : {"128.0.0.1", "126.255.255.255", "::2", "::", "::ffff:128.0.0.1", "1::1"}) {
    EXPECT_FALSE(Ip(text).IsLoopback()) << text;
  }
}

TEST(IpAddress, KnowsTheUnspecified) {
  for (const char* text : {"0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"}) EXPECT_TRUE(Ip(text).IsUnspecified()) << text;
  for (const char* text : {"1.0.0.0", "::1"}) EXPECT_FALSE(Ip(text).IsUnspecified()) << text;
}

TEST(IpAddress, PrivateRangesEndWhereTheyShould) {
  for (const char* text : {"10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "169.254.169.254",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.1",
                           "198.19.255.255",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "0.0.0.0",
                           "fc00::1",
                           "fdff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "ff02::1",
                           "::2",
                           "100::1",
                           "::ffff:10.0.0.1",
                           "64:ff9b::192.168.1.1"}) {
    EXPECT_TRUE(Ip(text).IsPrivate()) << text;
  }
  for (const char* text :
       {"9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "169.253.255.255", "169.255.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "8.8.8.8", "2001:4860::1", "fbff::1", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"}) {
    EXPECT_FALSE(Ip(text).IsPrivate()) << text;
  }
}

TEST(IpAddress, WritesTheLiteralOfRfc5321) {
  EXPECT_EQ(ToLiteral(Ip("192.0.2.1")), "[192.0.2.1]");
  EXPECT_EQ(ToLiteral(Ip("2001:db8::1")), "[IPv6:2001:db8::1]");
}

TEST(SocketAddress, ReadsAndWritesBothFamilies) {
  for (const char* text : {"192.0.2.1:25", "[2001:db8::1]:465", "127.0.0.1:0", "127.0.0.1:65535"}) {
    const Result<SocketAddress> address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(ToString(*address), text);
  }
}

TEST(SocketAddress, RefusesAMissingOrWrongPortAndMissingOrNeedlessBrackets) {
  for (const char* text : {"", ":", ":25", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1",
                           "192.0.2.1:2 5", "192.0.2.1:0x19", "2001:db8::1:25", "[192.0.2.1]:25", "[2001:db8::1]",
                           "[2001:db8::1:25", "2001:db8::1]:25", "[]:25", "mx.example.org:25", "192.0.2.1:25:25"}) {
    EXPECT_FALSE(SocketAddress::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(SocketAddress::Parse(std::string(100'000, ':')).has_value());
}

}  // namespace
}  // namespace postrider
