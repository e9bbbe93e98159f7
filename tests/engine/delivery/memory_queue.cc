#include "tests/engine/delivery/memory_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/message/template.h"
#include "queue/canary.h"
#include "queue/lifecycle.h"

namespace postrider::delivery {

queue::CampaignPtr MemoryQueue::Add(const CampaignPlan& plan, Wall now) {
  auto campaign = std::make_shared<queue::Campaign>();
  campaign->id = ++last_campaign_;
  campaign->spec = plan.spec;
  if (campaign->spec.name.empty()) campaign->spec.name = fmt::format("campaign-{}", campaign->id);
  if (campaign->spec.envelope_from.empty()) campaign->spec.envelope_from = "bounce@sender.test";
  campaign->state = queue::CampaignState::kRunning;
  campaign->accepted_at = now;
  campaign->released_at = now;
  if (plan.loading) {
    campaign->state = queue::CampaignState::kLoading;
    campaign->released_at.reset();
  } else if (plan.expires_after) {
    campaign->expires_at = now + *plan.expires_after;
  }
  auto stored = std::make_shared<queue::StoredTemplate>();
  stored->campaign = campaign->id;
  stored->accepted_at = now;
  stored->message = plan.message;
  stored->host_name = plan.host_name;
  templates_[campaign->id] = stored;
  const bool divided = queue::HasCanary(campaign->spec);
  if (divided) campaign->canary.phase = queue::CanaryPhase::kSending;
  std::map<std::string, std::vector<Block>> rests;
  std::uint64_t row = 0;
  for (const std::string& address : plan.recipients) {
    auto record = std::make_unique<Record>();
    record->id = {campaign->id, ++row};
    record->address = address;
    record->domain = address.substr(address.rfind('@') + 1);
    const bool rest = divided && !queue::IsCanaryRow(campaign->id, row - 1, campaign->spec.canary_share);
    std::vector<Block>& blocks = rest ? rests[record->domain] : domains_[record->domain].blocks[campaign->id];
    if (blocks.empty() || blocks.back().rows.size() == kBlock) {
      blocks.push_back({(rest ? queue::kRestBlock : 0) | ++last_block_, {}});
    }
    blocks.back().rows.push_back(record.get());
    if (divided && !rest) {
      ++campaign->canary.recipients;
      ++campaign->canary.untried;
    }
    records_[record->id] = std::move(record);
    ++accepted_;
    ++queued_;
  }
  for (auto& [domain, blocks] : rests) {
    std::ranges::move(blocks, std::back_inserter(domains_[domain].blocks[campaign->id]));
  }
  campaigns_[campaign->id] = campaign;
  return campaign;
}

void MemoryQueue::Change(queue::CampaignId id, queue::Campaign campaign) {
  changed_.push_back(std::make_shared<const queue::Campaign>(std::move(campaign)));
  campaigns_[id] = changed_.back();
}

void MemoryQueue::ReleaseRests(Wall now) {
  for (const auto& [id, known] : campaigns_) {
    if (!queue::RestIsDue(*known, now)) continue;
    queue::Campaign campaign = *known;
    queue::ReleaseRest(campaign, now);
    Change(id, std::move(campaign));
  }
}

queue::CampaignPtr MemoryQueue::SetState(queue::CampaignId id, queue::CampaignState state, Wall now) {
  auto changed = std::make_shared<queue::Campaign>(*campaigns_.at(id));
  if (!queue::Step(*changed, state, now, {})) complaint_ = "a step that no campaign takes";
  campaigns_[id] = changed;
  return changed;
}

bool MemoryQueue::MayGo(queue::CampaignId id, Wall now) const {
  return queue::ReadinessOf(*campaigns_.at(id), now).now;
}

// Its jobs are to be ended, wherever they stand.
bool MemoryQueue::Ending(queue::CampaignId id, Wall now) const {
  return queue::ReadinessOf(*campaigns_.at(id), now).ending;
}

const MemoryQueue::Block* MemoryQueue::FirstBlock(queue::CampaignId id, const std::vector<Block>& blocks,
                                                  std::uint64_t from, Wall now) const {
  const auto block = std::ranges::find_if(blocks, [from](const Block& one) { return one.number >= from; });
  if (block == blocks.end()) return nullptr;
  const bool waits = queue::IsRestBlock(block->number) && queue::ReadinessOf(*campaigns_.at(id), now).without_rest;
  return waits ? nullptr : &*block;
}

bool MemoryQueue::Waits(const DomainRows& rows, Wall now) const {
  for (const auto& [id, blocks] : rows.blocks) {
    if (MayGo(id, now) && FirstBlock(id, blocks, 0, now) != nullptr) return true;
  }
  for (const auto& [key, record] : rows.retries) {
    const queue::CampaignId id = record->id.campaign;
    if ((key.first <= now || Ending(id, now)) && MayGo(id, now)) return true;
  }
  return false;
}

queue::DomainScan MemoryQueue::Scan(const queue::DomainScanRequest& request) {
  queue::DomainScan scan;
  auto place = request.cursor.empty() ? domains_.begin() : domains_.upper_bound(request.cursor);
  for (; place != domains_.end() && scan.domains.size() < request.max_domains; ++place) {
    scan.cursor = place->first;
    if (queue::ShardOf(place->first, shards_) % request.cores != request.core) continue;
    if (Waits(place->second, request.now)) scan.domains.push_back(place->first);
  }
  scan.lap_done = place == domains_.end();
  return scan;
}

bool MemoryQueue::IsAskedFor(const queue::TakeRequest& request, queue::CampaignId id) const {
  if (std::ranges::find(request.skip, id) != request.skip.end()) return false;
  const bool urgent = Ending(id, request.now) || campaigns_.at(id)->spec.mail_class == MailClass::kTransactional;
  return urgent || !request.urgent_only;
}

queue::TakenJobs MemoryQueue::Take(const queue::TakeRequest& request) {
  queue::TakenJobs taken;
  taken.domain = request.domain;
  taken.cursor = request.cursor;
  const auto place = domains_.find(request.domain);
  if (place == domains_.end()) return taken;
  DomainRows& rows = place->second;

  struct Pick {
    const Record* record;
    std::uint64_t block;
    std::uint8_t index;
  };
  std::vector<Pick> picks;
  const auto position_of = [&taken](queue::CampaignId id) -> queue::DomainCursor::Position& {
    std::vector<queue::DomainCursor::Position>& all = taken.cursor.campaigns;
    const auto known = std::ranges::find(all, id, &queue::DomainCursor::Position::campaign);
    if (known != all.end()) return *known;
    return all.emplace_back(queue::DomainCursor::Position{.campaign = id, .retry_due = {}});
  };
  for (const auto& [key, record] : rows.retries) {
    const auto& [due, id] = key;
    if (!IsAskedFor(request, id.campaign)) continue;
    if (due > request.now && !Ending(id.campaign, request.now)) {
      if (!taken.next_due) taken.next_due = due;
      continue;
    }
    queue::DomainCursor::Position& position = position_of(id.campaign);
    const bool passed =
        position.retry_due && std::pair(due, id.row) <= std::pair(*position.retry_due, position.retry_row);
    if (passed || !MayGo(id.campaign, request.now)) continue;
    if (picks.size() >= request.max_jobs) {
      taken.more = true;
      break;
    }
    position.retry_due = due;
    position.retry_row = id.row;
    picks.push_back({record, 0, 0});
  }
  for (const MailClass mail_class : {MailClass::kTransactional, MailClass::kBulk}) {
    // Campaigns take turns, block by block, beginning after the one that was last.
    std::vector<queue::CampaignId> turns;
    for (const auto& [id, blocks] : rows.blocks) {
      if (campaigns_.at(id)->spec.mail_class != mail_class || !IsAskedFor(request, id)) continue;
      if (MayGo(id, request.now)) turns.push_back(id);
    }
    std::ranges::rotate(turns, std::ranges::upper_bound(turns, taken.cursor.last_campaign));
    for (bool found = true; found;) {
      found = false;
      for (const queue::CampaignId id : turns) {
        const std::vector<Block>& blocks = rows.blocks.at(id);
        queue::DomainCursor::Position& position = position_of(id);
        const Block* block = FirstBlock(id, blocks, position.next_block, request.now);
        if (block == nullptr) continue;
        if (picks.size() >= request.max_jobs) {
          taken.more = true;
          continue;
        }
        found = true;
        position.next_block = block->number + 1;
        taken.cursor.last_campaign = id;
        for (std::size_t i = 0; i < block->rows.size(); ++i) {
          if (block->rows[i] != nullptr) picks.push_back({block->rows[i], block->number, static_cast<std::uint8_t>(i)});
        }
      }
    }
  }

  std::size_t size = 64;
  for (const Pick& pick : picks) {
    size += pick.record->address.size() + pick.record->fields.size() + pick.record->source.size() + 64;
  }
  taken.bytes.reserve(size);
  const auto keep = [&taken](std::string_view text) {
    const std::size_t begin = taken.bytes.size();
    taken.bytes += text;
    return std::string_view(taken.bytes).substr(begin, text.size());
  };
  for (const Pick& pick : picks) {
    const Record& record = *pick.record;
    queue::Job job;
    job.id = record.id;
    job.place = {.block = pick.block, .index = pick.index, .retry_due = record.retry_due};
    job.mail_class = campaigns_.at(record.id.campaign)->spec.mail_class;
    job.suppressed = suppressed.contains(record.address);
    job.address = keep(record.address);
    job.row_id = keep(fmt::format("row-{}", record.id.row));
    job.fields = keep(record.fields);
    job.attempt.attempts = record.attempts;
    job.attempt.first_attempt = record.first_attempt;
    job.attempt.source = keep(record.source);
    job.attempt.code = record.last.code;
    job.attempt.reply_text = keep(record.last.reply.substr(0, 40));
    job.attempt.unknown_count = record.unknown_count;
    job.attempt.bad_mailbox_count = record.bad_mailbox_count;
    job.attempt.last_bad_mailbox = record.last_bad_mailbox;
    taken.jobs.push_back(job);
    const auto same = [&job](const auto& one) { return one->id == job.id.campaign; };
    if (std::ranges::none_of(taken.campaigns, same)) {
      taken.campaigns.push_back(campaigns_.at(job.id.campaign));
      taken.templates.push_back(templates_.at(job.id.campaign));
    }
  }
  return taken;
}

void MemoryQueue::Apply(const StoreRequest& request) {
  switch (request.kind) {
    case StoreRequest::Kind::kOutcome:
      events_.push_back(request.outcome.event);
      if (request.outcome.suppression && !request.outcome.suppression->on_second)
        suppressions_.push_back(request.outcome.event.recipient);
      return Settle(request.outcome);
    case StoreRequest::Kind::kEvent:
      return events_.push_back(request.outcome.event);
    case StoreRequest::Kind::kPutState:
      state_[request.key] = request.value;
      return;
    case StoreRequest::Kind::kDeleteState:
      state_.erase(request.key);
      return;
    case StoreRequest::Kind::kStopCanary: {
      const queue::Event& event = request.outcome.event;
      queue::Campaign campaign = *campaigns_.at(event.job.campaign);
      if (!queue::StopCanary(campaign, event.time)) return;
      campaign.note = event.reply;
      events_.push_back(event);
      return Change(event.job.campaign, std::move(campaign));
    }
  }
}

void MemoryQueue::Settle(const queue::Outcome& outcome) {
  const queue::Event& event = outcome.event;
  const auto place = records_.find(event.job);
  if (place == records_.end()) {
    complaint_ = fmt::format("an outcome for job {}/{}, which never was", event.job.campaign, event.job.row);
    return;
  }
  Record& record = *place->second;
  if (record.done) {
    complaint_ = fmt::format("{} has more than one final event", record.address);
    return;
  }
  DomainRows& rows = domains_.at(record.domain);
  if (outcome.place.retry_due) {
    if (rows.retries.erase({*outcome.place.retry_due, record.id}) == 0) {
      complaint_ = fmt::format("{} was not in the retry index where its outcome says", record.address);
    }
  } else {
    std::vector<Block>& blocks = rows.blocks[record.id.campaign];
    const auto block = std::ranges::find(blocks, outcome.place.block, &Block::number);
    if (block == blocks.end() || block->rows[outcome.place.index] != &record) {
      complaint_ = fmt::format("{} was not in the block where its outcome says", record.address);
      return;
    }
    block->rows[outcome.place.index] = nullptr;
    if (!queue::IsRestBlock(outcome.place.block) && campaigns_.at(record.id.campaign)->canary.recipients > 0) {
      queue::Campaign campaign = *campaigns_.at(record.id.campaign);
      queue::CanaryTried(campaign, event.time);
      campaigns_[record.id.campaign] = std::make_shared<const queue::Campaign>(std::move(campaign));
    }
    if (std::ranges::all_of(block->rows, [](const Record* row) { return row == nullptr; })) blocks.erase(block);
  }
  record.attempts = event.attempt;
  record.last = event;
  if (event.final) {
    record.done = true;
    ++ended_[event.kind];
    --queued_;
    record.ended_as = event.kind;
    return;
  }
  if (!event.next_due) {
    complaint_ = fmt::format("{} goes on, but no event says when", record.address);
    return;
  }
  record.retry_due = event.next_due;
  record.first_attempt = outcome.first_attempt;
  record.source = event.source;
  record.unknown_count = outcome.unknown_count;
  record.bad_mailbox_count = outcome.bad_mailbox_count;
  record.last_bad_mailbox = outcome.last_bad_mailbox;
  record.fields = outcome.fields;
  rows.retries[{*event.next_due, record.id}] = &record;
}

const MemoryQueue::Record& MemoryQueue::Find(const std::string& address) const {
  for (const auto& [id, record] : records_) {
    if (record->address == address) return *record;
  }
  static const Record kNone;
  return kNone;
}

std::uint64_t MemoryQueue::Count(queue::EventKind kind) const {
  const auto place = ended_.find(kind);
  return place == ended_.end() ? 0 : place->second;
}

std::vector<queue::Event> MemoryQueue::PathEvents() const {
  std::vector<queue::Event> found;
  std::ranges::copy_if(events_, std::back_inserter(found),
                       [](const queue::Event& event) { return event.kind == queue::EventKind::kPath; });
  return found;
}

}  // namespace postrider::delivery
