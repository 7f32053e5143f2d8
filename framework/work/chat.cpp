#include "work/chat.h"

#include <holdfast/error.h>

#include <algorithm>
#include <utility>

#include "data/conversation.h"
#include "work/chat_round.h"
#include "work/failure.h"
#include "work/keyed_inputs.h"

namespace holdfast {

ChatDesk::ChatDesk(StageTools& tools, RequestLines& lines, Say say)
    : tools_(tools), lines_(lines), say_(std::move(say)), stages_(tools) {}

void ChatDesk::answer(const Json& given) {
  const auto said = [&](Json line, const Json& question) {
    line["id"] = question.at("id");
    if (line.contains("status")) line["warm"] = tools_.weights.digests();
    say_(line);
  };
  if (given.contains("chat")) return ChatRound(tools_, stages_, lines_, said).answer(given.at("chat"));
  if (given.contains("cancel")) return;  // one that had its answer already
  const bool moderates = given.contains("moderate");
  const Json& question = given.at(moderates ? "moderate" : "count");
  try {
    said(moderates ? moderated(question) : counted(question), question);
  } catch (...) {
    said(failure(std::current_exception()), question);
  }
}

Json ChatDesk::moderated(const Json& question) {
  const StageRequest request = stage_request_from_json(question.at("stage"));
  check_inputs(request);
  const auto stage = stages_.of(request);
  const TemporaryFolder folder(tools_.store);
  const TemporaryFiles files(folder.path());
  std::vector<bool> flagged;
  for (const auto& text : question.at("texts")) {
    const Example row{{{"user", text.get<std::string>()}}};
    const Dataset kept = stage->screen().screen({row}, stage->context());
    flagged.push_back(std::find(kept.begin(), kept.end(), row) == kept.end());
  }
  return {{"status", "ok"}, {"flagged", flagged}};
}

Json ChatDesk::counted(const Json& question) {
  const StageRequest served = stage_request_from_json(question.at("served"));
  check_inputs(served);
  const auto model = tools_.weights.get(served.weights.at("weights"));
  std::vector<std::size_t> tokens;
  for (const auto& row : question.at("rows")) {
    try {
      tokens.push_back(model->encode(conversation_from_json(row), question.at("max_length").get<std::int64_t>()).ids.size());
    } catch (const Error& error) {
      throw Error("row " + std::to_string(tokens.size() + 1) + ": " + error.what());
    }
  }
  return {{"status", "ok"}, {"tokens", tokens}};
}

}  // namespace holdfast
