#include "engine/queue_questions.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/message/template.h"
#include "queue/job_store.h"

namespace postrider::engine {
namespace {

constexpr Wall kNow{std::chrono::milliseconds(1'800'000'000'000)};

class QueueQuestionsTest : public testing::Test {
 protected:
  QueueQuestionsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-questions-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    QueueOptions options;
    options.directory = directory_ / "queue";
    auto opened = queue::OpenJobStore(options, kNow);
    EXPECT_TRUE(opened.has_value());
    store_ = *std::move(opened);
  }
  ~QueueQuestionsTest() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  // A released campaign with one row, whose merge values are those of the message's fields in their order.
  queue::CampaignPtr Submit(const queue::CampaignSpec& spec, std::string_view message,
                            const std::vector<std::string>& values) {
    std::string fields;
    for (const std::string& value : values) message::FieldPacker(fields).Add(value);
    const Result<queue::CampaignId> id = store_->BeginCampaign(spec, message, kNow);
    EXPECT_TRUE(id) << id.error().message;
    const std::vector<queue::NewRow> rows = {{.row = 1,
                                              .domain = "example.org",
                                              .address = "ana@example.org",
                                              .row_id = "c-1",
                                              .fields = fields,
                                              .needs_smtputf8 = false}};
    queue::EnqueueBatch batch;
    batch.campaign = *id;
    batch.rows = rows;
    batch.rows_read = 1;
    batch.position = {1, 1};
    EXPECT_TRUE(store_->Enqueue(batch, kNow));
    EXPECT_TRUE(store_->SetState(*id, queue::CampaignState::kRunning, kNow, std::chrono::hours(48)));
    EXPECT_TRUE(store_->Commit());
    return store_->FindCampaign(*id);
  }
  // The export's lines, or its error's sentence.
  std::string Export(const queue::Campaign& campaign) {
    std::string text;
    const Result<void> done = ExportRemaining(*store_, campaign, [&](std::string_view line) {
      text.append(line).append("\n");
      return true;
    });
    return done ? text : done.error().message;
  }

  std::filesystem::path directory_;
  std::unique_ptr<queue::JobStore> store_;
};

TEST_F(QueueQuestionsTest, ExportsARowWithTheFieldsOfManifestAndMessage) {
  queue::CampaignSpec spec;
  spec.name = "offer";
  spec.from = "shop@sender.example";
  spec.envelope_from = "bounces@sender.example";
  spec.headers = {{"Subject", "Hello {{name}}"}};
  const std::string message = "\r\nSee you in {{city}}\r\n";
  message::CompileOptions compile;
  compile.headers = spec.headers;
  compile.default_from = spec.from;
  const auto compiled = message::Template::Compile(message, compile);
  ASSERT_TRUE(compiled);
  std::vector<std::string> values;
  for (const std::string& field : (*compiled)->fields()) values.push_back(field == "name" ? "A\"na" : "Ulm");
  const queue::CampaignPtr campaign = Submit(spec, message, values);
  const std::string line = Export(*campaign);
  EXPECT_NE(line.find(R"({"to":"ana@example.org","id":"c-1","vars":{)"), std::string::npos) << line;
  EXPECT_NE(line.find(R"("name":"A\"na")"), std::string::npos) << line;
  EXPECT_NE(line.find(R"("city":"Ulm")"), std::string::npos) << line;
}

TEST_F(QueueQuestionsTest, ExportsACampaignWhoseMessageIsLargerThanTheLimitIsByDefault) {
  queue::CampaignSpec spec;
  spec.name = "large";
  spec.envelope_from = "bounces@sender.example";
  std::string message = "From: shop@sender.example\r\nSubject: large\r\n\r\n{{name}}\r\n";
  const std::string line = std::string(76, 'x') + "\r\n";
  while (message.size() <= message::CompileOptions().size_max) message += line;
  const queue::CampaignPtr campaign = Submit(spec, message, {"Ana"});
  EXPECT_EQ(Export(*campaign), "{\"to\":\"ana@example.org\",\"id\":\"c-1\",\"vars\":{\"name\":\"Ana\"}}\n");
}

TEST_F(QueueQuestionsTest, SaysWhyAStoredMessageCannotBeRead) {
  queue::CampaignSpec spec;
  spec.name = "broken";
  spec.envelope_from = "bounces@sender.example";
  const queue::CampaignPtr campaign = Submit(spec, "Subject: nobody sends this\r\n\r\nx\r\n", {});
  EXPECT_EQ(Export(*campaign).find("the stored message of campaign broken does not compile: "), 0u);
}

TEST_F(QueueQuestionsTest, ShowsTheLastReplyOnceAsItWasSaid) {
  queue::CampaignSpec spec;
  spec.name = "offer";
  spec.envelope_from = "bounces@sender.example";
  (void)Submit(spec, "From: shop@sender.example\r\n\r\nx\r\n", {});
  const auto taken = store_->Take({.domain = "example.org", .now = kNow});
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->jobs.size(), 1u);
  queue::Outcome outcome;
  outcome.event.kind = queue::EventKind::kDeferred;
  outcome.event.time = kNow;
  outcome.event.job = taken->jobs[0].id;
  outcome.event.attempt = 1;
  outcome.event.recipient = "ana@example.org";
  outcome.event.domain = "example.org";
  outcome.event.code = 450;
  outcome.event.enhanced = EnhancedCode{4, 2, 1};
  outcome.event.reply = "4.2.1 busy";
  outcome.event.next_due = kNow + std::chrono::minutes(7);
  outcome.place = taken->jobs[0].place;
  outcome.first_attempt = kNow;
  store_->Settle(outcome);
  ASSERT_TRUE(store_->Commit());
  const auto exact = FindJobs(*store_, "ana@EXAMPLE.org");
  ASSERT_TRUE(exact);
  ASSERT_EQ(exact->size(), 1u);
  EXPECT_EQ(exact->front().last_reply, "450 4.2.1 busy");
  EXPECT_EQ(exact->front().campaign, "offer");
  EXPECT_EQ(exact->front().next_due, kNow + std::chrono::minutes(7));
}

}  // namespace
}  // namespace postrider::engine
