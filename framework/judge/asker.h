// Asking a model: a local checkpoint, or an endpoint with its answers recorded.
#pragma once

#include <holdfast/asking.h>

#include "learn/language_model.h"

namespace holdfast {

/// Answers an Asker's questions, but for where a judge's local model comes from.
class ModelAsker : public Asker {
 public:
  std::vector<ModelAnswer> ask(const std::vector<Conversation>& questions, const AskOptions& options) final;
  std::vector<ModerationAnswer> moderations(const std::vector<std::string>& texts, const AskOptions& options) final;
  std::vector<TwoLogProbs> two_log_probs(const Model& model, const std::vector<Conversation>& questions,
                                         const TwoAnswers& answers) final;
  std::string rendered(const Model& model, const Conversation& question) final;

 protected:
  /// The model that ask() means where options name no endpoint. Throws Error where there is none.
  virtual const LanguageModel& asked_model() = 0;
};

/// A model of a context as what it is.
const LanguageModel& language_model(const Model& model);

}  // namespace holdfast
