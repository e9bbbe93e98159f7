#include "config/provider.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

TEST(Provider, IsKnownByTheSuffixOfItsMx) {
  EXPECT_EQ(ProviderOfMx("gmail-smtp-in.l.google.com"), "google");
  EXPECT_EQ(ProviderOfMx("aspmx5.googlemail.com"), "google");
  EXPECT_EQ(ProviderOfMx("hotmail-com.olc.protection.outlook.com"), "microsoft");
  EXPECT_EQ(ProviderOfMx("contoso-com.mail.protection.outlook.com"), "microsoft365");
  EXPECT_EQ(ProviderOfMx("contoso-com.a-v1.mx.microsoft"), "microsoft365");
  EXPECT_EQ(ProviderOfMx("mta5.am0.yahoodns.net"), "yahoo");
  EXPECT_EQ(ProviderOfMx("mx-eu.mail.am0.yahoodns.net"), "yahoo");
  EXPECT_EQ(ProviderOfMx("mx01.mail.icloud.com"), "apple");
  EXPECT_EQ(ProviderOfMx("mx00.emig.gmx.net"), "gmx");
  EXPECT_EQ(ProviderOfMx("163mx01.mxmail.netease.com"), "netease");
  EXPECT_EQ(ProviderOfMx("eu-smtp-inbound-1.mimecast.com"), "mimecast");
  EXPECT_EQ(ProviderOfMx("mxa-00.pphosted.com"), "proofpoint");
  EXPECT_EQ(ProviderOfMx("mx1.hc1.iphmx.com"), "cisco");
}

TEST(Provider, IsUnknownForLookalikesAndBareNames) {
  for (const char* host : {"", ".", "google.com", ".google.com", "mx.notgoogle.com", "mx.google.com.evil.example",
                           "mx.google.co", "protection.outlook.com", "mx.example.org"}) {
    EXPECT_EQ(ProviderOfMx(host), "") << host;
  }
}

}  // namespace
}  // namespace postrider
