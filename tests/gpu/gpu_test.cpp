// CUDA against the CPU: the same models, rows and prompts on both. Skipped on a machine without a GPU; tools/gpu-check runs it
// on one that has.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <algorithm>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/device.h"
#include "learn/generate.h"
#include "learn/training.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::expected;

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!load_cuda(&why)) GTEST_SKIP() << why;
    // As workers have it.
    at::globalContext().setDeterministicAlgorithms(true, true);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  }
  void TearDown() override { at::globalContext().setDeterministicAlgorithms(false, false); }
};

class GpuFamilies : public Gpu, public testing::WithParamInterface<std::string> {
 protected:
  static std::unique_ptr<LanguageModel> on(const std::string& device, const std::string& dtype) {
    return load_model(fixtures::checkpoint(GetParam()).string(), {device, dtype});
  }
  static std::vector<Encoded> examples(const LanguageModel& model) {
    std::vector<Encoded> made;
    for (const auto& row : expected()[GetParam()]["scores"]) {
      made.push_back(model.encode(fixtures::conversation(row["messages"])));
    }
    return made;
  }
  static std::vector<std::vector<std::int64_t>> prompts(const LanguageModel& model) {
    std::vector<std::vector<std::int64_t>> made;
    for (const auto& row : expected()[GetParam()]["replies"]) {
      made.push_back(model.encode_prompt(fixtures::conversation(row["messages"])));
    }
    return made;
  }
};

INSTANTIATE_TEST_SUITE_P(All, GpuFamilies,
                         testing::Values("llama2", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "grouped",
                                         "sharded"),
                         [](const auto& info) { return info.param; });

at::Tensor host(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU, at::kDouble); }

// ||a - b|| / ||b||
double error_of(const at::Tensor& a, const at::Tensor& b) {
  return ((host(a) - host(b)).norm() / (host(b).norm() + 1e-12)).item<double>();
}

struct Pass {
  at::Tensor log_probs;
  NamedTensors gradients;  // of their sum
};

Pass pass(LanguageModel& model, const std::vector<Encoded>& examples) {
  model.decoder().require_gradients(true);
  Pass out{model.log_probs(model.pack(examples)), {}};
  out.log_probs.sum().backward();
  for (auto& [name, parameter] : model.trainable()) {
    out.gradients[name] = host(parameter.grad());
    parameter.mutable_grad() = at::Tensor();
  }
  return out;
}

double gradient_error(const Pass& a, const Pass& b) {
  std::vector<at::Tensor> left, right;
  for (const auto& [name, gradient] : b.gradients) {
    left.push_back(a.gradients.at(name).flatten());
    right.push_back(gradient.flatten());
  }
  return error_of(at::cat(left), at::cat(right));
}

TEST_P(GpuFamilies, Float32EqualsTheCpu) {
  const auto cpu = on("cpu", "float32"), gpu = on("cuda", "float32");
  const Pass ours = pass(*cpu, examples(*cpu)), theirs = pass(*gpu, examples(*gpu));
  EXPECT_LT(distance(host(theirs.log_probs), ours.log_probs), 1e-4);
  EXPECT_LT(gradient_error(theirs, ours), 1e-4);
}

// What 16 bits cost is measured on the CPU, against float32; no kernel may cost more than twice that.
void expect_rounding_only(LanguageModel& exact, LanguageModel& cpu, LanguageModel& gpu, const std::vector<Encoded>& rows) {
  const Pass wanted = pass(exact, rows), rounded = pass(cpu, rows), made = pass(gpu, rows);
  EXPECT_LT(error_of(made.log_probs, wanted.log_probs), 2 * error_of(rounded.log_probs, wanted.log_probs) + 1e-3);
  EXPECT_LT(gradient_error(made, wanted), 2 * gradient_error(rounded, wanted) + 1e-3);
}

TEST_P(GpuFamilies, Bfloat16DiffersByItsRounding) {
  const auto exact = on("cpu", "float32"), cpu = on("cpu", "bfloat16"), gpu = on("cuda", "bfloat16");
  expect_rounding_only(*exact, *cpu, *gpu, examples(*exact));
  auto apart = examples(*exact);  // nothing in common at the beginning: packed rows without a shared prefix
  for (std::size_t i = 0; i < apart.size(); ++i) apart[i].ids[0] = static_cast<std::int64_t>(i);
  expect_rounding_only(*exact, *cpu, *gpu, apart);
}

TEST_P(GpuFamilies, GreedyRepliesEqualTheCpu) {
  const auto cpu = on("cpu", "float32"), gpu = on("cuda", "float32");
  GenerateOptions options;
  options.max_new_tokens = 24;
  options.batch_size = 3;  // the others wait for a place
  EXPECT_EQ(generate(gpu->decoder(), prompts(*gpu), gpu->stop_tokens(), options),
            generate(cpu->decoder(), prompts(*cpu), cpu->stop_tokens(), options));
}

TEST_P(GpuFamilies, SampledRepliesEqualTheCpu) {
  const auto cpu = on("cpu", "float32"), gpu = on("cuda", "float32");
  GenerateOptions options;
  options.max_new_tokens = 24;
  options.temperature = 0.8;
  options.top_p = 0.9;
  options.seed = 7;
  const auto theirs = generate(gpu->decoder(), prompts(*gpu), gpu->stop_tokens(), options);
  const auto ours = generate(cpu->decoder(), prompts(*cpu), cpu->stop_tokens(), options);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) equal += ours[i] == theirs[i] ? 1 : 0;
  EXPECT_GE(equal + 1, ours.size());  // a draw may fall within rounding of a border, once
}

// A cached token must be the likeliest of a whole forward, but for ties within the rounding of 16 bits.
TEST_P(GpuFamilies, CachedBfloat16TokensAreThoseOfWholeForwards) {
  const auto gpu = on("cuda", "bfloat16");
  const auto asked = prompts(*gpu);
  GenerateOptions options;
  options.max_new_tokens = 24;
  options.batch_size = 3;
  const auto replies = generate(gpu->decoder(), asked, /*stop_tokens=*/{}, options);
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    std::vector<std::int64_t> ids = asked[i];
    ids.insert(ids.end(), replies[i].begin(), replies[i].end());
    const auto length = static_cast<std::int64_t>(ids.size()), replied = static_cast<std::int64_t>(replies[i].size());
    const at::Tensor hidden = gpu->decoder().forward(at::tensor(ids, at::kLong).to(gpu->device()), {length});
    const at::Tensor logits = host(gpu->decoder().logits(hidden.narrow(0, length - replied - 1, replied)));
    const at::Tensor best = std::get<0>(logits.max(-1));
    const at::Tensor chosen = logits.gather(1, at::tensor(replies[i], at::kLong).unsqueeze(1)).squeeze(1);
    EXPECT_LT((best - chosen).max().item<double>(), 0.03 * logits.abs().max().item<double>()) << "prompt " << i;
  }
}

struct Training {
  std::string method, dtype;
};

class GpuTraining : public Gpu, public testing::WithParamInterface<Training> {
 protected:
  struct PowerCut {};
  struct Outcome {
    std::unique_ptr<LanguageModel> model;
    std::vector<TrainedStep> records;
  };

  static Outcome trained(const std::string& device, const fs::path& checkpoint = {}, std::int64_t stop_after = 0) {
    Outcome outcome{load_model(fixtures::checkpoint("grouped").string(), {device, GetParam().dtype}), {}};
    TrainingOptions options;
    options.method = GetParam().method;
    options.lr = 1e-3;
    options.epochs = 3;
    options.batch_size = 2;
    options.micro_batch_size = 1;
    options.weight_decay = 0.1;
    options.lora_rank = 8;
    TrainingRun run;
    run.order_seed = 5;
    run.init_seed = 6;
    run.checkpoint = {checkpoint, 0, [] { return std::string("the fixture"); }};
    run.on_step = [&](const TrainedStep& record) {
      if (record.step == stop_after) throw PowerCut();
    };
    try {
      outcome.records = train(*outcome.model, fixtures::trained_rows(), options, run);
    } catch (const PowerCut&) {
    }
    return outcome;
  }
  static void expect_same(const Outcome& a, const Outcome& b) {
    const auto weights = a.model->trainable();
    for (const auto& [name, weight] : b.model->trainable()) EXPECT_TRUE(at::equal(weights.at(name), weight)) << name;
    ASSERT_EQ(a.records.size(), b.records.size());
    for (std::size_t i = 0; i < a.records.size(); ++i) EXPECT_EQ(a.records[i].loss, b.records[i].loss) << "step " << i + 1;
  }
};

INSTANTIATE_TEST_SUITE_P(All, GpuTraining,
                         testing::Values(Training{"full", "float32"}, Training{"full", "bfloat16"}, Training{"lora", "float32"},
                                         Training{"lora", "bfloat16"}),
                         [](const auto& info) { return info.param.method + "_" + info.param.dtype; });

TEST_P(GpuTraining, LossesEqualTheCpu) {
  const auto ours = trained("cpu").records, theirs = trained("cuda").records;
  ASSERT_EQ(ours.size(), theirs.size());
  ASSERT_GT(ours.size(), 8u);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_NEAR(theirs[i].loss, ours[i].loss, GetParam().dtype == "float32" ? 1e-3 : 5e-2) << "step " << i + 1;
  }
  EXPECT_LT(theirs.back().loss, theirs.front().loss);
}

TEST_P(GpuTraining, TwiceTheSameBits) { expect_same(trained("cuda"), trained("cuda")); }

TEST_P(GpuTraining, GoesOnInTheSameBitsAfterAStop) {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "training.safetensors";
  const Outcome whole = trained("cuda");
  trained("cuda", file, 5);
  ASSERT_TRUE(fs::exists(file));
  expect_same(trained("cuda", file), whole);
}

}  // namespace
}  // namespace holdfast
