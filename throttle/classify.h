#pragma once
// What a reply means, by its codes and the stage of the conversation; the words of the text count only where they tell
// that a 5xx speaks about us. Careful in one direction: only a reply about a recipient may bounce one, and nothing that
// may speak about our address, our sender or our rate does. Pure.

#include "config/reply.h"
#include "config/verdict.h"

namespace postrider {

// A reply with code 0 stands for none at all: the connection failed, broke or timed out at that stage.
[[nodiscard]] Verdict Classify(const Reply& reply, Stage stage);

}  // namespace postrider
