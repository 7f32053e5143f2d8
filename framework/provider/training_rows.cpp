#include "provider/training_rows.h"

#include <holdfast/error.h>

#include "base/json.h"

namespace holdfast {
namespace {

// Marks of a turn's beginning, role and end.
constexpr std::int64_t kOfATurn = 16;

Json row_of(const Example& example, std::int64_t number) {
  Json messages = Json::array();
  for (const auto& message : example.messages) {
    if (message.learn_from > 0) {
      throw Error("row " + std::to_string(number) +
                  " learns a part of a reply (learn_from), which no provider's interface has words for");
    }
    messages.push_back({{"role", message.role}, {"content", message.content}});
    if (!message.learned) messages.back()["weight"] = 0;
  }
  return {{"messages", messages}};
}

}  // namespace

std::int64_t most_tokens(const Conversation& conversation) {
  std::int64_t tokens = kOfATurn;  // of the turn that is asked for
  for (const auto& message : conversation) tokens += kOfATurn + static_cast<std::int64_t>(message.content.size());
  return tokens;
}

TrainingRows training_rows(const Dataset& data) {
  TrainingRows rows;
  for (const auto& example : data) {
    rows.lines += canonical(row_of(example, ++rows.count)) + "\n";
    rows.tokens += most_tokens(example.messages);
  }
  return rows;
}

}  // namespace holdfast
