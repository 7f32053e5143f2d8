// How a matrix grows: planning, resolving and running 1,000 to 100,000 cells whose stages take no time. Time and memory are to
// grow as the cells do. The matrix is made up: no plugin is loaded, and what stands for one only has settings.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "bench/cases.h"
#include "fakes/workers.h"
#include "plan/estimate.h"
#include "plan/plan.h"
#include "plan/stage_key.h"
#include "run/executor.h"

namespace holdfast {
namespace {

struct Shape {
  std::int64_t cells;
  std::size_t models, attacks, defenses, seeds;
};

constexpr Shape kShapes[] = {{1'000, 2, 5, 10, 10}, {10'000, 2, 20, 25, 10}, {100'000, 4, 50, 50, 10}};

PluginUse plugin(const std::string& name, unsigned stages) {
  PluginUse use{name, 1, stages};
  use.values = {{"strength", 0.5}};
  use.resolved = {{"strength", 0.5}, {"rows", 100}, {"by", "probe"}, {"file", std::string(64, 'a')}};
  return use;
}

ModelSpec model(const std::string& name) {
  ModelSpec made;
  made.name = name;
  made.source = "organism";
  made.dtype = name;  // so that no two models are one
  made.alignment = DataSource{"builtin:organism/alignment", std::string(64, 'b')};
  made.corpora = {{"benign", {"builtin:organism/benign", std::string(64, 'c')}}};
  made.probes = {{"builtin:organism/probes", std::string(64, 'd')}};
  made.probe_rows.asked = {{{{"user", "a question"}}}};
  return made;
}

// Every fifth defense acts in the same stage.
DefenseSpec defense(std::size_t number) {
  constexpr unsigned kStages[] = {kStageAlign, kStageScreen, kStageTune, kStageRepair, kStageServe};
  const std::string name = "defense " + std::to_string(number);
  return {name, {plugin(name, kStages[number % 5])}};
}

Scenario scenario(const Shape& shape) {
  Scenario made;
  made.name = "made up";
  made.aligns = true;
  made.seeds.clear();
  for (std::size_t i = 0; i < shape.models; ++i) made.models.push_back(model("model " + std::to_string(i)));
  made.attacks.push_back({"none", {}, {}});
  for (std::size_t i = 1; i < shape.attacks; ++i) {
    const std::string name = "attack " + std::to_string(i);
    made.attacks.push_back({name, plugin(name, 0), {}});
  }
  made.defenses.push_back({"none", {}});
  for (std::size_t i = 1; i < shape.defenses; ++i) made.defenses.push_back(defense(i));
  for (std::size_t i = 1; i <= shape.seeds; ++i) made.seeds.push_back(static_cast<std::int64_t>(i));
  made.judges = {plugin("keyword", 0), plugin("coherence", 0)};
  made.judges.back().needs.aligned_model = true;
  return made;
}

Plan plan_of(const Scenario& scenario) {
  return make_plan(scenario, [](const std::string&) { return std::string(64, 'e'); });
}

// In MiB: "VmRSS" now, "VmHWM" at most since it was forgotten.
double memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == field + ":" && status >> kib) return kib / 1024;
  }
  return 0;
}

// What a case adds to the memory of the process, at most.
class PeakMemory {
 public:
  PeakMemory() {
    ::malloc_trim(0);                             // what earlier cases left
    std::ofstream("/proc/self/clear_refs") << 5;  // forgets the peak
    before_ = memory("VmRSS");
  }
  void report(benchmark::State& state) const { state.counters["peak_MiB"] = memory("VmHWM") - before_; }

 private:
  double before_ = 0;
};

void report(benchmark::State& state, const Plan& plan) {
  state.counters["cells"] = static_cast<double>(plan.cells.size());
  state.counters["stages"] = static_cast<double>(plan.nodes.size());
}

void plan_cells(benchmark::State& state, const Shape& shape) {
  const Scenario made = scenario(shape);
  const PeakMemory peak;
  for (auto _ : state) {
    const Plan plan = plan_of(made);
    report(state, plan);
  }
  peak.report(state);
}

struct EmptyStore {
  fs::path folder = fs::temp_directory_path() / ("holdfast-bench-" + std::to_string(::getpid()));
  Store store{folder};
  StoreIndex index{store};
  ~EmptyStore() { fs::remove_all(folder); }
};

// What `holdfast plan` does besides: keys of what is stored, estimates and their sum.
void resolve_cells(benchmark::State& state, const Shape& shape) {
  const Scenario made = scenario(shape);
  const Plan plan = plan_of(made);
  EmptyStore empty;
  for (const auto& node : plan.nodes) {  // as if all were stored: the costliest case
    std::vector<std::string> inputs(node.inputs.size(), std::string(64, 'f'));
    empty.index.add(node.kind, stage_key(node, inputs).key, {std::string(64, 'f'), 1, 1, false});
  }
  const PeakMemory peak;
  for (auto _ : state) {
    const auto resolved = resolve(plan, empty.index);
    const auto seconds = estimate_seconds(plan, made, empty.index);
    benchmark::DoNotOptimize(estimate_total(plan, seconds, std::vector<bool>(seconds.size(), true), 8));
    if (resolved.back().artifact == nullptr) state.SkipWithError("a stored stage was not found");
  }
  report(state, plan);
  peak.report(state);
}

void run_cells(benchmark::State& state, const Shape& shape) {
  const Scenario made = scenario(shape);
  const Plan plan = plan_of(made);
  const PeakMemory peak;
  for (auto _ : state) {
    EmptyStore empty;
    FakeWorkers workers(8);
    Executor executor(plan, empty.index, estimate_seconds(plan, made, empty.index), 0, workers);
    executor.start([](std::size_t) {});
    executor.run();
    if (executor.stages_made() == 0 || executor.unsettled() > 0) state.SkipWithError("the run did not come to its end");
  }
  report(state, plan);
  peak.report(state);
}

}  // namespace

void add_matrix_cases() {
  for (const Shape& shape : kShapes) {
    const auto add = [&](const std::string& what, void (*body)(benchmark::State&, const Shape&)) {
      benchmark::RegisterBenchmark((what + "/" + std::to_string(shape.cells)).c_str(), body, shape)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    };
    add("matrix/plan", plan_cells);
    add("matrix/resolve", resolve_cells);
    add("matrix/run", run_cells);
  }
}

}  // namespace holdfast
