#include "tests/engine/intake/spool_fixture.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace postrider::intake {

bool MemoryWriter::FailsNow(bool after_effect) {
  if (!after_effect) ++calls;
  return calls == fail_at && after_effect == fail_after_effect;
}

queue::Campaign* MemoryWriter::ById(queue::CampaignId id) {
  for (auto& [name, campaign] : campaigns_) {
    if (campaign.id == id) return &campaign;
  }
  return nullptr;
}

queue::CampaignPtr MemoryWriter::Find(std::string_view name) {
  const auto found = campaigns_.find(name);
  return found == campaigns_.end() ? nullptr : std::make_shared<const queue::Campaign>(found->second);
}

Result<std::vector<std::size_t>> MemoryWriter::FindSuppressed(std::span<const queue::Recipient> recipients, Wall) {
  // A question has no effect to fail after.
  if (FailsNow(false) || FailsNow(true)) return Fail(ErrorCode::kUnavailable, "the queue is closed");
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const queue::Recipient& recipient = recipients[i];
    const std::string address(recipient.address);
    const std::string domain = "@" + std::string(recipient.domain);
    const std::string list(recipient.list);
    if (suppressed.contains({"", address}) || suppressed.contains({"", domain}) ||
        suppressed.contains({list, address}) || suppressed.contains({list, domain})) {
      found.push_back(i);
    }
  }
  return found;
}

Result<queue::CampaignId> MemoryWriter::Begin(const queue::CampaignSpec& spec, std::string_view message) {
  if (FailsNow(false)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  if (const auto known = Find(spec.name); known != nullptr && known->state != queue::CampaignState::kFailed) {
    return Fail(ErrorCode::kExists, "the name is taken");
  }
  EXPECT_EQ(message.empty(), spec.standing);
  queue::Campaign campaign;
  campaign.id = ++last_;
  campaign.spec = spec;
  campaigns_[spec.name] = campaign;
  if (FailsNow(true)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  return campaign.id;
}

Result<void> MemoryWriter::Append(const queue::EnqueueBatch& batch) {
  if (FailsNow(false)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  queue::Campaign* campaign = ById(batch.campaign);
  EXPECT_NE(campaign, nullptr);
  const bool takes_rows = campaign->state == queue::CampaignState::kLoading ||
                          (campaign->spec.standing && campaign->state == queue::CampaignState::kRunning);
  if (!takes_rows) return Fail(ErrorCode::kInvalid, "it takes no more rows");
  EXPECT_EQ(batch.rows_read, batch.rows.size() + batch.rejected + batch.duplicate + batch.suppressed);
  EXPECT_GE(batch.position.bytes, campaign->position.bytes);
  EXPECT_GT(batch.position.line, campaign->position.line);
  for (const queue::NewRow& row : batch.rows) {
    EXPECT_TRUE(row.address.ends_with("@" + std::string(row.domain)));
    if (keep_rows)
      rows_[batch.campaign].push_back({row.row, std::string(row.domain), std::string(row.address),
                                       std::string(row.row_id), std::string(row.fields), row.needs_smtputf8,
                                       std::string(batch.message.value_or(""))});
  }
  campaign->totals.rows += batch.rows_read;
  campaign->totals.accepted += batch.rows.size();
  campaign->totals.rejected += batch.rejected;
  campaign->totals.duplicate += batch.duplicate;
  campaign->totals.suppressed_at_intake += batch.suppressed;
  campaign->position = batch.position;
  if (FailsNow(true)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  return {};
}

Result<void> MemoryWriter::Finish(queue::CampaignId id, queue::CampaignState state, std::string_view note) {
  if (FailsNow(false)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  queue::Campaign* campaign = ById(id);
  EXPECT_NE(campaign, nullptr);
  EXPECT_EQ(campaign->state, queue::CampaignState::kLoading);
  campaign->state = state;
  last_note = note;
  if (state == queue::CampaignState::kFailed) rows_[id].clear();
  if (FailsNow(true)) return Fail(ErrorCode::kNoSpace, "the disk is full");
  return {};
}

void MemoryWriter::SetState(std::string_view name, queue::CampaignState state) {
  campaigns_.find(name)->second.state = state;
}

const std::vector<MemoryWriter::KeptRow>& MemoryWriter::Rows(std::string_view name) { return rows_[Find(name)->id]; }

std::vector<std::string> MemoryWriter::Addresses(std::string_view name) {
  std::vector<std::string> addresses;
  for (const KeptRow& row : Rows(name)) addresses.push_back(row.address);
  return addresses;
}

SpoolTest::SpoolTest() {
  std::string name = (std::filesystem::temp_directory_path() / "postrider-intake-XXXXXX").string();
  root_ = ::mkdtemp(name.data());
  spool_ = root_ / "spool";
  options_ = std::make_shared<Options>();
  options_->spool.directory = spool_;
  options_->queue.directory = root_;
  options_->disk.stop_intake_below = 0;
  options_->host_name = "out.example.com";
  files_ = queue::MakeSystemFiles();
  Restart();
}

SpoolTest::~SpoolTest() {
  intake_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void SpoolTest::Write(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  ASSERT_TRUE(out.good()) << file;
}

std::string SpoolTest::Read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void SpoolTest::WriteParts(const std::filesystem::path& directory, Parts parts) {
  std::filesystem::create_directories(directory);
  parts.try_emplace("campaign.toml", "format = 1\n");
  parts.try_emplace("message.eml", kPlainMessage);
  for (const auto& [name, text] : parts) {
    if (text != "(none)") Write(directory / name, text);
  }
}

void SpoolTest::Submit(const std::string& name, Parts parts) { WriteParts(spool_ / "new" / name, std::move(parts)); }

void SpoolTest::Restart() {
  intake_ = std::make_unique<Intake>(options_, *files_, writer_, clock_);
  const Result<void> opened = intake_->Open();
  ASSERT_TRUE(opened) << opened.error().message;
}

void SpoolTest::RunUntilIdle() {
  // What came without inotify's knowledge is found by the scan.
  clock_.Advance(std::chrono::minutes(1));
  constexpr int kStepsMax = 100'000;
  int steps = 0;
  while (intake_->RunOnce()) ASSERT_LT(++steps, kStepsMax);
}

queue::CampaignState SpoolTest::State(std::string_view name) {
  const queue::CampaignPtr campaign = writer_.Find(name);
  EXPECT_NE(campaign, nullptr) << name;
  return campaign == nullptr ? queue::CampaignState::kFailed : campaign->state;
}

queue::CampaignTotals SpoolTest::Totals(std::string_view name) {
  const queue::CampaignPtr campaign = writer_.Find(name);
  EXPECT_NE(campaign, nullptr) << name;
  return campaign == nullptr ? queue::CampaignTotals{} : campaign->totals;
}

std::string JsonRows(int count, int domains) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    rows += "{\"to\":\"user" + std::to_string(i) + "@d" + std::to_string(i % domains) + ".example.org\",\"id\":\"" +
            std::to_string(i) + "\",\"name\":\"User " + std::to_string(i) + "\"}\n";
  }
  return rows;
}

}  // namespace postrider::intake
