// A gang of eight LoRA models against the same eight one by one, in turns: "ratio" is how much less the gang takes.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <chrono>

#include "bench/cases.h"
#include "learn/checkpoint.h"
#include "learn/training.h"

namespace holdfast {
namespace {

constexpr std::size_t kMembers = 8;

using Models = std::vector<std::unique_ptr<LanguageModel>>;

const LanguageModel& base(const std::string& source) {
  static std::map<std::string, std::unique_ptr<LanguageModel>> loaded;
  auto& model = loaded[source];
  if (!model) model = load_model(source, {});
  return *model;
}

// Adapters of rank 16 on all linears, each with other factors.
Models adapted(const std::string& source) {
  Models models;
  for (std::size_t m = 0; m < kMembers; ++m) {
    models.push_back(base(source).share());
    models.back()->decoder().add_adapters({}, m);
    for (auto& [name, factor] : models.back()->trainable()) factor.add_(at::randn_like(factor), 1e-3);
  }
  return models;
}

template <typename Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs both in turns, an iteration each.
template <typename Gang, typename Single>
void compare(benchmark::State& state, const Gang& gang, const Single& single) {
  double together = 0, alone = 0;
  for (auto _ : state) {
    alone += seconds_of([&] {
      for (std::size_t m = 0; m < kMembers; ++m) single(m);
    });
    together += seconds_of(gang);
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["gang_s"] = together / rounds;
  state.counters["alone_s"] = alone / rounds;
  state.counters["ratio"] = alone / together;
}

// Each member replies to `prompts`, greedily, with 32 new tokens at most.
void gang_decode(benchmark::State& state, const std::string& source, std::size_t prompts) {
  const Models models = adapted(source);
  const Dataset rows = rows_for(source);
  std::vector<LanguageModel::Questions> asked;
  for (const auto& model : models) {
    LanguageModel::Questions one{model.get(), {}, {}};
    one.options.max_new_tokens = 32;
    one.options.batch_size = static_cast<std::int64_t>(std::min<std::size_t>(prompts, 32));
    for (std::size_t i = 0; i < prompts; ++i) one.prompts.push_back({rows[i % rows.size()].messages.front()});
    asked.push_back(std::move(one));
  }
  compare(
      state, [&] { benchmark::DoNotOptimize(LanguageModel::generate_together(asked)); },
      [&](std::size_t m) { benchmark::DoNotOptimize(models[m]->generate(asked[m].prompts, asked[m].options)); });
}

// Each member makes two steps of `batch` rows.
void gang_train(benchmark::State& state, const std::string& source, std::size_t batch) {
  Dataset rows = rows_for(source);
  rows.resize(2 * batch);
  Models models(kMembers);
  const auto task = [&](std::size_t m) {
    models[m] = base(source).share();
    TrainingTask made{models[m].get(), &rows, {}, {}};
    made.options.method = "lora";
    made.options.batch_size = static_cast<std::int64_t>(batch);
    made.run.order_seed = made.run.init_seed = m;
    return made;
  };
  const auto gang = [&] {
    std::vector<TrainingTask> tasks;
    for (std::size_t m = 0; m < kMembers; ++m) tasks.push_back(task(m));
    benchmark::DoNotOptimize(train_together(tasks));
  };
  compare(state, gang, [&](std::size_t m) { benchmark::DoNotOptimize(train_together({task(m)})); });
}

}  // namespace

void add_gang_cases(const std::string& name, const std::string& source) {
  const auto add = [&](const std::string& what, auto&& body) {
    benchmark::RegisterBenchmark((what + "/" + name).c_str(), body)->Unit(benchmark::kMillisecond)->Iterations(2);
  };
  for (const std::size_t prompts : {1, 8, 16, 32}) {
    add("gang_decode_" + std::to_string(prompts), [=](benchmark::State& state) { gang_decode(state, source, prompts); });
  }
  for (const std::size_t batch : {1, 8}) {
    add("gang_train_" + std::to_string(batch), [=](benchmark::State& state) { gang_train(state, source, batch); });
  }
}

}  // namespace holdfast
