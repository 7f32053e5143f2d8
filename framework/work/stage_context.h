// What a plugin may ask of the stage it runs in, answered from the stage's request.
#pragma once

#include <holdfast/context.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/json.h"
#include "learn/encoded_rows.h"
#include "learn/training_checkpoint.h"

namespace holdfast {

class StageContext final : public Context {
 public:
  /// `task` is the request's; `aligned` makes the aligned model on first use, or is empty where the stage may not ask. The n-th
  /// training keeps itself beside `checkpoint`, with n before the extension.
  StageContext(const Json& task, std::function<std::shared_ptr<const LanguageModel>()> aligned,
               TrainingCheckpoint checkpoint = {});

  const Dataset& alignment() const override;
  Dataset corpus(const std::string& name) const override;
  std::string refusal() const override;
  const Model& aligned_model() override;
  const TrainingOptions& align_options() const override { return align_options_; }
  const TrainingOptions& finetune_options() const override { return finetune_options_; }
  std::uint64_t seed(const std::string& stream) const override;
  void train(Model& model, const Dataset& data, const TrainingOptions& options) override;
  void report(const std::string& name, double value, std::int64_t n) override;

  /// What a training could not learn: rows cut at max_length, rows left out because they teach nothing. Nothing where all is
  /// well.
  void report_rows(const EncodedRows& rows);

  const Json& reports() const { return reports_; }
  std::int64_t tokens() const { return tokens_; }

 private:
  const Json& task_;
  std::function<std::shared_ptr<const LanguageModel>()> make_aligned_;
  std::shared_ptr<const LanguageModel> aligned_;
  TrainingCheckpoint checkpoint_;
  TrainingOptions align_options_, finetune_options_;
  mutable std::optional<Dataset> alignment_;
  std::int64_t trainings_ = 0;  // each has its own order of rows
  std::int64_t tokens_ = 0;
  Json reports_ = Json::object();
};

}  // namespace holdfast
