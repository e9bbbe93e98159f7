#include "throttle/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace postrider {
namespace {

// A site of which little is known is taken to have so large a share of dead mailboxes.
constexpr double kAssumedShare = 0.05;
// The usual share follows over so many tries.
constexpr double kUsualOver = 2000;
constexpr double kAsUsual = 1.1;

template <std::size_t kSlots>
std::int64_t SlotOf(Monotonic now, std::chrono::seconds window) {
  const auto width = std::max<Monotonic::duration>(std::chrono::seconds(1), window / static_cast<int>(kSlots));
  return now.time_since_epoch() / width;
}

std::string Percent(double share) { return fmt::format("{:.1f} %", share * 100); }

}  // namespace

// ---- ShareWindow

ShareWindow::ShareWindow(std::uint32_t tries) : block_tries_(std::max(1u, tries / std::uint32_t{kBlocks})) {}

ShareWindow::Block ShareWindow::Count(bool first, bool second) {
  Block fallen;
  if (blocks_[at_].tries >= block_tries_) {
    at_ = (at_ + 1) % kBlocks;
    fallen = std::exchange(blocks_[at_], Block{});
  }
  Block& block = blocks_[at_];
  ++block.tries;
  if (first) ++block.first;
  if (second) ++block.second;
  return fallen;
}

ShareWindow::Block ShareWindow::Sum() const {
  Block sum;
  for (const Block& block : blocks_) {
    sum.tries += block.tries;
    sum.first += block.first;
    sum.second += block.second;
  }
  return sum;
}

// ---- CampaignGuard

CampaignGuard::CampaignGuard(const GuardNumbers& numbers)
    : numbers_(numbers), window_(std::max(numbers.campaign_window, numbers.campaign_tries * 8 / 7 + 8)) {}

bool CampaignGuard::Count(Monotonic now, bool hard_bounce, bool spam_block, bool canary) {
  window_.Count(hard_bounce, spam_block);
  if (alarm_ == Alarm::kTripped) return false;
  const ShareWindow::Block sum = window_.Sum();
  const std::uint32_t enough =
      canary ? std::min(numbers_.canary_tries, numbers_.campaign_tries) : numbers_.campaign_tries;
  if (sum.tries < enough) return false;
  Alarm alarm = Alarm::kNone;
  if (sum.FirstShare() >= numbers_.campaign_warn_bounces) alarm = Alarm::kWarning;
  if (sum.FirstShare() >= numbers_.campaign_pause_bounces || sum.SecondShare() >= numbers_.campaign_pause_spam_blocks) {
    alarm = Alarm::kTripped;
  }
  // A warning stays until the share is well below, so that it is not told again with each reply.
  if (alarm == Alarm::kNone && alarm_ == Alarm::kWarning && sum.FirstShare() >= numbers_.campaign_warn_bounces * 0.75) {
    return false;
  }
  if (alarm == alarm_) return false;
  alarm_ = alarm;
  since_ = now;
  at_ = sum;
  rule_.clear();
  return true;
}

bool CampaignGuard::Pause(Monotonic now, std::string_view why) {
  if (alarm_ == Alarm::kTripped) return false;
  alarm_ = Alarm::kTripped;
  since_ = now;
  at_ = window_.Sum();
  rule_ = why;
  return true;
}

void CampaignGuard::Resume() {
  alarm_ = Alarm::kNone;
  rule_.clear();
  window_.Clear();
}

Finding CampaignGuard::Describe(std::string_view campaign, std::string_view receiver) const {
  Finding finding{.alarm = alarm_, .since = since_, .why = {}, .go_on = {}};
  if (alarm_ == Alarm::kNone) return finding;
  if (!rule_.empty()) {
    finding.why = fmt::format("{} is paused at {}: its replies met the rule {}", campaign, receiver, rule_);
  } else {
    finding.why =
        fmt::format("{} at {}: of the last {} recipients {} were refused for good ({}) and {} as spam ({})", campaign,
                    receiver, at_.tries, at_.first, Percent(at_.FirstShare()), at_.second, Percent(at_.SecondShare()));
  }
  if (alarm_ == Alarm::kWarning) {
    finding.go_on =
        fmt::format("it pauses there at {} refused for good or {} as spam; look at the list's age and source",
                    Percent(numbers_.campaign_pause_bounces), Percent(numbers_.campaign_pause_spam_blocks));
  } else {
    finding.go_on =
        fmt::format("its mail waits there and goes on elsewhere; correct the cause, then `postrider resume {} --at {}`",
                    campaign, receiver);
  }
  return finding;
}

// ---- BounceStorm

BounceStorm::BounceStorm(const GuardNumbers& numbers) : numbers_(numbers), recent_(numbers.storm_tries * 8 / 7 + 8) {}

double BounceStorm::UsualShare() const {
  return usual_of_ < numbers_.storm_tries ? std::max(usual_, kAssumedShare) : usual_;
}

double BounceStorm::Threshold() const {
  return std::min(1.0, std::max(numbers_.storm_least_share, numbers_.storm_times_usual * UsualShare()));
}

bool BounceStorm::Count(Monotonic now, bool bad_mailbox) {
  const ShareWindow::Block fallen = recent_.Count(bad_mailbox);
  if (!tripped_ && fallen.tries > 0) {
    usual_of_ = std::min(kUsualOver, usual_of_ + fallen.tries);
    usual_ += (fallen.FirstShare() - usual_) * fallen.tries / usual_of_;
  }
  const ShareWindow::Block sum = recent_.Sum();
  if (tripped_) {
    if (now - since_ >= numbers_.storm_longest) {
      Resume();
      return true;
    }
    if (sum.FirstShare() >= Threshold() / 2) return false;
    tripped_ = false;
    return true;
  }
  if (sum.tries < numbers_.storm_tries || sum.FirstShare() < Threshold()) return false;
  // As much as usual is no storm, however much that is: the operator may have said to believe it.
  if (sum.FirstShare() <= UsualShare() * kAsUsual) return false;
  tripped_ = true;
  since_ = now;
  return true;
}

void BounceStorm::Resume() {
  const ShareWindow::Block sum = recent_.Sum();
  if (sum.tries > 0) {
    usual_ = sum.FirstShare();
    usual_of_ = std::max<double>(usual_of_, numbers_.storm_tries);
  }
  tripped_ = false;
  recent_.Clear();
}

Finding BounceStorm::Describe(std::string_view site) const {
  Finding finding{.alarm = tripped_ ? Alarm::kTripped : Alarm::kNone, .since = since_, .why = {}, .go_on = {}};
  if (!tripped_) return finding;
  const ShareWindow::Block sum = recent_.Sum();
  finding.why = fmt::format("{} denies {} of the last {} mailboxes ({}), usual is {}: it may be in error", site,
                            sum.first, sum.tries, Percent(sum.FirstShare()), Percent(UsualShare()));
  finding.go_on = fmt::format(
      "nobody is suppressed and the recipients are tried again later, until the share falls below {} or for {} hours; "
      "`postrider resume --site {}` to believe it now",
      Percent(Threshold() / 2), std::chrono::duration_cast<std::chrono::hours>(numbers_.storm_longest).count(), site);
  return finding;
}

// ---- NetworkGuard

NetworkGuard::Sums NetworkGuard::Sum(Monotonic now) const {
  const std::int64_t slot = SlotOf<std::tuple_size_v<decltype(slots_)>>(now, numbers_.network_window);
  Sums sums;
  for (const Slot& one : slots_) {
    if (one.number + static_cast<std::int64_t>(slots_.size()) <= slot) continue;
    sums.connects += one.connects;
    sums.failures += one.failures;
  }
  for (const SiteSeen& seen : failed_) {
    if (seen.at > now - numbers_.network_window) ++sums.sites;
  }
  return sums;
}

bool NetworkGuard::Count(Monotonic now, std::uint64_t site, bool connected) {
  if (tripped_) {
    // One that stands is enough: where it was chance, the window fills again.
    if (connected) Resume();
    return connected;
  }
  const std::int64_t number = SlotOf<std::tuple_size_v<decltype(slots_)>>(now, numbers_.network_window);
  Slot& slot = slots_[static_cast<std::size_t>(number) % slots_.size()];
  if (slot.number != number) slot = Slot{.number = number};
  ++slot.connects;
  if (connected) return false;
  ++slot.failures;
  failed_[site % failed_.size()] = {site, now};
  const Sums sums = Sum(now);
  if (sums.sites < numbers_.network_sites ||
      static_cast<double>(sums.failures) < numbers_.network_failed_share * static_cast<double>(sums.connects)) {
    return false;
  }
  tripped_ = true;
  since_ = now;
  next_probe_ = now + numbers_.network_probe;
  at_trip_ = sums;
  return true;
}

Admission NetworkGuard::AskConnect(Monotonic now) const {
  if (tripped_ && now < next_probe_) return {next_probe_, Limit::kGuard};
  return {now, Limit::kNone};
}

Admission NetworkGuard::AdmitConnect(Monotonic now) {
  const Admission answer = AskConnect(now);
  if (tripped_ && answer.Go()) next_probe_ = now + numbers_.network_probe;
  return answer;
}

void NetworkGuard::Resume() {
  tripped_ = false;
  slots_ = {};
  failed_ = {};
}

Finding NetworkGuard::Describe() const {
  Finding finding{.alarm = tripped_ ? Alarm::kTripped : Alarm::kNone, .since = since_, .why = {}, .go_on = {}};
  if (!tripped_) return finding;
  finding.why = fmt::format(
      "{} of {} connects failed within {} s, at {} sites: our own network, address or firewall is likelier than all of "
      "theirs",
      at_trip_.failures, at_trip_.connects, numbers_.network_window.count(), at_trip_.sites);
  finding.go_on = fmt::format(
      "all mail waits, uncharged; a connect every {} s finds out when it is over; look at routes, port 25 and "
      "addresses "
      "of this machine",
      numbers_.network_probe.count());
  return finding;
}

// ---- DomainGuard

DomainGuard::Sums DomainGuard::Sum(Monotonic now) const {
  const std::int64_t slot = SlotNumber(now);
  Sums sums;
  for (const Slot& one : slots_) {
    if (one.number + static_cast<std::int64_t>(slots_.size()) <= slot) continue;
    sums.found += one.found;
    sums.missing += one.missing;
  }
  return sums;
}

std::int64_t DomainGuard::SlotNumber(Monotonic now) const {
  return SlotOf<std::tuple_size_v<decltype(slots_)>>(now, numbers_.domains_window);
}

bool DomainGuard::Count(Monotonic now, std::uint64_t domain, bool missing) {
  Seen& seen = seen_[domain % seen_.size()];
  if (seen.domain == domain && seen.at > now - numbers_.domains_window) return false;
  seen = {domain, now};
  const std::int64_t number = SlotNumber(now);
  Slot& slot = slots_[static_cast<std::size_t>(number) % slots_.size()];
  if (slot.number != number) slot = Slot{.number = number};
  ++(missing ? slot.missing : slot.found);
  const bool was_tripped = tripped_;
  if (was_tripped) return !Tripped(now);
  if (!missing || now < believed_until_) return false;
  const Sums sums = Sum(now);
  if (sums.missing < numbers_.domains_missing || sums.Share() < numbers_.domains_missing_share) return false;
  tripped_ = true;
  since_ = now;
  at_trip_ = sums;
  return true;
}

bool DomainGuard::Tripped(Monotonic now) {
  if (!tripped_) return false;
  const Sums sums = Sum(now);
  if (sums.missing < numbers_.domains_missing / 2 || sums.Share() < numbers_.domains_missing_share / 2)
    tripped_ = false;
  return tripped_;
}

void DomainGuard::Resume(Monotonic now) {
  tripped_ = false;
  slots_ = {};
  seen_ = {};
  believed_until_ = now + kBelieved;
}

Finding DomainGuard::Describe() const {
  Finding finding{.alarm = tripped_ ? Alarm::kTripped : Alarm::kNone, .since = since_, .why = {}, .go_on = {}};
  if (!tripped_) return finding;
  finding.why = fmt::format(
      "{} of {} domains looked up within {} s do not exist: the resolver is likelier in error than the list",
      at_trip_.missing, at_trip_.missing + at_trip_.found, numbers_.domains_window.count());
  finding.go_on = fmt::format(
      "mail for domains that do not exist waits as after any DNS trouble, until fewer than {} of those looked up are "
      "missing; `postrider resume --all` to believe the answers for a day",
      Percent(numbers_.domains_missing_share / 2));
  return finding;
}

}  // namespace postrider
