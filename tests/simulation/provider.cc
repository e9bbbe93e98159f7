#include "tests/simulation/provider.h"

#include <span>
#include <utility>

#include "tests/engine/delivery/fake_tls.h"
#include "tools/sink/refusals.h"

namespace postrider::simulation {
namespace {

constexpr std::size_t kTrackedRecipients = 10'000'000;

}  // namespace

// One MX of it.
class Provider::Site final : public delivery::Host {
 public:
  Site(Provider& provider, const sink::Receiver& its_receiver) : receiver(its_receiver), provider_(provider) {}

  [[nodiscard]] Reach reach() const override {
    return {.round_trip = provider_.setting_.round_trip, .work = provider_.setting_.work};
  }
  [[nodiscard]] std::unique_ptr<delivery::ServerEnd> Accept(std::string client, const Now& now) override;

  const sink::Receiver& receiver;
  sink::Counts counts;

 private:
  Provider& provider_;
};

// A connection: the stand-in for TLS around the sink's session.
class Provider::End final : public delivery::ServerEnd {
 public:
  End(Provider& provider, Site& site, const std::string& client)
      : provider_(provider),
        session_(site.receiver, site.counts, provider.context_, ++provider.last_connection_, client) {
    Count(+1);
  }
  ~End() override { Close(); }

  bool Open(const Now& now, std::string& out) override {
    std::string replies;
    const sink::Session::Step step = session_.Start(now, false, replies);
    return Obey(step, replies, out);
  }

  bool Receive(std::string_view bytes, const Now& now, std::string& out) override {
    if (stalled_) return true;
    if (handshaking_) {
      hello_ += bytes;
      const std::size_t end = hello_.find('\n');
      if (end == std::string::npos) return true;
      CHECK(hello_.starts_with(delivery::kClientHello));
      out += delivery::kServerHello;
      out += '\n';
      handshaking_ = false;
      tls_ = true;
      session_.TlsOpened(false);
      const std::string rest = hello_.substr(end + 1);
      return rest.empty() || Receive(rest, now, out);
    }
    std::string replies;
    const std::string plain = tls_ ? delivery::Scramble(bytes) : std::string(bytes);
    const sink::Session::Step step = session_.Receive(plain, now, replies);
    return Obey(step, replies, out);
  }

  [[nodiscard]] bool reset() const override { return reset_; }

 private:
  bool Obey(sink::Session::Step step, const std::string& replies, std::string& out) {
    using enum sink::Session::Step;
    if (step != kReset) out += tls_ ? delivery::Scramble(replies) : replies;
    handshaking_ = step == kStartTls;
    stalled_ = step == kStall || step == kStallUnread;
    reset_ = step == kReset;
    const bool ends = step == kClose || step == kLinger || step == kReset;
    if (ends) Close();
    return !ends;
  }

  void Close() {
    if (std::exchange(open_, false)) Count(-1);
  }
  void Count(int change) {
    provider_.connection_time_ += provider_.open_ * (provider_.world_.now().monotonic - provider_.counted_until_);
    provider_.counted_until_ = provider_.world_.now().monotonic;
    provider_.open_ += static_cast<std::uint64_t>(change);
  }

  Provider& provider_;
  sink::Session session_;
  std::string hello_;
  bool tls_ = false;
  bool handshaking_ = false;
  bool stalled_ = false;
  bool reset_ = false;
  bool open_ = true;
};

std::unique_ptr<delivery::ServerEnd> Provider::Site::Accept(std::string client, const Now&) {
  return std::make_unique<End>(provider_, *this, client);
}

Provider::Provider(delivery::World& world, ProviderSetting setting, std::uint64_t seed)
    : world_(world),
      setting_(std::move(setting)),
      tally_(seed, kTrackedRecipients),
      context_{tally_},
      counted_until_(world.now().monotonic) {
  context_.seed = seed;
  context_.epoch = world.now().monotonic;
  sink::ListenOptions listen;
  listen.personality = setting_.personality;
  listen.behaviour = setting_.behaviour;
  listen.behaviour.provider = setting_.name;
  for (std::size_t i = 0; i < setting_.sites.size(); ++i) {
    Result<sink::Receiver> receiver = sink::MakeReceiver(static_cast<std::uint16_t>(i), listen, {});
    CHECK(receiver.has_value());
    receivers_.push_back(std::move(*receiver));
  }
  limits_ = std::move(sink::ShareLimits(receivers_).value());
  for (std::size_t i = 0; i < setting_.sites.size(); ++i) {
    sites_.push_back(std::make_unique<Site>(*this, receivers_[i]));
    world_.AddHost(setting_.sites[i].host, setting_.sites[i].domains, *sites_.back());
  }
}

Provider::~Provider() = default;

bool Provider::Refuses(std::string_view address) const {
  return sink::Rule(receivers_.front().options.behaviour, context_.seed, address, 1, 0).kind ==
         sink::Ruling::Kind::kPermanent;
}

sink::Counts Provider::Sum() const {
  sink::Counts sum;
  for (const std::unique_ptr<Site>& site : sites_) sum.Add(site->counts);
  return sum;
}

std::uint64_t Provider::attempts() const {
  const sink::Counts sum = Sum();
  return sum.messages + sum.refused_permanent + sum.refused_temporary + sum.messages_over_limit +
         sum.refused_in_penalty;
}

std::uint64_t Provider::breaches() const {
  const sink::Counts sum = Sum();
  return sum.connections_over_limit + sum.site_connections_over_limit + sum.connects_over_limit +
         sum.messages_over_limit + sum.caps_reached;
}

std::uint64_t Provider::repeats() const {
  const sink::Tally* tally = &tally_;
  std::uint64_t repeats = 0;
  for (const auto& taken : sink::Tally::Merge(std::span(&tally, 1), receivers_.size()).taken) repeats += taken.repeats;
  return repeats;
}

std::chrono::duration<double> Provider::ConnectionTime() const {
  return connection_time_ + open_ * (world_.now().monotonic - counted_until_);
}

}  // namespace postrider::simulation
