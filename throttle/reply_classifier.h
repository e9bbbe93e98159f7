#pragma once
// Decides what a reply means: all rules are matched in one pass over its joined text, the first in order whose other
// conditions hold decides, and where none does, the codes alone (Classify in throttle/classify.h). Immutable and
// thread-safe once made; a reload makes a new one. Replies that say yes never come here on the warm path.

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/reply.h"
#include "config/reply_rules.h"
#include "config/verdict.h"

namespace postrider {

struct Judgement {
  Verdict verdict;
  const ReplyRule* rule = nullptr;  // null: no rule matched; lives as long as the classifier
};

class ReplyClassifier {
 public:
  // Reports every rule whose pattern does not compile, that matches one of its own samples not at all, or that an
  // earlier rule hides (all its samples are decided by others), with file:line.
  [[nodiscard]] static std::expected<std::shared_ptr<const ReplyClassifier>, Diagnostics> Make(
      std::vector<ReplyRule> rules);
  virtual ~ReplyClassifier() = default;

  // provider: a name of the provider table, or empty. A stage of kNone meets every stage condition.
  [[nodiscard]] virtual Judgement Classify(const Reply& reply, Stage stage, std::string_view provider) const = 0;
  [[nodiscard]] virtual const std::vector<ReplyRule>& rules() const = 0;
};
using ReplyClassifierPtr = std::shared_ptr<const ReplyClassifier>;

}  // namespace postrider
