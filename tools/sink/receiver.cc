#include "tools/sink/receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace postrider::sink {
namespace {

void Toggle(std::vector<std::string>& keywords, std::string_view keyword, std::optional<bool> wanted) {
  if (!wanted) return;
  const auto found = std::ranges::find(keywords, keyword);
  if (*wanted && found == keywords.end()) keywords.emplace_back(keyword);
  if (!*wanted && found != keywords.end()) keywords.erase(found);
}

Offer MakeOffer(std::vector<std::string> keywords, const Behaviour& behaviour, bool tls) {
  const bool auth = !behaviour.auth_user.empty() && (tls || behaviour.auth_without_tls);
  if (tls || behaviour.tls == TlsMode::kNone) Toggle(keywords, "STARTTLS", false);
  if (auth) keywords.emplace_back("AUTH PLAIN LOGIN");

  const auto has = [&](std::string_view keyword) {
    return std::ranges::any_of(keywords, [&](const std::string& k) { return k == keyword; });
  };
  Offer offer;
  offer.pipelining = has("PIPELINING");
  offer.chunking = has("CHUNKING");
  offer.binary_mime = has("BINARYMIME");
  offer.eight_bit_mime = has("8BITMIME");
  offer.smtputf8 = has("SMTPUTF8");
  offer.dsn = has("DSN");
  offer.start_tls = has("STARTTLS");
  offer.auth = auth;
  offer.size = std::ranges::any_of(keywords, [](const std::string& k) { return k.starts_with("SIZE "); });
  for (std::size_t i = 0; i < keywords.size(); ++i) {
    offer.lines += fmt::format("250{}{}\r\n", i + 1 == keywords.size() ? ' ' : '-', keywords[i]);
  }
  return offer;
}

// What the settings leave open.
void TakeUsualLimits(Behaviour& behaviour, const Personality& personality) {
  Limits& limits = behaviour.limits;
  const Limits& usual = personality.usual_limits;
  if (behaviour.message_cap == 0) behaviour.message_cap = personality.usual_message_cap;
  if (limits.connections == 0) limits.connections = usual.connections;
  if (limits.site_connections == 0) limits.site_connections = usual.site_connections;
  if (limits.connects.empty()) limits.connects = usual.connects;
  if (limits.messages.empty()) limits.messages = usual.messages;
  if (limits.penalty.count() == 0) limits.penalty = usual.penalty;
}

}  // namespace

Result<Receiver> MakeReceiver(std::uint16_t index, const ListenOptions& listen, const Options& options) {
  Result<Personality> personality = MakePersonality(listen.personality);
  if (!personality) return Fail(fmt::format("--listen {}", ToString(listen.address)), personality.error());
  const Behaviour& behaviour = listen.behaviour;
  if (behaviour.down_for.count() > 0 && behaviour.down_mode == DownMode::kRefuse && listen.address.port == 0) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("--listen {}: an address that is down at first needs a fixed port: the system chooses one "
                            "only once it is listened on (or use down-for=DURATION:close)",
                            ToString(listen.address)));
  }
  if (behaviour.auth_required && behaviour.auth_user.empty()) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("--listen {}: auth-required needs auth=USER:PASSWORD", ToString(listen.address)));
  }

  Receiver receiver;
  receiver.index = index;
  receiver.options = listen;
  receiver.personality = std::move(*personality);
  receiver.recipients_max = options.recipients_per_message_max;
  if (behaviour.usual_limits) TakeUsualLimits(receiver.options.behaviour, receiver.personality);
  receiver.message_limit_bytes = options.message_bytes_max;

  std::vector<std::string>& keywords = receiver.personality.keywords;
  Toggle(keywords, "STARTTLS", behaviour.tls != TlsMode::kNone);
  Toggle(keywords, "PIPELINING", behaviour.pipelining);
  Toggle(keywords, "CHUNKING", behaviour.chunking);
  Toggle(keywords, "8BITMIME", behaviour.eight_bit_mime);
  Toggle(keywords, "SMTPUTF8", behaviour.smtputf8);
  if (behaviour.chunking == false) Toggle(keywords, "BINARYMIME", false);  // RFC 3030: only with BDAT

  const auto size = std::ranges::find_if(keywords, [](const std::string& k) { return k.starts_with("SIZE "); });
  if (behaviour.size && size != keywords.end()) {
    if (*behaviour.size == 0) {
      keywords.erase(size);
    } else {
      *size = fmt::format("SIZE {}", *behaviour.size);
    }
  }
  for (const std::string& keyword : keywords) {
    if (!keyword.starts_with("SIZE ")) continue;
    std::uint64_t announced = 0;
    std::from_chars(keyword.data() + 5, keyword.data() + keyword.size(), announced);
    receiver.message_limit_bytes = std::min(receiver.message_limit_bytes, announced);
  }
  receiver.in_the_clear = MakeOffer(keywords, behaviour, false);
  receiver.in_tls = MakeOffer(keywords, behaviour, true);
  return receiver;
}

Result<ClientLimitsList> ShareLimits(std::span<Receiver> receivers) {
  ClientLimitsList all;
  std::map<std::string, ClientLimits*> by_provider;
  for (Receiver& receiver : receivers) {
    const Behaviour& behaviour = receiver.options.behaviour;
    ClientLimits* shared = nullptr;
    if (const auto known = by_provider.find(behaviour.provider); known != by_provider.end()) shared = known->second;
    const bool first = !by_provider.contains(behaviour.provider);
    if (!first && (shared != nullptr ? shared->limits() : Limits{}) != behaviour.limits) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("--listen {}: another address of provider {} has other limits of a client; addresses of "
                              "one provider need the same",
                              ToString(receiver.options.address), behaviour.provider));
    }
    if (shared == nullptr && behaviour.limits.any()) {
      shared = all.emplace_back(std::make_unique<ClientLimits>(behaviour.limits)).get();
    }
    if (!behaviour.provider.empty()) by_provider[behaviour.provider] = shared;
    receiver.limits = shared;
  }
  return all;
}

}  // namespace postrider::sink
