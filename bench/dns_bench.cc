// What a domain costs engine/dns: MX and A from a server, and both from the cache. The server is another thread that
// answers every question at once, so the CPU figure is the client's alone.

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "engine/dns/resolver.h"

namespace postrider::dns {
namespace {

constexpr std::size_t kHeaderBytes = 12;

// Answers every name with one MX (itself below "mx") or one address.
class Responder {
 public:
  Responder() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
    const bool made = bind(socket_, any, length) == 0 && getsockname(socket_, any, &length) == 0 &&
                      setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
    if (!made) std::abort();
    address_ = {IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, ntohs(address.sin_port)};
    thread_ = std::thread([this] {
      while (!stop_) Serve();
    });
  }
  ~Responder() {
    stop_ = true;
    thread_.join();
    close(socket_);
  }
  [[nodiscard]] SocketAddress address() const { return address_; }

 private:
  void Serve() {
    std::string message(4096, '\0');
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t size =
        recvfrom(socket_, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (size < static_cast<ssize_t>(kHeaderBytes)) return;
    std::size_t end = kHeaderBytes;
    while (message[end] != '\0') end += static_cast<unsigned char>(message[end]) + 1U;
    const bool mx = message[end + 2] == 15;
    message.resize(end + 5);  // header and question, without EDNS
    message[2] = '\x81';
    message[3] = '\x80';
    message[7] = '\1';   // one answer
    message[11] = '\0';  // no additional record
    const std::string name("\xc0\x0c", 2);
    const std::string data = mx ? std::string("\0\12\2mx", 5) + name : std::string("\xc0\0\2\1", 4);
    message += name + std::string(mx ? "\0\17\0\1" : "\0\1\0\1", 4) + std::string("\0\0\2\x58", 4) + '\0' +
               static_cast<char>(data.size()) + data;
    sendto(socket_, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }

  int socket_;
  SocketAddress address_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(const Responder& responder)
      : clock_(io::MakeSystemClock()),
        loop_(std::move(*io::MakeLoop({}, *clock_))),
        resolver_(std::move(*MakeResolver({.servers = {responder.address()}}, *loop_, 1))) {}

  // So many domains at once: the MX, then the address of its host.
  void Resolve(std::uint64_t first, std::uint64_t count) {
    std::uint64_t left = count;
    for (std::uint64_t i = first; i < first + count; ++i) {
      resolver_->LookUpMx("domain" + std::to_string(i) + ".example", [&left, this](const MxAnswer& answer) {
        if (answer.hosts.empty()) std::abort();
        resolver_->LookUpAddresses(answer.hosts[0].name, true, false, [&left](const AddressAnswer& address) {
          if (!address.found) std::abort();
          --left;
        });
      });
    }
    while (left > 0) loop_->RunOnce(std::chrono::seconds(1));
  }

 private:
  std::unique_ptr<io::Clock> clock_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<Resolver> resolver_;
};

void NewDomains(benchmark::State& state) {
  const Responder responder;
  Client client(responder);
  const auto at_once = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t next = 0;
  for (auto _ : state) {
    client.Resolve(next, at_once);
    next += at_once;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(next));
}
BENCHMARK(NewDomains)->Arg(1)->Arg(32)->Arg(200);

void CachedDomains(benchmark::State& state) {
  const Responder responder;
  Client client(responder);
  constexpr std::uint64_t kDomains = 10'000;
  for (std::uint64_t i = 0; i < kDomains; i += 100) client.Resolve(i, 100);
  std::uint64_t next = 0;
  for (auto _ : state) client.Resolve(next++ * 7919 % kDomains, 1);
  state.SetItemsProcessed(static_cast<std::int64_t>(next));
}
BENCHMARK(CachedDomains);

}  // namespace
}  // namespace postrider::dns
