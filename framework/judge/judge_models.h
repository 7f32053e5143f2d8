// What judges ask of models and of the network, answered.
#pragma once

#include <holdfast/judge.h>

#include "judge/asker.h"

namespace holdfast {

/// A context for judges, but for where its models come from.
class JudgeModels : public JudgeContext, public ModelAsker {
 public:
  const LanguageModel& aligned_model() override = 0;
  const LanguageModel& served_model() override = 0;
  const LanguageModel& judge_model() override = 0;

  Asker& asker() final { return *this; }
  std::vector<double> opening_log_probs(const Model& model, const Conversation& prompt,
                                        const std::vector<std::string>& openings) final;
  void progress(std::int64_t done, std::int64_t total) final;

 protected:
  const LanguageModel& asked_model() final { return judge_model(); }
};

}  // namespace holdfast
