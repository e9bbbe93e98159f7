#include "engine/reader_loop.h"

#include <utility>
#include <variant>

namespace postrider::engine {
namespace {

delivery::ReadAnswer Answer(queue::JobStore& store, const delivery::ReadRequest& request) {
  delivery::ReadAnswer answer;
  if (const auto* scan = std::get_if<queue::DomainScanRequest>(&request.what)) {
    if (auto result = store.ScanDomains(*scan)) {
      answer.what = *std::move(result);
    } else {
      answer.error = std::move(result).error();
    }
  } else if (const auto* take = std::get_if<queue::TakeRequest>(&request.what)) {
    answer.domain = take->domain;
    if (auto result = store.Take(*take)) {
      answer.what = *std::move(result);
    } else {
      answer.error = std::move(result).error();
    }
  }
  return answer;
}

}  // namespace

void ReaderLoop::RunOnce(std::chrono::nanoseconds max_wait) {
  bool served = false;
  for (CoreEnd& core : cores_) {
    while (Serve(core)) served = true;
  }
  if (!served) waker_.Wait(max_wait);
}

bool ReaderLoop::Serve(CoreEnd& core) {
  delivery::ReadRequest* request = core.requests.Peek();
  if (request == nullptr) return false;
  // A core that does not empty its box has more work than it needs; its requests wait here.
  delivery::ReadAnswer* slot = core.answers.Reserve();
  if (slot == nullptr) return false;
  *slot = Answer(store_, *request);
  core.answers.Publish();
  core.requests.Pop();
  return true;
}

}  // namespace postrider::engine
