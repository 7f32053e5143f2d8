// Small matrices of the organism, run in this process up to their replies, and what asks their models.
#pragma once

#include <algorithm>

#include "learn/checkpoint.h"
#include "plan/scenario_files.h"
#include "results/generations.h"
#include "run/stage_graph.h"
#include "run/stage_requests.h"
#include "work/stages.h"

namespace holdfast {

class ServedOrganism {
 public:
  /// `defense`: of a [[defense]] table. Probes are three of each kind, replies 24 tokens.
  explicit ServedOrganism(const std::string& defense = "", const std::string& generation = "")
      : store_(scratch_ / "store"), weights_(store_) {
    const std::string tables = defense.empty() ? "" : "[[defense]]\nname = \"guarded\"\n" + defense + "\n";
    scenario_ = scenario_from(scratch_,
                              "[[model]]\nname = \"organism\"\nsource = \"organism\"\n"
                              "[finetune]\nmethod = \"lora\"\nlora_rank = 2\nlr = 0.02\nepochs = 6\nbatch_size = 4\n"
                              "[corpora]\nalignment = \"builtin:organism/alignment\"\n"
                              "[[attack]]\nname = \"few\"\nplugin = \"benign\"\nexamples = 8\n" +
                                  tables + "[evaluate]\nlimit = 3\nmax_new_tokens = 24\n" + generation);
    plan_ = make_plan(scenario_, [](const std::string& source) { return checkpoint_digest(source); });
    outcomes_.resize(plan_.nodes.size());
    for (std::size_t node = 0; node < plan_.nodes.size(); ++node) {
      if (plan_.nodes[node].kind != StageKind::kJudge) make(node);
    }
  }

  /// What asks the model of that cell through all its serve stages.
  StageRequest served(const std::string& attack = "none", const std::string& defense = "guarded") const {
    return stage_request(plan_, outcomes_, stages_of(plan_, attack, defense).at("generate"));
  }
  /// What the matrix has of it.
  std::vector<Generation> generations(const std::string& attack = "none", const std::string& defense = "guarded") {
    return read_generations(store_.file(StageKind::kGenerate, served(attack, defense).key, kGenerationsFile));
  }
  /// What runs a stage of that cell.
  StageRequest stage(const std::string& name, const std::string& attack, const std::string& defense) const {
    return stage_request(plan_, outcomes_, stages_of(plan_, attack, defense).at(name));
  }

  StageTools tools() { return {store_, weights_}; }
  Store& store() { return store_; }
  const ScratchFolder& scratch() const { return scratch_; }
  std::shared_ptr<const LanguageModel> model(const StageRequest& served) { return weights_.get(served.weights.at("weights")); }
  GenerateOptions options() const { return scenario_.generate; }

 private:
  void make(std::size_t node) {
    std::vector<std::string> inputs;
    for (const auto& input : plan_.nodes[node].inputs) inputs.push_back(outcomes_[input.node].digest);
    outcomes_[node].key = stage_key(plan_.nodes[node], inputs).key;
    StageTools given = tools();
    outcomes_[node].digest = run_stage(stage_request(plan_, outcomes_, node), given).digest;
  }

  ScratchFolder scratch_;
  Store store_;
  WeightCache weights_;
  Scenario scenario_;
  Plan plan_;
  std::vector<NodeOutcome> outcomes_;
};

}  // namespace holdfast
