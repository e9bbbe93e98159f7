#pragma once
// Decides what becomes of each row of a list, as far as the row and the file of suppressions tell: accepted, rejected
// with a reason, suppressed, or a duplicate. Accepted rows are gathered in a RowBatch as the queue takes them; its own
// suppressions are asked for a batch at once, by who has the queue. One thread.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "engine/intake/duplicate_filter.h"
#include "engine/intake/list_reader.h"
#include "engine/intake/recipient_rules.h"
#include "engine/intake/row_parser.h"
#include "engine/intake/suppression_list.h"
#include "engine/message/template.h"
#include "queue/job_store.h"

namespace postrider::intake {

// Accepted rows in one arena; emptied and filled again without allocation.
class RowBatch {
 public:
  void Clear();
  // fields was appended to fields_arena() by the caller since the last Add.
  void Add(std::uint64_t row, std::string_view address, std::size_t domain_size, std::string_view id,
           std::string_view fields, bool needs_smtputf8);
  // Valid until the next Add, Remove or Clear.
  [[nodiscard]] std::span<const queue::NewRow> Rows();
  // The rows at these places, rising.
  void Remove(std::span<const std::size_t> places);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t bytes() const { return arena_.size(); }

 private:
  struct Entry {
    std::uint64_t row;
    std::size_t begin;
    std::uint32_t address_size;
    std::uint32_t domain_size;
    std::uint32_t id_size;
    std::uint32_t fields_size;
    bool needs_smtputf8;
  };
  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<queue::NewRow> rows_;
};

enum class RowFate { kAccepted, kRejected, kSuppressed, kDuplicate };

class RowSieve {
 public:
  // suppressed and seen may be null: then nothing is suppressed, or nothing is a duplicate.
  RowSieve(std::string campaign, RecipientRules recipients, std::shared_ptr<const message::Template> compiled,
           ListFormat format, std::shared_ptr<const SuppressionList> suppressed, DuplicateFilter* seen);

  [[nodiscard]] Result<void> ReadHeader(const Record& header) { return parser_.ReadHeader(header); }

  // An accepted row is added to batch. An error is about the filter of duplicates, not about the row.
  [[nodiscard]] Result<RowFate> Take(const Record& record, RowBatch& batch);
  // Of the last row taken, if it was rejected; and its parts as far as they were read.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const Row& row() const { return row_; }

 private:
  Result<void> Read(const Record& record);

  std::string campaign_;
  const RecipientRules recipients_;
  std::shared_ptr<const message::Template> compiled_;
  std::shared_ptr<const SuppressionList> suppressed_;
  DuplicateFilter* seen_;
  RowParser parser_;
  Row row_;
  std::string reason_;
  std::string address_;
  std::size_t domain_size_ = 0;
  bool needs_smtputf8_ = false;
  std::string fields_;
};

}  // namespace postrider::intake
