#include "engine/trace_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace postrider::engine {
namespace {

constexpr std::chrono::seconds kDeadline{1};

observe::TraceView Join(std::vector<delivery::TraceAnswer> answers, std::size_t failures) {
  observe::TraceView view;
  for (delivery::TraceAnswer& answer : answers) {
    view.site_known |= answer.site_known;
    view.next.push_back(answer.next);
    view.lost += answer.lost;
    view.more |= answer.more;
    std::ranges::move(answer.lines, std::back_inserter(view.lines));
    std::ranges::move(answer.failures, std::back_inserter(view.failures));
  }
  // Those of one core are in order, and stay so.
  std::ranges::stable_sort(view.lines, {}, &delivery::TraceLine::time);
  std::ranges::stable_sort(view.failures, std::greater(), &delivery::FailedConversation::time);
  if (view.failures.size() > failures) view.failures.resize(failures);
  return view;
}

}  // namespace

Result<observe::TraceView> TraceDesk::Ask(const observe::TraceQuery& query) {
  const std::lock_guard lock(mutex_);
  delivery::CoreCommand command;
  command.kind = delivery::CoreCommand::Kind::kTrace;
  command.trace = {.number = ++last_number_,
                   .site = query.site,
                   .source = query.source,
                   .live = query.failures == 0,
                   .failures = query.failures};
  std::vector<bool> awaited(boxes_.size());
  for (std::size_t core = 0; core < boxes_.size(); ++core) {
    command.trace.after = core < query.after.size() ? query.after[core] : 0;
    awaited[core] = post_(core, command);
  }
  auto answers = Collect(command.trace.number, std::move(awaited));
  if (!answers) return std::unexpected(std::move(answers).error());
  return Join(*std::move(answers), query.failures);
}

Result<std::vector<delivery::TraceAnswer>> TraceDesk::Collect(std::uint64_t number, std::vector<bool> awaited) {
  std::vector<delivery::TraceAnswer> answers(boxes_.size());
  const Monotonic deadline = clock_.Read().monotonic + kDeadline;
  for (;;) {
    for (std::size_t core = 0; core < boxes_.size(); ++core) {
      while (delivery::TraceAnswer* answer = boxes_[core]->Peek()) {
        // Those of questions that were given up are thrown away.
        if (answer->number == number) {
          answers[core] = std::move(*answer);
          awaited[core] = false;
        }
        *answer = {};
        boxes_[core]->Pop();
      }
    }
    const auto missing = std::ranges::find(awaited, true);
    if (missing == awaited.end()) return answers;
    const Monotonic now = clock_.Read().monotonic;
    if (now >= deadline) {
      return Fail(ErrorCode::kUnavailable, fmt::format("core {} does not answer; ask again in a moment",
                                                       std::distance(awaited.begin(), missing)));
    }
    waker_.Wait(deadline - now);
  }
}

}  // namespace postrider::engine
