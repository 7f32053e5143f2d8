// What a server's reply to a request for a chat completion or a moderation means.
#pragma once

#include <holdfast/asking.h>

#include <optional>
#include <string>

#include "judge/answer.h"
#include "judge/http.h"

namespace holdfast {

/// A reply read as a completion: the answer, or what is wrong with it and whether asking again can help.
struct Completion {
  std::optional<Answer> answer;
  std::string trouble;
  bool again = false;
};

/// Reads what OpenAI's service, Azure's and the gateways that copy them are known to say. A request that is turned down for
/// what it says (content filters, moderation, a refusal) is an answer, with the reason in `declined`. Any other error of the
/// request (a wrong key, an unknown model, a used up quota) is trouble for good; rate limits, server errors and what is no
/// completion may pass.
Completion read_completion(const HttpReply& reply);

/// A reply read as the moderation of one text: the answer's text is {"flagged", "scores"} as JSON. Trouble is told as there.
Completion read_moderation(const HttpReply& reply);
/// Such an answer, maybe from a recording. Throws Error for one that is none.
ModerationAnswer moderation_from(const Answer& answer);

}  // namespace holdfast
