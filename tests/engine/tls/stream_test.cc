#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/engine/tls/joined_pair.h"

namespace postrider::tls {
namespace {

using ::testing::HasSubstr;

constexpr ClientSettings kSettings{.host = "mx.example.org", .session_key = "mx.example.org:25", .verify = false};

std::string RandomText(std::size_t size) {
  std::mt19937 random(7);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

TEST(TlsStream, ShakesHandsAndCarriesBytesBothWays) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  EXPECT_EQ(pair.client->state(), TlsState::kHandshaking);
  pair.Pump();
  ASSERT_TRUE(pair.BothOpen()) << pair.client->problem() << pair.server->problem();
  EXPECT_EQ(pair.client->info().version, "TLSv1.3");
  EXPECT_THAT(std::string(pair.client->info().cipher), ::testing::StartsWith("TLS_"));
  EXPECT_FALSE(pair.client->info().resumed);
  EXPECT_FALSE(pair.client->info().verified);

  pair.client->Send(Bytes("EHLO a\r\n"), pair.to_server);
  pair.server->Send(Bytes("250 b\r\n"), pair.to_client);
  pair.Pump();
  EXPECT_EQ(pair.server_plain, "EHLO a\r\n");
  EXPECT_EQ(pair.client_plain, "250 b\r\n");
}

TEST(TlsStream, SpeaksTls12WithAServerThatKnowsNoBetter) {
  auto tls = Client();
  auto server = Server({.host_names = {"mx.example.org"}, .tls12_only = true});
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  ASSERT_TRUE(pair.BothOpen());
  EXPECT_EQ(pair.client->info().version, "TLSv1.2");
  pair.client->Send(Bytes("hello"), pair.to_server);
  pair.Pump();
  EXPECT_EQ(pair.server_plain, "hello");
}

TEST(TlsStream, TakesInputOneByteAtATime) {
  auto tls = Client();
  for (const bool old : {false, true}) {
    auto server = Server({.host_names = {"mx.example.org"}, .tls12_only = old});
    JoinedPair pair(*tls, *server, kSettings);
    pair.Pump(1);
    ASSERT_TRUE(pair.BothOpen());
    const std::string text = RandomText(40'000);
    pair.client->Send(Bytes(text), pair.to_server);
    pair.server->Send(Bytes(text), pair.to_client);
    pair.Pump(1);
    EXPECT_TRUE(pair.server_plain == text);  // not EXPECT_EQ, which would print it
    EXPECT_TRUE(pair.client_plain == text);
  }
}

TEST(TlsStream, SendsContentOfAnySizeInOneCall) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  for (const std::size_t size : {1u, 10'240u, 16'384u, 16'385u, 5u << 20}) {
    const std::string text = RandomText(size);
    pair.server_plain.clear();
    pair.client->Send(Bytes(text), pair.to_server);
    EXPECT_GT(pair.to_server.size(), size);
    EXPECT_LT(pair.to_server.size(), size + (size / 16'384 + 1) * 64);
    pair.Pump();
    EXPECT_TRUE(pair.server_plain == text) << size;
  }
}

TEST(TlsStream, AShortReplyNeedsNoLargeString) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  pair.server->Send(Bytes("250 2.0.0 OK\r\n"), pair.to_client);
  std::string plain;
  std::string wire;
  pair.client->Receive(Bytes(pair.to_client), plain, wire);
  EXPECT_EQ(plain, "250 2.0.0 OK\r\n");
  EXPECT_LT(plain.capacity(), 1024u);
}

TEST(TlsStream, AppendsAndNeverOverwrites) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  pair.client_plain = "kept ";
  pair.to_server = "";
  std::string wire = "kept ";
  pair.client->Send(Bytes("x"), wire);
  EXPECT_TRUE(wire.starts_with("kept "));
  pair.server->Send(Bytes("y"), pair.to_client);
  pair.Pump();
  EXPECT_EQ(pair.client_plain, "kept y");
}

TEST(TlsStream, CloseNotifyReachesTheOtherSide) {
  for (const bool client_first : {true, false}) {
    auto tls = Client();
    auto server = Server();
    JoinedPair pair(*tls, *server, kSettings);
    pair.Pump();
    TlsStream& first = client_first ? *pair.client : *pair.server;
    TlsStream& second = client_first ? *pair.server : *pair.client;
    std::string& to_second = client_first ? pair.to_server : pair.to_client;
    first.Send(Bytes("last words"), to_second);
    first.Close(to_second);
    first.Close(to_second);
    EXPECT_EQ(first.state(), TlsState::kClosed);
    std::string plain;
    std::string wire;
    to_second += "whatever follows is ignored";
    EXPECT_EQ(second.Receive(Bytes(to_second), plain, wire), TlsState::kClosed);
    EXPECT_EQ(plain, "last words");
    EXPECT_EQ(second.state(), TlsState::kClosed);
    EXPECT_TRUE(wire.empty());
    second.Send(Bytes("too late"), wire);
    EXPECT_TRUE(wire.empty());
    second.Close(wire);  // answers with its own close_notify, once
    EXPECT_FALSE(wire.empty());
    const std::size_t size = wire.size();
    second.Close(wire);
    EXPECT_EQ(wire.size(), size);
    EXPECT_EQ(first.Receive(Bytes(wire), plain, to_second), TlsState::kClosed);
  }
}

TEST(TlsStream, MayCloseInTheMiddleOfAHandshake) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.to_server.clear();
  pair.client->Close(pair.to_server);
  EXPECT_EQ(pair.client->state(), TlsState::kClosed);
  EXPECT_TRUE(pair.to_server.empty());
  EXPECT_EQ(pair.client->Receive(Bytes("abc"), pair.client_plain, pair.to_server), TlsState::kClosed);

  JoinedPair half(*tls, *server, kSettings);
  JoinedPair::Move(half.to_server, *half.server, half.server_plain, half.to_client, std::string::npos);
  half.to_client.resize(half.to_client.size() / 2);
  JoinedPair::Move(half.to_client, *half.client, half.client_plain, half.to_server, std::string::npos);
  EXPECT_EQ(half.client->state(), TlsState::kHandshaking);
  half.client->Close(half.to_server);
  half.server->Close(half.to_client);
  EXPECT_EQ(half.client->state(), TlsState::kClosed);
  EXPECT_EQ(half.server->state(), TlsState::kClosed);
}

TEST(TlsStream, SaysThatAPeerDoesNotSpeakTls) {
  auto tls = Client();
  std::string wire;
  std::string plain;
  auto client = tls->Connect(kSettings, wire);
  EXPECT_EQ(client->Receive(Bytes("454 4.7.0 TLS not available\r\n"), plain, wire), TlsState::kFailed);
  EXPECT_THAT(client->problem(), HasSubstr("not TLS"));
  EXPECT_TRUE(plain.empty());
  EXPECT_EQ(client->Receive(Bytes("more"), plain, wire), TlsState::kFailed);
}

TEST(TlsStream, SaysWhichAlertThePeerSent) {
  auto tls = Client();
  std::string wire;
  std::string plain;
  auto client = tls->Connect(kSettings, wire);
  const std::string alert("\x15\x03\x03\x00\x02\x02\x28", 7);  // fatal handshake_failure
  EXPECT_EQ(client->Receive(Bytes(alert), plain, wire), TlsState::kFailed);
  EXPECT_THAT(client->problem(), HasSubstr("alert \"handshake failure\""));
}

TEST(TlsStream, GarbageNeverDoesMoreThanFail) {
  auto tls = Client();
  auto server = Server();
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    JoinedPair pair(*tls, *server, kSettings);
    if (round % 3 != 0) pair.Pump();  // some get it in the handshake, some after
    std::string garbage(random() % 300 + 1, '\0');
    for (char& c : garbage) c = static_cast<char>(random());
    if (round % 2 == 0) garbage.replace(0, 3, "\x17\x03\x03");
    std::string plain;
    std::string wire;
    const TlsState client_state = pair.client->Receive(Bytes(garbage), plain, wire);
    const TlsState server_state = pair.server->Receive(Bytes(garbage), plain, wire);
    EXPECT_TRUE(plain.empty());
    for (TlsStream* stream : {pair.client.get(), pair.server.get()}) {
      EXPECT_EQ(stream->problem().empty(), stream->state() != TlsState::kFailed);
    }
    EXPECT_NE(client_state, TlsState::kClosed);
    EXPECT_NE(server_state, TlsState::kClosed);
  }
}

TEST(TlsStream, AnAlteredRecordFailsAndGivesNothing) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  pair.client->Send(Bytes("MAIL FROM:<a@example.org>\r\n"), pair.to_server);
  pair.to_server[pair.to_server.size() / 2] ^= 1;
  pair.Pump();
  EXPECT_EQ(pair.server->state(), TlsState::kFailed);
  EXPECT_TRUE(pair.server_plain.empty());
  EXPECT_THAT(pair.client->problem(), HasSubstr("alert \"bad record mac\""));
}

TEST(TlsStream, ARecordCutShortWaitsForItsRest) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  pair.client->Send(Bytes("hello"), pair.to_server);
  const std::string rest = pair.to_server.substr(10);
  pair.to_server.resize(10);
  pair.Pump();
  EXPECT_EQ(pair.server->state(), TlsState::kOpen);
  EXPECT_TRUE(pair.server_plain.empty());
  pair.to_server = rest;
  pair.Pump();
  EXPECT_EQ(pair.server_plain, "hello");
}

TEST(TlsStream, ARecordLongerThanTlsAllowsFails) {
  auto tls = Client();
  auto server = Server();
  JoinedPair pair(*tls, *server, kSettings);
  pair.Pump();
  std::string plain;
  std::string wire;
  EXPECT_EQ(pair.client->Receive(Bytes(std::string("\x17\x03\x03\xff\xff", 5) + std::string(70'000, 'x')), plain, wire),
            TlsState::kFailed);
}

}  // namespace
}  // namespace postrider::tls
