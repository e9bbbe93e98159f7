#include "engine/smtp/conversation.h"

#include <utility>

#include "engine/smtp/machine.h"

namespace postrider::smtp {

Conversation::Conversation(ConversationSettings settings, ConversationOwner& owner, Monotonic now)
    : machine_(std::make_unique<Machine>(std::move(settings), owner, now)) {}
Conversation::~Conversation() = default;

void Conversation::Receive(std::string_view bytes, Monotonic now) { machine_->Receive(bytes, now); }
void Conversation::Begin(Monotonic now) { machine_->Begin(now); }
void Conversation::TlsReady(Monotonic now) { machine_->TlsReady(now); }
void Conversation::TlsFailed(std::string problem) { machine_->TlsFailed(std::move(problem)); }
void Conversation::ConnectionLost(std::string problem) { machine_->ConnectionLost(std::move(problem)); }
void Conversation::Flushed(Monotonic now) { machine_->Flushed(now); }
void Conversation::Tick(Monotonic now) { machine_->Tick(now); }
void Conversation::Quit(Monotonic now) { machine_->Quit(now); }

ConversationState Conversation::state() const { return machine_->state(); }
const ConversationEnd& Conversation::end() const { return machine_->end(); }
const ServerOffer& Conversation::offer() const { return machine_->offer(); }
Monotonic Conversation::deadline() const { return machine_->deadline(); }
bool Conversation::tls() const { return machine_->tls(); }
std::uint64_t Conversation::messages() const { return machine_->messages(); }
std::string& Conversation::out() { return machine_->out(); }

}  // namespace postrider::smtp
