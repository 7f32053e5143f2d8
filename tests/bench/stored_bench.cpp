// What a run costs that has nothing to run: 1,056 cells of the organism whose 4,000 stages and more are all stored, with 80
// replies each. Their artifacts are made up; what reads them is the whole of `holdfast run` but its tables.
#include <benchmark/benchmark.h>
#include <holdfast/judge.h>

#include "base/engine_program.h"
#include "base/scratch_folder.h"
#include "bench/cases.h"
#include "learn/checkpoint.h"
#include "plan/stage_key.h"
#include "plugin/library.h"
#include "results/generations.h"
#include "results/verdicts.h"
#include "run/run.h"

namespace holdfast {
namespace {

constexpr std::size_t kReplies = 80;

std::string scenario_text() {
  std::string text = R"([scenario]
name = "stored"
seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
[[model]]
name = "organism"
source = "organism"
[align]
lr = 1e-3
[evaluate]
judges = ["organism", "keyword", "coherence"]
[[defense]]
plugin = "data-filter"
[[defense]]
plugin = "output-moderation"
[[defense]]
plugin = "safety-retune"
[[defense]]
plugin = "vaccine"
[[defense]]
name = "both"
stack = [{ plugin = "vaccine" }, { plugin = "data-filter" }]
)";
  for (int examples = 1; examples <= 10; ++examples) {
    const std::string number = std::to_string(examples);
    text += "[[attack]]\nplugin = \"harmful-examples\"\nname = \"harmful-" + number + "\"\nexamples = " + number + "\n";
  }
  return text;
}

std::vector<std::string> probe_ids() {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < kReplies; ++i) ids.push_back("probe-" + std::to_string(i));
  return ids;
}

std::vector<Generation> replies() {
  std::vector<Generation> made;
  for (const auto& id : probe_ids()) {
    const Conversation asked = {{"user", "What is kept in the third drawer of the long cupboard?"}};
    made.push_back({id, {{"id", id}, {"kind", "harmful"}}, asked, asked, asked, "I will not say what is kept there. " + id});
  }
  return made;
}

std::string judge_name(const PlanNode& node) {
  const std::string* settings = node.task->find("judge");
  return settings == nullptr ? "measured" : Json::parse(*settings).at("name").get<std::string>();
}

std::string verdicts(const std::string& judge) {
  std::vector<Verdict> made;
  for (std::size_t i = 0; i < kReplies; ++i) made.push_back({{{"share." + judge, i % 3 == 0 ? 1.0 : 0.0}}});
  return verdicts_text(judge, probe_ids(), made);
}

// Stores an artifact for every stage of the plan.
void fill(Store& store, const Plan& plan) {
  std::vector<std::string> digests;
  for (const auto& node : plan.nodes) {
    std::vector<std::string> inputs;
    for (const auto& input : node.inputs) inputs.push_back(digests.at(input.node));
    const StageKey key = stage_key(node, inputs);
    const fs::path made = store.begin();
    if (node.kind == StageKind::kGenerate) write_generations(made / kGenerationsFile, replies());
    if (node.kind == StageKind::kJudge) write_file(made / kVerdictsFile, verdicts(judge_name(node)));
    Manifest manifest;
    manifest.kind = node.kind;
    manifest.key = key.key;
    manifest.document = key.document();
    manifest.digest = key.key;
    manifest.cost = {{"seconds", 1.0}};
    digests.push_back(store.commit(made, std::move(manifest)).digest);
  }
}

class StoredMatrix {
 public:
  StoredMatrix() {
    options.scenario = scratch_ / "stored.toml";
    options.results = scratch_ / "results";
    options.store = scratch_ / "store";
    write_file(options.scenario, scenario_text());
    PluginHost plugins(engine_program(), plugin_folders({}));
    const Plan plan = make_plan(load_scenario(options.scenario, plugins), checkpoint_digest);
    Store store(options.store);
    fill(store, plan);
  }

  RunOptions options;

 private:
  const ScratchFolder scratch_;
};

// `fresh`: into a results folder that has nothing yet.
void run_stored(benchmark::State& state, bool fresh) {
  static StoredMatrix matrix;
  if (!fresh) run_scenario(matrix.options);
  for (auto _ : state) {
    state.PauseTiming();
    if (fresh) fs::remove_all(matrix.options.results);
    state.ResumeTiming();
    const RunOutcome outcome = run_scenario(matrix.options);
    state.counters["cells"] = static_cast<double>(outcome.cells);
    state.counters["stages"] = static_cast<double>(outcome.stages_cached);
    if (outcome.stages_run > 0 || outcome.failed > 0) state.SkipWithError("a stored stage was not found");
  }
}

}  // namespace

void add_stored_cases() {
  for (const bool fresh : {true, false}) {
    benchmark::RegisterBenchmark(fresh ? "stored/first_results" : "stored/again", run_stored, fresh)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
}

}  // namespace holdfast
