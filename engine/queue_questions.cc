#include "engine/queue_questions.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/email_address.h"
#include "engine/delivery/stored_message.h"
#include "engine/message/template.h"
#include "engine/observe/json_text.h"

namespace postrider::engine {
namespace {

std::string Describe(const queue::AttemptState& attempt) {
  if (attempt.attempts == 0) return {};
  // The enhanced code stands at the front of the text.
  return (attempt.code != 0 ? std::to_string(attempt.code) + " " : "") + std::string(attempt.reply_text);
}

// The field names of a campaign's messages, as they were when its rows were packed.
class FieldNames {
 public:
  FieldNames(const queue::JobStore& store, const queue::Campaign& campaign) : store_(store), campaign_(campaign) {}

  [[nodiscard]] Result<const message::Template*> Of(std::uint32_t number) {
    auto& known = templates_[number];
    if (known) return known.get();
    auto stored = store_.ReadTemplate(campaign_.id, number);
    if (!stored) return std::unexpected(std::move(stored).error());
    auto compiled =
        message::Template::Compile((*stored)->message, delivery::CompileOptionsOf(campaign_.spec, **stored));
    if (!compiled) {
      const std::string problem = compiled.error().empty() ? "" : ": " + ToString(compiled.error().front());
      return Fail(ErrorCode::kCorrupt,
                  "the stored message of campaign " + campaign_.spec.name + " does not compile" + problem);
    }
    known = *std::move(compiled);
    return known.get();
  }

 private:
  const queue::JobStore& store_;
  const queue::Campaign& campaign_;
  std::map<std::uint32_t, std::shared_ptr<const message::Template>> templates_;
};

Result<void> AppendLine(const queue::Job& job, const message::Template& content, std::string& line) {
  line += "{\"to\":";
  observe::AppendJsonString(line, job.address);
  if (!job.row_id.empty()) {
    line += ",\"id\":";
    observe::AppendJsonString(line, job.row_id);
  }
  line += ",\"vars\":{";
  message::FieldUnpacker values(job.fields);
  bool first = true;
  for (const std::string& name : content.fields()) {
    const auto value = values.Next();
    if (!value) return std::unexpected(value.error());
    if (!*value) continue;
    if (!first) line += ',';
    first = false;
    observe::AppendJsonString(line, name);
    line += ':';
    observe::AppendJsonString(line, **value);
  }
  line += "}}";
  return {};
}

}  // namespace

Result<queue::CampaignPtr> FindCampaign(const queue::JobStore& store, std::string_view name) {
  if (queue::CampaignPtr campaign = store.FindCampaign(name)) return campaign;
  return Fail(ErrorCode::kNotFound,
              "no campaign is named \"" + std::string(name) + "\"; `postrider status` lists those that are known");
}

Result<std::vector<observe::FoundJob>> FindJobs(const queue::JobStore& store, std::string_view address) {
  const auto parsed = EmailAddress::Parse(address);
  if (!parsed) return std::unexpected(parsed.error());
  std::vector<observe::FoundJob> found;
  auto visited = store.VisitAddress(parsed->domain, ToString(*parsed), [&](const queue::Job& job) {
    observe::FoundJob one;
    const queue::CampaignPtr campaign = store.FindCampaign(job.id.campaign);
    one.campaign = campaign ? campaign->spec.name : std::to_string(job.id.campaign);
    one.row = job.id.row;
    one.row_id = job.row_id;
    one.attempts = job.attempt.attempts;
    one.next_due = job.place.retry_due;
    one.last_reply = Describe(job.attempt);
    found.push_back(std::move(one));
    return true;
  });
  if (!visited) return std::unexpected(std::move(visited).error());
  return found;
}

Result<void> ExportRemaining(const queue::JobStore& store, const queue::Campaign& campaign,
                             const std::function<bool(std::string_view line)>& write) {
  FieldNames names(store, campaign);
  std::optional<Error> failure;
  std::string line;
  auto visited = store.VisitRemaining(campaign.id, [&](const queue::Job& job) {
    line.clear();
    const auto content = names.Of(job.template_number);
    const Result<void> made = content ? AppendLine(job, **content, line) : std::unexpected(content.error());
    if (!made) {
      failure = made.error();
      return false;
    }
    return write(line);
  });
  if (failure) return std::unexpected(std::move(*failure));
  return visited;
}

}  // namespace postrider::engine
