#pragma once
// A store in a directory of its own, and short ways to say what the tests say often.

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "queue/job_store.h"

namespace postrider::queue {

inline Wall At(std::int64_t seconds) { return Wall(std::chrono::seconds(seconds)); }

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One row as a test writes it: a number and an address.
struct TestRow {
  std::uint64_t row = 0;
  std::string address;
};

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open();
  // Without a commit: what was staged is gone.
  void Reopen();
  [[nodiscard]] QueueOptions options() const;

  CampaignId Begin(const CampaignSpec& spec);
  CampaignId Begin(const std::string& name);
  void Add(CampaignId campaign, const std::vector<TestRow>& rows);
  void AddStanding(CampaignId campaign, const std::vector<TestRow>& rows, std::string_view message);
  void SetState(CampaignId campaign, CampaignState state);
  void Commit();
  // A released campaign with these rows.
  CampaignId Released(const CampaignSpec& spec, const std::vector<TestRow>& rows);

  [[nodiscard]] TakenJobs Take(const std::string& domain, DomainCursor cursor = {}, std::size_t max_jobs = 256);
  // Every domain's, in the order of their names.
  [[nodiscard]] std::vector<DomainBacklog> Backlog() const;
  [[nodiscard]] std::vector<std::string> Scan(std::uint32_t core = 0, std::uint32_t cores = 1);
  void Finish(const Job& job, EventKind kind, const std::string& domain);
  void Defer(const Job& job, Wall due, const std::string& domain);
  [[nodiscard]] CampaignTotals TotalsOf(CampaignId campaign) const { return store_->FindCampaign(campaign)->totals; }

  TemporaryDirectory directory_;
  std::unique_ptr<JobStore> store_;
  Wall now_ = At(1'000'000);
};

[[nodiscard]] std::vector<std::string> AddressesOf(const TakenJobs& taken);
[[nodiscard]] std::string DomainOf(std::string_view address);
[[nodiscard]] CampaignSpec Named(const std::string& name);

}  // namespace postrider::queue
