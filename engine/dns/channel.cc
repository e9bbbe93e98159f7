#include "engine/dns/channel.h"

#include <ares.h>
#include <fmt/format.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "config/check.h"
#include "engine/io/random.h"

namespace postrider::dns {
namespace {

// What survives every path without fragments (the DNS flag day of 2020); longer replies come by TCP.
constexpr int kUdpPayload = 1232;
constexpr int kClassInternet = 1;
constexpr std::size_t kFlagsLow = 3;           // fourth byte of the header ...
constexpr unsigned char kAuthenticBit = 0x20;  // ... holds AD: in a query it asks for it (RFC 6840 section 5.7)

class AresChannel;

// One socket of c-ares and what it wants to know of it.
class WatchedSocket final : public io::ReadinessHandler {
 public:
  WatchedSocket(AresChannel& channel, io::Network& network, ares_socket_t descriptor)
      : channel_(channel), descriptor_(descriptor), watch_(network.WatchDescriptor(descriptor, *this)) {}

  void Want(bool read, bool write) {
    want_read_ = read;
    want_write_ = write;
    Arm();
  }
  void Arm() { watch_->Arm(want_read_, want_write_); }
  void OnReady(bool readable, bool writable) override;
  [[nodiscard]] ares_socket_t descriptor() const { return descriptor_; }

 private:
  AresChannel& channel_;
  ares_socket_t descriptor_;
  std::unique_ptr<io::Watch> watch_;
  bool want_read_ = false;
  bool want_write_ = false;
};

// Readiness is collected while completions run; c-ares is called once after all of them, from a timer, because it
// closes and opens sockets and calls back as it goes.
class AresChannel final : public Channel {
 public:
  AresChannel(io::Loop& loop, std::uint64_t seed, ReplyHandler& handler)
      : loop_(loop), random_(io::MakeSeededRandom(seed)), handler_(handler) {}

  ~AresChannel() override {
    if (channel_ == nullptr) return;
    ending_ = true;
    ares_destroy(channel_);
  }

  [[nodiscard]] std::optional<Error> Open(const DnsOptions& options);
  void Send(Question& question) override;
  void NoteReady(ares_socket_t descriptor, bool readable, bool writable) {
    ready_.push_back({descriptor, readable, writable});
    ProcessSoon();
  }

 private:
  struct Ready {
    ares_socket_t descriptor;
    bool readable;
    bool writable;
  };

  [[nodiscard]] std::optional<Error> Start(const DnsOptions& options, int flags);
  [[nodiscard]] std::size_t ServerCount() const;
  static void OnSocketState(void* self, ares_socket_t descriptor, int readable, int writable) {
    static_cast<AresChannel*>(self)->WatchSocket(descriptor, readable != 0, writable != 0);
  }
  static void OnAnswer(void* argument, int status, int timeouts, unsigned char* reply, int size);

  void WatchSocket(ares_socket_t descriptor, bool readable, bool writable);
  [[nodiscard]] WatchedSocket* Find(ares_socket_t descriptor);
  void ProcessSoon() { loop_.timers().Set(process_, Monotonic{}); }
  void Process();
  void SetDeadline();
  [[nodiscard]] std::string Explain(const Question& question, int status) const;

  io::Loop& loop_;
  std::unique_ptr<io::Random> random_;  // query ids
  ReplyHandler& handler_;
  ares_channel channel_ = nullptr;
  bool ending_ = false;
  int tries_ = 0;
  // Few: a UDP and perhaps a TCP socket for each server.
  std::vector<std::unique_ptr<WatchedSocket>> sockets_;
  std::vector<Ready> ready_;
  std::vector<Ready> processing_;
  io::Timer process_{[this] { Process(); }};
  io::Timer deadline_{[this] { Process(); }};  // c-ares's own: to try again or give up
};

void WatchedSocket::OnReady(bool readable, bool writable) { channel_.NoteReady(descriptor_, readable, writable); }

std::optional<Error> AresChannel::Open(const DnsOptions& options) {
  tries_ = options.tries;
  constexpr int kFlags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  if (auto error = Start(options, kFlags)) return error;
  if (ServerCount() != 1) return std::nullopt;
  // With NOCHECKRESP a SERVFAIL or REFUSED is an answer, and we can say which; without, c-ares asks the next server
  // and in the end tells only that none was of use. With a single server there is no next one.
  ares_destroy(channel_);
  return Start(options, kFlags | ARES_FLAG_NOCHECKRESP);
}

std::optional<Error> AresChannel::Start(const DnsOptions& options, int flags) {
  ares_options ares{};
  ares.flags = flags;
  ares.timeout = static_cast<int>(std::chrono::milliseconds(options.timeout).count());
  ares.tries = options.tries;
  ares.ednspsz = kUdpPayload;
  ares.sock_state_cb = OnSocketState;
  ares.sock_state_cb_data = this;
  const int made = ares_init_options(
      &channel_, &ares,
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
  if (made != ARES_SUCCESS) {
    channel_ = nullptr;
    return Error{ErrorCode::kIo, fmt::format("cannot start the DNS client: {}; look at /etc/resolv.conf, or name the "
                                             "servers in [dns] servers",
                                             ares_strerror(made))};
  }
  if (options.servers.empty()) return std::nullopt;
  std::vector<std::string> servers;
  for (const SocketAddress& server : options.servers) servers.push_back(ToString(server));
  const std::string list = fmt::format("{}", fmt::join(servers, ","));
  if (const int set = ares_set_servers_ports_csv(channel_, list.c_str()); set != ARES_SUCCESS) {
    return Error{ErrorCode::kInvalid, fmt::format("cannot use the DNS servers {}: {}", list, ares_strerror(set))};
  }
  return std::nullopt;
}

std::size_t AresChannel::ServerCount() const {
  ares_addr_port_node* servers = nullptr;
  if (ares_get_servers_ports(channel_, &servers) != ARES_SUCCESS) return 0;
  std::size_t count = 0;
  for (const ares_addr_port_node* server = servers; server != nullptr; server = server->next) ++count;
  ares_free_data(servers);
  return count;
}

void AresChannel::Send(Question& question) {
  SetChannel(question, this);
  unsigned char* query = nullptr;
  int size = 0;
  const auto id = static_cast<unsigned short>(random_->Next());
  const int made = ares_create_query(question.name.c_str(), kClassInternet, static_cast<int>(question.type), id, 1,
                                     &query, &size, kUdpPayload);
  if (made != ARES_SUCCESS) return OnAnswer(&question, made, 0, nullptr, 0);
  query[kFlagsLow] |= kAuthenticBit;
  ares_send(channel_, query, size, OnAnswer, &question);
  ares_free_string(query);
  // Those under way are due before a new one.
  if (!deadline_.set()) SetDeadline();
}

void AresChannel::OnAnswer(void* argument, int status, int, unsigned char* reply, int size) {
  Question& question = *static_cast<Question*>(argument);
  AresChannel& self = *static_cast<AresChannel*>(ChannelOf(question));
  if (self.ending_) return;
  const bool answered = status == ARES_SUCCESS && reply != nullptr && size > 0;
  const auto bytes =
      answered ? std::as_bytes(std::span(reply, static_cast<std::size_t>(size))) : std::span<const std::byte>();
  self.handler_.OnReply(question, bytes, answered ? std::string() : self.Explain(question, status));
  // Outside of Process when c-ares fails at once.
  self.ProcessSoon();
}

std::string AresChannel::Explain(const Question& question, int status) const {
  const std::string what = fmt::format("{} of {}", ToString(question.type), question.name);
  switch (status) {
    case ARES_ETIMEOUT:
      return fmt::format("no DNS server answered for {} in {} tries", what, tries_);
    case ARES_ECONNREFUSED:
      return fmt::format("no DNS server could be reached, or none had a usable answer, for {}", what);
    default:
      return fmt::format("the DNS query for {} failed: {}", what, ares_strerror(status));
  }
}

void AresChannel::WatchSocket(ares_socket_t descriptor, bool readable, bool writable) {
  WatchedSocket* socket = Find(descriptor);
  if (!readable && !writable) {
    std::erase_if(sockets_, [socket](const auto& each) { return each.get() == socket; });
    // A number that is used again must not inherit readiness.
    const auto same = [descriptor](const Ready& ready) { return ready.descriptor == descriptor; };
    std::erase_if(ready_, same);
    std::ranges::replace_if(processing_, same, Ready{ARES_SOCKET_BAD, false, false});
    return;
  }
  if (socket == nullptr) {
    sockets_.push_back(std::make_unique<WatchedSocket>(*this, loop_.network(), descriptor));
    socket = sockets_.back().get();
  }
  socket->Want(readable, writable);
}

WatchedSocket* AresChannel::Find(ares_socket_t descriptor) {
  const auto found =
      std::ranges::find_if(sockets_, [descriptor](const auto& each) { return each->descriptor() == descriptor; });
  return found == sockets_.end() ? nullptr : found->get();
}

void AresChannel::Process() {
  process_.Cancel();
  processing_.swap(ready_);
  if (processing_.empty()) ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  for (std::size_t i = 0; i < processing_.size(); ++i) {
    const Ready ready = processing_[i];
    if (ready.descriptor == ARES_SOCKET_BAD) continue;
    ares_process_fd(channel_, ready.readable ? ready.descriptor : ARES_SOCKET_BAD,
                    ready.writable ? ready.descriptor : ARES_SOCKET_BAD);
    if (WatchedSocket* socket = Find(ready.descriptor)) socket->Arm();
  }
  processing_.clear();
  process_.Cancel();  // the answers that came in here are told of now
  SetDeadline();
  handler_.OnRepliesNoted();
}

void AresChannel::SetDeadline() {
  timeval storage{};
  const timeval* left = ares_timeout(channel_, nullptr, &storage);
  if (left == nullptr) return deadline_.Cancel();
  const auto wait = std::chrono::seconds(left->tv_sec) + std::chrono::microseconds(left->tv_usec);
  loop_.timers().Set(deadline_, loop_.now().monotonic + wait);
}

}  // namespace

Result<std::unique_ptr<Channel>> Channel::Make(const DnsOptions& options, io::Loop& loop, std::uint64_t seed,
                                               ReplyHandler& handler) {
  auto channel = std::make_unique<AresChannel>(loop, seed, handler);
  if (auto error = channel->Open(options)) return std::unexpected(std::move(*error));
  return channel;
}

}  // namespace postrider::dns
