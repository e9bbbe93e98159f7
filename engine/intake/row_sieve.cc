#include "engine/intake/row_sieve.h"

#include <utility>

#include <fmt/format.h>

#include "config/email_address.h"
#include "queue/record.h"

namespace postrider::intake {
void RowBatch::Clear() {
  arena_.clear();
  entries_.clear();
  rows_.clear();
}

void RowBatch::Add(std::uint64_t row, std::string_view address, std::size_t domain_size, std::string_view id,
                   std::string_view fields, bool needs_smtputf8) {
  entries_.push_back({row, arena_.size(), static_cast<std::uint32_t>(address.size()),
                      static_cast<std::uint32_t>(domain_size), static_cast<std::uint32_t>(id.size()),
                      static_cast<std::uint32_t>(fields.size()), needs_smtputf8});
  arena_.append(address).append(id).append(fields);
}

std::span<const queue::NewRow> RowBatch::Rows() {
  rows_.clear();
  for (const Entry& entry : entries_) {
    std::string_view rest = std::string_view(arena_).substr(entry.begin);
    queue::NewRow row;
    row.row = entry.row;
    row.address = rest.substr(0, entry.address_size);
    row.domain = row.address.substr(entry.address_size - entry.domain_size);
    row.row_id = rest.substr(entry.address_size, entry.id_size);
    row.fields = rest.substr(entry.address_size + entry.id_size, entry.fields_size);
    row.needs_smtputf8 = entry.needs_smtputf8;
    rows_.push_back(row);
  }
  return rows_;
}

void RowBatch::Remove(std::span<const std::size_t> places) {
  std::size_t index = 0;
  std::erase_if(entries_, [&](const Entry&) {
    const bool named = !places.empty() && places.front() == index++;
    if (named) places = places.subspan(1);
    return named;
  });
}

RowSieve::RowSieve(std::string campaign, RecipientRules recipients, std::shared_ptr<const message::Template> compiled,
                   ListFormat format, std::shared_ptr<const SuppressionList> suppressed, DuplicateFilter* seen)
    : campaign_(std::move(campaign)),
      recipients_(std::move(recipients)),
      compiled_(std::move(compiled)),
      suppressed_(std::move(suppressed)),
      seen_(seen),
      parser_(*compiled_, format) {}

// Leaves address_ and fields_ as they will be kept, or says what is wrong with the row.
Result<void> RowSieve::Read(const Record& record) {
  if (Result<void> parsed = parser_.Parse(record, row_); !parsed) return parsed;
  const Result<EmailAddress> address = recipients_.Parse(row_.to);
  if (!address) return std::unexpected(address.error());
  address_.assign(address->local).append("@").append(address->domain);
  domain_size_ = address->domain.size();
  needs_smtputf8_ = address->needs_smtputf8 || compiled_->needs_smtputf8();
  fields_.clear();
  message::FieldPacker packer(fields_);
  for (const std::string_view value : row_.values) {
    if (value.data() == nullptr) {
      packer.AddMissing();
    } else {
      packer.Add(value);
    }
  }
  if (address_.size() + row_.id.size() + fields_.size() > queue::kRowBytesMax) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("address, id and values take more than {} octets", queue::kRowBytesMax));
  }
  message::RenderJob job;
  job.row = record.line;
  job.campaign = campaign_;
  job.to = address_;
  job.row_id = row_.id;
  job.fields = fields_;
  return compiled_->Check(job);
}

Result<RowFate> RowSieve::Take(const Record& record, RowBatch& batch) {
  if (Result<void> read = Read(record); !read) {
    reason_ = std::move(read.error().message);
    return RowFate::kRejected;
  }
  const std::string_view domain = std::string_view(address_).substr(address_.size() - domain_size_);
  if (suppressed_ != nullptr && suppressed_->Holds(address_, domain)) return RowFate::kSuppressed;
  if (seen_ != nullptr) {
    const Result<bool> is_new = seen_->Insert(HashAddress(address_));
    if (!is_new) return std::unexpected(is_new.error());
    if (!*is_new) return RowFate::kDuplicate;
  }
  batch.Add(record.line, address_, domain_size_, row_.id, fields_, needs_smtputf8_);
  return RowFate::kAccepted;
}

}  // namespace postrider::intake
