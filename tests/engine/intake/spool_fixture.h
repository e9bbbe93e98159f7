#pragma once
// Support of the intake tests: a spool in a temporary directory, a queue that is a few containers, a clock that stands
// still until it is moved. Any call to the queue can be made to fail, before or after its effect, as a full disk or a
// crash would have it.

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/intake/intake.h"
#include "engine/intake/spool.h"
#include "engine/io/clock.h"
#include "queue/campaign_writer.h"
#include "queue/files.h"

namespace postrider::intake {

class StillClock final : public io::Clock {
 public:
  Now Read() override { return now; }
  void Advance(std::chrono::milliseconds by) {
    now.monotonic += by;
    now.wall += by;
  }

  Now now{Monotonic{} + std::chrono::hours(1), Wall(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23))};
};

class MemoryWriter final : public queue::CampaignWriter {
 public:
  struct KeptRow {
    std::uint64_t row;
    std::string domain;
    std::string address;
    std::string id;
    std::string fields;
    bool needs_smtputf8;
    std::string message;
  };

  queue::CampaignPtr Find(std::string_view name) override;
  Result<std::vector<std::size_t>> FindSuppressed(std::span<const queue::Recipient> recipients, Wall now) override;
  Result<queue::CampaignId> Begin(const queue::CampaignSpec& spec, std::string_view message) override;
  Result<void> Append(const queue::EnqueueBatch& batch) override;
  Result<void> Finish(queue::CampaignId campaign, queue::CampaignState state, std::string_view note) override;

  void SetState(std::string_view name, queue::CampaignState state);
  [[nodiscard]] std::vector<std::string> Addresses(std::string_view name);
  [[nodiscard]] const std::vector<KeptRow>& Rows(std::string_view name);

  // The call with this number, from 1, fails: before it had its effect, or after.
  int fail_at = 0;
  bool fail_after_effect = false;
  std::set<std::pair<std::string, std::string>> suppressed;  // list, and address or @domain
  bool keep_rows = true;                                     // else they are only counted
  int calls = 0;
  std::string last_note;

 private:
  bool FailsNow(bool after_effect);
  queue::Campaign* ById(queue::CampaignId id);

  std::map<std::string, queue::Campaign, std::less<>> campaigns_;
  std::map<queue::CampaignId, std::vector<KeptRow>> rows_;
  queue::CampaignId last_ = 0;
};

inline constexpr std::string_view kPlainMessage =
    "From: Shop <shop@example.com>\nTo: {{name}} <{{to}}>\nSubject: Hello {{name|friend}}\n\nDear {{name|friend}}, "
    "{{city|}}\n";

class SpoolTest : public testing::Test {
 protected:
  SpoolTest();
  ~SpoolTest() override;

  using Parts = std::map<std::string, std::string>;
  // Writes a campaign's files into spool/new/name, or elsewhere. Without manifest or message it gets plain ones.
  void Submit(const std::string& name, Parts parts);
  static void WriteParts(const std::filesystem::path& directory, Parts parts);
  static void Write(const std::filesystem::path& file, std::string_view text);
  [[nodiscard]] static std::string Read(const std::filesystem::path& file);

  // A new Intake on the same spool and queue, as after a restart.
  void Restart();
  // Until there is nothing left to do at once.
  void RunUntilIdle();

  [[nodiscard]] queue::CampaignState State(std::string_view name);
  [[nodiscard]] queue::CampaignTotals Totals(std::string_view name);
  [[nodiscard]] std::filesystem::path DoneToday() const { return spool_ / "done" / "2026-11-23"; }
  [[nodiscard]] std::string ErrorText(const std::string& name) const {
    return Read(spool_ / "failed" / name / "error.txt");
  }

  std::filesystem::path root_;
  std::filesystem::path spool_;
  std::shared_ptr<Options> options_;
  std::unique_ptr<queue::Files> files_;
  MemoryWriter writer_;
  StillClock clock_;
  std::unique_ptr<Intake> intake_;
};

// "user<i>@d<i % domains>.example.org" with a name, a line each.
[[nodiscard]] std::string JsonRows(int count, int domains = 7);

}  // namespace postrider::intake
