// The core's speed: tokenizer, one training step, prefill, decode, plan. Rates are tokens (or plans) a second. SmolLM2 joins
// when tools/fetch-model smollm2-135m-instruct has brought it. docs/performance.md keeps the figures beside the baseline's.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <filesystem>

#include "base/file.h"
#include "bench/cases.h"
#include "data/formats.h"
#include "learn/checkpoint.h"
#include "learn/encoded_rows.h"
#include "learn/generate.h"
#include "learn/optimizer.h"
#include "learn/training.h"
#include "organism/organism.h"
#include "run/plan_summary.h"

namespace holdfast {
namespace {

const std::string kRoot = HOLDFAST_SOURCE_DIR;
const std::string kSmolLm2 = kRoot + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";

// Models stay loaded between cases.
LanguageModel& model_named(const std::string& source) {
  static std::map<std::string, std::unique_ptr<LanguageModel>> loaded;
  auto& model = loaded[source];
  if (!model) model = load_model(source, {});
  return *model;
}

void tokenize(benchmark::State& state, const std::string& source) {
  const auto& tokenizer = model_named(source).tokenizer();
  std::string text;
  for (const auto& row : rows_for(source)) {
    for (const auto& turn : row.messages) text += turn.content + "\n";
  }
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text, false));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

// One optimizer step over a batch of rows, as in a fine-tune: forward, backward, clip, AdamW.
void training_step(benchmark::State& state, const std::string& source, const std::string& method) {
  const auto model = model_named(source).copy();
  Dataset rows = rows_for(source);
  rows.resize(8);
  TrainingOptions options;
  options.method = method;
  options.batch_size = 8;
  options.shuffle = false;
  std::int64_t tokens = 0;
  for (auto _ : state) {
    for (const auto& step : train(*model, rows, options, {})) tokens += step.tokens;
  }
  state.SetItemsProcessed(tokens);
}

// The same step written out, without trainer, streams or stack: what those cost is the difference.
void bare_step(benchmark::State& state, const std::string& source) {
  const auto model = model_named(source).copy();
  Dataset rows = rows_for(source);
  rows.resize(8);
  model->decoder().require_gradients(true);
  std::vector<at::Tensor> parameters;
  for (const auto& [name, parameter] : model->trainable()) parameters.push_back(parameter);
  std::int64_t tokens = 0;
  for (auto _ : state) {
    MasterWeights weights(parameters);
    AdamW adam(weights, 0);
    const Batch batch = model->pack(encode_rows(*model, rows, 1024).rows);
    const at::Tensor loss = -model->log_probs(batch).sum() / batch.normalizer;
    loss.backward();
    benchmark::DoNotOptimize(loss.item<double>() + clip_gradients(parameters, 1));
    adam.step(gradients_of(parameters), 2e-5);
    for (auto& parameter : parameters) parameter.mutable_grad().reset();
    tokens += batch.ids.size(0);
  }
  state.SetItemsProcessed(tokens);
}

std::vector<std::vector<std::int64_t>> prompts_for(LanguageModel& model, const std::string& source, std::size_t count) {
  std::vector<std::vector<std::int64_t>> prompts;
  const Dataset rows = rows_for(source);
  for (std::size_t i = 0; i < count; ++i) prompts.push_back(model.encode_prompt({rows[i % rows.size()].messages.front()}));
  return prompts;
}

void prefill(benchmark::State& state, const std::string& source) {
  LanguageModel& model = model_named(source);
  std::vector<Encoded> examples;
  for (auto& ids : prompts_for(model, source, 20)) {
    std::vector<bool> labels(ids.size(), false);
    examples.push_back({std::move(ids), std::move(labels)});
  }
  const Batch batch = model.pack(examples);
  const c10::NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(model.hidden(batch).sum().item<float>());
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * batch.ids.size(0));
}

// 20 prompts x 40 new tokens, greedy, prompts included in the time: the baseline's case.
void decode(benchmark::State& state, const std::string& source) {
  LanguageModel& model = model_named(source);
  const auto prompts = prompts_for(model, source, 20);
  GenerateOptions options;
  options.max_new_tokens = 40;
  options.batch_size = 20;
  std::int64_t tokens = 0;
  for (auto _ : state) {
    for (const auto& reply : generate(model.decoder(), prompts, /*stop_tokens=*/{}, options)) {
      tokens += static_cast<std::int64_t>(reply.size());
    }
  }
  state.SetItemsProcessed(tokens);
}

void plan(benchmark::State& state) {
  RunOptions options;
  options.scenario = kRoot + "/scenarios/quickstart.toml";
  options.results = std::filesystem::temp_directory_path() / "holdfast-bench-results";
  for (auto _ : state) benchmark::DoNotOptimize(plan_scenario(options));
}

void add_model_cases(const std::string& name, const std::string& source) {
  const auto add = [&](const std::string& what, auto&& body) {
    benchmark::RegisterBenchmark((what + "/" + name).c_str(), body)->Unit(benchmark::kMillisecond)->UseRealTime();
  };
  add("tokenize", [=](benchmark::State& state) { tokenize(state, source); });
  add("training_step_full", [=](benchmark::State& state) { training_step(state, source, "full"); });
  add("bare_step_full", [=](benchmark::State& state) { bare_step(state, source); });
  add("training_step_lora", [=](benchmark::State& state) { training_step(state, source, "lora"); });
  add("prefill", [=](benchmark::State& state) { prefill(state, source); });
  add("generate_20x40", [=](benchmark::State& state) { decode(state, source); });
  add_gang_cases(name, source);
}

// What the machine can do, to compare runs on different machines by ratio.
void matrix_product(benchmark::State& state) {
  const at::Tensor a = at::randn({1024, 1024}), b = at::randn({1024, 1024});
  for (auto _ : state) benchmark::DoNotOptimize(at::mm(a, b));
  state.counters["GFLOP/s"] = benchmark::Counter(2.0 * 1024 * 1024 * 1024 * static_cast<double>(state.iterations()) * 1e-9,
                                                 benchmark::Counter::kIsRate);
}

}  // namespace

Dataset rows_for(const std::string& source) {
  return source == "organism" ? organism::corpus("benign") : read_dataset(kRoot + "/scenarios/data/benign.jsonl");
}

}  // namespace holdfast

int main(int argc, char** argv) {
  using namespace holdfast;
  benchmark::RegisterBenchmark("matrix_product_1024", matrix_product)->Unit(benchmark::kMillisecond)->UseRealTime();
  benchmark::RegisterBenchmark("plan/quickstart", plan)->Unit(benchmark::kMillisecond)->UseRealTime();
  add_matrix_cases();
  add_report_cases();
  add_stored_cases();
  add_model_cases("organism", "organism");
  if (fs::exists(kSmolLm2)) add_model_cases("smollm2", kSmolLm2);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
