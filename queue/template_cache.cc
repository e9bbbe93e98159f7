#include "queue/template_cache.h"

#include <algorithm>

#include <fmt/format.h>

#include "queue/record.h"

namespace postrider::queue {

Result<StoredTemplatePtr> TemplateCache::Read(CampaignId campaign, std::uint32_t number) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(recent_.begin(), recent_.end(), [&](const StoredTemplatePtr& stored) {
      return stored->campaign == campaign && stored->number == number;
    });
    if (found != recent_.end()) {
      recent_.splice(recent_.begin(), recent_, found);
      return recent_.front();
    }
  }
  auto value = tables_.Get(Table::kTemplates, TemplateKey(campaign, number));
  if (!value) return std::unexpected(value.error());
  if (!*value) {
    return Fail(ErrorCode::kNotFound, fmt::format("message {} of campaign {} is not in the queue", number, campaign));
  }
  const Result<TemplateRecord> record = DecodeTemplate(**value);
  if (!record) return std::unexpected(record.error());
  auto stored = std::make_shared<const StoredTemplate>(StoredTemplate{.campaign = campaign,
                                                                      .number = number,
                                                                      .accepted_at = record->accepted_at,
                                                                      .message = std::string(record->message),
                                                                      .host_name = std::string(record->host_name)});

  const std::lock_guard lock(mutex_);
  recent_.push_front(stored);
  bytes_ += stored->message.size();
  while ((bytes_ > kBytesMax || recent_.size() > kEntriesMax) && recent_.size() > 1) {
    bytes_ -= recent_.back()->message.size();
    recent_.pop_back();
  }
  return stored;
}

}  // namespace postrider::queue
