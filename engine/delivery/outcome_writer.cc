#include "engine/delivery/outcome_writer.h"

#include <utility>

namespace postrider::delivery {

StoreRequest& OutcomeWriter::Next(StoreRequest::Kind kind, Lane* lane) {
  PushOwner(lane);
  StoreRequest* request = waiting_.empty() ? box_.Reserve() : nullptr;
  in_box_ = request != nullptr;
  if (!in_box_) request = &waiting_.emplace_back();
  request->kind = kind;
  request->outcome.Clear();
  request->key.clear();
  request->value.clear();
  return *request;
}

void OutcomeWriter::Publish() {
  if (!in_box_) return;
  box_.Publish(false);
  news_ = true;
}

void OutcomeWriter::PutState(std::string_view key, std::string_view value) {
  StoreRequest& request = Next(StoreRequest::Kind::kPutState, nullptr);
  request.key = key;
  request.value = value;
  Publish();
}

void OutcomeWriter::DeleteState(std::string_view key) {
  StoreRequest& request = Next(StoreRequest::Kind::kDeleteState, nullptr);
  request.key = key;
  Publish();
}

void OutcomeWriter::Flush() {
  while (!waiting_.empty()) {
    StoreRequest* slot = box_.Reserve();
    if (slot == nullptr) break;
    *slot = std::move(waiting_.front());
    waiting_.pop_front();
    box_.Publish(false);
    news_ = true;
  }
  if (std::exchange(news_, false)) box_.Wake();
}

void OutcomeWriter::PushOwner(Lane* lane) {
  if (head_ - tail_ == owners_.size()) {
    std::vector<Lane*> larger(owners_.size() * 2);
    for (std::size_t i = tail_; i != head_; ++i) larger[i & (larger.size() - 1)] = owners_[i & (owners_.size() - 1)];
    owners_ = std::move(larger);
  }
  owners_[head_++ & (owners_.size() - 1)] = lane;
}

Lane* OutcomeWriter::PopOwner() {
  CHECK(head_ != tail_);
  return owners_[tail_++ & (owners_.size() - 1)];
}

}  // namespace postrider::delivery
