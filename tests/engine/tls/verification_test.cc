#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/tls/joined_pair.h"

namespace postrider::tls {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono;  // NOLINT: dates as literals

ClientSettings Verified(std::string_view host) { return {.host = host, .session_key = "key", .verify = true}; }

TEST(Verification, AcceptsACertificateForTheHostName) {
  auto server = Server({.host_names = {"mx.example.org", "127.0.0.9", "2001:db8::1"}});
  auto tls = ClientTrusting(*server);
  for (const char* host : {"mx.example.org", "MX.Example.ORG", "mx.example.org.", "127.0.0.9", "2001:db8::1"}) {
    JoinedPair pair(*tls, *server, Verified(host));
    pair.Pump();
    EXPECT_TRUE(pair.BothOpen()) << host << ": " << pair.client->problem();
    EXPECT_TRUE(pair.client->info().verified);
  }
}

TEST(Verification, RefusesACertificateForOtherNamesAndSaysSo) {
  auto server = Server({.host_names = {"mx.example.org", "127.0.0.9"}});
  auto tls = ClientTrusting(*server);
  for (const char* host : {"mx2.example.org", "example.org", "127.0.0.8", "x.mx.example.org"}) {
    JoinedPair pair(*tls, *server, Verified(host));
    pair.Pump();
    EXPECT_EQ(pair.client->state(), TlsState::kFailed) << host;
    EXPECT_THAT(pair.client->problem(), HasSubstr(host));
    EXPECT_THAT(pair.client->problem(), HasSubstr("mismatch"));
    EXPECT_NE(pair.server->state(), TlsState::kOpen);
  }
}

TEST(Verification, RefusesASelfSignedCertificateNobodyTrusts) {
  auto server = Server();
  auto other = Server();
  auto tls = ClientTrusting(*other);
  JoinedPair pair(*tls, *server, Verified("mx.example.org"));
  pair.Pump();
  EXPECT_EQ(pair.client->state(), TlsState::kFailed);
  EXPECT_THAT(pair.client->problem(), HasSubstr("not valid for mx.example.org"));
  EXPECT_THAT(pair.server->problem(), HasSubstr("alert"));
}

TEST(Verification, RefusesACertificatePastItsDayOrBeforeIt) {
  auto expired = Server({.host_names = {"mx.example.org"},
                         .valid_from = sys_days{2001y / 1 / 1},
                         .valid_until = sys_days{2002y / 1 / 1}});
  auto tls = ClientTrusting(*expired);
  JoinedPair pair(*tls, *expired, Verified("mx.example.org"));
  pair.Pump();
  EXPECT_EQ(pair.client->state(), TlsState::kFailed);
  EXPECT_THAT(pair.client->problem(), HasSubstr("expired"));

  auto early = Server({.host_names = {"mx.example.org"},
                       .valid_from = sys_days{2100y / 1 / 1},
                       .valid_until = sys_days{2101y / 1 / 1}});
  auto tls_early = ClientTrusting(*early);
  JoinedPair second(*tls_early, *early, Verified("mx.example.org"));
  second.Pump();
  EXPECT_EQ(second.client->state(), TlsState::kFailed);
  EXPECT_THAT(second.client->problem(), HasSubstr("not yet valid"));
}

TEST(Verification, UnverifiedConnectionsTakeAnyCertificate) {
  auto server = Server({.host_names = {"other.example.net"},
                        .valid_from = sys_days{2001y / 1 / 1},
                        .valid_until = sys_days{2002y / 1 / 1}});
  auto tls = Client();
  JoinedPair pair(*tls, *server, {.host = "mx.example.org", .session_key = "key", .verify = false});
  pair.Pump();
  EXPECT_TRUE(pair.BothOpen());
  EXPECT_FALSE(pair.client->info().verified);
}

TEST(Verification, AnOddHostNameGoesWithoutSniButCannotBeVerified) {
  auto server = Server();
  auto tls = ClientTrusting(*server);
  for (const std::string& host : {std::string(), std::string("."), std::string(300, 'a')}) {
    JoinedPair pair(*tls, *server, {.host = host, .session_key = "key", .verify = false});
    pair.Pump();
    EXPECT_TRUE(pair.BothOpen()) << pair.client->problem();
    JoinedPair verified(*tls, *server, Verified(host));
    EXPECT_EQ(verified.client->state(), TlsState::kFailed);
    EXPECT_TRUE(verified.to_server.empty());
    EXPECT_THAT(verified.client->problem(), HasSubstr("no certificate can be valid"));
  }
}

TEST(MakeTls, RefusesANamedFileThatIsNotThereOrHoldsNoCertificate) {
  TlsOptions options;
  options.ca_file = "/nonexistent/roots.pem";
  auto missing = MakeTls(options);
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/roots.pem"));

  const ScratchFile file("not a certificate\n");
  options.ca_file = file.path();
  auto broken = MakeTls(options);
  ASSERT_FALSE(broken.has_value());
  EXPECT_THAT(broken.error().message, HasSubstr("no usable certificate"));
}

TEST(MakeTlsServer, UsesTheFilesItIsGiven) {
  auto made = Server();
  const ScratchFile certificate(made->CertificatePem());
  auto no_key = MakeTlsServer({.certificate_file = certificate.path(), .key_file = certificate.path()});
  ASSERT_FALSE(no_key.has_value());
  EXPECT_THAT(no_key.error().message, HasSubstr("private key"));
  auto missing = MakeTlsServer({.certificate_file = "/nonexistent/cert.pem"});
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/cert.pem"));
  auto odd = MakeTlsServer({.host_names = {"two words"}});
  EXPECT_FALSE(odd.has_value());
}

}  // namespace
}  // namespace postrider::tls
