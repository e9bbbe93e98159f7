#pragma once
// The record format of the queue: how every key and value is written and read. Pure: no disk, no clock, no threads.
// Keys are big-endian, so that their order is meaning. Every value starts with its version; a value that is cut short,
// too long or out of range is kCorrupt, never a crash.
//
// Column families, keys and values
//   campaigns    campaign                                  CampaignRecord: spec, state, totals, position, counters
//   templates    campaign, number, 'm'                     the message as submitted, when, and by which host
//                campaign, number, 'n'                     recipients of it without a final event (standing only)
//   domains      shard, domain, 0, campaign                DomainRecord: what waits there, and where reading begins
//   blocks       campaign, domain, 0, block                up to 256 rows; written once, never changed
//   done         campaign, domain, 0, block                which of its rows have left the block
//   retry        shard, domain, 0, campaign, due, row      one deferred job with all that its next try needs
//   suppression  'e', 'h', 'n' and more                    who gets no mail, the audit of it, its counts: see
//   suppression.h state        's', name                                 format, shards, run, last campaign, sums of
//   purged campaigns
//                'u', key                                  what other parts keep (JobStore::PutState)
// A block's number is (sequence << 8 | rows - 1): its size is known without reading it. Sequences are consecutive while
// a DomainRecord lives and rise over its lives, so a number is never used twice under one domain and campaign. Where a
// campaign has a canary, the blocks of its rest have the highest bit set too (queue/canary.h): they come after the
// canary's, and a reader stops before them until the rest is released, which is one step of the campaign's record.
//
// Each step below is one write batch, synced as a whole: a crash leaves the state before it or the state after it.
//
//   step           from                      to                           what a crash just before it leaves
//   begin          directory in spool/work   campaign kLoading + template the directory: intake begins again
//   enqueue        kLoading at position p    rows in blocks, counted in   position p: intake reads from p again; no row
//                                            domains; position p'         is lost or taken in twice
//   release        kLoading or kHeld         kRunning, expiry set         all rows, unreleased: nothing is sent; intake
//                                                                         finds the list at its end and releases
//   hold           kLoading                  kHeld                        as before: intake decides again
//   fail           kLoading                  kFailed, rows and template   all rows, unreleased: intake fails it again
//                                            gone; they count as rejected
//   pause, resume  kRunning, kPaused         kPaused, kRunning            the operator's command was not answered
//   cancel         any live state            kCancelled                   likewise
//   deliver        row in a block            bit set in done, totals;     the row as it was: it is sent once more, with
//                                            the last bit takes block     the same Message-ID; the log, synced before
//                                            and bitmap away              this step, holds the first event
//   defer          row in a block, or retry  retry record; the bit is set as for deliver
//                                            or the old record gone
//   finish retry   retry record              gone, totals                 as for deliver
//   suppress by    the step of an outcome    the address or its domain    as for that step: the row is tried once more,
//     rule                                   is on the list too           and judged again
//   suppress,      entry, or none            entry, or none; the old      the operator's command was not answered; of
//   an
//     unsuppress                             one in the history           import, what was answered so far is there
//   canary tried   canary kSending           kWaiting until a moment      (same batch as the step of the row that makes
//                                                                         nine in ten, or all but one)
//   release rest   canary kWaiting, or       kReleased                    the rest waits; the store thread releases it
//                  kSending and no more tried
//   stop canary    kRunning, its rest waits  kPaused, canary kStopped     the guard's word is lost with its counts: it
//                                                                         counts anew (what it saves of itself is
//                                                                         staged after this step)
//   bring forward  retry record              retry record, due earlier    the record where it was: the rest of the
//                                                                         operator's command was not answered
//   last of a      kRunning, or kCancelled   kDone, or kCancelled with    (same batch as the last row's step)
//     campaign                               ended_at; template gone
//   last of a      message of a standing     message gone                 (same batch as the last row's step)
//     message        campaign
//   purge          an ended campaign         gone; totals in the sums     the ended campaign
// So between any two: a job is in a block with its bit clear, or in the retry index, or counted as ended, and in
// exactly one of these; a DomainRecord exists exactly while its campaign has a job of the first two kinds in that
// domain.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "queue/campaign.h"
#include "queue/canary.h"
#include "queue/job.h"

namespace postrider::queue {

// Of the queue as a whole. Format 1 had no suppression, and campaigns without a list; format 2 no canaries, whose rest
// an older program would send at once. Both are read, and are format 3 from then on: an older program refuses it.
inline constexpr std::uint32_t kFormatVersion = 3;
inline constexpr std::size_t kBlockRowsMax = 256;         // a bitmap of 32 bytes
inline constexpr std::size_t kBlockBytesMax = 256 << 10;  // long rows make shorter blocks, so that one read stays small
inline constexpr std::size_t kReplyTextMax = 300;         // of a retry record: enough to tell one refusal from another
inline constexpr std::size_t kDomainMax = 255;            // RFC 5321 section 4.5.3.1.2
inline constexpr std::size_t kRowBytesMax = 1 << 20;      // of one row's text; intake's own limit is far lower

// -- Keys

[[nodiscard]] std::string CampaignKey(CampaignId campaign);
[[nodiscard]] std::string TemplateKey(CampaignId campaign, std::uint32_t number);
[[nodiscard]] std::string TemplateOpenKey(CampaignId campaign, std::uint32_t number);
[[nodiscard]] std::string ShardPrefix(std::uint32_t shard);
// Of both domains and retry: all that one domain holds.
[[nodiscard]] std::string DomainPrefix(std::uint32_t shard, std::string_view domain);
[[nodiscard]] std::string DomainKey(std::uint32_t shard, std::string_view domain, CampaignId campaign);
// Of both blocks and done.
[[nodiscard]] std::string BlockPrefix(CampaignId campaign, std::string_view domain);
[[nodiscard]] std::string BlockKey(CampaignId campaign, std::string_view domain, std::uint64_t block);
[[nodiscard]] std::string RetryKey(std::uint32_t shard, std::string_view domain, JobId job, Wall due);
[[nodiscard]] std::string SystemStateKey(std::string_view name);
[[nodiscard]] std::string UserStateKey(std::string_view key);
// The first key after all that start with prefix; empty if there is none (prefix of 0xff only).
[[nodiscard]] std::string PrefixEnd(std::string prefix);
// "table domains, key \x00\x05a.test\x00...: " before the message, so that a person finds the record.
[[nodiscard]] std::unexpected<Error> FailAt(std::string_view table, std::string_view key, Error error);

struct DomainKeyParts {
  std::uint32_t shard = 0;
  std::string_view domain;
  CampaignId campaign = 0;
};
struct BlockKeyParts {
  CampaignId campaign = 0;
  std::string_view domain;
  std::uint64_t block = 0;
};
struct RetryKeyParts {
  std::uint32_t shard = 0;
  std::string_view domain;
  JobId job;
  Wall due{};
};
[[nodiscard]] Result<CampaignId> ParseCampaignKey(std::string_view key);
[[nodiscard]] Result<DomainKeyParts> ParseDomainKey(std::string_view key);
[[nodiscard]] Result<BlockKeyParts> ParseBlockKey(std::string_view key);
[[nodiscard]] Result<RetryKeyParts> ParseRetryKey(std::string_view key);

[[nodiscard]] constexpr std::uint64_t BlockNumber(std::uint64_t sequence, std::size_t rows) {
  return sequence << 8 | static_cast<std::uint64_t>(rows - 1);
}
[[nodiscard]] constexpr std::uint64_t BlockSequence(std::uint64_t block) { return (block & ~kRestBlock) >> 8; }
[[nodiscard]] constexpr std::size_t BlockRows(std::uint64_t block) {
  return static_cast<std::size_t>(block & 0xff) + 1;
}

// What may be part of a key: not empty, at most kDomainMax octets, no NUL.
[[nodiscard]] bool IsStorableDomain(std::string_view domain);

// -- Values

// A campaign with the counters that only the store needs.
struct CampaignRecord {
  Campaign campaign;
  std::uint64_t next_sequence = 1;  // of blocks: beyond every number used in any domain
  std::uint32_t next_template = 1;  // of a standing campaign
};
[[nodiscard]] std::string EncodeCampaign(const CampaignRecord& record);
[[nodiscard]] Result<CampaignRecord> DecodeCampaign(std::string_view value);

[[nodiscard]] std::string EncodeTotals(const CampaignTotals& totals);
[[nodiscard]] Result<CampaignTotals> DecodeTotals(std::string_view value);

struct TemplateRecord {
  Wall accepted_at{};
  std::string_view message;
  std::string_view host_name{};
};
[[nodiscard]] std::string EncodeTemplate(const TemplateRecord& record);
[[nodiscard]] Result<TemplateRecord> DecodeTemplate(std::string_view value);

// What one campaign has in one domain.
struct DomainRecord {
  std::uint64_t first_sequence = 0;  // no block before it is left
  std::uint64_t next_sequence = 0;   // of the next block
  std::uint64_t waiting = 0;         // jobs in blocks
  std::uint64_t rest = 0;            // of these, those in blocks of the rest behind a canary
  std::uint64_t deferred = 0;        // jobs in the retry index
  Wall retry_from{};                 // no retry record is due before it
  std::uint64_t retry_stamp = 0;  // rises with each retry record put; tells a reader whether what it knows is of today
  std::string site;               // where one of its jobs was deferred last; empty: not known

  friend bool operator==(const DomainRecord&, const DomainRecord&) = default;
};
[[nodiscard]] std::string EncodeDomain(const DomainRecord& record);
[[nodiscard]] Result<DomainRecord> DecodeDomain(std::string_view value);

struct BlockRow {
  std::uint64_t row = 0;
  bool needs_smtputf8 = false;
  std::string_view address;
  std::string_view row_id;
  std::string_view fields;
};
// Builds a block's value row by row.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::uint32_t template_number);
  void Add(const BlockRow& row);
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t bytes() const { return value_.size(); }
  // The value; the builder is as new afterwards.
  [[nodiscard]] std::string Finish();

 private:
  std::uint32_t template_number_;
  std::size_t rows_ = 0;
  std::uint64_t last_row_ = 0;
  std::string value_;
};
struct Block {
  std::uint32_t template_number = 0;
  std::vector<BlockRow> rows;  // 1 to kBlockRowsMax
};
// The views point into value.
[[nodiscard]] Result<Block> DecodeBlock(std::string_view value);

struct DoneRecord {
  std::uint16_t rows = 0;  // of the block
  std::array<std::uint64_t, 4> bits{};

  [[nodiscard]] bool Has(std::size_t index) const { return (bits[index >> 6] >> (index & 63) & 1) != 0; }
  void Set(std::size_t index) { bits[index >> 6] |= std::uint64_t{1} << (index & 63); }
  [[nodiscard]] std::size_t Count() const;
  friend bool operator==(const DoneRecord&, const DoneRecord&) = default;
};
[[nodiscard]] std::string EncodeDone(const DoneRecord& record);
[[nodiscard]] Result<DoneRecord> DecodeDone(std::string_view value);

// Of the job, all but id and place, which are the key's.
[[nodiscard]] std::string EncodeRetry(const Job& job);
// The views point into value.
[[nodiscard]] Result<Job> DecodeRetry(std::string_view value);

[[nodiscard]] std::string EncodeCount(std::uint64_t count);
[[nodiscard]] Result<std::uint64_t> DecodeCount(std::string_view value);

// At most max octets of text, not cutting a UTF-8 sequence in two.
[[nodiscard]] std::string_view Shortened(std::string_view text, std::size_t max);

}  // namespace postrider::queue
