// One stage on its way to an artifact: what all kinds share. Each kind's own work is a function in a file of its name.
#pragma once

#include <holdfast/defense.h>

#include <memory>
#include <string>
#include <vector>

#include "learn/training.h"
#include "learn/weight_change.h"
#include "work/account.h"
#include "work/stage_context.h"
#include "work/stages.h"

namespace holdfast {

class StageWork {
 public:
  /// `made` is the artifact's folder. What is given must outlive it.
  StageWork(const StageRequest& request, StageTools& tools, Account& account, const fs::path& made);

  const StageRequest& request() const { return request_; }
  const Json& task() const { return request_.task; }
  StageContext& context() { return context_; }
  Manifest& manifest() { return manifest_; }
  fs::path made(const std::string& file) const { return made_ / file; }
  /// A file of the input of that role.
  fs::path input(const std::string& role, const std::string& file) const;
  void computes_elsewhere() { account_.computes_elsewhere(); }
  /// A file of the store that is no artifact.
  fs::path beside_artifacts(const std::string& name) const { return tools_.store.root() / name; }
  /// Where relative settings of plugins start.
  fs::path folder() const;

  /// Weights, shared with other stages.
  std::shared_ptr<const LanguageModel> weights(const WeightsRef& ref);
  const WeightsRef& parent_ref() const { return request_.weights.at("weights"); }
  std::shared_ptr<const LanguageModel> parent() { return weights(parent_ref()); }
  /// The parent for whoever changes all weights: without adapters.
  std::shared_ptr<const LanguageModel> whole_parent();

  DefenseStages defense(const Json& settings) const;
  /// The defenses of the task's "plugin", or of its "plugins" where several members of a stack share the stage; none where it
  /// has neither. Beside each its name.
  std::vector<std::pair<std::string, DefenseStages>> defenses() const;

  Dataset input_data() const;
  /// Rows, with where they came from beside them; the digest is that of the rows alone.
  void write_data(const Dataset& data);
  /// The child's weights, as what distinguishes them from the parent's.
  void write_weights(const LanguageModel& parent, const LanguageModel& trained);
  /// The child's weights where they owe nothing to the parent's.
  void write_whole_weights(const LanguageModel& trained);
  /// The child is the parent.
  void write_unchanged();
  /// Trains `model` with the members' steps. `run` says what is drawn with which seed, and from which weights it starts.
  void train(LanguageModel& model, const std::vector<TrainingMember>& members, Dataset data, TrainingRun run);
  /// Trains a model that shares the parent's weights, but for those that training changes, with the members' steps, and writes
  /// it.
  void train(const std::vector<TrainingMember>& members, Dataset data);
  /// A training of the parent's clone by the plain step, for train_together; model and data are the caller's.
  TrainingTask plain_training(LanguageModel& model, const Dataset& data);
  /// What came of a training: its curve and figures.
  void trained(const std::vector<TrainedStep>& steps);

  /// Once all is made: cost and reports of the context join the manifest.
  Manifest finished();
  /// Once the artifact is stored: new weights are kept warm, and their training has nothing left to go on with.
  void keep_warm(const Manifest& stored);

 private:
  NamedTensors tuned_factors() const;
  TrainingRun seeded_run();
  void complete(TrainingRun& run);
  void make_child(const fs::path& change, const LanguageModel& parent);
  void report_moved(const MovedWeights& moved);

  const StageRequest& request_;
  StageTools& tools_;
  Account& account_;
  fs::path made_;
  StageContext context_;
  Manifest manifest_;
  std::shared_ptr<LanguageModel> child_;
};

void pretrain(StageWork& work);
void align(StageWork& work);
void collect(StageWork& work);
void screen(StageWork& work);
void finetune(StageWork& work);
void submit(StageWork& work);
void tamper(StageWork& work);
void repair(StageWork& work);
void generate(StageWork& work);
void judge(StageWork& work);

}  // namespace holdfast
