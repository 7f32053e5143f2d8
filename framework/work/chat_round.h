// Chat questions that a worker answers together.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "learn/generate.h"
#include "learn/reply_text.h"
#include "work/kept_stages.h"
#include "work/request_lines.h"

namespace holdfast {

class ChatRound final : private ReplyListener {
 public:
  /// Says a line for a question, which has its "id".
  using Say = std::function<void(Json line, const Json& question)>;

  ChatRound(StageTools& tools, KeptStages& stages, RequestLines& lines, Say say)
      : tools_(tools), stages_(stages), lines_(lines), say_(std::move(say)) {}

  /// Each has its answer in the end (ChatDesk).
  void answer(const Json& questions);

 private:
  struct Asking {
    const Json* question;
    Conversation messages;
    GenerateOptions options;
    std::shared_ptr<const LanguageModel> model = {};
    std::shared_ptr<KeptStage> stage = {};  // null: no serve stages
    std::unique_ptr<Passage> passage = {};
    std::optional<ReplyPieces> pieces = {};  // of one that streams
    std::int64_t prompt_tokens = 0, completion_tokens = 0;
    Passage::Reply reply = {};
    bool ended = false, done = false;  // ended early; has its answer

    const Conversation* prompt() const { return passage ? passage->prompt() : &messages; }
  };

  template <typename Work>
  void guarded(Asking& asking, const Work& work);
  void begin(Asking& asking);
  void fit(Asking& asking);
  void generate();
  std::vector<Asking*> take_of_one_forward(std::vector<Asking*>& open) const;
  void generate(std::vector<Asking*> together);
  bool grown(std::size_t member, std::size_t prompt, const std::vector<std::int64_t>& reply, bool ended) override;
  void take(Asking& asking, Generated reply);
  void finish(Asking& asking);
  void stream(Asking& asking, const std::string& piece);
  void hear_cancels();

  StageTools& tools_;
  KeptStages& stages_;
  RequestLines& lines_;
  Say say_;
  std::vector<Asking> askings_;
  std::vector<Asking*> growing_;  // those that are generated now
};

}  // namespace holdfast
