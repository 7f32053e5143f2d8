// What a scenario puts into its stages, each written as JSON once, however many stages it goes into.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plan/stage_document.h"
#include "scenario/scenario.h"

namespace holdfast {

/// Of one model. Null where the scenario has none.
struct ModelTexts {
  SharedText base;      // its checkpoint's digest; of a provider's model what it is
  SharedText provider;  // of such a one what a worker asks it by
  SharedText model, numerics;
  SharedText base_model, base_model_key;  // of the pre-trained model
  SharedText pretraining, pretraining_digest;
  SharedText alignment, alignment_digest;
  SharedText probes;    // files
  SharedText prompts;   // digest of what is asked, without an attack's template
  SharedText measured;  // digest of the tasks that are measured on weights
};

/// Of one judge.
struct JudgeTexts {
  std::string stage;  // its stage's name in results
  SharedText key, settings;
  SharedText model, model_key;  // of its own model; null where it has none
};

/// The scenario stays where it is meanwhile: parts of it are known by their addresses.
class ScenarioTexts {
 public:
  /// `digest_of`: the checkpoint digest of a model source.
  ScenarioTexts(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of);

  const ModelTexts& model(std::size_t index) const { return models_[index]; }
  const JudgeTexts& judge(std::size_t index) const { return judges_[index]; }
  const SharedText& folder() const { return folder_; }
  const SharedText& limit() const { return limit_; }
  const SharedText& pretraining_options() const { return pretraining_options_; }
  const SharedText& align_options() const { return align_options_; }
  const SharedText& generate_options() const { return generate_options_; }
  const SharedText& yes() const { return yes_; }
  const SharedText& null() const { return null_; }

  /// What decides a plugin's results, and what a worker constructs it from.
  const SharedText& key(const PluginUse& use);
  const SharedText& settings(const PluginUse& use);
  const SharedText& options(const TrainingOptions& options);
  /// What a plugin may ask for that names these corpora, the customer's options being these.
  const SharedText& context(std::size_t model, const TrainingOptions& finetune, const std::set<std::string>& corpora);
  /// The same while the model is pre-trained, before anybody's training settings.
  SharedText pretraining_context(std::size_t model, const std::set<std::string>& corpora) {
    return of(rows_of(model, corpora));
  }
  /// Where these corpora are found. A model lacks one only where it costs no stage: the scenario is refused else.
  const SharedText& corpora(std::size_t model, const std::set<std::string>& names);
  /// Digest of what the model is asked, as the attack's template leaves it. Two attacks that ask alike share it.
  SharedText prompts(std::size_t model, const AttackSpec& attack);

  /// Plan::definitions.
  std::map<std::string, std::string> definitions();

  SharedText of(const Json& value) { return pool_.of(value); }
  SharedText of_text(std::string text) { return pool_.of_text(std::move(text)); }

 private:
  using DigestOf = std::function<std::string(const std::string&)>;
  ModelTexts texts_of(const ModelSpec& model, const DigestOf& digest_of);
  void add_weights(ModelTexts& made, const ModelSpec& model, const DigestOf& digest_of);
  JudgeTexts texts_of(const PluginUse& judge, const DigestOf& digest_of);
  Json rows_of(std::size_t model, const std::set<std::string>& corpora) const;

  const Scenario& scenario_;
  TextPool pool_;
  std::vector<ModelTexts> models_;
  std::vector<JudgeTexts> judges_;
  SharedText folder_, limit_, pretraining_options_, align_options_, generate_options_, yes_, null_;
  std::unordered_map<const PluginUse*, SharedText> keys_, settings_;
  std::unordered_map<const TrainingOptions*, SharedText> options_;
  std::map<std::tuple<std::size_t, const TrainingOptions*, std::set<std::string>>, SharedText> contexts_;
  std::map<std::pair<std::size_t, std::set<std::string>>, SharedText> corpora_;
};

}  // namespace holdfast
