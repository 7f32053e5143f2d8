// How a judge asks its model: a local checkpoint, or an endpoint with its answers recorded.
#pragma once

#include <holdfast/params.h>

#include <vector>

#include "base/file.h"
#include "judge/chat_endpoint.h"
#include "judge/judge.h"

namespace holdfast {

/// The local model of a judge, from the settings "model", "device" and "dtype". Its content enters the stage key, not its path.
JudgeNeeds local_model(const std::string& model, Params& params);

/// Throws Error when the judge's model cannot take a question, with its answer, of so many tokens.
void check_fits(const LanguageModel& model, std::size_t tokens);

class Asker {
 public:
  /// Reads the settings that say where the model is and how it is asked; mistakes are noted there.
  explicit Asker(Params& params);

  JudgeNeeds needs() const { return needs_; }

  /// One answer a conversation, in order; equal ones are asked once, and decoding is greedy. Throws Error when the endpoint
  /// does not answer, or when `replay` is set and the recording lacks an answer.
  std::vector<Answer> ask(const std::vector<Conversation>& conversations, JudgeContext& context) const;

 private:
  void read_endpoint(Params& params);
  void read_key(Params& params, const std::string& variable);
  Json body(const Conversation& conversation) const;
  std::vector<Answer> ask_local(const std::vector<Conversation>& conversations, const LanguageModel& model) const;
  std::vector<Answer> ask_endpoint(const std::vector<Json>& bodies) const;

  std::string model_;
  std::int64_t max_tokens_ = 0;
  JudgeNeeds needs_;             // names a local model, or nothing
  std::int64_t batch_size_ = 0;  // of the local model
  ChatEndpoint endpoint_;        // its url is empty for a local model
  fs::path recording_;           // empty: none
  bool replay_ = false;
};

}  // namespace holdfast
