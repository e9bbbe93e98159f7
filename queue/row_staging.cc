// StoreWriter's way to put rows into blocks.

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/store_writer.h"

namespace postrider::queue {

// Groups the rows by domain in order of first appearance, and cuts each group into blocks; those of a campaign with a
// canary into blocks of the canary and of the rest.
Result<void> StoreWriter::StageRows(LiveCampaign& live, const EnqueueBatch& batch, std::uint32_t number) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Group {
    DomainEntry* domain = nullptr;
    std::size_t first = kNone;
    std::size_t last = kNone;
  };
  const CampaignId id = batch.campaign;
  std::vector<Group> groups;
  std::vector<std::size_t> next_in_group(batch.rows.size(), kNone);
  std::unordered_map<std::string_view, std::size_t> group_of;
  group_of.reserve(batch.rows.size());
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const std::string_view domain = batch.rows[i].domain;
    const auto [at, is_new] = group_of.emplace(domain, groups.size());
    if (is_new) {
      // All that may fail comes first, before anything is staged.
      auto entry = LoadDomain(DomainKey(ShardOf(domain, shared_.shards), domain, id), live);
      if (!entry) return std::unexpected(entry.error());
      groups.push_back({*entry, i, i});
      continue;
    }
    Group& group = groups[at->second];
    next_in_group[group.last] = i;
    group.last = i;
  }
  // In the order of the keys: the skip list of a memtable finds the next place from the last one then, which halves the
  // cost of a list with many domains.
  std::sort(groups.begin(), groups.end(),
            [&](const Group& a, const Group& b) { return batch.rows[a.first].domain < batch.rows[b.first].domain; });
  const Campaign& campaign = live.record.campaign;
  const bool divided = campaign.canary.phase == CanaryPhase::kSending;
  Canary& canary = live.record.campaign.canary;
  BlockBuilder block(number);
  BlockBuilder rest(number);
  for (const Group& group : groups) {
    DomainRecord& record = group.domain->second.record;
    if (!group.domain->second.exists) {
      group.domain->second = {};
      group.domain->second.exists = true;
      record.first_sequence = record.next_sequence = live.record.next_sequence;
    }
    const std::string_view domain = batch.rows[group.first].domain;
    const auto put = [&](BlockBuilder& builder) {
      const std::size_t rows = builder.rows();
      const std::uint64_t mark = &builder == &rest ? kRestBlock : 0;
      batch_.Put(Table::kBlocks, BlockKey(id, domain, mark | BlockNumber(record.next_sequence, rows)),
                 builder.Finish());
      ++record.next_sequence;
      record.waiting += rows;
      if (mark != 0) record.rest += rows;
    };
    for (std::size_t i = group.first; i != kNone; i = next_in_group[i]) {
      const NewRow& row = batch.rows[i];
      const bool goes_first = !divided || IsCanaryRow(id, campaign.totals.accepted + i, campaign.spec.canary_share);
      if (divided && goes_first) {
        ++canary.recipients;
        ++canary.untried;
      }
      BlockBuilder& builder = goes_first ? block : rest;
      builder.Add({row.row, row.needs_smtputf8, row.address, row.row_id, row.fields});
      if (builder.rows() >= kBlockRowsMax || builder.bytes() >= kBlockBytesMax) put(builder);
    }
    if (block.rows() > 0) put(block);
    if (rest.rows() > 0) put(rest);
    live.record.next_sequence = std::max(live.record.next_sequence, record.next_sequence);
    Touch(*group.domain);
  }
  return {};
}

}  // namespace postrider::queue
