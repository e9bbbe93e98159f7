#pragma once
// Decides what a reply means: one pass over its joined text finds the literals that rules need, which leaves a dozen of
// hundreds of patterns to try; of those that match, the first rule in order whose other conditions hold decides, and
// where none does, the codes alone (Classify in throttle/classify.h). Immutable and thread-safe once made; a reload
// makes a new one. The time is linear in the text, of which 4 KB count. Replies that say yes never come here on the
// warm path.

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/provider.h"
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
  // Reports, with file:line and what to do, every pattern that does not compile and every sample that is not decided by
  // its own rule: because it does not meet the rule's conditions, or because an earlier rule of the same file takes it.
  // (What the operator's rules take from the shipped ones is the operator's will.)
  [[nodiscard]] static std::expected<std::shared_ptr<const ReplyClassifier>, Diagnostics> Make(
      std::vector<ReplyRule> rules);
  // The operator's file, if any, and the shipped rules behind it (LoadReplyRules).
  [[nodiscard]] static std::expected<std::shared_ptr<const ReplyClassifier>, Diagnostics> Load(
      const std::filesystem::path& operators_file, const ProviderTable& providers);
  virtual ~ReplyClassifier() = default;

  // provider: a name of the provider table, or empty. A stage of kNone meets every stage condition,
  // and the codes alone then speak as after RCPT.
  [[nodiscard]] virtual Judgement Classify(const Reply& reply, Stage stage, std::string_view provider) const = 0;
  [[nodiscard]] virtual const std::vector<ReplyRule>& rules() const = 0;
};
using ReplyClassifierPtr = std::shared_ptr<const ReplyClassifier>;

}  // namespace postrider
