#include "tools/sink/refusals.h"

#include "tools/sink/hash.h"

namespace postrider::sink {
namespace {

enum Salt : std::uint64_t { kPermanentSalt = 1, kTemporarySalt = 2, kStageSalt = 3, kVariantSalt = 4 };

Ruling Refuse(Ruling::Kind kind, RefuseAt at, std::uint64_t hash) {
  Ruling ruling;
  ruling.kind = kind;
  ruling.at_content = at == RefuseAt::kContent || (at == RefuseAt::kMixed && Within(Draw(hash, kStageSalt), 0.5));
  ruling.variant = static_cast<std::uint32_t>(Draw(hash, kVariantSalt));
  return ruling;
}

}  // namespace

Ruling Rule(const Behaviour& behaviour, std::uint64_t seed, std::string_view recipient, std::uint32_t attempt,
            std::uint32_t ms_since_first) {
  if (behaviour.permanent_share <= 0 && behaviour.temporary_share <= 0 && behaviour.greylist.count() == 0) return {};
  const std::uint64_t hash = Hash64(seed, recipient);
  if (Within(Draw(hash, kPermanentSalt), behaviour.permanent_share)) {
    return Refuse(Ruling::Kind::kPermanent, behaviour.refuse_at, hash);
  }
  if (std::chrono::milliseconds(ms_since_first) < behaviour.greylist) return {Ruling::Kind::kGreylist, false, 0};
  const std::uint64_t of_attempt = Draw(hash, kTemporarySalt) + attempt * kMixA;
  if (Within(Draw(of_attempt, kTemporarySalt), behaviour.temporary_share)) {
    return Refuse(Ruling::Kind::kTemporary, behaviour.refuse_at, of_attempt);
  }
  return {};
}

}  // namespace postrider::sink
