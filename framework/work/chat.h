// Questions to a worker that are no stages and leave no artifact.
#pragma once

#include <functional>

#include "work/kept_stages.h"
#include "work/request_lines.h"
#include "work/stages.h"

namespace holdfast {

/// Answers one line of questions after another. A question has an "id", which its answers repeat:
/// {"chat": [{"id", "served", "messages", "options", "seed", "streams"}, ...]}: replies of models whose weights lie on each
/// other, through the serve stages of `served`, the generate stage at the end of a chain. Where one "streams", lines {"id",
/// "text"} come before its answer, which together are its text. The answer: {"text", "cut", "prompt_tokens",
/// "completion_tokens"}. While it is at them it takes {"cancel": id}: that reply ends, and its answer is what there is of it.
/// {"moderate": {"id", "stage", "texts"}}: {"flagged": [...]}, whether the screen stage takes out or changes a row with that
/// user turn; each text is a data set of its own.
/// {"count": {"id", "served", "rows", "max_length"}}: {"tokens": [...]}, of each row as the model's training reads it.
/// The answers have "status" ok and "warm", as those of stages; where a question fails, what failure() says, with "code":
/// "context" where the prompt leaves no room in the context window.
class ChatDesk {
 public:
  using Say = std::function<void(const Json& line)>;

  /// What is given outlives it.
  ChatDesk(StageTools& tools, RequestLines& lines, Say say);

  void answer(const Json& given);

 private:
  Json moderated(const Json& question);
  Json counted(const Json& question);

  StageTools& tools_;
  RequestLines& lines_;
  Say say_;
  KeptStages stages_;
};

}  // namespace holdfast
