#include "engine/delivery/trace_book.h"

#include <algorithm>
#include <map>
#include <utility>

namespace postrider::delivery {
namespace {

std::size_t SizeOf(const TraceLine& line) { return TraceBook::kLineOverhead + line.text.size() + line.source.size(); }

}  // namespace

// ---- live

TraceBook::Watch& TraceBook::Find(const TraceRequest& request) {
  const auto found = std::ranges::find_if(
      watches_, [&](const Watch& watch) { return watch.site == request.site && watch.source == request.source; });
  if (found != watches_.end()) return *found;
  if (watches_.size() == kWatches) watches_.erase(std::ranges::min_element(watches_, {}, &Watch::until));
  Watch& watch = watches_.emplace_back();
  watch.site = request.site;
  watch.source = request.source;
  // Numbers go on from those of an earlier watch that ended between two questions, and 0 is none.
  watch.first = std::max<std::uint64_t>(request.after, 1) + 1;
  return watch;
}

void TraceBook::Pass(const TracePlace& place, Wall now, TraceDirection direction, int code, std::string_view text) {
  for (Watch& watch : watches_) {
    if (watch.site != place.site || (!watch.source.empty() && watch.source != place.source)) continue;
    watch.lines.push_back(
        {now, place.connection, direction, std::string(place.source), WithCode(code, text.substr(0, kLineBytes))});
    watch.bytes += SizeOf(watch.lines.back());
    while (watch.bytes > kWatchBytes) {
      watch.bytes -= SizeOf(watch.lines.front());
      watch.lines.pop_front();
      ++watch.first;
    }
  }
}

void TraceBook::Answer(const TraceRequest& request, Monotonic now, TraceAnswer& answer) {
  answer = {};
  answer.number = request.number;
  if (request.live) {
    Watch& watch = Find(request);
    watch.until = now + kWatchFor;
    const std::uint64_t end = watch.first + watch.lines.size();  // the number of the next line
    // A number from another run is as good as none.
    const std::uint64_t wanted = request.after == 0 || request.after >= end ? end : request.after + 1;
    std::uint64_t number = std::max(wanted, watch.first);
    answer.lost = number - wanted;
    for (std::size_t bytes = 0; number < end && bytes < kAnswerBytes; ++number) {
      const TraceLine& line = watch.lines[number - watch.first];
      bytes += SizeOf(line);
      answer.lines.push_back(line);
    }
    answer.next = number - 1;
    answer.more = number < end;
  }
  for (auto failure = failures_.rbegin(); failure != failures_.rend() && answer.failures.size() < request.failures;
       ++failure) {
    const FailedConversation& what = failure->what;
    if (!request.site.empty() && what.site != request.site) continue;
    if (!request.source.empty() && what.source != request.source) continue;
    answer.failures.push_back(what);
    answer.failures.back().lines = failure->transcript.Lines(what.connection, what.source);
  }
}

void TraceBook::Tick(Monotonic now) {
  std::erase_if(watches_, [now](const Watch& watch) { return watch.until <= now; });
}

// ---- failures

// The oldest of the site, if it has its share already; else, if there is no room at all, of the site that has most.
void TraceBook::MakeRoom(std::string_view site) {
  std::map<std::string_view, std::size_t> counts;
  for (const Failure& failure : failures_) ++counts[failure.what.site];
  std::string_view from = site;
  if (counts[site] < kFailuresOfOneSite) {
    if (failures_.size() < kFailures) return;
    const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    from = most->first;
  }
  failures_.erase(std::ranges::find_if(failures_, [from](const Failure& one) { return one.what.site == from; }));
}

void TraceBook::Failed(const TracePlace& place, Wall now, std::string_view problem, const Transcript& transcript) {
  const auto same = std::ranges::find_if(
      failures_, [&](const Failure& failure) { return failure.what.connection == place.connection; });
  Failure failure;
  if (same != failures_.end()) {
    failure = std::move(*same);  // with the capacity of its strings
    failures_.erase(same);
  } else {
    MakeRoom(place.site);
  }
  FailedConversation& what = failure.what;
  what.time = now;
  what.site = place.site;
  what.source = place.source;
  what.connection = place.connection;
  what.host = place.host;
  what.address = place.address;
  what.problem = problem.substr(0, Transcript::kTextBytes);
  failure.transcript = transcript;
  failures_.push_back(std::move(failure));
}

}  // namespace postrider::delivery
