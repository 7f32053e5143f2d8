// Rows as fine-tuning services take them.
#pragma once

#include <holdfast/dataset.h>

#include <cstdint>
#include <string>

namespace holdfast {

/// A file of JSON lines, {"messages": [{"role", "content"}, ...]}: nothing else of a row leaves this machine.
struct TrainingRows {
  std::string lines;
  std::int64_t count = 0;
  std::int64_t tokens = 0;  // that a pass over them has at most: a token is at least a byte, and a turn has some of its own
};

/// Throws Error for a row that a service has no words for.
TrainingRows training_rows(const Dataset& data);

/// Tokens that a conversation has at most.
std::int64_t most_tokens(const Conversation& conversation);

}  // namespace holdfast
