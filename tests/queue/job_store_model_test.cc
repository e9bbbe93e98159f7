// Random histories against a plain model in memory: every accepted job is handed out exactly once per cursor life and
// none is lost, whatever is paused, cancelled, deferred, brought forward, held behind a canary or cut off by a crash
// between two commits.

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "queue/canary.h"
#include "queue/lifecycle.h"
#include "queue/retry_order.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

struct ModelJob {
  std::string domain;
  std::optional<Wall> due;  // deferred until then
  bool final = false;
  bool rest = false;  // of a campaign with a canary, but not in it
};

// What the store should hold; copied at each commit, and put back when the store is cut off.
struct Model {
  std::map<JobId, ModelJob> jobs;
  std::map<CampaignId, CampaignTotals> totals;
  std::map<CampaignId, std::uint64_t> rows;  // rows so far
  std::map<CampaignId, std::map<std::uint32_t, std::string>> messages;
};

// A core's window of one domain.
struct Window {
  DomainCursor cursor;
  std::map<JobId, Job> outstanding;  // with texts of its own below
  std::map<JobId, std::array<std::string, 4>> texts;
  bool unsynced = false;  // something taken with it is settled but not committed
};

class History : public StoreTest {
 protected:
  void Run(std::uint64_t seed) {
    random_.seed(seed);
    for (int step = 0; step < 400 && !HasFailure(); ++step) {
      switch (Below(22)) {
        case 0:
          BeginOne();
          break;
        case 1:
        case 2:
        case 3:
          AddRows();
          break;
        case 4:
        case 5:
          ChangeState();
          break;
        case 6:
        case 7:
        case 8:
        case 9:
          TakeSome();
          break;
        case 10:
        case 11:
        case 12:
        case 13:
          for (std::size_t i = Below(40); i > 0; --i) SettleOne();
          break;
        case 14:
        case 15:
          now_ += std::chrono::seconds(Below(2000));
          break;
        case 16:
          if (Below(4) == 0) CutOff();
          break;
        case 17:
          MoveCanaries();
          break;
        case 18:
          BringForward();
          break;
        default:
          CommitAll();
          CheckAll();
          break;
      }
    }
    if (!HasFailure()) Drain();
  }

 private:
  std::size_t Below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::string SomeDomain() { return "d" + std::to_string(Below(6)) + ".test"; }

  void BeginOne() {
    CampaignSpec spec = Named("c" + std::to_string(names_++));
    spec.mail_class = Below(3) == 0 ? MailClass::kTransactional : MailClass::kBulk;
    spec.priority = static_cast<int>(Below(3)) - 1;
    spec.start = Below(3) == 0 ? StartMode::kStreaming : StartMode::kWhole;
    spec.standing = Below(4) == 0;
    if (Below(4) == 0) spec.not_before = now_ + std::chrono::seconds(Below(3000));
    if (!spec.standing && spec.start == StartMode::kWhole && Below(2) == 0) {
      spec.canary_share = Below(2) == 0 ? 0.03 : 0.3;
      spec.canary_wait = std::chrono::seconds(Below(3000));
    }
    if (Below(5) == 0) spec.expires = now_ + std::chrono::seconds(3000 + Below(8000));
    const CampaignId id = Begin(spec);
    states_[id] = CampaignState::kLoading;
    specs_[id] = spec;
    model_.totals[id] = {};
  }

  std::optional<CampaignId> SomeCampaign() {
    if (states_.empty()) return std::nullopt;
    return std::next(states_.begin(), static_cast<std::ptrdiff_t>(Below(states_.size())))->first;
  }

  void AddRows() {
    const auto id = SomeCampaign();
    if (!id) return;
    const CampaignState state = states_[*id];
    const bool standing = specs_[*id].standing;
    const bool takes_rows = state == CampaignState::kLoading ||
                            (standing && (state == CampaignState::kRunning || state == CampaignState::kPaused));
    if (!takes_rows) return;
    // Now and then more than one block's worth in one domain.
    const std::size_t count = Below(8) == 0 ? 600 : 1 + Below(12);
    const std::string one_domain = SomeDomain();
    std::vector<TestRow> rows;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t row = ++model_.rows[*id];
      const std::string domain = count == 600 ? one_domain : SomeDomain();
      rows.push_back({row, "r" + std::to_string(row) + "@" + domain});
      const CampaignSpec& spec = specs_[*id];
      const bool rest = HasCanary(spec) && !IsCanaryRow(*id, model_.totals[*id].accepted + i, spec.canary_share);
      model_.jobs[{*id, row}] = {.domain = domain, .due = std::nullopt, .final = false, .rest = rest};
    }
    if (standing) {
      AddStanding(*id, rows, "message up to row " + std::to_string(rows.back().row));
    } else {
      Add(*id, rows);
    }
    model_.totals[*id].rows += count;
    model_.totals[*id].accepted += count;
  }

  void ChangeState() {
    const auto id = SomeCampaign();
    if (!id) return;
    static constexpr CampaignState kWanted[] = {CampaignState::kRunning, CampaignState::kRunning,
                                                CampaignState::kPaused,  CampaignState::kHeld,
                                                CampaignState::kFailed,  CampaignState::kCancelled};
    const CampaignState to = kWanted[Below(6)];
    if (to == CampaignState::kFailed && Below(3) != 0) return;
    const CampaignState from = states_[*id];
    Campaign trial;
    trial.state = from;
    const bool allowed = Step(trial, to, now_, std::chrono::hours(1)).has_value();
    const auto step = store_->SetState(*id, to, now_, std::chrono::hours(1));
    // A campaign may have become done in a commit of which this test has not asked yet.
    EXPECT_TRUE(step.has_value() == allowed || from == CampaignState::kRunning || from == CampaignState::kCancelled);
    if (!step) return;
    states_[*id] = to;
    if (to != CampaignState::kFailed) return;
    // Failing writes what is staged first.
    std::uint64_t gone = 0;
    for (auto it = model_.jobs.begin(); it != model_.jobs.end();) {
      if (it->first.campaign == *id && !it->second.final) {
        ++gone;
        it = model_.jobs.erase(it);
      } else {
        ++it;
      }
    }
    model_.totals[*id].accepted -= gone;
    model_.totals[*id].rejected += gone;
    for (auto& [domain, window] : windows_) {
      std::erase_if(window.outstanding, [&](const auto& job) { return job.first.campaign == *id; });
    }
    CommitAll();
  }

  void MoveCanaries() {
    for (const CampaignId id : store_->ReleaseRests(now_)) {
      EXPECT_EQ(states_[id], CampaignState::kRunning);
    }
    const auto id = SomeCampaign();
    if (!id || Below(3) != 0) return;
    const auto stopped = store_->StopCanary(*id, now_, "a guard");
    ASSERT_TRUE(stopped);
    if (!*stopped) return;
    EXPECT_TRUE(HasCanary(specs_[*id]));
    EXPECT_TRUE(states_[*id] == CampaignState::kRunning || states_[*id] == CampaignState::kPaused);
    states_[*id] = CampaignState::kPaused;
  }

  void BringForward() {
    ForwardRequest request{.now = now_, .over = std::chrono::seconds(Below(2000))};
    if (const auto id = SomeCampaign(); id && Below(2) == 0) request.campaign = *id;
    if (Below(3) == 0) request.domain = SomeDomain();
    if (Below(3) == 0) request.site = "mx." + SomeDomain();
    CommitAll();
    for (bool done = false; !done;) {
      const auto step = store_->BringForward(request);
      ASSERT_TRUE(step) << step.error().message;
      forwarded_ = true;
      // Others settle what they hold in the same batch, and go on reading.
      for (std::size_t i = Below(20); i > 0; --i) SettleOne();
      if (Below(3) == 0) TakeSome();
      if (Below(6) == 0) return CutOff();
      CommitAll();
      done = step->done;
      request.domain_key = step->domain_key;
      request.retry_key = step->retry_key;
    }
  }

  // Where jobs are due that were brought forward: sooner than they were, and none that somebody holds.
  void NoteDues() {
    for (const auto& [id, state] : states_) {
      const auto visited = store_->VisitRemaining(id, [&](const Job& job) {
        ModelJob& known = model_.jobs.at(job.id);
        if (!job.place.retry_due || *job.place.retry_due >= kEndingFrom || job.place.retry_due == known.due)
          return true;
        EXPECT_TRUE(known.due) << "moved from a block";
        EXPECT_LT(job.place.retry_due, known.due);
        EXPECT_GE(job.place.retry_due, now_);
        const auto window = windows_.find(known.domain);
        EXPECT_TRUE(window == windows_.end() || !window->second.outstanding.contains(job.id))
            << "moved under its owner";
        known.due = job.place.retry_due;
        ++moved_;
        return true;
      });
      ASSERT_TRUE(visited);
    }
  }

  // Everything that a cursor of this domain should be given now.
  std::set<JobId> Expected(const std::string& domain, const Window& window) {
    std::set<JobId> expected;
    for (const auto& [id, job] : committed_.jobs) {
      if (job.domain != domain || job.final || window.outstanding.contains(id)) continue;
      const CampaignPtr campaign = store_->FindCampaign(id.campaign);
      const Readiness ready = ReadinessOf(*campaign, now_);
      if (!ready.now || (job.due && !ready.ending && *job.due > now_)) continue;
      if (ready.without_rest && job.rest && !job.due) continue;
      expected.insert(id);
    }
    return expected;
  }

  void TakeOnce(const std::string& domain, Window& window, std::size_t max_jobs, bool& more) {
    TakenJobs taken = Take(domain, window.cursor, max_jobs);
    more = taken.more;
    EXPECT_FALSE(taken.more && taken.jobs.empty());
    window.cursor = taken.cursor;
    int last_class = 1;
    for (const Job& job : taken.jobs) {
      const auto known = committed_.jobs.find(job.id);
      ASSERT_NE(known, committed_.jobs.end()) << "row " << job.id.row << " of " << job.id.campaign;
      EXPECT_FALSE(known->second.final);
      EXPECT_EQ(known->second.domain, domain);
      EXPECT_TRUE(!known->second.rest || !ReadinessOf(*store_->FindCampaign(job.id.campaign), now_).without_rest)
          << "of the rest, before its release";
      EXPECT_EQ(known->second.due.has_value(), job.place.retry_due.has_value());
      EXPECT_EQ(job.address, "r" + std::to_string(job.id.row) + "@" + domain);
      EXPECT_EQ(job.row_id, "id" + std::to_string(job.id.row));
      EXPECT_LE(static_cast<int>(job.mail_class), last_class) << "bulk before transactional";
      last_class = static_cast<int>(job.mail_class);
      EXPECT_TRUE(std::any_of(taken.campaigns.begin(), taken.campaigns.end(),
                              [&](const CampaignPtr& campaign) { return campaign->id == job.id.campaign; }));
      EXPECT_TRUE(std::any_of(taken.templates.begin(), taken.templates.end(), [&](const StoredTemplatePtr& stored) {
        return stored->campaign == job.id.campaign && stored->number == job.template_number;
      }));
      const auto [at, is_new] = window.outstanding.emplace(job.id, job);
      EXPECT_TRUE(is_new) << "handed out twice: row " << job.id.row << " of " << job.id.campaign;
      auto& texts = window.texts[job.id];
      texts = {std::string(job.address), std::string(job.row_id), std::string(job.fields),
               std::string(job.attempt.source)};
      at->second.address = texts[0];
      at->second.row_id = texts[1];
      at->second.fields = texts[2];
      at->second.attempt.source = texts[3];
      at->second.attempt.reply_text = {};
    }
  }

  void TakeSome() {
    const std::string domain = SomeDomain();
    bool more = false;
    TakeOnce(domain, windows_[domain], 1 + Below(300), more);
  }

  void SettleOne() {
    if (windows_.empty()) return;
    auto& [domain, window] = *std::next(windows_.begin(), static_cast<std::ptrdiff_t>(Below(windows_.size())));
    if (window.outstanding.empty()) return;
    const auto at =
        std::next(window.outstanding.begin(), static_cast<std::ptrdiff_t>(Below(window.outstanding.size())));
    const Job job = at->second;
    ModelJob& known = model_.jobs.at(job.id);
    CampaignTotals& totals = model_.totals[job.id.campaign];
    if (Below(3) == 0) {
      const Wall due = now_ + std::chrono::seconds(1 + Below(3000));
      Defer(job, due, domain);
      known.due = due;
      ++totals.deferrals;
    } else {
      static constexpr EventKind kKinds[] = {EventKind::kDelivered,  EventKind::kBounced,   EventKind::kExpired,
                                             EventKind::kSuppressed, EventKind::kCancelled, EventKind::kUnknown};
      const EventKind kind = kKinds[Below(6)];
      Finish(job, kind, domain);
      // A second outcome of the same row must change nothing.
      if (!job.place.retry_due && Below(10) == 0) Finish(job, kind, domain);
      known.final = true;
      std::uint64_t* const counts[] = {&totals.delivered,  &totals.bounced,   &totals.expired,
                                       &totals.suppressed, &totals.cancelled, &totals.unknown};
      ++*counts[std::find(std::begin(kKinds), std::end(kKinds), kind) - std::begin(kKinds)];
    }
    window.outstanding.erase(at);
    window.unsynced = true;
  }

  void CommitAll() {
    Commit();
    if (std::exchange(forwarded_, false)) NoteDues();
    committed_ = model_;
    for (auto& [id, state] : states_) state = store_->FindCampaign(id)->state;
    committed_states_ = states_;
    for (auto it = windows_.begin(); it != windows_.end();) {
      it->second.unsynced = false;
      const bool drop = it->second.outstanding.empty() && Below(2) == 0;
      it = drop ? windows_.erase(it) : std::next(it);
    }
  }

  void CutOff() {
    Reopen();
    forwarded_ = false;
    model_ = committed_;
    windows_.clear();
    std::erase_if(states_, [this](const auto& state) { return !committed_states_.contains(state.first); });
    states_ = committed_states_;
    CheckTotals();
  }

  void CheckTotals() {
    CampaignTotals sum;
    for (const auto& [id, expected] : committed_.totals) {
      const CampaignTotals totals = TotalsOf(id);
      EXPECT_EQ(totals.rows, expected.rows);
      EXPECT_EQ(totals.accepted, expected.accepted);
      EXPECT_EQ(totals.rejected, expected.rejected);
      EXPECT_EQ(totals.delivered, expected.delivered);
      EXPECT_EQ(totals.bounced, expected.bounced);
      EXPECT_EQ(totals.expired, expected.expired);
      EXPECT_EQ(totals.suppressed, expected.suppressed);
      EXPECT_EQ(totals.cancelled, expected.cancelled);
      EXPECT_EQ(totals.unknown, expected.unknown);
      EXPECT_EQ(totals.deferrals, expected.deferrals);
      EXPECT_EQ(totals.rows, totals.accepted + totals.rejected + totals.duplicate + totals.suppressed_at_intake);
      const auto queued = static_cast<std::uint64_t>(
          std::count_if(committed_.jobs.begin(), committed_.jobs.end(),
                        [&](const auto& job) { return job.first.campaign == id && !job.second.final; }));
      EXPECT_EQ(totals.queued(), queued);
      sum.accepted += totals.accepted;
      CheckCanary(*store_->FindCampaign(id));
    }
    EXPECT_EQ(store_->Totals().accepted, sum.accepted);
  }

  void CheckCanary(const Campaign& campaign) {
    EXPECT_EQ(campaign.canary.phase == CanaryPhase::kNone, !HasCanary(specs_[campaign.id]));
    if (campaign.canary.phase == CanaryPhase::kNone || campaign.state == CampaignState::kFailed) return;
    std::uint64_t recipients = 0;
    std::uint64_t untried = 0;
    bool rest_moved = false;
    for (const auto& [id, job] : committed_.jobs) {
      if (id.campaign != campaign.id) continue;
      const bool tried = job.final || job.due;
      rest_moved |= job.rest && tried;
      if (job.rest) continue;
      ++recipients;
      if (!tried) ++untried;
    }
    EXPECT_EQ(campaign.canary.recipients, recipients);
    EXPECT_EQ(campaign.canary.untried, untried);
    // Only the end of a campaign takes the rest along unreleased.
    const bool ended = HasEnded(campaign) || ReadinessOf(campaign, now_).ending ||
                       (campaign.state == CampaignState::kPaused && campaign.expires_at);
    EXPECT_TRUE(!rest_moved || !campaign.canary.RestWaits() || ended) << campaign.spec.name;
  }

  // Nothing is staged now: what is on disk must be what the model says.
  void CheckAll() {
    CheckTotals();
    const std::vector<std::string> scanned = Scan();
    const std::set<std::string> found(scanned.begin(), scanned.end());
    EXPECT_EQ(found.size(), scanned.size()) << "a domain came twice in one lap";
    for (int i = 0; i < 6; ++i) {
      const std::string domain = "d" + std::to_string(i) + ".test";
      EXPECT_TRUE(found.contains(domain) || Expected(domain, {}).empty()) << domain;
    }
    const std::string domain = SomeDomain();
    Window& window = windows_[domain];
    const std::set<JobId> expected = Expected(domain, window);
    std::set<JobId> before;
    for (const auto& [id, job] : window.outstanding) before.insert(id);
    bool more = true;
    while (more && !HasFailure()) TakeOnce(domain, window, 1 + Below(300), more);
    std::set<JobId> got;
    for (const auto& [id, job] : window.outstanding) {
      if (!before.contains(id)) got.insert(id);
    }
    for (const JobId& id : expected) {
      if (got.contains(id)) continue;
      const CampaignPtr campaign = store_->FindCampaign(id.campaign);
      const ModelJob& job = committed_.jobs.at(id);
      ADD_FAILURE() << "not handed out: row " << id.row << " of " << id.campaign << ", which is "
                    << ToString(campaign->state) << (ReadinessOf(*campaign, now_).ending ? " and ending" : "") << "; "
                    << (job.due ? "due since " + std::to_string((now_ - *job.due).count()) + " ms" : "in a block");
    }
    EXPECT_TRUE(std::includes(expected.begin(), expected.end(), got.begin(), got.end())) << domain;
    std::set<JobId> remaining;
    for (const auto& [id, state] : states_) {
      const auto visited = store_->VisitRemaining(id, [&](const Job& job) { return remaining.insert(job.id).second; });
      ASSERT_TRUE(visited);
    }
    std::size_t queued = 0;
    for (const auto& [id, job] : committed_.jobs) {
      if (job.final) continue;
      ++queued;
      EXPECT_TRUE(remaining.contains(id));
    }
    EXPECT_EQ(remaining.size(), queued);
  }

  // Lets everything come to its end.
  void Drain() {
    CommitAll();
    CutOff();
    for (const auto& [id, state] : committed_states_) {
      const bool stopped =
          state == CampaignState::kLoading || state == CampaignState::kHeld || state == CampaignState::kPaused;
      if (stopped) SetState(id, CampaignState::kRunning);
    }
    for (const auto& [id, state] : committed_states_) {
      if (specs_[id].standing && state != CampaignState::kFailed && state != CampaignState::kDone &&
          state != CampaignState::kCancelled) {
        SetState(id, CampaignState::kCancelled);
      }
    }
    CommitAll();
    // Canaries first, and then what waits behind them.
    for (int lap = 0; lap < 2; ++lap) {
      now_ += std::chrono::hours(24);
      (void)store_->ReleaseRests(now_);
      CommitAll();
      DeliverAll();
    }
    CheckAll();
    EXPECT_THAT(Scan(), testing::IsEmpty());
    EXPECT_EQ(store_->Totals().queued(), 0u);
    for (const auto& [id, job] : model_.jobs) EXPECT_TRUE(job.final) << id.campaign << ":" << id.row;
    Reopen();
    for (const CampaignPtr& campaign : store_->Campaigns()) {
      EXPECT_TRUE(HasEnded(*campaign)) << campaign->spec.name << " is " << ToString(campaign->state);
      EXPECT_FALSE(store_->ReadTemplate(campaign->id, 0)) << campaign->spec.name;
    }
    EXPECT_TRUE(Backlog().empty());
    store_.reset();
    const auto tables = Tables::Open(options());
    ASSERT_TRUE(tables);
    for (const Table table : {Table::kTemplates, Table::kDomains, Table::kBlocks, Table::kDone, Table::kRetry}) {
      EXPECT_FALSE((*tables)->View().Walk(table, {}, {}).Valid()) << "something is left in table " << int(table);
    }
  }

  void DeliverAll() {
    for (const std::string& domain : Scan()) {
      bool more = true;
      while (more && !HasFailure()) TakeOnce(domain, windows_[domain], 100, more);
      for (const auto& [id, job] : windows_[domain].outstanding) {
        Finish(job, EventKind::kDelivered, domain);
        ++model_.totals[id.campaign].delivered;
        model_.jobs[id].final = true;
      }
      windows_[domain].outstanding.clear();
    }
    CommitAll();
  }

  std::mt19937_64 random_;
  int names_ = 0;
  bool forwarded_ = false;  // something, since the last commit
  std::uint64_t moved_ = 0;
  Model model_;
  Model committed_;
  std::map<CampaignId, CampaignState> states_;
  std::map<CampaignId, CampaignState> committed_states_;
  std::map<CampaignId, CampaignSpec> specs_;
  std::map<std::string, Window> windows_;
};

class JobStoreHistory : public History, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(JobStoreHistory, HandsEveryJobOutOncePerCursorAndLosesNone) { Run(GetParam()); }

// One thread writes while another reads, as in the daemon: every row is handed out once, and none is missed.
class JobStoreThreads : public StoreTest {};

TEST_F(JobStoreThreads, ReadWhileOneWrites) {
  constexpr std::uint64_t kRows = 4000;
  constexpr int kDomains = 5;
  CampaignSpec spec = Named("offer");
  spec.start = StartMode::kStreaming;
  const CampaignId id = Begin(spec);
  Commit();
  std::atomic<bool> written = false;
  std::mutex mutex;
  std::vector<std::pair<Job, std::string>> taken_jobs;  // on their way from reader to writer
  std::map<JobId, int> times;

  std::thread reader([&] {
    std::map<std::string, DomainCursor> cursors;
    bool last_lap = false;
    while (true) {
      const bool was_written = written;
      for (int i = 0; i < kDomains; ++i) {
        const std::string domain = "d" + std::to_string(i) + ".test";
        auto taken = store_->Take({.domain = domain, .cursor = cursors[domain], .max_jobs = 64, .now = now_});
        if (!taken) {
          ADD_FAILURE() << taken.error().message;
          return;
        }
        cursors[domain] = taken->cursor;
        const std::lock_guard lock(mutex);
        for (Job job : taken->jobs) {
          ++times[job.id];
          // The texts are not needed to finish a job.
          job.address = job.row_id = job.fields = {};
          taken_jobs.emplace_back(job, domain);
        }
        last_lap = last_lap && !taken->more;
      }
      const auto ignore = [](const DomainBacklog&) {};
      if (!store_->ScanDomains({.max_domains = 3, .now = now_}) || !store_->VisitBacklog(now_, ignore)) ADD_FAILURE();
      (void)store_->Totals();
      if (last_lap) return;
      last_lap = was_written;
    }
  });
  const auto settle = [&] {
    std::vector<std::pair<Job, std::string>> jobs;
    {
      const std::lock_guard lock(mutex);
      jobs.swap(taken_jobs);
    }
    for (const auto& [job, domain] : jobs) Finish(job, EventKind::kDelivered, domain);
  };
  for (std::uint64_t row = 1; row <= kRows;) {
    std::vector<TestRow> rows;
    for (int i = 0; i < 100; ++i, ++row) rows.push_back({row, "r@d" + std::to_string(row % kDomains) + ".test"});
    Add(id, rows);
    settle();
    Commit();
  }
  SetState(id, CampaignState::kRunning);
  Commit();
  written = true;
  reader.join();
  settle();
  Commit();
  EXPECT_EQ(times.size(), kRows);
  for (const auto& [job, count] : times) EXPECT_EQ(count, 1) << "row " << job.row;
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kDone);
  EXPECT_EQ(TotalsOf(id).delivered, kRows);
}

INSTANTIATE_TEST_SUITE_P(Seeds, JobStoreHistory, testing::Range<std::uint64_t>(1, 11));

}  // namespace
}  // namespace postrider::queue
