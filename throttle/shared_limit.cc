#include "throttle/shared_limit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "config/check.h"

namespace postrider {
namespace {

constexpr std::chrono::milliseconds kLeaseLasts{250};
constexpr double kLeaseSeconds = 0.25;
// All leases together are at most a quarter of the burst: while work waits, the bucket is never so empty that what is
// set aside for them keeps it from leaking.
constexpr double kLeasedShare = 0.25;
// A lease is granted once a quarter of it is free: while work waits, the lock is taken some 40 times a second.
constexpr double kLeastGrant = 0.25;
// A core that was promised a moment comes that much later at most, or another goes first.
constexpr std::chrono::milliseconds kComesWithin{20};
// What keeps the bucket full may be a lease that is no longer used; it is void by then.
constexpr std::chrono::milliseconds kAskAgain{50};
constexpr std::chrono::milliseconds kConnectAgain{200};
constexpr std::chrono::milliseconds kWantsConnectionFor{500};

Monotonic::duration ToDuration(double seconds) {
  return std::chrono::ceil<Monotonic::duration>(std::chrono::duration<double>(std::min(seconds, 86'400.0)));
}

}  // namespace

// ---- SharedLimit

void SharedLimit::Set(Monotonic now, const std::optional<RateLimit>& rate, std::optional<int> connections) {
  const std::lock_guard lock(mutex_);
  if (rate) {
    bucket_.SetRate(now, rate->per_second, rate->BurstOrDefault());
    // What went while there was no rate was not counted.
    if (!rate_) bucket_.Restore(now, 0);
  }
  rate_ = rate;
  most_connections_ = connections;
  has_rate_.store(rate.has_value(), std::memory_order_relaxed);
  has_connections_.store(connections.has_value(), std::memory_order_relaxed);
  version_.fetch_add(1, std::memory_order_relaxed);
}

std::optional<RateLimit> SharedLimit::rate() const {
  const std::lock_guard lock(mutex_);
  return rate_;
}

std::optional<int> SharedLimit::most_connections() const {
  const std::lock_guard lock(mutex_);
  return most_connections_;
}

int SharedLimit::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

bool SharedLimit::AtRest(Monotonic now) const {
  const std::lock_guard lock(mutex_);
  return connections_ == 0 && HeldByAll() <= 0 && (!rate_ || bucket_.Depth(now) + bucket_.Aside(now) <= 0);
}

std::uint64_t SharedLimit::lock_count() const {
  const std::lock_guard lock(mutex_);
  return locks_;
}

std::optional<std::string> SharedLimit::Unsaved(const Now& now) {
  const std::lock_guard lock(mutex_);
  return saved_.Write(now, rate_ ? &bucket_ : nullptr, HeldByAll());
}

void SharedLimit::Restore(Monotonic now, const SavedBucket& saved) {
  const std::lock_guard lock(mutex_);
  saved.Restore(bucket_, now);
  saved_.Found(saved);
}

std::size_t SharedLimit::Join() {
  const std::lock_guard lock(mutex_);
  ++joined_;
  const auto free = std::ranges::find(holders_, false, &Holder::joined);
  const std::size_t index = static_cast<std::size_t>(free - holders_.begin());
  if (free == holders_.end()) holders_.emplace_back();
  holders_[index] = Holder{.joined = true};
  return index;
}

void SharedLimit::Leave(std::size_t holder, Monotonic now, const Account& account) {
  const std::lock_guard lock(mutex_);
  Settle(holders_[holder], now, account);
  holders_[holder] = Holder{};
  --joined_;
}

double SharedLimit::Chunk() const {
  const double of_all = std::min(rate_->per_second * kLeaseSeconds, rate_->BurstOrDefault() * kLeasedShare);
  return std::max(1.0, std::floor(of_all / static_cast<double>(std::max<std::size_t>(1, joined_))));
}

double SharedLimit::HeldByAll() const {
  double sum = 0;
  for (const Holder& holder : holders_) sum += holder.held;
  return sum;
}

void SharedLimit::Settle(Holder& holder, Monotonic now, const Account& account) {
  ++locks_;
  if (holder.voided > 0) {
    // Counted as used when it became void; now it turns out what was not.
    if (account.unused > 0) bucket_.Return(now, holder.voided_at, std::min<double>(account.unused, holder.voided));
    holder.voided = 0;
    return;
  }
  if (account.used > 0) bucket_.Take(std::min(now, account.last_use), account.used);
  holder.held = std::max(0.0, holder.held - account.used - account.unused);
}

void SharedLimit::VoidOldLeases(Monotonic now) {
  for (Holder& holder : holders_) {
    if (holder.held <= 0 || now - holder.held_since < kLeaseLasts) continue;
    bucket_.Take(now, holder.held);
    holder.voided = std::exchange(holder.held, 0);
    holder.voided_at = now;
  }
}

SharedLimit::Grant SharedLimit::Take(std::size_t index, Monotonic now, const Account& account, bool only_ask) {
  const std::lock_guard lock(mutex_);
  Holder& holder = holders_[index];
  Settle(holder, now, account);
  Grant grant{.version = version_.load(std::memory_order_relaxed)};
  if (!rate_) {
    grant.go = true;
    return grant;
  }
  VoidOldLeases(now);
  const double chunk = Chunk();
  const double least = std::max(1.0, std::floor(chunk * kLeastGrant));
  // Those that wait and were here first.
  double ahead = 0;
  Monotonic ahead_gone_at = now;
  for (Holder& other : holders_) {
    if (&other == &holder || !other.waits) continue;
    if (now > other.promised + kComesWithin) {
      other.waits = false;
      continue;
    }
    if (holder.waits && other.place > holder.place) continue;
    ahead += least;
    ahead_gone_at = std::max(ahead_gone_at, other.promised + kComesWithin + Monotonic::duration(1));
  }
  const double held = HeldByAll();
  if (bucket_.EarliestFor(now, least, held + ahead) <= now) {
    holder.waits = false;
    grant.go = true;
    if (chunk > 1) {
      const double room = bucket_.burst() - bucket_.Depth(now) - held - ahead;
      grant.messages = static_cast<std::uint32_t>(std::clamp(std::floor(room), least, chunk));
      holder.held += grant.messages;
      holder.held_since = now;
    } else if (!only_ask) {
      bucket_.Take(now);
    }
    return grant;
  }
  Monotonic moment = bucket_.EarliestFor(now, least, held);
  if (bucket_.per_second() > 0 && moment == Monotonic::max()) moment = now + kAskAgain;
  if (ahead > 0 && moment != Monotonic::max()) {
    const Monotonic::duration theirs = ToDuration(ahead / bucket_.per_second());
    const Monotonic after_them = std::max(moment, now) + theirs;
    // At a low rate what they do not take must not go to waste.
    moment = theirs <= kLeaseLasts ? after_them : std::max(moment, std::min(after_them, ahead_gone_at));
  }
  if (!std::exchange(holder.waits, true)) holder.place = next_place_++;
  holder.promised = moment;
  // A rate of 0: only a new rate, and with it a new version, lets anything go.
  if (moment == Monotonic::max()) holder.waits = false;
  grant.not_before = moment;
  return grant;
}

void SharedLimit::GiveBack(std::size_t index, Monotonic now, const Account& account) {
  const std::lock_guard lock(mutex_);
  Settle(holders_[index], now, account);
  holders_[index].waits = false;
  if (account.unused > 0) version_.fetch_add(1, std::memory_order_relaxed);
}

void SharedLimit::ReturnUsed(Monotonic now, Monotonic taken_at) {
  const std::lock_guard lock(mutex_);
  ++locks_;
  if (!rate_) return;
  bucket_.Return(now, taken_at);
  version_.fetch_add(1, std::memory_order_relaxed);
}

bool SharedLimit::TakeConnection(std::size_t index, Monotonic now, bool only_ask) {
  const std::lock_guard lock(mutex_);
  ++locks_;
  Holder& holder = holders_[index];
  int ahead = 0;
  if (most_connections_) {
    for (Holder& other : holders_) {
      if (&other == &holder || !other.wants_connection) continue;
      if (now > other.wants_until) {
        other.wants_connection = false;
      } else if (!holder.wants_connection || other.connection_place < holder.connection_place) {
        ++ahead;
      }
    }
  }
  if (most_connections_ && connections_ + ahead >= *most_connections_) {
    if (!std::exchange(holder.wants_connection, true)) holder.connection_place = next_place_++;
    holder.wants_until = now + kWantsConnectionFor;
    return false;
  }
  if (only_ask) return true;
  holder.wants_connection = false;
  ++connections_;
  return true;
}

void SharedLimit::GiveConnection() {
  const std::lock_guard lock(mutex_);
  CHECK(connections_ > 0);
  --connections_;
}

// ---- Lease

Lease::Lease(std::shared_ptr<SharedLimit> limit) : limit_(std::move(limit)), holder_(limit_->Join()) {}

Lease::~Lease() {
  CHECK(connections_ == 0);
  limit_->Leave(holder_, std::max(last_use_, leased_at_), TakeAccount(true));
}

SharedLimit::Account Lease::TakeAccount(bool give_back) {
  SharedLimit::Account account{.used = std::exchange(used_, 0), .unused = 0, .last_use = last_use_};
  if (give_back) account.unused = std::exchange(left_, 0);
  return account;
}

Admission Lease::Answer(Monotonic now, bool only_ask) {
  if (!limit_->has_rate_.load(std::memory_order_relaxed)) return {now, Limit::kNone};
  const std::uint32_t version = limit_->version_.load(std::memory_order_relaxed);
  if (left_ > 0 && now - leased_at_ < kLeaseLasts && version == version_) return {now, Limit::kNone};
  if (waiting_ && now < not_before_ && version == version_) return {not_before_, limit_->rate_name_};
  const SharedLimit::Grant grant = limit_->Take(holder_, now, TakeAccount(true), only_ask);
  version_ = grant.version;
  waiting_ = !grant.go;
  if (!grant.go) {
    not_before_ = grant.not_before;
    return {not_before_, limit_->rate_name_};
  }
  left_ = grant.messages;
  leased_at_ = now;
  return {now, Limit::kNone};
}

Admission Lease::Admit(Monotonic now) {
  const Admission answer = Answer(now, false);
  if (answer.Go() && left_ > 0) {
    --left_;
    ++used_;
    last_use_ = std::max(last_use_, now);
  }
  return answer;
}

void Lease::Return(Monotonic now, Monotonic admitted) {
  if (!limit_->has_rate_.load(std::memory_order_relaxed)) return;
  if (used_ > 0 && admitted >= leased_at_) {
    // Of the present lease, and not yet reported: it was never used.
    --used_;
    ++left_;
    return;
  }
  limit_->ReturnUsed(now, admitted);
}

void Lease::ReturnUnused(Monotonic now) {
  if (!holds()) return;
  waiting_ = false;
  limit_->GiveBack(holder_, now, TakeAccount(true));
}

Admission Lease::AskConnect(Monotonic now) {
  if (!limit_->has_connections_.load(std::memory_order_relaxed)) return {now, Limit::kNone};
  if (limit_->TakeConnection(holder_, now, true)) return {now, Limit::kNone};
  return {now + kConnectAgain, limit_->connections_name_};
}

Admission Lease::Connect(Monotonic now) {
  // Counted also where there is no limit: one may be set later.
  if (!limit_->TakeConnection(holder_, now, false)) return {now + kConnectAgain, limit_->connections_name_};
  ++connections_;
  return {now, Limit::kNone};
}

void Lease::Disconnected() {
  CHECK(connections_ > 0);
  --connections_;
  limit_->GiveConnection();
}

// ---- LeaseSet

namespace {

std::array<Lease*, 4> AllOf(const LeaseSet& set) { return {set.sender, set.pool, set.source, set.campaign}; }

// Asks each; takes of all or of none.
template <typename Ask, typename Take, typename Undo>
Admission TakeAll(const LeaseSet& set, Monotonic now, Ask ask, Take take, Undo undo) {
  const std::array<Lease*, 4> leases = AllOf(set);
  Admission answer{now, Limit::kNone};
  for (Lease* lease : leases) {
    if (lease != nullptr) answer.Join(ask(*lease));
  }
  if (!answer.Go()) return answer;
  for (std::size_t i = 0; i < leases.size(); ++i) {
    if (leases[i] == nullptr) continue;
    answer.Join(take(*leases[i]));
    if (answer.Go()) continue;
    // Another core was faster.
    while (i-- > 0) {
      if (leases[i] != nullptr) undo(*leases[i]);
    }
    break;
  }
  return answer;
}

}  // namespace

Admission LeaseSet::Ask(Monotonic now) const {
  Admission answer{now, Limit::kNone};
  for (Lease* lease : AllOf(*this)) {
    if (lease != nullptr) answer.Join(lease->Ask(now));
  }
  return answer;
}

Admission LeaseSet::Admit(Monotonic now) const {
  return TakeAll(
      *this, now, [now](Lease& lease) { return lease.Ask(now); }, [now](Lease& lease) { return lease.Admit(now); },
      [now](Lease& lease) { lease.Return(now, now); });
}

void LeaseSet::Return(Monotonic now, Monotonic admitted) const {
  for (Lease* lease : AllOf(*this)) {
    if (lease != nullptr) lease->Return(now, admitted);
  }
}

Admission LeaseSet::AskConnect(Monotonic now) const {
  Admission answer{now, Limit::kNone};
  for (Lease* lease : AllOf(*this)) {
    if (lease != nullptr) answer.Join(lease->AskConnect(now));
  }
  return answer;
}

Admission LeaseSet::Connect(Monotonic now) const {
  return TakeAll(
      *this, now, [now](Lease& lease) { return lease.AskConnect(now); },
      [now](Lease& lease) { return lease.Connect(now); }, [](Lease& lease) { lease.Disconnected(); });
}

void LeaseSet::Disconnected() const {
  for (Lease* lease : AllOf(*this)) {
    if (lease != nullptr) lease->Disconnected();
  }
}

// ---- SharedLimits

namespace {

std::string SavedKey(SharedLimits::Kind kind, std::string_view name) {
  constexpr std::array<std::string_view, 4> kKinds{"sender", "pool", "source", "campaign"};
  return fmt::format("{}{}/{}", SharedLimits::kPrefix, kKinds[static_cast<std::size_t>(kind)], name);
}

}  // namespace

const std::shared_ptr<SharedLimit>& SharedLimits::GetLocked(Kind kind, std::string_view name) {
  std::shared_ptr<SharedLimit>& limit = limits_[Key(kind, name)];
  if (limit != nullptr) return limit;
  switch (kind) {
    case Kind::kSender:
      limit = std::make_shared<SharedLimit>(Limit::kSenderRate, Limit::kSenderConnections);
      break;
    case Kind::kPool:
      limit = std::make_shared<SharedLimit>(Limit::kPoolRate, Limit::kPoolConnections);
      break;
    case Kind::kSource:
      limit = std::make_shared<SharedLimit>(Limit::kSourceRate, Limit::kSourceConnections);
      break;
    case Kind::kCampaign:
      limit = std::make_shared<SharedLimit>(Limit::kCampaignRate, Limit::kConnections);
      break;
  }
  return limit;
}

std::shared_ptr<SharedLimit> SharedLimits::Get(Kind kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  return GetLocked(kind, name);
}

std::shared_ptr<SharedLimit> SharedLimits::Find(Kind kind, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = limits_.find(Key(kind, name));
  return found == limits_.end() ? nullptr : found->second;
}

void SharedLimits::Set(Kind kind, std::string_view name, Monotonic now, const std::optional<RateLimit>& rate,
                       std::optional<int> connections) {
  const std::lock_guard lock(mutex_);
  SharedLimit& limit = *GetLocked(kind, name);
  limit.Set(now, rate, connections);
  if (!rate) return;
  if (const auto saved = remembered_.find(SavedKey(kind, name)); saved != remembered_.end()) {
    limit.Restore(now, saved->second);
    remembered_.erase(saved);
  }
}

Result<void> SharedLimits::Remember(const Now& now, std::string_view key, std::string_view record) {
  Result<SavedBucket> saved = SavedBucket::Read(now, record);
  if (!saved) return std::unexpected(std::move(saved).error());
  const std::lock_guard lock(mutex_);
  remembered_.insert_or_assign(std::string(key), *saved);
  return {};
}

std::vector<std::pair<std::string, std::string>> SharedLimits::Unsaved(const Now& now) {
  std::vector<std::pair<std::string, std::string>> records;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, limit] : limits_) {
    if (auto record = limit->Unsaved(now)) records.emplace_back(SavedKey(key.first, key.second), *std::move(record));
  }
  // Of what nobody has set again: a campaign that is over, a source that is no more.
  std::erase_if(remembered_, [&](const auto& entry) {
    if (entry.second.empty_at > now.wall) return false;
    records.emplace_back(entry.first, std::string());
    return true;
  });
  return records;
}

void SharedLimits::Sweep(Monotonic now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(limits_, [now](const auto& entry) {
    // Who gets one meanwhile waits for this lock, so that nobody holds what is dropped.
    return entry.first.first == Kind::kCampaign && entry.second.use_count() == 1 && entry.second->AtRest(now);
  });
}

std::size_t SharedLimits::size() const {
  const std::lock_guard lock(mutex_);
  return limits_.size();
}

}  // namespace postrider
