#include "engine/policy/tls_memory.h"

#include <charconv>

namespace postrider::policy {
namespace {

// How often "TLS works" is written down again.
constexpr std::chrono::hours kRewriteInterval{24};

std::string Keep(Wall worked_at, Wall broken_at, int failures) {
  return std::to_string(worked_at.time_since_epoch().count()) + " " +
         std::to_string(broken_at.time_since_epoch().count()) + " " + std::to_string(failures);
}

// Reads one number and the blank after it.
bool ReadNumber(std::string_view& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.empty()) {
    if (text.front() != ' ') return false;
    text.remove_prefix(1);
  }
  return true;
}

}  // namespace

TlsMemory::TlsMemory(const TlsOptions& options, std::size_t hosts_max)
    : broken_memory_(options.broken_memory), worked_memory_(options.worked_memory), hosts_max_(hosts_max) {}

void TlsMemory::SetOptions(const TlsOptions& options) {
  broken_memory_ = options.broken_memory;
  worked_memory_ = options.worked_memory;
}

bool TlsMemory::WorkedLately(const Record& record, Wall now) const {
  return record.worked_at != Wall{} && now - record.worked_at < worked_memory_;
}

bool TlsMemory::IsBroken(const Record& record, Wall now) const {
  return record.failures >= kFailuresUntilPlaintext && now - record.broken_at < broken_memory_;
}

bool TlsMemory::MayUsePlaintext(std::string_view host, Wall now) const {
  const auto found = hosts_.find(host);
  return found != hosts_.end() && IsBroken(found->second, now) && !WorkedLately(found->second, now);
}

bool TlsMemory::MustUseTls(std::string_view host, Wall now) const {
  const auto found = hosts_.find(host);
  return found != hosts_.end() && WorkedLately(found->second, now);
}

void TlsMemory::Worked(std::string_view host, Wall now) {
  Record& record = Touch(host);
  const bool worth_keeping = record.failures != 0 || now - record.worked_at >= kRewriteInterval;
  record.failures = 0;
  if (!worth_keeping) return;
  record.worked_at = now;
  Change(host, record);
}

void TlsMemory::Failed(std::string_view host, Wall now) {
  Record& record = Touch(host);
  if (IsBroken(record, now)) return;
  // Its time of plaintext is over: TLS is judged anew.
  if (record.failures >= kFailuresUntilPlaintext) record.failures = 0;
  if (++record.failures < kFailuresUntilPlaintext) return;
  record.broken_at = now;
  Change(host, record);
}

void TlsMemory::Load(std::string_view host, std::string_view kept) {
  std::int64_t worked_at = 0;
  std::int64_t broken_at = 0;
  std::int64_t failures = 0;
  if (!ReadNumber(kept, worked_at) || !ReadNumber(kept, broken_at) || !ReadNumber(kept, failures)) return;
  if (!kept.empty() || failures < 0 || failures > kFailuresUntilPlaintext) return;
  Record& record = Touch(host);
  record.worked_at = Wall(std::chrono::milliseconds(worked_at));
  record.broken_at = Wall(std::chrono::milliseconds(broken_at));
  record.failures = static_cast<int>(failures);
  record.kept = true;
}

std::optional<std::pair<std::string, std::string>> TlsMemory::TakeChange() {
  if (changes_.empty()) return std::nullopt;
  std::string host = std::move(changes_.front());
  changes_.pop_front();
  const auto found = hosts_.find(host);
  if (found == hosts_.end() || !found->second.kept) return std::pair(std::move(host), std::string());
  Record& record = found->second;
  record.changed = false;
  return std::pair(std::move(host), Keep(record.worked_at, record.broken_at, record.failures));
}

TlsMemory::Record& TlsMemory::Touch(std::string_view host) {
  if (const auto found = hosts_.find(host); found != hosts_.end()) {
    used_.splice(used_.begin(), used_, found->second.used);
    return found->second;
  }
  if (hosts_.size() >= hosts_max_) ForgetOldest();
  used_.emplace_front(host);
  Record& record = hosts_[used_.front()];
  record.used = used_.begin();
  return record;
}

void TlsMemory::ForgetOldest() {
  const auto oldest = hosts_.find(used_.back());
  const Record record = oldest->second;
  hosts_.erase(oldest);
  if (record.kept && !record.changed) changes_.push_back(std::move(used_.back()));
  used_.pop_back();
}

void TlsMemory::Change(std::string_view host, Record& record) {
  record.kept = true;
  if (record.changed) return;
  record.changed = true;
  changes_.emplace_back(host);
}

}  // namespace postrider::policy
