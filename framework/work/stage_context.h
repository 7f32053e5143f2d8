// What a plugin may ask of the stage it runs in, answered from the stage's request.
#pragma once

#include <holdfast/context.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/json.h"
#include "judge/asker.h"
#include "learn/encoded_rows.h"
#include "learn/training_checkpoint.h"
#include "results/curve.h"
#include "store/kept_numbers.h"
#include "work/stage_request.h"

namespace holdfast {

/// The folder of the store's root where numbers of models are kept.
inline constexpr const char* kKeptNumbers = "kept";

class StageContext final : public Context, public ModelAsker {
 public:
  using Load = std::function<std::shared_ptr<const LanguageModel>(const WeightsRef&)>;
  using Factors = std::function<NamedTensors()>;

  /// `load` gives weights that the stage asks for, when it first asks, and `factors` those of an adapter among them. The n-th
  /// training keeps itself beside `checkpoint`, with n before the extension. `kept` is where numbers of models are kept;
  /// without one they are found anew. The request must outlive it.
  StageContext(const StageRequest& request, Load load, TrainingCheckpoint checkpoint = {}, Factors factors = {},
               std::optional<KeptNumbers> kept = {});

  const Dataset& alignment() const override;
  Dataset corpus(const std::string& name) const override;
  std::string refusal() const override;
  const Model& aligned_model() override;
  const Model& base_model() override;
  const Model& model(const std::filesystem::path& path) override;
  Asker& asker() override { return *this; }
  const TrainingOptions& align_options() const override { return stated(align_options_); }
  const TrainingOptions& finetune_options() const override { return stated(finetune_options_); }
  std::uint64_t seed(const std::string& stream) const override;
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step = {}) override;
  std::vector<double> kept_of_aligned(const std::string& about, const std::function<std::vector<double>()>& find) override;
  void report(const std::string& name, double value, std::int64_t n) override;
  NamedTensors tuned_factors() const override { return factors_ ? factors_() : NamedTensors(); }

  /// What a training could not learn: rows cut at max_length, rows left out because they teach nothing. Nothing where all is
  /// well.
  void report_rows(const EncodedRows& rows);

  /// Of each training of the stage, once it has ended.
  void learned(const std::vector<TrainedStep>& steps);

  const Json& reports() const { return reports_; }
  std::int64_t tokens() const { return tokens_; }
  /// All trainings one after another, their steps counted on.
  const std::vector<CurvePoint>& curve() const { return curve_; }

 protected:
  const LanguageModel& asked_model() override;

 private:
  const WeightsRef& aligned_ref() const;
  static const TrainingOptions& stated(const std::optional<TrainingOptions>& options);

  const StageRequest& request_;
  const Json& task_;
  Load load_;
  Factors factors_;
  std::optional<KeptNumbers> kept_;
  std::shared_ptr<const LanguageModel> aligned_, base_;
  std::map<std::filesystem::path, std::shared_ptr<const LanguageModel>> models_;
  TrainingCheckpoint checkpoint_;
  std::optional<TrainingOptions> align_options_, finetune_options_;
  mutable std::optional<Dataset> alignment_;
  std::int64_t trainings_ = 0;  // each has its own order of rows
  std::int64_t tokens_ = 0;
  std::vector<CurvePoint> curve_;
  Json reports_ = Json::object();
};

}  // namespace holdfast
