#include "engine/smtp/ehlo.h"

#include <gtest/gtest.h>

#include "engine/smtp/auth.h"

namespace postrider::smtp {
namespace {

ServerOffer Read(std::string text) {
  Reply reply;
  reply.code = 250;
  reply.text = std::move(text);
  return ReadEhlo(reply);
}

TEST(Ehlo, ReadsWhatTheBigReceiversSay) {
  const ServerOffer offer = Read(
      "mx.google.com at your service, [192.0.2.1]\nSIZE 157286400\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES\n"
      "PIPELINING\nCHUNKING\nSMTPUTF8");
  EXPECT_EQ(offer.host, "mx.google.com");
  EXPECT_TRUE(offer.esmtp && offer.pipelining && offer.chunking && offer.eight_bit_mime && offer.smtp_utf8);
  EXPECT_TRUE(offer.start_tls && offer.enhanced_codes && offer.size);
  EXPECT_EQ(offer.size_limit, 157286400u);
  EXPECT_FALSE(offer.auth_plain || offer.auth_login);
  EXPECT_EQ(offer.mail_max, 0u);
}

TEST(Ehlo, ReadsKeywordsInAnyCase) {
  const ServerOffer offer = Read("h\npipelining\n8BitMime\nauth login Plain\nlimits RCPTMAX=3 mailmax=7");
  EXPECT_TRUE(offer.pipelining && offer.eight_bit_mime && offer.auth_login && offer.auth_plain);
  EXPECT_EQ(offer.mail_max, 7u);
}

TEST(Ehlo, PassesOverWhatMakesNoSense) {
  const ServerOffer offer = Read(
      "\n\n \nSIZE many\nSIZE 99999999999999999999999\nLIMITS "
      "MAILMAX=x\nLIMITS\nXPIPELINING\nPIPELININGX\nAUTH\nAUTH=");
  EXPECT_EQ(offer.host, "");
  EXPECT_TRUE(offer.size);
  EXPECT_EQ(offer.size_limit, 0u);
  EXPECT_EQ(offer.mail_max, 0u);
  EXPECT_FALSE(offer.pipelining || offer.auth_plain || offer.auth_login);
}

TEST(Ehlo, TheGreetingIsNoKeyword) {
  EXPECT_FALSE(Read("PIPELINING STARTTLS").pipelining);
  EXPECT_TRUE(Read("PIPELINING\nSTARTTLS").start_tls);
}

TEST(Helo, OffersNothingButTheName) {
  Reply reply;
  reply.text = "mx.example hi\nPIPELINING";
  const ServerOffer offer = ReadHelo(reply);
  EXPECT_EQ(offer.host, "mx.example");
  EXPECT_FALSE(offer.esmtp || offer.pipelining);
}

TEST(Base64, IsThatOfRfc4648) {
  const std::pair<const char*, const char*> kVectors[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"},
                                                          {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : kVectors) {
    std::string out = "kept";
    AppendBase64(bytes, out);
    EXPECT_EQ(out, std::string("kept") + text);
  }
}

TEST(Wipe, LeavesNothingOfTheSecret) {
  std::string secret = "a secret that is too long for the small string";
  const char* where = secret.data();
  Wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(where, secret.data());
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(where[i], '\0');
}

}  // namespace
}  // namespace postrider::smtp
