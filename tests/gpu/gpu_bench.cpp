// What a GPU does with models of the usual sizes, whose weights are drawn on the device: holdfast_gpu_bench PART... prints a
// line of JSON a figure as soon as it is there. tools/gpu-check runs every part under a time limit of its own and makes the
// table.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include <chrono>
#include <functional>
#include <iostream>

#include "learn/base_trainer.h"
#include "learn/device.h"
#include "learn/generate.h"
#include "learn/optimizer.h"
#include "model/decoder_weights.h"
#include "model/flops.h"
#include "work/peak_memory.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;
using Ids = std::vector<std::int64_t>;

const at::Device kGpu(at::kCUDA, 0);

// The shapes of Llama-2-7B, and of Llama-3-8B without the scaling of its long contexts.
const Json kLlama7b = {{"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"vocab_size", 32000},
                       {"hidden_size", 4096},
                       {"intermediate_size", 11008},
                       {"num_hidden_layers", 32},
                       {"num_attention_heads", 32},
                       {"num_key_value_heads", 32},
                       {"rms_norm_eps", 1e-5},
                       {"rope_theta", 10000.0},
                       {"max_position_embeddings", 4096},
                       {"tie_word_embeddings", false}};
const Json kLlama8b = {{"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"vocab_size", 128256},
                       {"hidden_size", 4096},
                       {"intermediate_size", 14336},
                       {"num_hidden_layers", 32},
                       {"num_attention_heads", 32},
                       {"num_key_value_heads", 8},
                       {"rms_norm_eps", 1e-5},
                       {"rope_theta", 500000.0},
                       {"max_position_embeddings", 8192},
                       {"tie_word_embeddings", false}};

std::shared_ptr<Decoder> random_decoder(const Json& config, const std::string& name) {
  const c10::NoGradGuard no_grad;
  const ModelConfig shape = ModelConfig::from_json(config, name);
  NamedTensors weights;
  for (const auto& [tensor, sizes] : weight_shapes(shape)) {
    const auto options = at::TensorOptions(kGpu).dtype(at::kBFloat16);
    weights[tensor] = sizes.size() > 1 ? at::randn(sizes, options).mul_(0.02) : at::ones(sizes, options);
  }
  return std::make_shared<Decoder>(shape, std::move(weights), name);
}

std::int64_t bytes_of(const Decoder& decoder) {
  std::int64_t bytes = 0;
  for (const auto& [name, weight] : decoder.weights()) bytes += static_cast<std::int64_t>(weight.nbytes());
  return bytes;
}

Ids random_ids(std::int64_t count, std::int64_t vocabulary) {
  const at::Tensor drawn = at::randint(vocabulary, {count}, at::kLong);
  return {drawn.data_ptr<std::int64_t>(), drawn.data_ptr<std::int64_t>() + count};
}

// Waits for the device.
double seconds_of(const std::function<void()>& work) {
  const at::Tensor marker = at::zeros({1}, at::TensorOptions(kGpu));
  marker.item<float>();
  const auto start = Clock::now();
  work();
  (marker + 1).item<float>();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void say(Json figure) { std::cout << canonical(figure) << std::endl; }

Json figure(const std::string& part, const std::string& what, double value, const std::string& unit) {
  return {{"part", part}, {"what", what}, {"value", value}, {"unit", unit}};
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(1LL << 30); }

// What the card offers: the denominators of the parts below.
void machine() {
  const c10::NoGradGuard no_grad;
  const auto options = at::TensorOptions(kGpu).dtype(at::kBFloat16);
  const std::int64_t n = 8192;
  const at::Tensor a = at::randn({n, n}, options), b = at::randn({n, n}, options);
  for (int i = 0; i < 5; ++i) at::mm(a, b);
  const double product = seconds_of([&] {
    for (int i = 0; i < 20; ++i) at::mm(a, b);
  });
  say(figure("machine", "bfloat16 product, 8192 cubed", 20 * 2e-12 * static_cast<double>(n * n * n) / product, "TFLOP/s"));
  const at::Tensor from = at::randn({1LL << 30}, options), to = at::empty_like(from);
  at::Tensor(to).copy_(from);
  const double copies = seconds_of([&] {
    for (int i = 0; i < 20; ++i) at::Tensor(to).copy_(from);
  });
  say(figure("machine", "device memory, read and written", 20 * 2 * static_cast<double>(from.nbytes()) * 1e-9 / copies,
             "GB/s"));
}

// Steps of the program's own trainer over an optimizer batch of random rows.
void train_steps(const std::string& part, const std::string& what, const Json& config, const TrainingOptions& options,
                 std::int64_t length, int steps) {
  LanguageModel model(random_decoder(config, part), nullptr, nullptr, {}, {});
  Decoder& decoder = model.decoder();
  if (options.method == "lora") decoder.add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, 1);
  decoder.require_gradients(true);
  EncodedRows encoded;
  for (std::int64_t i = 0; i < options.batch_size; ++i) {
    encoded.rows.push_back(
        {random_ids(length, decoder.config().vocabulary), std::vector<bool>(static_cast<std::size_t>(length), true)});
  }
  const TrainingRun run;
  BaseTrainer trainer(model, options, run, std::move(encoded));
  trainer.end_of_begin();
  double loss = 0;
  const auto step = [&] {
    loss = trainer.backward(trainer.rows().next(), {});
    clip_gradients(trainer.parameters(), options.clip_norm);
    trainer.adam().step(gradients_of(trainer.parameters()), options.lr);
    for (at::Tensor parameter : trainer.parameters()) parameter.mutable_grad().reset();
  };
  seconds_of(step);  // warm
  reset_peak_memory();
  const std::uint64_t before = flops_so_far();
  const std::int64_t tokens_before = trainer.tokens();
  const double seconds = seconds_of([&] {
    for (int i = 0; i < steps; ++i) step();
  });
  const auto tokens = static_cast<double>(trainer.tokens() - tokens_before);
  Json made = figure(part, what, tokens / seconds, "tokens/s");
  made["tflops"] = static_cast<double>(flops_so_far() - before) * 1e-12 / seconds;
  made["gib"] = gib(peak_memory().device);
  made["loss"] = loss;
  say(made);
}

void lora(const std::string& part) {
  TrainingOptions options;
  options.method = "lora";
  options.lr = 1e-5;
  options.batch_size = 4;
  options.micro_batch_size = 2;
  train_steps(part, "LoRA r16 on all linears, 4 rows of 4,096, 2 a forward", kLlama7b, options, 4096, 3);
}

// Prompts with 64 tokens in common and 30 to 90 of their own, as a matrix asks them behind one chat template.
void answer(const std::string& part, const Decoder& decoder, std::int64_t prompts, std::int64_t new_tokens,
            double temperature) {
  const Ids common = random_ids(64, decoder.config().vocabulary);
  std::vector<Ids> asked;
  double prompt_tokens = 0;
  for (std::int64_t i = 0; i < prompts; ++i) {
    asked.push_back(common);
    const Ids own = random_ids(30 + i * 7 % 61, decoder.config().vocabulary);
    asked.back().insert(asked.back().end(), own.begin(), own.end());
    prompt_tokens += static_cast<double>(asked.back().size());
  }
  GenerateOptions options;
  options.batch_size = prompts;
  options.temperature = temperature;
  options.top_p = temperature > 0 ? 0.95 : 1;
  options.max_new_tokens = 8;
  generate(decoder, asked, {}, options);  // warm
  options.max_new_tokens = new_tokens;
  reset_peak_memory();
  double tokens = 0;
  const double seconds = seconds_of([&] {
    for (const auto& reply : generate(decoder, asked, {}, options)) tokens += static_cast<double>(reply.size());
  });
  const ModelConfig& c = decoder.config();
  // A step reads the weights once, and the keys and values of what each sequence holds.
  const double held = prompt_tokens + static_cast<double>(prompts * new_tokens) / 2;
  const double bytes =
      static_cast<double>(new_tokens) *
      (static_cast<double>(bytes_of(decoder)) + held * static_cast<double>(c.layers * 2 * c.kv_heads * c.head_width * 2));
  Json made = figure(part,
                     std::to_string(prompts) + " x " + std::to_string(new_tokens) + " tokens, " +
                         (temperature > 0 ? "sampled at temperature 1, top-p 0.95" : "greedy") + ", prompts included",
                     tokens / seconds, "tokens/s");
  made["gbytes"] = bytes * 1e-9 / seconds;
  made["gib"] = gib(peak_memory().device);
  say(made);
}

void generation(const std::string& part) {
  const auto decoder = random_decoder(kLlama8b, part);
  if (part == "generate-8b") {
    answer(part, *decoder, 330, 256, 0);
    answer(part, *decoder, 330, 256, 1);
  } else {
    answer(part, *decoder, 1, 128, 0);
    answer(part, *decoder, 32, 128, 0);
  }
}

const std::map<std::string, std::function<void(const std::string&)>> kParts = {
    {"machine", [](const std::string&) { machine(); }},
    {"lora-7b", lora},
    {"generate-8b", generation},
    {"small-batch-8b", generation},
};

int run(const std::vector<std::string>& parts) {
  std::string why;
  if (!load_cuda(&why)) {
    std::cerr << "holdfast_gpu_bench: " << why << "\n";
    return 2;
  }
  at::globalContext().setDeterministicAlgorithms(true, true);  // as workers have it
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  for (const auto& part : parts) {
    const auto found = kParts.find(part);
    if (found == kParts.end()) {
      std::string known;
      for (const auto& [name, body] : kParts) known += " " + name;
      std::cerr << "holdfast_gpu_bench: there is no part \"" << part << "\"; there are:" << known << "\n";
      return 2;
    }
    found->second(part);
  }
  return 0;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  try {
    return holdfast::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "holdfast_gpu_bench: " << error.what() << "\n";
    return 1;
  }
}
