#include "engine/dns/resolver.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "config/check.h"
#include "engine/dns/channel.h"
#include "engine/dns/message.h"
#include "engine/dns/record_cache.h"
#include "engine/dns/record_set.h"
#include "engine/io/random.h"

namespace postrider::dns {
namespace {

// Questions at the servers at once; more wait here. A local resolver serves so many without dropping packets.
constexpr std::size_t kOutstandingMax = 256;

// Records, and the time they may still be kept.
using RecordsCallback = std::move_only_function<void(const RecordSet&, std::chrono::seconds)>;

// One question under way and all who wait for its answer.
struct Pending : Question {
  using Question::Question;
  std::string key;  // of the name asked for, while Question::name follows CNAMEs
  std::vector<RecordsCallback> waiting;
  ParsedReply reply;
  int replies = 0;
  std::uint32_t ttl = ~std::uint32_t{0};
  bool authentic = true;
  bool forgotten = false;  // the answer is not to be kept
};

class CachingResolver final : public Resolver, private ReplyHandler {
 public:
  CachingResolver(const DnsOptions& options, io::Loop& loop, std::uint64_t seed)
      : options_(options), loop_(loop), random_(io::MakeSeededRandom(seed)), cache_(options.cache_entries) {}

  std::optional<Error> Open(std::uint64_t seed) {
    auto channel = Channel::Make(options_, loop_, seed, *this);
    if (!channel) return std::move(channel.error());
    channel_ = std::move(*channel);
    return std::nullopt;
  }

  void LookUpMx(std::string_view domain, MxCallback done) override;
  void LookUpAddresses(std::string_view host, bool ipv4, bool ipv6, AddressCallback done) override;
  void Forget(std::string_view name) override;
  [[nodiscard]] ResolverCounts counts() const override {
    ResolverCounts counts = counts_;
    counts.cache_entries = cache_.size();
    return counts;
  }

 private:
  void Ask(RecordType type, const std::string& name, RecordsCallback done);
  void Start(Pending& pending);
  void OnReply(Question& question, std::span<const std::byte> reply, std::string problem) override;
  void OnRepliesNoted() override;
  void Conclude(Pending& pending);
  void Answer(std::unique_ptr<Pending> pending);
  [[nodiscard]] std::chrono::seconds KeepFor(const RecordSet& records) const;
  [[nodiscard]] MxAnswer ToAnswer(const std::string& domain, const RecordSet& records, std::chrono::seconds ttl);
  void AskImplicit(RecordType type, std::string domain, MxAnswer answer, MxCallback done);

  DnsOptions options_;
  io::Loop& loop_;
  std::unique_ptr<io::Random> random_;  // the order of equals
  RecordCache cache_;
  std::unordered_map<std::string, std::unique_ptr<Pending>> pending_;
  std::deque<Pending*> queue_;  // not sent yet
  std::size_t outstanding_ = 0;
  std::vector<Pending*> noted_;
  ResolverCounts counts_;
  std::unique_ptr<Channel> channel_;  // last: it ends first, and what it was asked must outlive it
};

void CachingResolver::Ask(RecordType type, const std::string& name, RecordsCallback done) {
  std::string key = RecordKey(type, name);
  const Monotonic now = loop_.now().monotonic;
  if (const auto* entry = cache_.Find(key, now)) {
    ++counts_.cache_hits;
    const RecordSet records = entry->records;  // a copy: done may ask again and so change the cache
    return done(records, std::chrono::ceil<std::chrono::seconds>(entry->expires - now));
  }
  auto& pending = pending_[key];
  const bool first = pending == nullptr;
  if (first) {
    pending = std::make_unique<Pending>(type, name);
    pending->key = std::move(key);
  }
  Pending& mine = *pending;
  mine.waiting.push_back(std::move(done));
  if (!first) return;
  if (outstanding_ < kOutstandingMax) return Start(mine);
  queue_.push_back(&mine);
}

void CachingResolver::Start(Pending& pending) {
  ++outstanding_;
  ++counts_.queries;
  channel_->Send(pending);
}

void CachingResolver::OnReply(Question& question, std::span<const std::byte> reply, std::string problem) {
  auto& pending = static_cast<Pending&>(question);
  if (reply.empty()) {
    pending.reply = {};
    pending.reply.records.problem = std::move(problem);
  } else {
    pending.reply = ParseReply(reply, pending.name, pending.type);
  }
  noted_.push_back(&pending);
}

void CachingResolver::OnRepliesNoted() {
  std::vector<Pending*> noted;
  noted.swap(noted_);
  for (Pending* pending : noted) {
    --outstanding_;
    Conclude(*pending);
    while (outstanding_ < kOutstandingMax && !queue_.empty()) {
      Pending& next = *queue_.front();
      queue_.pop_front();
      Start(next);
    }
  }
}

// Follows an alias the server left unfollowed, or answers.
void CachingResolver::Conclude(Pending& pending) {
  RecordSet& records = pending.reply.records;
  pending.ttl = std::min(pending.ttl, records.ttl);
  pending.authentic = pending.authentic && records.authentic;
  if (!pending.reply.continue_at.empty()) {
    if (++pending.replies < kMaxAliases) {
      pending.name = pending.reply.continue_at;
      return Start(pending);
    }
    records = {};
    records.problem = "too many CNAMEs, or a loop of them, lead from " + pending.key.substr(1);
  }
  records.ttl = pending.ttl;
  records.authentic = pending.authentic;
  const auto found = pending_.find(pending.key);
  std::unique_ptr<Pending> own = std::move(found->second);
  pending_.erase(found);
  Answer(std::move(own));
}

void CachingResolver::Answer(std::unique_ptr<Pending> pending) {
  const RecordSet& records = pending->reply.records;
  if (records.status == RecordStatus::kFailed) ++counts_.failures;
  if (records.status == RecordStatus::kNoData || records.status == RecordStatus::kNoDomain) ++counts_.negative_answers;
  const std::chrono::seconds keep = KeepFor(records);
  if (!pending->forgotten) cache_.Insert(pending->key, records, loop_.now().monotonic + keep);
  for (RecordsCallback& done : pending->waiting) done(records, keep);
}

// A failure is kept for the shortest time only, so that all who ask in a burst are told at the cost of one.
std::chrono::seconds CachingResolver::KeepFor(const RecordSet& records) const {
  const std::chrono::seconds ttl{records.ttl};
  switch (records.status) {
    case RecordStatus::kFound:
      return std::max(options_.cache_min_ttl, std::min(ttl, options_.cache_max_ttl));
    case RecordStatus::kNoData:
    case RecordStatus::kNoDomain:
      return std::max(options_.cache_min_ttl, std::min(ttl, options_.negative_ttl));
    case RecordStatus::kFailed:
      break;
  }
  return options_.cache_min_ttl;
}

MxAnswer CachingResolver::ToAnswer(const std::string& domain, const RecordSet& records, std::chrono::seconds ttl) {
  MxAnswer answer;
  answer.authentic = records.authentic;
  answer.ttl = ttl;
  switch (records.status) {
    case RecordStatus::kFailed:
      answer.status = MxStatus::kFailed;
      answer.problem = records.problem;
      return answer;
    case RecordStatus::kNoDomain:
      answer.status = MxStatus::kNoDomain;
      answer.problem = "the domain " + domain + " does not exist (NXDOMAIN)";
      return answer;
    case RecordStatus::kNoData:
      answer.status = MxStatus::kNoMail;
      return answer;
    case RecordStatus::kFound:
      break;
  }
  answer.hosts = UnpackMx(records.packed);
  if (answer.hosts.size() == 1 && answer.hosts[0].name.empty()) {
    answer.status = MxStatus::kNullMx;
    answer.hosts.clear();
    return answer;
  }
  answer.status = MxStatus::kFound;
  // RFC 5321 section 5.1: equals in random order, to spread the load. Fisher and Yates, within each preference.
  for (std::size_t from = 0; from < answer.hosts.size();) {
    std::size_t to = from + 1;
    while (to < answer.hosts.size() && answer.hosts[to].preference == answer.hosts[from].preference) ++to;
    for (std::size_t i = to - 1; i > from; --i) {
      std::swap(answer.hosts[i], answer.hosts[from + random_->Next() % (i - from + 1)]);
    }
    from = to;
  }
  return answer;
}

void CachingResolver::LookUpMx(std::string_view domain, MxCallback done) {
  std::string name = CanonicalName(domain);
  if (name.empty()) {
    MxAnswer answer;
    answer.status = MxStatus::kNoDomain;
    answer.problem = "not a domain name that the DNS can hold";
    answer.ttl = options_.negative_ttl;
    return done(answer);
  }
  Ask(RecordType::kMx, name,
      [this, name, done = std::move(done)](const RecordSet& records, std::chrono::seconds ttl) mutable {
        MxAnswer answer = ToAnswer(name, records, ttl);
        if (records.status != RecordStatus::kNoData) return done(answer);
        AskImplicit(RecordType::kA, std::move(name), std::move(answer), std::move(done));
      });
}

// No MX record at all: the domain itself is the host, if it has an address (RFC 5321 section 5.1).
void CachingResolver::AskImplicit(RecordType type, std::string domain, MxAnswer answer, MxCallback done) {
  Ask(type, domain,
      [this, type, domain, answer = std::move(answer), done = std::move(done)](const RecordSet& records,
                                                                               std::chrono::seconds ttl) mutable {
        answer.authentic = answer.authentic && records.authentic;
        answer.ttl = std::min(answer.ttl, ttl);
        if (records.status == RecordStatus::kNoData && type == RecordType::kA) {
          return AskImplicit(RecordType::kAaaa, std::move(domain), std::move(answer), std::move(done));
        }
        if (records.status == RecordStatus::kFound) {
          answer.status = MxStatus::kFound;
          answer.implicit = true;
          answer.hosts = {MxHost{domain, 0}};
        } else if (records.status == RecordStatus::kFailed) {
          answer.status = MxStatus::kFailed;
          answer.problem = records.problem;
        }
        done(answer);
      });
}

void AddAddresses(AddressAnswer& answer, RecordType type, const RecordSet& records, std::chrono::seconds ttl) {
  answer.ttl = std::min(answer.ttl, ttl);
  if (records.status == RecordStatus::kFailed) {
    answer.temporary = true;
    answer.problem = records.problem;
  }
  if (records.status == RecordStatus::kFound) UnpackAddresses(type, records.packed, answer.addresses);
}

// IPv6 comes first, but leaves IPv4 half of the places if both need them.
void CutAddresses(std::vector<IpAddress>& addresses) {
  if (addresses.size() <= kMaxAddresses) return;
  const auto ipv4 = std::ranges::find_if(addresses, &IpAddress::IsIpv4);
  const auto ipv4_count = std::min<std::ptrdiff_t>(addresses.end() - ipv4, kMaxAddresses / 2);
  const auto ipv6_kept = std::min<std::ptrdiff_t>(ipv4 - addresses.begin(), kMaxAddresses - ipv4_count);
  addresses.erase(addresses.begin() + ipv6_kept, ipv4);
  if (addresses.size() > kMaxAddresses) addresses.resize(kMaxAddresses);
}

// No records yet: whatever comes has a smaller ttl.
AddressAnswer NoAddressesYet() {
  AddressAnswer answer;
  answer.ttl = std::chrono::seconds::max();
  return answer;
}

void FinishAddresses(AddressAnswer& answer, const std::string& host, Resolver::AddressCallback& done) {
  answer.found = !answer.addresses.empty();
  CutAddresses(answer.addresses);
  if (answer.found) {
    answer.temporary = false;
    answer.problem.clear();
  } else if (!answer.temporary) {
    answer.problem = "the host " + host + " has no address";
  }
  done(answer);
}

void CachingResolver::LookUpAddresses(std::string_view host, bool ipv4, bool ipv6, AddressCallback done) {
  std::string name = CanonicalName(host);
  if (name.empty() || (!ipv4 && !ipv6)) {
    AddressAnswer answer;
    answer.problem = name.empty() ? "not a host name that the DNS can hold" : "neither IPv4 nor IPv6 may be used";
    answer.ttl = options_.negative_ttl;
    return done(answer);
  }
  if (!ipv4 || !ipv6) {
    const RecordType type = ipv4 ? RecordType::kA : RecordType::kAaaa;
    return Ask(type, name,
               [type, name, done = std::move(done)](const RecordSet& records, std::chrono::seconds ttl) mutable {
                 AddressAnswer answer = NoAddressesYet();
                 AddAddresses(answer, type, records, ttl);
                 FinishAddresses(answer, name, done);
               });
  }
  // Both at the same time: the first question warms up what the second answer's turn asks for.
  Ask(RecordType::kA, name, [](const RecordSet&, std::chrono::seconds) {});
  Ask(RecordType::kAaaa, name,
      [this, name, done = std::move(done)](const RecordSet& ipv6_records, std::chrono::seconds ipv6_ttl) mutable {
        AddressAnswer answer = NoAddressesYet();
        AddAddresses(answer, RecordType::kAaaa, ipv6_records, ipv6_ttl);
        Ask(RecordType::kA, name,
            [name, answer = std::move(answer), done = std::move(done)](const RecordSet& ipv4_records,
                                                                       std::chrono::seconds ipv4_ttl) mutable {
              AddAddresses(answer, RecordType::kA, ipv4_records, ipv4_ttl);
              FinishAddresses(answer, name, done);
            });
      });
}

void CachingResolver::Forget(std::string_view name) {
  const std::string canonical = CanonicalName(name);
  for (const RecordType type : {RecordType::kA, RecordType::kMx, RecordType::kAaaa}) {
    const std::string key = RecordKey(type, canonical);
    cache_.Erase(key);
    if (const auto pending = pending_.find(key); pending != pending_.end()) pending->second->forgotten = true;
  }
}

}  // namespace

Result<std::unique_ptr<Resolver>> MakeResolver(const DnsOptions& options, io::Loop& loop, std::uint64_t seed) {
  auto resolver = std::make_unique<CachingResolver>(options, loop, seed);
  // Query ids come from their own sequence, lest the order of equals shows where it stands.
  constexpr std::uint64_t kIds = 0x9e3779b97f4a7c15;
  if (auto error = resolver->Open(seed ^ kIds)) return std::unexpected(std::move(*error));
  return resolver;
}

}  // namespace postrider::dns
