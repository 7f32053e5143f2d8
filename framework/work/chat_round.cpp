#include "work/chat_round.h"

#include <holdfast/error.h>

#include <algorithm>
#include <utility>

#include "data/conversation.h"
#include "learn/training_options.h"
#include "text/thought.h"
#include "work/failure.h"
#include "work/keyed_inputs.h"

namespace holdfast {
namespace {

class NoRoom final : public Error {
 public:
  using Error::Error;
};

// Throws NoRoom where the prompt leaves none for a token.
std::int64_t room_for_reply(const LanguageModel& model, std::int64_t prompt, const std::string& what) {
  const std::int64_t window = model.decoder().config().max_positions;
  if (prompt < window) return window - prompt;
  throw NoRoom("this model's context window has " + std::to_string(window) + " tokens, and " + what + std::to_string(prompt) +
               ", which leaves no room for a reply: shorten the messages");
}

std::int64_t prompt_length(const LanguageModel& model, const Conversation& prompt) {
  return static_cast<std::int64_t>(model.encode_prompt(prompt).size());
}

}  // namespace

// An Error is this question's own; anything else is thrown, for nobody knows what state the process is in.
template <typename Work>
void ChatRound::guarded(Asking& asking, const Work& work) {
  if (asking.done) return;
  const auto fail = [&](const char* code) {
    Json line = failure(std::current_exception());
    if (code != nullptr) line["code"] = code;
    asking.done = true;
    say_(std::move(line), *asking.question);
  };
  try {
    work();
  } catch (const NoRoom&) {
    fail("context");
  } catch (const Error&) {
    fail(nullptr);
  } catch (const CorruptArtifact&) {
    fail(nullptr);
  }
}

void ChatRound::answer(const Json& questions) {
  for (const auto& question : questions) {
    Asking asking{&question, conversation_from_json(question.at("messages")),
                  generate_options_from_json(question.at("options"))};
    asking.options.seed = question.at("seed").get<std::uint64_t>();
    askings_.push_back(std::move(asking));
  }
  try {
    for (auto& asking : askings_) guarded(asking, [&] { begin(asking); });
    generate();
    for (auto& asking : askings_) guarded(asking, [&] { finish(asking); });
  } catch (...) {
    for (auto& asking : askings_) {
      if (!asking.done) say_(failure(std::current_exception()), *asking.question);
    }
  }
}

// Each goes through its stages alone, so that no stage sees what others ask.
void ChatRound::begin(Asking& asking) {
  const StageRequest served = stage_request_from_json(asking.question->at("served"));
  check_inputs(served);
  asking.model = tools_.weights.get(served.weights.at("weights"));
  fit(asking);
  if (has_serve_stages(served)) {
    asking.stage = stages_.of(served);
    const TemporaryFolder folder(tools_.store);
    const TemporaryFiles files(folder.path());
    asking.passage = std::make_unique<Passage>(asking.messages, asking.stage->serve(), asking.stage->context());
    if (asking.prompt() != nullptr) fit(asking);
  } else if (asking.question->at("streams").get<bool>()) {
    const std::string rendered = asking.model->chat().render(asking.messages, true);
    asking.pieces.emplace(asking.model->tokenizer(), std::string(opened_thought(rendered)));
  }
}

void ChatRound::fit(Asking& asking) {
  const std::int64_t length = prompt_length(*asking.model, *asking.prompt());
  const char* what = asking.passage ? "with what serving adds to them the messages have " : "the messages have ";
  if (!asking.passage) asking.prompt_tokens = length;
  asking.options.max_new_tokens = std::min(asking.options.max_new_tokens, room_for_reply(*asking.model, length, what));
  asking.options.batch_size = 1;  // each is a member of the batch
}

void ChatRound::generate() {
  std::vector<Asking*> open;
  for (auto& asking : askings_) {
    if (!asking.done && asking.prompt() != nullptr) open.push_back(&asking);
  }
  while (!open.empty()) generate(take_of_one_forward(open));
}

// Those that lie on the memory of the first one's weights, unless a stage listens in them.
std::vector<ChatRound::Asking*> ChatRound::take_of_one_forward(std::vector<Asking*>& open) const {
  const LanguageModel& first = *open.front()->model;
  const auto others = std::stable_partition(open.begin() + 1, open.end(), [&](const Asking* asking) {
    return first.listeners().empty() && asking->model->listeners().empty() &&
           asking->model->decoder().has_weights_of(first.decoder());
  });
  std::vector<Asking*> together(open.begin(), others);
  open.erase(open.begin(), others);
  return together;
}

void ChatRound::generate(std::vector<Asking*> together) {
  std::vector<LanguageModel::Questions> questions;
  for (const Asking* asking : together) questions.push_back({asking->model.get(), {*asking->prompt()}, asking->options});
  growing_ = std::move(together);
  auto answers = LanguageModel::generate_together(questions, this);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    guarded(*growing_[i], [&] {
      if (answers[i].error) std::rethrow_exception(answers[i].error);
      take(*growing_[i], std::move(answers[i].replies.front()));
    });
  }
}

// One without serve stages has its answer as soon as its reply has ended, whatever the others still do.
bool ChatRound::grown(std::size_t member, std::size_t, const std::vector<std::int64_t>& reply, bool ended) {
  hear_cancels();
  Asking& asking = *growing_[member];
  guarded(asking, [&] {
    if (asking.pieces && !ended) stream(asking, asking.pieces->next(reply));
    if (asking.stage || (!ended && !asking.ended)) return;
    take(asking, asking.model->generated(asking.messages, asking.options, reply));
    finish(asking);
  });
  return !asking.done && !asking.ended;
}

void ChatRound::take(Asking& asking, Generated reply) {
  asking.completion_tokens = static_cast<std::int64_t>(reply.ids.size());
  asking.reply = {std::move(reply.text), reply.cut};
}

// What no stage has seen goes to nobody.
void ChatRound::finish(Asking& asking) {
  if (asking.ended && asking.stage) {
    asking.reply = {};
  } else if (asking.passage) {
    const TemporaryFolder folder(tools_.store);
    const TemporaryFiles files(folder.path());
    asking.reply = asking.passage->out(std::move(asking.reply));
    if (asking.question->at("streams").get<bool>()) stream(asking, asking.reply.text);
  } else if (asking.pieces) {
    stream(asking, asking.pieces->rest(asking.reply.text));
  }
  say_({{"status", "ok"},
        {"text", asking.reply.text},
        {"cut", asking.reply.cut},
        {"prompt_tokens", asking.prompt_tokens},
        {"completion_tokens", asking.completion_tokens}},
       *asking.question);
  asking.done = true;
}

void ChatRound::stream(Asking& asking, const std::string& piece) {
  if (!piece.empty()) say_({{"text", piece}}, *asking.question);
}

void ChatRound::hear_cancels() {
  while (auto line = lines_.arrived()) {
    if (!line->contains("cancel")) {
      lines_.put_back(std::move(*line));
      continue;
    }
    for (auto& asking : askings_) asking.ended = asking.ended || asking.question->at("id") == line->at("cancel");
  }
}

}  // namespace holdfast
