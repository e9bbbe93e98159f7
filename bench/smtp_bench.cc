// What a message costs in the conversation and in TLS, without a network: CPU and allocations on the warm path.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>
#include <string>

#include "engine/delivery/transcript.h"
#include "engine/smtp/conversation.h"
#include "engine/smtp/dot_stuff.h"
#include "engine/tls/tls.h"

namespace {

std::size_t allocations = 0;

}  // namespace

// Counts every allocation of the program.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace postrider {
namespace {

std::string Content(std::size_t size) {
  std::string content;
  while (content.size() < size)
    content += "The quick brown fox jumps over the lazy dog, 76 octets to a line, as usual..\r\n";
  content.resize(size - 2);
  return content + "\r\n";
}

class EndlessOwner final : public smtp::ConversationOwner {
 public:
  EndlessOwner(std::size_t size, bool transcribes) : content_(Content(size)), transcribes_(transcribes) {
    transcript_.Begin({});
  }
  std::optional<smtp::Envelope> NextMessage() override {
    if (transcribes_) transcript_.MessageBegins();
    return smtp::Envelope{
        .from = "news@sender.example", .to = "somebody.or.other@receiver.example", .size_estimate = content_.size()};
  }
  bool RenderContent(std::string& content) override {
    content += content_;
    return true;
  }
  void MessageDone(const smtp::MessageResult& result) override {
    delivered += result.reply.code == 250;
    if (transcribes_) transcript_.MessageEnds(false);
  }
  void Said(std::string_view line) override { Note(delivery::TraceDirection::kSent, 0, line); }
  void SaidContent(std::uint64_t /*bytes*/) override { Note(delivery::TraceDirection::kSent, 0, "(content)"); }
  void Heard(const Reply& reply) override { Note(delivery::TraceDirection::kReceived, reply.code, reply.text); }
  void StartTls() override {}

  std::size_t delivered = 0;

 private:
  void Note(delivery::TraceDirection direction, int code, std::string_view text) {
    if (transcribes_) transcript_.Add({}, direction, code, text);
  }

  std::string content_;
  const bool transcribes_;  // as delivery's connections do
  delivery::Transcript transcript_;
};

void Message(benchmark::State& state, bool pipelining, bool transcribes) {
  EndlessOwner owner(static_cast<std::size_t>(state.range(0)), transcribes);
  smtp::ConversationSettings settings;
  settings.ehlo_name = "sender.example";
  settings.tls = TlsDemand::kNone;
  Monotonic now{};
  smtp::Conversation conversation(settings, owner, now);
  const auto server_says = [&](std::string_view replies) {
    conversation.out().clear();
    conversation.Flushed(now);
    conversation.Receive(replies, now);
  };
  server_says("220 receiver.example ESMTP\r\n");
  server_says(pipelining ? "250-receiver.example\r\n250-SIZE 10000000\r\n250 PIPELINING\r\n"
                         : "250 receiver.example\r\n");
  conversation.Begin(now);
  const auto one_message = [&] {
    if (pipelining) {
      server_says(
          "250 2.0.0 OK  1700000000 a640c23a62f3a-queued.123 - gsmtp\r\n"
          "250 2.1.0 sender OK\r\n250 2.1.5 recipient OK\r\n354 go ahead\r\n");
    } else {
      server_says("250 2.1.0 sender OK\r\n");
      server_says("250 2.1.5 recipient OK\r\n");
      server_says("354 go ahead\r\n");
      server_says("250 2.0.0 OK  1700000000 a640c23a62f3a-queued.123 - gsmtp\r\n");
    }
  };
  if (pipelining) server_says("250 2.1.0 sender OK\r\n250 2.1.5 recipient OK\r\n354 go ahead\r\n");
  for (int i = 0; i < 10; ++i) one_message();
  const std::size_t delivered_before = owner.delivered;
  const std::size_t allocations_before = allocations;
  for (auto _ : state) one_message();
  const auto messages = static_cast<double>(owner.delivered - delivered_before);
  state.counters["allocations/message"] = static_cast<double>(allocations - allocations_before) / messages;
  state.SetBytesProcessed(static_cast<std::int64_t>(messages) * state.range(0));
}
BENCHMARK_CAPTURE(Message, pipelined, true, false)->Arg(1024)->Arg(10 << 10)->Arg(100 << 10);
BENCHMARK_CAPTURE(Message, lock_step, false, false)->Arg(10 << 10);
BENCHMARK_CAPTURE(Message, transcribed, true, true)->Arg(1024)->Arg(10 << 10);

// The copying that Message cannot avoid, to subtract.
void Copy(benchmark::State& state) {
  const std::string content = Content(static_cast<std::size_t>(state.range(0)));
  std::string out;
  for (auto _ : state) {
    out.clear();
    out += content;
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(Copy)->Arg(10 << 10);

void DotStuffing(benchmark::State& state) {
  std::string content = Content(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    smtp::DotStuff(content);
    benchmark::DoNotOptimize(content.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(DotStuffing)->Arg(10 << 10);

// A client and a server joined in memory.
struct Joined {
  std::unique_ptr<tls::Tls> tls = *tls::MakeTls(TlsOptions{});
  std::unique_ptr<tls::TlsServer> tls_server;
  std::unique_ptr<tls::TlsStream> client;
  std::unique_ptr<tls::TlsStream> server;
  std::string to_server, to_client, plain;

  explicit Joined(bool tls12 = false) {
    tls::ServerSettings settings;
    settings.host_names = {"receiver.example"};
    settings.tls12_only = tls12;
    tls_server = *tls::MakeTlsServer(settings);
    Connect();
  }
  void Connect() {
    to_server.clear();
    to_client.clear();
    client =
        tls->Connect({.host = "receiver.example", .session_key = "receiver.example:25", .verify = false}, to_server);
    server = tls_server->Accept();
    for (int i = 0; i < 3; ++i) Move();
    server->Send(std::as_bytes(std::span("220", 3)), to_client);  // carries the tickets
    Move();
  }
  void Move() {
    server->Receive(std::as_bytes(std::span(to_server)), plain, to_client);
    to_server.clear();
    client->Receive(std::as_bytes(std::span(to_client)), plain, to_server);
    to_client.clear();
  }
};

void TlsSend(benchmark::State& state) {
  Joined joined;
  const std::string content = Content(static_cast<std::size_t>(state.range(0)));
  std::string wire;
  for (auto _ : state) {
    wire.clear();
    joined.client->Send(std::as_bytes(std::span(content)), wire);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(TlsSend)->Arg(100)->Arg(10 << 10)->Arg(100 << 10);

void TlsSendAndReceive(benchmark::State& state) {
  Joined joined;
  const std::string content = Content(static_cast<std::size_t>(state.range(0)));
  std::string wire, plain, answer;
  for (auto _ : state) {
    wire.clear();
    plain.clear();
    joined.client->Send(std::as_bytes(std::span(content)), wire);
    joined.server->Receive(std::as_bytes(std::span(wire)), plain, answer);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(TlsSendAndReceive)->Arg(100)->Arg(10 << 10);

// Both sides together, resumed from the second on.
void TlsHandshake(benchmark::State& state) {
  Joined joined(state.range(0) == 12);
  std::size_t resumed = 0;
  for (auto _ : state) {
    joined.Connect();
    resumed += joined.client->info().resumed;
  }
  state.counters["resumed"] = static_cast<double>(resumed) / static_cast<double>(state.iterations());
}
BENCHMARK(TlsHandshake)->Arg(12)->Arg(13);

}  // namespace
}  // namespace postrider
