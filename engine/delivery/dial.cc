// How a connection finds its way: hosts, addresses, TCP, and the handshake of implicit TLS.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/delivery/admission.h"
#include "engine/delivery/connection.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/source_health.h"

namespace postrider::delivery {
namespace {

// Until a look at a source that is due has been taken.
constexpr std::chrono::seconds kLookSoon{1};
// The resolver has its own deadlines; this one only bounds what a defect in it could cost.
constexpr std::chrono::seconds kResolveAtMost{120};

double Seconds(Monotonic from, Monotonic to) { return std::chrono::duration<double>(to - from).count(); }

// Hosts that may be tried now, by preference; among equals each connection begins with another one.
std::vector<std::size_t> HostOrder(Path& path, Monotonic now) {
  const std::vector<SiteHost>& hosts = path.site.target.hosts;
  const std::size_t turn = path.host_turn++;
  std::vector<std::size_t> order;
  for (std::size_t begin = 0; begin < hosts.size();) {
    std::size_t end = begin + 1;
    while (end < hosts.size() && hosts[end].preference == hosts[begin].preference) ++end;
    for (std::size_t i = 0; i < end - begin; ++i) {
      const std::size_t host = begin + (i + turn) % (end - begin);
      if (!path.hosts[host].Blocked(now)) order.push_back(host);
    }
    begin = end;
  }
  return order;
}

// Why mail must not go to this address; empty if it may (issue of a forged or broken MX record: RFC 5321 section 5.1
// asks to detect loops, and a stranger's DNS must not make us talk to our own network).
std::string WhyNot(SourceHealth& sources, const IpAddress& address) {
  if (address.IsLoopback() || address.IsUnspecified()) return "a loopback address";
  if (address.IsPrivate()) return "a private address";
  if (sources.IsOurs(address)) return "an address of our own";
  return {};
}

}  // namespace

Connection::Connection(Parts& parts, Path& path, LeaseEntry& pool_lease, std::uint64_t id)
    : parts_(parts),
      path_(path),
      pool_lease_(pool_lease),
      id_(id),
      alive_(std::make_shared<Connection*>(this)),
      buffers_(std::make_shared<Buffers>()),
      timer_([this] { OnTimer(); }) {}

Connection::~Connection() { *alive_ = nullptr; }

void Connection::Dial() {
  round_began_ = now();
  transcript_.Begin(parts_.loop.now());
  host_order_ = HostOrder(path_, round_began_);
  NextHost();
}

void Connection::NextHost() {
  const TimeoutOptions& limits = parts_.options->timeouts;
  const bool round_over = addresses_tried_ >= limits.connect_addresses || now() - round_began_ >= limits.connect_round;
  if (round_over || host_place_ == host_order_.size() || parts_.draining || quitting_) return Finish();
  host_ = host_order_[host_place_++];
  dialled_at_ = now();
  connect_problem_.clear();
  addresses_.clear();
  address_place_ = 0;

  const SiteHost& host = path_.site.target.hosts[host_];
  dns::AddressAnswer answer;
  if (host.literal) {
    answer.found = true;
    answer.addresses.push_back(*host.literal);
    return OnAddresses(answer);
  }
  SetPhase(Phase::kResolving);
  ArmAt(now() + kResolveAtMost);
  const bool ipv6 = path_.site.target.route.use_ipv6 && path_.source.ipv6.has_value();
  const bool ipv4 = path_.source.ipv4.has_value() || !path_.source.ipv6.has_value();
  parts_.resolver.LookUpAddresses(host.name, ipv4, ipv6,
                                  [alive = alive_, turn = host_place_](const dns::AddressAnswer& addresses) {
                                    Connection* connection = *alive;
                                    if (connection == nullptr || connection->host_place_ != turn) return;
                                    if (connection->phase_ == Phase::kResolving) connection->OnAddresses(addresses);
                                  });
}

void Connection::OnAddresses(const dns::AddressAnswer& answer) {
  const Site& site = path_.site;
  const std::string& name = site.target.hosts[host_].name;
  std::string refused;
  bool waits = false;  // for the source's address of that family
  for (const IpAddress& address : answer.addresses) {
    // A source without any address leaves the choice to the system, which we take to be IPv4.
    const bool usable = address.IsIpv4() ? path_.source.ipv4.has_value() || !path_.source.ipv6.has_value()
                                         : path_.source.ipv6.has_value();
    if (!usable) continue;
    if (!path_.source_state.Usable(address.IsIpv4())) {
      waits = true;
      continue;
    }
    // Hosts that the operator named himself are his to judge.
    if (!site.target.route.allow_private && site.target.route.hosts.empty()) {
      if (const std::string why = WhyNot(*parts_.sources, address); !why.empty()) {
        refused = fmt::format("MX host {} points to {}, {}: refused; set allow_private on its route if it is meant so",
                              name, ToString(address), why);
        continue;
      }
    }
    addresses_.push_back(address);
  }
  if (addresses_.empty()) {
    if (waits) return HostWaitsForSource();
    if (!refused.empty()) {
      HostFailed(Stage::kDns, refused);
    } else if (!answer.found) {
      HostFailed(Stage::kDns, answer.problem.empty() ? fmt::format("MX host {} has no address", name)
                                                     : fmt::format("MX host {}: {}", name, answer.problem));
    } else {
      HostFailed(Stage::kDns,
                 fmt::format("MX host {} has no address of a family that source {} can use", name, path_.source.name));
    }
    return NextHost();
  }
  NextAddress();
}

void Connection::NextAddress() {
  const TimeoutOptions& limits = parts_.options->timeouts;
  const Monotonic round_ends = round_began_ + limits.connect_round;
  if (address_place_ == addresses_.size() || addresses_tried_ >= limits.connect_addresses || now() >= round_ends ||
      quitting_) {
    if (connect_problem_.empty() && path_.source_state.troubled()) return HostWaitsForSource();
    HostFailed(Stage::kConnect, connect_problem_);
    return NextHost();
  }
  const SocketAddress remote{addresses_[address_place_++], path_.site.target.hosts[host_].port};
  remote_text_ = ToString(remote.ip);
  Trace(TraceDirection::kNote, 0,
        fmt::format("connect to {} ({}) port {}", path_.site.target.hosts[host_].name, remote_text_, remote.port));
  ++addresses_tried_;
  ++parts_.counts.connects;
  SetPhase(Phase::kConnecting);
  connect_began_ = now();
  ArmAt(std::min(connect_began_ + limits.connect, round_ends));
  const std::optional<IpAddress>& local = remote.ip.IsIpv4() ? path_.source.ipv4 : path_.source.ipv6;
  socket_ = parts_.loop.network().Connect(local, remote, *this);
}

// somebody_is_there: who refuses is there, so our network is.
void Connection::ConnectFailed(std::string problem, bool somebody_is_there) {
  socket_.reset();
  if (!somebody_is_there && parts_.sources->Look(path_.source)) {
    const bool ipv4 = addresses_[address_place_ - 1].IsIpv4();
    // The source's own fault: nobody is charged, and the host's addresses of the other family are tried.
    if (!path_.source_state.Usable(ipv4)) return path_.source_state.gone ? Finish() : NextAddress();
  }
  ++parts_.counts.connect_failures;
  parts_.settlement->ConnectTried(path_.site, somebody_is_there);
  connect_problem_ = fmt::format("connect from {} to {} port {}: {}", path_.source.name, remote_text_,
                                 path_.site.target.hosts[host_].port, problem);
  Trace(TraceDirection::kNote, 0, connect_problem_);
  NextAddress();
}

// It was not the host that failed: it is left alone until the source is looked at again, which may be due by now.
void Connection::HostWaitsForSource() {
  path_.hosts[host_].Skip(std::max(path_.source_state.next_look, now() + kLookSoon));
  parts_.admission->MarkPending(path_.site);
  NextHost();
}

void Connection::OnConnected(int error) {
  if (phase_ != Phase::kConnecting) return;
  if (error != 0) {
    return ConnectFailed(std::strerror(error), error == ECONNREFUSED || error == ECONNRESET);
  }
  parts_.counts.connect_seconds.Observe(Seconds(connect_began_, now()));
  parts_.settlement->ConnectTried(path_.site, true);
  local_text_ = ToString(socket_->local().ip);
  Trace(TraceDirection::kNote, 0, fmt::format("connected from {}", local_text_));
  demand_ = parts_.settlement->TlsDemandOf(path_, host_);
  if (path_.site.target.route.transport == RouteOptions::Transport::kImplicit) {
    SetPhase(Phase::kHandshaking);
    BeginHandshake();
    ArmAt(now() + parts_.options->timeouts.tls);
  } else {
    BeginConversation();
  }
}

void Connection::BeginHandshake() {
  const Site& site = path_.site;
  const std::string& host = site.target.hosts[host_].name;
  // Sessions of one source and policy are not shown to another (they would tie the two together for the receiver).
  const std::string key = fmt::format("{}|{}|{}|{}|{}", host, site.target.base_key, static_cast<int>(demand_),
                                      site.target.route.auth_user, path_.source.name);
  tls_began_ = now();
  tls_open_ = false;
  tls_ = parts_.tls.Connect({.host = host, .session_key = key, .verify = demand_ == TlsDemand::kVerified},
                            buffers_->filling);
  parts_.admission->MarkDirty(*this);
}

void Connection::BeginConversation() {
  const Site& site = path_.site;
  const RouteOptions& route = site.target.route;
  smtp::ConversationSettings settings;
  settings.ehlo_name = path_.source.ehlo_name.empty() ? parts_.options->host_name : path_.source.ehlo_name;
  settings.implicit_tls = route.transport == RouteOptions::Transport::kImplicit;
  settings.tls = settings.implicit_tls ? TlsDemand::kNone : demand_;
  pipelining_allowed_ = !site.target.hosts[host_].lock_step.Blocked(now());
  settings.pipelining_allowed = pipelining_allowed_;
  settings.auth_user = route.auth_user;
  settings.auth_secret = site.auth_secret;
  settings.auth_mechanism = route.auth_mechanism;
  settings.auth_without_tls = route.auth_without_tls;
  settings.timeouts = parts_.options->timeouts;
  SetPhase(Phase::kOpening);
  conversation_ = std::make_unique<smtp::Conversation>(std::move(settings), *this, now());
  ArmTimer();
}

void Connection::HostFailed(Stage stage, std::string problem) {
  Reply reply;
  reply.text = std::move(problem);
  const Category category = stage == Stage::kDns   ? Category::kDnsFailure
                            : stage == Stage::kTls ? Category::kTlsFailure
                                                   : Category::kNoAnswerFromHost;
  if (stage != Stage::kConnect) Trace(TraceDirection::kNote, 0, reply.text);  // of addresses each tells by itself
  KeepFailure(reply.text);
  parts_.settlement->HostFailed(path_, host_, stage, category, reply, dialled_at_, remote_text_);
}

}  // namespace postrider::delivery
