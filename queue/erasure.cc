// StoreWriter's way to take the rows of a failed campaign away.

#include <string>

#include "queue/store_writer.h"

namespace postrider::queue {

// Everything of a campaign that failed while it was loaded. What is only staged goes to disk first, so that all its
// rows can be found there, and an erasure that breaks off halfway leaves nothing staged.
Result<void> StoreWriter::EraseRows(LiveCampaign& live) {
  if (auto committed = Commit(); !committed) return committed;
  Campaign& campaign = live.record.campaign;
  const TableView view = shared_.tables.View();
  if (auto staged = StageErasure(campaign, view); !staged) {
    batch_.Clear();
    return staged;
  }
  domains_.Clear();
  blocks_.Clear();
  open_.Clear();

  const std::uint64_t gone = campaign.totals.queued();
  campaign.totals.accepted -= gone;
  campaign.totals.rejected += gone;
  return {};
}

Result<void> StoreWriter::StageErasure(const Campaign& campaign, const TableView& view) {
  const CampaignId id = campaign.id;
  const std::string from = CampaignKey(id);
  const std::string to = PrefixEnd(from);
  TableWalk blocks = view.Walk(Table::kBlocks, from, to);
  while (blocks.Valid()) {
    const Result<BlockKeyParts> parts = ParseBlockKey(blocks.key());
    if (!parts) return std::unexpected(parts.error());
    batch_.Delete(Table::kDomains, DomainKey(ShardOf(parts->domain, shared_.shards), parts->domain, id));
    const std::string next = PrefixEnd(BlockPrefix(id, parts->domain));
    // Most domains of a list have one block, and stepping over it is cheaper than a seek.
    blocks.Next();
    if (blocks.Valid() && blocks.key() < next) blocks.Seek(next);
  }
  if (auto status = blocks.status(); !status) return status;
  if (campaign.totals.deferrals > 0) {
    if (auto staged = StageErasureOfDeferred(id, view); !staged) return staged;
  }
  if (campaign.totals.accepted > 0) {
    for (const Table table : {Table::kBlocks, Table::kDone}) batch_.DeleteRange(table, from, to);
  }
  TableWalk templates = view.Walk(Table::kTemplates, from, to);
  for (; templates.Valid(); templates.Next()) batch_.Delete(Table::kTemplates, templates.key());
  return templates.status();
}

// Only a streaming campaign can have been attempted. Domains of which all that is left is deferred have no block to
// find them by, so for such a one all domains are read through.
Result<void> StoreWriter::StageErasureOfDeferred(CampaignId id, const TableView& view) {
  TableWalk domains = view.Walk(Table::kDomains, {}, {});
  for (; domains.Valid(); domains.Next()) {
    const Result<DomainKeyParts> parts = ParseDomainKey(domains.key());
    if (!parts) return std::unexpected(parts.error());
    if (parts->campaign != id) continue;
    batch_.Delete(Table::kDomains, domains.key());
    const std::string prefix = DomainKey(parts->shard, parts->domain, id);
    TableWalk retries = view.Walk(Table::kRetry, prefix, PrefixEnd(prefix));
    for (; retries.Valid(); retries.Next()) batch_.Delete(Table::kRetry, retries.key());
    if (auto status = retries.status(); !status) return status;
  }
  return domains.status();
}

}  // namespace postrider::queue
