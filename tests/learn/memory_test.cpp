// What training may hold: weights that are shared, activations that are computed again, moments in other forms.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <csignal>

#include "fakes/counting_allocator.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/training.h"
#include "model/mapped_tensor.h"
#include "model/packed_weights.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

using fakes::CountingAllocator;

TrainingOptions two_steps(const std::string& method) {
  TrainingOptions options;
  options.method = method;
  options.lr = 1e-2;
  options.batch_size = 4;
  options.micro_batch_size = 2;
  options.lora_rank = 3;
  return options;
}

struct TrainedModel {
  std::unique_ptr<LanguageModel> model;
  std::vector<double> losses;
};

using Step = std::function<double(Trainer&)>;

TrainedModel trained(const std::string& name, const TrainingOptions& options, const Step& step = {}) {
  TrainedModel made{fixtures::load(name), {}};
  StepStage stage(step);
  TrainingRun run;
  run.init_seed = 3;
  if (step) run.members = {{"a stage", &stage}};
  for (const auto& record : train(*made.model, fixtures::trained_rows(), options, run)) made.losses.push_back(record.loss);
  return made;
}

void expect_same(TrainedModel& a, TrainedModel& b) {
  EXPECT_EQ(a.losses, b.losses);
  const auto weights = b.model->trainable();
  for (const auto& [name, weight] : a.model->trainable()) EXPECT_TRUE(at::equal(weight, weights.at(name))) << name;
}

class Checkpoints : public testing::TestWithParam<std::string> {
 protected:
  // With and without, by the same step.
  void expect_same_bits(const std::string& method, const Step& step = {}) {
    TrainingOptions options = two_steps(method);
    TrainedModel plain = trained(GetParam(), options, step);
    options.activation_checkpoints = true;
    TrainedModel again = trained(GetParam(), options, step);
    expect_same(again, plain);
  }
};

INSTANTIATE_TEST_SUITE_P(OfArchitectures, Checkpoints,
                         testing::Values("grouped", "gemma2", "gemma3", "llama2", "llama3", "mistral", "qwen2", "qwen3"),
                         [](const auto& info) { return info.param; });

TEST_P(Checkpoints, ChangeNoBit) {
  expect_same_bits("full");
  expect_same_bits("lora");
}

TEST_P(Checkpoints, ChangeNoBitUnderTapsThatMoveABlock) {
  for (const Site site : {Site::kBlock, Site::kFeedForward, Site::kQuery}) {
    expect_same_bits("full", [&](Trainer& trainer) {
      return trainer.backward(trainer.rows().next(), [&](const Batch& batch) {
        Taps taps(trainer.model(), site, {0});
        {
          const c10::NoGradGuard no_grad;
          trainer.model().hidden(batch);
        }
        taps.offset(0, at::full_like(taps.at(0), 0.01));
        const at::Tensor loss = trainer.loss(batch);
        return loss + taps.at(0).square().mean() * 0.1;
      });
    });
  }
}

TEST_P(Checkpoints, ChangeNoBitOfStates) {
  expect_same_bits("lora", [](Trainer& trainer) {
    return trainer.backward(trainer.rows().next(), [&](const Batch& batch) {
      const auto states = trainer.model().states(batch, {0, 1, trainer.model().layers()});
      return trainer.loss(batch) + states[1].square().mean() + states[2].mean();
    });
  });
}

TEST_P(Checkpoints, ChangeNoBitOfGradientsThatAreListed) {
  expect_same_bits("full", [](Trainer& trainer) {
    const Batches batches = trainer.rows().next();
    trainer.add_gradient(trainer.gradients(batches), 0.5);
    return trainer.backward(batches);
  });
}

// A decoder whose activations weigh more than its weights, and one the other way round.
std::unique_ptr<LanguageModel> made_of(std::int64_t width, std::int64_t layers) {
  const std::shared_ptr<const LanguageModel> model = fixtures::load("grouped");
  ModelConfig config = model->decoder().config();
  config.layers = layers;
  config.feed_forward = config.feed_forward / config.width * width;
  config.head_width = config.head_width * width / config.width;
  config.width = width;
  auto decoder = std::make_shared<Decoder>(config, Decoder::random_weights(config, 1), "the made model");
  const std::shared_ptr<const ChatTemplate> chat(model, &model->chat());
  const std::shared_ptr<const Tokenizer> tokenizer(model, &model->tokenizer());
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, model->stop_tokens(), SideFiles());
}

std::int64_t bytes_of(const LanguageModel& model) {
  std::int64_t bytes = 0;
  for (const auto& [name, weight] : model.decoder().weights()) bytes += static_cast<std::int64_t>(weight.nbytes());
  return bytes;
}

std::int64_t peak_of_training(LanguageModel& model, const TrainingOptions& options) {
  const CountingAllocator counted;
  train(model, fixtures::trained_rows(), options, {});
  return CountingAllocator::peak();
}

TEST(Memory, OfLoraIsLessThanItsWeights) {
  const auto base = made_of(256, 4);
  const auto model = base->share();
  TrainingOptions options = two_steps("lora");
  options.batch_size = options.micro_batch_size = 1;
  const std::int64_t weights = bytes_of(*base), peak = peak_of_training(*model, options);
  EXPECT_GT(weights, 8 << 20);
  EXPECT_LT(peak, weights / 2) << "a copy of the frozen weights, or their gradients, would be " << weights;
  EXPECT_EQ(std::as_const(*model).decoder().own_bytes(), 0U);
}

TEST(Memory, OfCheckpointsIsThatOfOneBlockAndAllInputs) {
  TrainingOptions options = two_steps("lora");
  options.batch_size = 7;
  options.micro_batch_size = 0;
  const std::int64_t plain = peak_of_training(*made_of(32, 16), options);
  options.activation_checkpoints = true;
  const std::int64_t again = peak_of_training(*made_of(32, 16), options);
  EXPECT_LT(again, plain / 3) << "of " << plain;
}

TEST(Memory, OfMomentsInEightBitsIsAQuarter) {
  TrainingOptions options = two_steps("full");
  options.batch_size = options.micro_batch_size = 1;
  const auto model = made_of(256, 4);
  const std::int64_t weights = bytes_of(*model), plain = peak_of_training(*model, options);
  options.optimizer_states = "8bit";
  const std::int64_t coded = peak_of_training(*model, options);
  EXPECT_LT(coded, plain - weights) << "two moments of " << weights << " each became a quarter, but for what a step widens";
}

TEST(OptimizerStates, OnTheHostGiveTheSameBits) {
  for (const std::string method : {"full", "lora"}) {
    TrainingOptions options = two_steps(method);
    options.weight_decay = 0.1;
    TrainedModel plain = trained("grouped", options);
    options.optimizer_states = "host";
    TrainedModel host = trained("grouped", options);
    expect_same(host, plain);
  }
}

TEST(OptimizerStates, InEightBitsLearnNearlyTheSame) {
  TrainingOptions options = two_steps("full");
  options.epochs = 10;
  options.lr = 1e-3;
  const TrainedModel plain = trained("grouped", options);
  options.optimizer_states = "8bit";
  const TrainedModel coded = trained("grouped", options);
  ASSERT_EQ(coded.losses.size(), plain.losses.size());
  EXPECT_NE(coded.losses, plain.losses) << "nothing was coded";
  for (std::size_t i = 0; i < plain.losses.size(); ++i)
    EXPECT_NEAR(coded.losses[i], plain.losses[i], 0.02 * plain.losses[i]) << i;
  EXPECT_LT(coded.losses.back(), 0.9 * coded.losses.front());
}

TEST(OptimizerStates, AreRefusedByName) {
  TrainingOptions options = two_steps("full");
  options.optimizer_states = "4bit";
  try {
    trained("grouped", options);
    ADD_FAILURE() << "was not refused";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "the training option \"optimizer_states\" is \"4bit\", expected \"float32\", \"8bit\" or \"host\"");
  }
}

// Of a model and one that shares its weights, whichever changes a weight does so in memory of its own.
TEST(SharedWeights, AreNobodysToChange) {
  const std::vector<std::function<void(LanguageModel&)>> changes = {
      [](LanguageModel& m) { m.set_weight("model.norm.weight", at::ones_like(m.weights().at("model.norm.weight")) * 2); },
      [](LanguageModel& m) {
        m.decoder().add_adapters({}, 1);
        for (auto& [name, factor] : m.trainable()) at::Tensor(factor).fill_(0.1);
        m.decoder().merge_adapters();
      },
      [](LanguageModel& m) {
        for (auto& [name, weight] : m.trainable()) at::Tensor(weight).mul_(2);
      },
      [](LanguageModel& m) { train(m, fixtures::trained_rows(), two_steps("full"), {}); },
  };
  for (const bool of_the_other : {false, true}) {
    for (const auto& change : changes) {
      const auto model = fixtures::load("grouped");
      const auto other = model->share();
      LanguageModel &changed = of_the_other ? *other : *model, &kept = of_the_other ? *model : *other;
      std::map<std::string, at::Tensor> before;
      for (const auto& [name, weight] : kept.weights()) before[name] = weight.clone();
      change(changed);
      bool moved = false;
      for (const auto& [name, weight] : kept.weights()) {
        EXPECT_TRUE(at::equal(weight, before.at(name))) << name;
        EXPECT_FALSE(weight.requires_grad());
        moved = moved || !at::equal(changed.weights().at(name), weight);
      }
      EXPECT_TRUE(moved);
    }
  }
}

// Bits are those of a copy that is merged.
TEST(SharedWeights, OfAMergedModelAreThoseThatNoAdapterChanges) {
  const auto base = made_of(64, 2);
  const auto tuned = base->share();
  tuned->decoder().add_adapters({4, 8, {"q_proj", "up_proj"}}, 1);
  for (auto& [name, factor] : tuned->trainable()) factor.add_(at::sin(at::arange(factor.numel())).reshape(factor.sizes()), 0.1);
  const auto merged = tuned->merged(), copied = tuned->copy();
  copied->decoder().merge_adapters();
  std::uint64_t changed = 0;
  for (const auto& [name, weight] : std::as_const(*merged).decoder().weights()) {
    EXPECT_TRUE(at::equal(weight, copied->decoder().weights().at(name))) << name;
    const at::Tensor& before = base->decoder().weights().at(name);
    const bool adapted = name.find("q_proj") != std::string::npos || name.find("up_proj") != std::string::npos;
    EXPECT_EQ(weight.is_alias_of(before), !adapted) << name;
    EXPECT_EQ(at::equal(weight, before), !adapted) << name;
    changed += adapted ? weight.nbytes() : 0;
  }
  EXPECT_EQ(std::as_const(*merged).decoder().own_bytes(), changed);
  EXPECT_FALSE(tuned->decoder().adapters().empty());
}

TEST(SharedWeights, AreNotReplacedWhileTheyAreUsedPacked) {
  const auto base = made_of(64, 2);
  const auto model = base->share();
  const PackedWeights packed(model->decoder());
  EXPECT_DEATH(model->decoder().own_weight("model.norm.weight"), testing::HasSubstr("internal check failed"));
}

TEST(MappedWeights, AreReadOnlyAndOwnedWhereTheyChange) {
  const auto model = fixtures::load("grouped");  // float32 in safetensors: mapped as it is
  const at::Tensor mapped = std::as_const(*model).decoder().weights().at("model.norm.weight");
  EXPECT_TRUE(lies_in_file(mapped));
  EXPECT_EQ(std::as_const(*model).decoder().own_bytes(), 0U);
  EXPECT_EXIT(at::Tensor(mapped).fill_(0), testing::KilledBySignal(SIGSEGV), testing::_) << "a stray write is a fault";
  for (const auto& [name, weight] : model->trainable()) EXPECT_FALSE(lies_in_file(weight)) << name;
}

}  // namespace
}  // namespace holdfast
