// What judges ask of models and of the network, answered.
#pragma once

#include <holdfast/judge.h>

#include "learn/language_model.h"

namespace holdfast {

/// A context for judges, but for where its models come from.
class JudgeModels : public JudgeContext {
 public:
  const LanguageModel& aligned_model() override = 0;
  const LanguageModel& served_model() override = 0;
  const LanguageModel& judge_model() override = 0;

  std::vector<ModelAnswer> ask(const std::vector<Conversation>& questions, const AskOptions& options) final;
  std::vector<TwoLogProbs> two_log_probs(const std::vector<Conversation>& questions, const TwoAnswers& answers) final;
  std::vector<double> opening_log_probs(const Model& model, const Conversation& prompt,
                                        const std::vector<std::string>& openings) final;
  std::string rendered(const Conversation& question) final;
  void progress(std::int64_t done, std::int64_t total) final;
};

/// A model of a JudgeModels as what it is.
const LanguageModel& language_model(const Model& model);

}  // namespace holdfast
