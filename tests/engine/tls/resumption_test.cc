#include <gtest/gtest.h>

#include <openssl/ssl.h>

#include <string>

#include "engine/tls/session_cache.h"
#include "tests/engine/tls/joined_pair.h"

namespace postrider::tls {
namespace {

constexpr ClientSettings kSettings{.host = "mx.example.org", .session_key = "a", .verify = false};

// Connects, and lets the tickets arrive: a TLS 1.3 server sends them before its first data.
bool Resumes(Tls& tls, TlsServer& server, const ClientSettings& settings) {
  JoinedPair pair(tls, server, settings);
  pair.Pump();
  EXPECT_TRUE(pair.BothOpen()) << pair.client->problem() << pair.server->problem();
  pair.server->Send(Bytes("250 OK"), pair.to_client);
  pair.Pump();
  EXPECT_EQ(pair.client->info().resumed, pair.server->info().resumed);
  EXPECT_EQ(pair.client->info().verified, settings.verify);
  return pair.client->info().resumed;
}

TEST(Resumption, HappensAmongEqualKeysOnly) {
  for (const bool old : {false, true}) {
    auto tls = Client();
    auto server = Server({.host_names = {"mx.example.org"}, .tls12_only = old});
    EXPECT_FALSE(Resumes(*tls, *server, kSettings));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(Resumes(*tls, *server, kSettings)) << i << old;
    EXPECT_FALSE(Resumes(*tls, *server, {.host = "mx.example.org", .session_key = "b"}));
  }
}

TEST(Resumption, NeedsATicketFromTheServer) {
  auto tls = Client();
  auto server = Server({.host_names = {"mx.example.org"}, .tickets = false});
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
}

TEST(Resumption, ASessionThatNobodyVerifiedDoesNotServeAVerifiedConnection) {
  auto server = Server();
  auto tls = ClientTrusting(*server);
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
  ClientSettings verified = kSettings;
  verified.verify = true;
  EXPECT_FALSE(Resumes(*tls, *server, verified));
  EXPECT_TRUE(Resumes(*tls, *server, verified));
}

TEST(Resumption, AVerifiedSessionServesItsOwnHostNameOnly) {
  auto server = Server({.host_names = {"mx1.example.org", "mx2.example.org"}});
  auto tls = ClientTrusting(*server);
  EXPECT_FALSE(Resumes(*tls, *server, {.host = "mx1.example.org", .session_key = "a", .verify = true}));
  EXPECT_FALSE(Resumes(*tls, *server, {.host = "mx2.example.org", .session_key = "a", .verify = true}));
  EXPECT_TRUE(Resumes(*tls, *server, {.host = "mx2.example.org", .session_key = "a", .verify = true}));
}

TEST(Resumption, AServerThatLostItsTicketKeysGetsAFullHandshake) {
  auto tls = Client();
  auto before = Server();
  EXPECT_FALSE(Resumes(*tls, *before, kSettings));
  auto after = Server();
  EXPECT_FALSE(Resumes(*tls, *after, kSettings));
  EXPECT_TRUE(Resumes(*tls, *after, kSettings));
}

TEST(Resumption, AHandshakeThatFailedWithASessionForgetsIt) {
  auto tls = Client();
  auto server = Server({.host_names = {"mx.example.org"}, .tls12_only = true});
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
  std::string wire;
  std::string plain;
  auto client = tls->Connect(kSettings, wire);
  EXPECT_EQ(client->Receive(Bytes("garbage, not TLS"), plain, wire), TlsState::kFailed);
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
}

TEST(Resumption, ACacheOfNoEntriesKeepsNothing) {
  TlsOptions options;
  options.session_cache_entries = 0;
  auto tls = Client(options);
  auto server = Server();
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
  EXPECT_FALSE(Resumes(*tls, *server, kSettings));
}

class SessionCacheTest : public ::testing::Test {
 protected:
  bssl::UniquePtr<SSL_SESSION> Session(std::uint16_t version) {
    bssl::UniquePtr<SSL_SESSION> session(SSL_SESSION_new(context_.get()));
    EXPECT_EQ(SSL_SESSION_set_protocol_version(session.get(), version), 1);
    return session;
  }
  bssl::UniquePtr<SSL_SESSION> Once() { return Session(TLS1_3_VERSION); }
  bssl::UniquePtr<SSL_SESSION> Lasting() { return Session(TLS1_2_VERSION); }

 private:
  bssl::UniquePtr<SSL_CTX> context_{SSL_CTX_new(TLS_method())};
};

TEST_F(SessionCacheTest, GivesTls13SessionsOnceAndNewestFirst) {
  SessionCache cache(100);
  std::vector<SSL_SESSION*> put;
  constexpr std::size_t kPut = SessionCache::kPerKey + 2;
  for (std::size_t i = 0; i < kPut; ++i) {
    auto session = Once();
    put.push_back(session.get());
    cache.Put("a", std::move(session));
  }
  EXPECT_EQ(cache.size(), SessionCache::kPerKey);
  for (std::size_t i = kPut; i > 2; --i) EXPECT_EQ(cache.Take("a").get(), put[i - 1]);
  EXPECT_EQ(cache.Take("a"), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(SessionCacheTest, KeepsTheNewestTls12SessionForAllWhoAsk) {
  SessionCache cache(100);
  cache.Put("a", Once());
  cache.Put("a", Lasting());
  auto newest = Lasting();
  SSL_SESSION* const expected = newest.get();
  cache.Put("a", std::move(newest));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.Take("a").get(), expected);
  EXPECT_EQ(cache.Take("a").get(), expected);
}

TEST_F(SessionCacheTest, DropsTheLeastRecentlyUsedKeyWhenFull) {
  SessionCache cache(3);
  cache.Put("a", Lasting());
  cache.Put("b", Lasting());
  cache.Put("c", Lasting());
  EXPECT_NE(cache.Take("a"), nullptr);
  cache.Put("d", Lasting());
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_EQ(cache.Take("b"), nullptr);
  EXPECT_NE(cache.Take("a"), nullptr);
}

TEST_F(SessionCacheTest, OneKeyAloneStaysWithinTheLimit) {
  SessionCache cache(2);
  for (int i = 0; i < 5; ++i) cache.Put("a", Once());
  EXPECT_EQ(cache.size(), 2u);
  cache.Forget("a");
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.Take("a"), nullptr);
}

}  // namespace
}  // namespace postrider::tls
