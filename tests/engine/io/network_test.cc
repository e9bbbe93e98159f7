#include "engine/io/network.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tests/engine/io/loop_harness.h"

namespace postrider::io {
namespace {

TEST_F(PairTest, ConnectsAndKnowsBothEnds) {
  Connect();
  EXPECT_EQ(client_socket_->remote(), server_socket_->local());
  EXPECT_EQ(client_socket_->local(), server_socket_->remote());
  EXPECT_NE(client_socket_->local().port, 0);
}

TEST_F(PairTest, CarriesBytesBothWays) {
  Connect();
  client_socket_->Send(Bytes("EHLO a\r\n"), nullptr);
  server_socket_->Send(Bytes("220 b\r\n"), nullptr);
  EXPECT_EQ(client_.sent, 0) << "called back from inside the call";
  ASSERT_TRUE(RunUntil([this] { return server_.received == "EHLO a\r\n" && client_.received == "220 b\r\n"; }));
  EXPECT_EQ(client_.sent, 1);
  EXPECT_EQ(server_.sent, 1);
  EXPECT_EQ(loop_->counts().bytes_sent, 15);
  EXPECT_EQ(loop_->counts().bytes_received, 15);
}

TEST_F(PairTest, AnswersASendOfNothing) {
  Connect();
  client_socket_->Send({}, nullptr);
  EXPECT_EQ(client_.sent, 0);
  ASSERT_TRUE(RunUntil([this] { return client_.sent == 1; }));
  client_socket_->Send(Bytes("x"), nullptr);
  ASSERT_TRUE(RunUntil([this] { return server_.received == "x"; }));
}

TEST_F(PairTest, CarriesTransfersFarBeyondTheSocketBuffers) {
  Connect();
  std::string text(24 << 20, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 4093);
  client_socket_->Send(Bytes(text), nullptr);
  server_socket_->Send(Bytes(text), nullptr);
  ASSERT_TRUE(
      RunUntil([&] { return server_.received.size() == text.size() && client_.received.size() == text.size(); }));
  EXPECT_TRUE(server_.received == text);
  EXPECT_TRUE(client_.received == text);
  EXPECT_EQ(client_.sent, 1) << "one Send, one OnSent";
  EXPECT_TRUE(RunUntil([this] { return client_.sent == 1 && server_.sent == 1; }));
}

class FewBuffersTest : public PairTest {
 protected:
  FewBuffersTest() : PairTest({.entries = 8, .receive_buffers = 2, .receive_buffer_bytes = 64}) {}
};

TEST_F(FewBuffersTest, GoesOnAfterTheReceiveBuffersWereExhausted) {
  Connect();
  const std::string text(100'000, 'a');
  client_socket_->Send(Bytes(text), nullptr);
  server_socket_->Send(Bytes(text), nullptr);
  ASSERT_TRUE(
      RunUntil([&] { return server_.received.size() == text.size() && client_.received.size() == text.size(); }));
  EXPECT_GT(loop_->counts().receive_buffers_exhausted, 0);
}

TEST_F(PairTest, ReportsThatThePeerClosed) {
  Connect();
  server_socket_->Send(Bytes("bye"), nullptr);
  server_.on_sent = [this] { server_socket_.reset(); };
  ASSERT_TRUE(RunUntil([this] { return client_.closed.has_value(); }));
  EXPECT_EQ(*client_.closed, 0);
  EXPECT_EQ(client_.received, "bye") << "what was sent before the close arrives before it";
}

TEST_F(PairTest, DeliversWhatThePeerSaidBeforeItBrokeTheConnection) {
  Connect();
  const std::string text(64 << 20, 'x');
  client_socket_->Send(Bytes(text), nullptr);
  server_socket_->PauseReading(true);
  server_socket_->Send(Bytes("421 too much\r\n"), nullptr);
  // Unread bytes make the kernel answer with a reset instead of an orderly end.
  server_.on_sent = [this] { server_socket_.reset(); };
  client_socket_->PauseReading(false);
  ASSERT_TRUE(RunUntil([this] { return client_.closed.has_value(); }));
  EXPECT_NE(*client_.closed, 0);
  EXPECT_EQ(client_.received, "421 too much\r\n");
  EXPECT_EQ(client_.sent, 0) << "that Send never was handed over in full";
}

TEST_F(PairTest, ReportsAConnectionBrokenWhileSending) {
  Connect();
  const auto text = std::make_shared<const std::string>(64 << 20, 'x');
  server_socket_->PauseReading(true);
  client_socket_->Send(Bytes(*text), text);
  RunUntilQuiet();
  server_socket_.reset();
  ASSERT_TRUE(RunUntil([this] { return client_.closed.has_value(); }));
  EXPECT_TRUE(*client_.closed == ECONNRESET || *client_.closed == EPIPE) << *client_.closed;
  EXPECT_EQ(client_.sent, 0);
  EXPECT_EQ(text.use_count(), 1) << "the buffer is free again";
  client_socket_->Send(Bytes("late"), nullptr);
  RunUntilQuiet();
  EXPECT_EQ(client_.sent, 0) << "nothing follows OnClosed";
}

TEST_F(PairTest, PausedReadingDeliversNothingUntilItGoesOn) {
  Connect();
  server_socket_->PauseReading(true);
  client_socket_->Send(Bytes("one"), nullptr);
  ASSERT_TRUE(RunUntil([this] { return client_.sent == 1; }));
  RunUntilQuiet();
  EXPECT_EQ(server_.received, "");
  client_socket_.reset();
  RunUntilQuiet();
  EXPECT_FALSE(server_.closed) << "the end comes after the bytes";
  server_socket_->PauseReading(false);
  EXPECT_EQ(server_.received, "") << "called back from inside the call";
  ASSERT_TRUE(RunUntil([this] { return server_.closed.has_value(); }));
  EXPECT_EQ(server_.received, "one");
}

TEST_F(PairTest, PausingInsideACallbackLosesAndReordersNothing) {
  Connect();
  std::string text(1 << 20, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 997);
  int pauses = 0;
  bool paused = false;
  server_.on_received = [&] {
    EXPECT_FALSE(paused) << "delivered while paused";
    paused = true;
    ++pauses;
    server_socket_->PauseReading(true);
  };
  client_socket_->Send(Bytes(text), nullptr);
  ASSERT_TRUE(RunUntil([&] {
    if (std::exchange(paused, false)) server_socket_->PauseReading(false);
    return server_.received.size() == text.size();
  }));
  EXPECT_TRUE(server_.received == text);
  EXPECT_GT(pauses, 1);
}

TEST_F(PairTest, FlippingThePauseWithinOneTurnChangesNothing) {
  Connect();
  for (int i = 0; i < 5; ++i) {
    server_socket_->PauseReading(true);
    server_socket_->PauseReading(false);
  }
  client_socket_->Send(Bytes("still here"), nullptr);
  ASSERT_TRUE(RunUntil([this] { return server_.received == "still here"; }));
  server_socket_->PauseReading(true);
  RunUntilQuiet();
  server_socket_->PauseReading(false);
  server_socket_->PauseReading(true);
  client_socket_->Send(Bytes(" and here"), nullptr);
  RunUntilQuiet();
  EXPECT_EQ(server_.received, "still here");
  server_socket_->PauseReading(false);
  ASSERT_TRUE(RunUntil([this] { return server_.received == "still here and here"; }));
}

TEST_F(LoopTest, ReportsARefusedConnect) {
  // A bound port nobody listens on.
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in bound{};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof bound;
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&bound), length), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&bound), &length), 0);
  Recorder client;
  auto socket = loop_->network().Connect(std::nullopt, {kLoopback.ip, ntohs(bound.sin_port)}, client);
  ASSERT_TRUE(RunUntil([&] { return client.connected.has_value(); }));
  EXPECT_EQ(*client.connected, ECONNREFUSED);
  RunUntilQuiet();
  EXPECT_FALSE(client.closed) << "nothing follows a failed OnConnected";
  close(taken);
}

TEST_F(LoopTest, ReportsAnUnusableLocalAddress) {
  Recorder client;
  const IpAddress elsewhere{IpAddress::Family::kIpv4, {192, 0, 2, 1}};
  auto socket = loop_->network().Connect(elsewhere, {kLoopback.ip, 25}, client);
  EXPECT_FALSE(client.connected) << "called back from inside the call";
  ASSERT_TRUE(RunUntil([&] { return client.connected.has_value(); }));
  EXPECT_EQ(*client.connected, EADDRNOTAVAIL);

  Recorder other;
  IpAddress ipv6{IpAddress::Family::kIpv6, {}};
  ipv6.bytes[15] = 1;
  auto mixed = loop_->network().Connect(ipv6, {kLoopback.ip, 25}, other);
  ASSERT_TRUE(RunUntil([&] { return other.connected.has_value(); }));
  EXPECT_EQ(*other.connected, EAFNOSUPPORT);
}

TEST_F(LoopTest, ConnectsFromTheLocalAddressAsked) {
  Recorder client;
  Recorder server;
  std::unique_ptr<AcceptedSocket> accepted;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    socket->Attach(server);
    accepted = std::move(socket);
  });
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  const IpAddress source{IpAddress::Family::kIpv4, {127, 0, 0, 77}};
  auto socket = loop_->network().Connect(source, (*listener)->address(), client);
  ASSERT_TRUE(RunUntil([&] { return accepted != nullptr; }));
  EXPECT_EQ(accepted->remote().ip, source);
}

// With no descriptor left, Connect reports it and a listener takes up its work again once there are some.
TEST_F(PairTest, SurvivesTheLackOfDescriptors) {
  Connect();  // UBSan needs descriptors when it meets a class for the first time
  RunUntilQuiet();
  int accepted = 0;
  Recorder server;
  std::unique_ptr<AcceptedSocket> kept;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    ++accepted;
    socket->Attach(server);
    kept = std::move(socket);
  });
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  Recorder first;
  auto connecting = loop_->network().Connect(std::nullopt, (*listener)->address(), first);

  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = dup(0);
  close(lowest_free);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  Recorder second;
  auto hopeless = loop_->network().Connect(std::nullopt, (*listener)->address(), second);
  const bool reported = RunUntil([&] { return second.connected && first.connected; });
  RunUntilQuiet();
  const int accepted_without = accepted;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);

  EXPECT_TRUE(reported);
  EXPECT_EQ(second.connected, EMFILE);
  EXPECT_EQ(first.connected, 0);
  EXPECT_EQ(accepted_without, 0);
  EXPECT_TRUE(RunUntil([&] { return accepted == 1; }));
}

TEST_F(LoopTest, SaysWhyItCannotListen) {
  Acceptor acceptor([](std::unique_ptr<AcceptedSocket>) {});
  auto first = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(first);
  auto second = loop_->network().Listen((*first)->address(), false, acceptor);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_NE(second.error().message.find(ToString((*first)->address())), std::string::npos) << second.error().message;

  auto foreign = loop_->network().Listen({IpAddress{IpAddress::Family::kIpv4, {192, 0, 2, 1}}, 0}, false, acceptor);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("no interface"), std::string::npos) << foreign.error().message;
}

TEST_F(LoopTest, SharesAPortWhenAsked) {
  Acceptor acceptor([](std::unique_ptr<AcceptedSocket>) {});
  auto first = loop_->network().Listen(kLoopback, true, acceptor);
  ASSERT_TRUE(first);
  auto second = loop_->network().Listen((*first)->address(), true, acceptor);
  EXPECT_TRUE(second) << second.error().message;
}

TEST_F(LoopTest, StopsListeningWhenTheListenerGoes) {
  Acceptor acceptor([](std::unique_ptr<AcceptedSocket>) {});
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  const SocketAddress address = (*listener)->address();
  RunUntilQuiet();
  listener->reset();
  ASSERT_TRUE(OnlyTheWakerIsInFlight());
  Recorder client;
  auto socket = loop_->network().Connect(std::nullopt, address, client);
  ASSERT_TRUE(RunUntil([&] { return client.connected.has_value(); }));
  EXPECT_EQ(*client.connected, ECONNREFUSED);
}

TEST_F(LoopTest, AcceptHandlerMayDropSocketAndListener) {
  std::unique_ptr<Listener> listener;
  int accepted = 0;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    socket.reset();
    if (++accepted == 2) listener.reset();
  });
  auto made = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(made);
  listener = std::move(*made);
  std::array<Recorder, 5> clients;
  std::vector<std::unique_ptr<Socket>> sockets;
  for (Recorder& client : clients) {
    sockets.push_back(loop_->network().Connect(std::nullopt, listener->address(), client));
  }
  // Those not accepted when the listener goes are reset, or refused if they came too late.
  ASSERT_TRUE(RunUntil([&] {
    return std::ranges::all_of(clients, [](const Recorder& c) { return c.closed || c.connected.value_or(0) != 0; });
  }));
  EXPECT_EQ(accepted, 2);
  sockets.clear();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

// A socket may go away at any moment, in particular inside each of its calls; the kernel's late completions meet
// nothing, and nothing stays behind.
TEST_F(PairTest, MayBeDestroyedInsideOnConnected) {
  client_.on_connected = [this] { client_socket_.reset(); };
  Acceptor acceptor([this](std::unique_ptr<AcceptedSocket> socket) {
    socket->Attach(server_);
    server_socket_ = std::move(socket);
  });
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  client_socket_ = loop_->network().Connect(std::nullopt, (*listener)->address(), client_);
  ASSERT_TRUE(RunUntil([this] { return server_.closed.has_value(); }));
  EXPECT_EQ(client_socket_, nullptr);
  server_socket_.reset();
  listener->reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(PairTest, MayBeDestroyedInsideOnReceived) {
  Connect();
  server_.on_received = [this] { server_socket_.reset(); };
  const std::string text(200'000, 'x');
  client_socket_->Send(Bytes(text), nullptr);
  ASSERT_TRUE(RunUntil([this] { return client_.closed.has_value(); }));
  EXPECT_LE(server_.received.size(), 4096) << "one call, then none";
  client_socket_.reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(PairTest, MayBeDestroyedInsideOnSent) {
  Connect();
  client_.on_sent = [this] { client_socket_.reset(); };
  client_socket_->Send(Bytes("last words"), nullptr);
  ASSERT_TRUE(RunUntil([this] { return server_.closed.has_value(); }));
  EXPECT_EQ(server_.received, "last words");
  server_socket_.reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(PairTest, MayBeDestroyedInsideOnClosed) {
  Connect();
  client_.on_closed = [this] { client_socket_.reset(); };
  server_socket_.reset();
  ASSERT_TRUE(RunUntil([this] { return client_.closed.has_value(); }));
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(PairTest, MayBeDestroyedWhileConnectingAndAtOnce) {
  Acceptor acceptor([](std::unique_ptr<AcceptedSocket>) {});
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  client_socket_ = loop_->network().Connect(std::nullopt, (*listener)->address(), client_);
  client_socket_.reset();
  RunUntilQuiet();
  EXPECT_FALSE(client_.connected);
  client_socket_ = loop_->network().Connect(std::nullopt, (*listener)->address(), client_);
  loop_->RunOnce(std::chrono::nanoseconds(0));
  client_.connected.reset();
  client_socket_.reset();
  RunUntilQuiet();
  EXPECT_FALSE(client_.connected);
  listener->reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(PairTest, KeepsTheBufferOfADestroyedSocketUntilTheKernelIsDone) {
  Connect();
  auto text = std::make_shared<const std::string>(64 << 20, 'x');
  const std::weak_ptr<const std::string> watched = text;
  server_socket_->PauseReading(true);
  client_socket_->Send(Bytes(*text), text);
  text.reset();
  RunUntilQuiet();
  EXPECT_FALSE(watched.expired());
  client_socket_.reset();
  EXPECT_FALSE(watched.expired()) << "the kernel still holds the send";
  ASSERT_TRUE(RunUntil([&] { return watched.expired(); }));
  server_socket_.reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

// A send queued in the same turn as the socket's end must not meet the new socket that gets the old number.
TEST_F(PairTest, NothingOfADestroyedSocketReachesItsSuccessor) {
  Connect();
  Recorder next;
  Recorder next_server;
  std::unique_ptr<AcceptedSocket> accepted;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    socket->Attach(next_server);
    accepted = std::move(socket);
  });
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  client_socket_->Send(Bytes("for the old one"), nullptr);
  client_socket_.reset();
  auto socket = loop_->network().Connect(std::nullopt, (*listener)->address(), next);
  ASSERT_TRUE(RunUntil([&] { return next.connected && accepted && server_.closed; }));
  socket->Send(Bytes("for the new one"), nullptr);
  ASSERT_TRUE(RunUntil([&] { return next_server.received.size() >= 15; }));
  EXPECT_EQ(next_server.received, "for the new one");
}

TEST_F(LoopTest, ServesManyConnectionsAtOnce) {
  constexpr std::size_t kConnections = 500;
  struct Echo {
    Recorder handler;
    std::unique_ptr<AcceptedSocket> socket;
    std::string out;
  };
  std::vector<std::unique_ptr<Echo>> echoes;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    auto echo = std::make_unique<Echo>();
    Echo* self = echo.get();
    self->socket = std::move(socket);
    self->handler.on_received = [self] {
      if (self->handler.received.size() < 1000) return;
      self->out = std::exchange(self->handler.received, {});
      self->socket->Send(Bytes(self->out), nullptr);
    };
    self->socket->Attach(self->handler);
    echoes.push_back(std::move(echo));
  });
  auto listener = loop_->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  std::vector<Recorder> clients(kConnections);
  std::vector<std::unique_ptr<Socket>> sockets(kConnections);
  std::vector<std::string> texts(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) {
    texts[i] = std::string(1000, static_cast<char>('a' + i % 26));
    clients[i].on_connected = [&, i] {
      ASSERT_EQ(*clients[i].connected, 0);
      sockets[i]->Send(Bytes(texts[i]), nullptr);
    };
    sockets[i] = loop_->network().Connect(std::nullopt, (*listener)->address(), clients[i]);
  }
  ASSERT_TRUE(RunUntil([&] {
    return std::ranges::all_of(clients, [](const Recorder& client) { return client.received.size() == 1000; });
  }));
  for (std::size_t i = 0; i < kConnections; ++i) EXPECT_EQ(clients[i].received, texts[i]);
  sockets.clear();
  ASSERT_TRUE(RunUntil(
      [&] { return std::ranges::all_of(echoes, [](const auto& echo) { return echo->handler.closed.has_value(); }); }));
  echoes.clear();
  listener->reset();
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

class Readiness final : public ReadinessHandler {
 public:
  void OnReady(bool readable, bool writable) override {
    ++calls;
    last = {readable, writable};
    if (on_ready) on_ready();
  }
  int calls = 0;
  std::pair<bool, bool> last;
  std::function<void()> on_ready;
};

class WatchTest : public LoopTest {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()), 0); }
  void TearDown() override {
    for (const int end : ends_) close(end);
  }
  void Write(char byte) { ASSERT_EQ(write(ends_[1], &byte, 1), 1); }
  void Read() {
    char byte = 0;
    ASSERT_EQ(read(ends_[0], &byte, 1), 1);
  }

  std::array<int, 2> ends_{};
  Readiness ready_;
};

TEST_F(WatchTest, ReportsReadinessOncePerArm) {
  auto watch = loop_->network().WatchDescriptor(ends_[0], ready_);
  watch->Arm(true, false);
  RunUntilQuiet();
  EXPECT_EQ(ready_.calls, 0);
  Write('a');
  ASSERT_TRUE(RunUntil([this] { return ready_.calls == 1; }));
  EXPECT_EQ(ready_.last, std::pair(true, false));
  RunUntilQuiet();
  EXPECT_EQ(ready_.calls, 1) << "one-shot";
  watch->Arm(true, false);
  ASSERT_TRUE(RunUntil([this] { return ready_.calls == 2; })) << "still readable";
}

TEST_F(WatchTest, LastArmWins) {
  auto watch = loop_->network().WatchDescriptor(ends_[0], ready_);
  watch->Arm(true, false);
  RunUntilQuiet();
  watch->Arm(false, true);
  ASSERT_TRUE(RunUntil([this] { return ready_.calls == 1; }));
  EXPECT_EQ(ready_.last, std::pair(false, true));
  Write('a');
  RunUntilQuiet();
  EXPECT_EQ(ready_.calls, 1) << "reading is not watched any more";
  watch->Arm(true, true);
  watch->Arm(false, false);
  RunUntilQuiet();
  EXPECT_EQ(ready_.calls, 1) << "disarmed";
}

TEST_F(WatchTest, MayBeDestroyedInsideItsCallAndWhileArmed) {
  auto watch = loop_->network().WatchDescriptor(ends_[0], ready_);
  ready_.on_ready = [&] { watch.reset(); };
  watch->Arm(false, true);
  ASSERT_TRUE(RunUntil([this] { return ready_.calls == 1; }));
  watch = loop_->network().WatchDescriptor(ends_[0], ready_);
  watch->Arm(true, false);
  RunUntilQuiet();
  watch.reset();
  Write('a');
  RunUntilQuiet();
  EXPECT_EQ(ready_.calls, 1);
  EXPECT_TRUE(OnlyTheWakerIsInFlight());
}

TEST_F(WatchTest, HangUpMakesReadyWhatIsWatched) {
  auto watch = loop_->network().WatchDescriptor(ends_[0], ready_);
  watch->Arm(true, false);
  RunUntilQuiet();
  close(ends_[1]);
  ends_[1] = dup(ends_[0]);
  ASSERT_TRUE(RunUntil([this] { return ready_.calls == 1; }));
  EXPECT_EQ(ready_.last, std::pair(true, false));
}

}  // namespace
}  // namespace postrider::io
