// What is counted where products are made, against closed formulas from the shapes alone: counts depend on nothing
// else, so that all weights are zero.
#include "model/flops.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <numeric>

#include "base/file.h"
#include "base/json.h"
#include "model/decoder.h"
#include "model/passes.h"

namespace holdfast {
namespace {

using Lengths = std::vector<std::int64_t>;

std::int64_t sum(const Lengths& numbers) { return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}); }

std::int64_t counted(const std::function<void()>& work) {
  const std::uint64_t before = flops_so_far();
  work();
  return static_cast<std::int64_t>(flops_so_far() - before);
}

at::Tensor zeros(at::IntArrayRef shape) { return at::zeros(shape, at::kFloat); }
at::Tensor ids_of(std::int64_t tokens) { return at::zeros({tokens}, at::kLong); }

std::unique_ptr<Decoder> decoder_of(const ModelConfig& config) {
  const std::int64_t width = config.width, queries = config.heads * config.head_width,
                     keys = config.kv_heads * config.head_width;
  NamedTensors weights = {{"model.embed_tokens.weight", zeros({config.vocabulary, width})},
                          {"model.norm.weight", zeros({width})}};
  if (!config.tied_head) weights["lm_head.weight"] = zeros({config.vocabulary, width});
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".";
    const auto add = [&](const std::string& name, at::IntArrayRef shape) { weights[at + name + ".weight"] = zeros(shape); };
    add("input_layernorm", {width});
    add("post_attention_layernorm", {width});
    add("self_attn.q_proj", {queries, width});
    add("self_attn.k_proj", {keys, width});
    add("self_attn.v_proj", {keys, width});
    add("self_attn.o_proj", {width, queries});
    add("mlp.gate_proj", {config.feed_forward, width});
    add("mlp.up_proj", {config.feed_forward, width});
    add("mlp.down_proj", {width, config.feed_forward});
    if (!config.qkv_bias) continue;
    weights[at + "self_attn.q_proj.bias"] = zeros({queries});
    for (const char* name : {"k", "v"}) weights[at + "self_attn." + name + "_proj.bias"] = zeros({keys});
  }
  return std::make_unique<Decoder>(config, std::move(weights), "a decoder of zeros");
}

// Two key-value heads for four of the queries, a head of its own.
ModelConfig small() {
  ModelConfig config;
  config.vocabulary = 50;
  config.width = 12;
  config.feed_forward = 20;
  config.layers = 3;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_width = 6;
  return config;
}

// What a token costs in the matrices of one block: a multiplication and an addition a weight.
std::int64_t block(const ModelConfig& c) {
  return 2 * (c.width * c.head_width * (2 * c.heads + 2 * c.kv_heads) + 3 * c.width * c.feed_forward);
}
std::int64_t head(const ModelConfig& c) { return 2 * c.width * c.vocabulary; }
// Scores, or values, of one pair in one layer.
std::int64_t pair(const ModelConfig& c) { return 2 * c.heads * c.head_width; }
std::int64_t triangle(std::int64_t n) { return n * (n + 1) / 2; }
std::int64_t triangles(const Lengths& lengths) {
  std::int64_t all = 0;
  for (const auto length : lengths) all += triangle(length);
  return all;
}

std::int64_t forward(const ModelConfig& c, const Lengths& lengths, std::int64_t labels) {
  return c.layers * (block(c) * sum(lengths) + 2 * pair(c) * triangles(lengths)) + head(c) * labels;
}

at::Tensor score(const Decoder& decoder, const Lengths& lengths, std::int64_t labels) {
  return decoder.logits(decoder.forward(ids_of(sum(lengths)), lengths).narrow(0, 0, labels)).sum();
}

TEST(Flops, OfAForwardAreThoseOfItsProducts) {
  const auto decoder = decoder_of(small());
  EXPECT_EQ(counted([&] { decoder->forward(ids_of(9), {9}); }), forward(small(), {9}, 0));
  EXPECT_EQ(counted([&] { score(*decoder, {5, 3, 8}, 4); }), forward(small(), {5, 3, 8}, 4)) << "padding is not counted";
}

TEST(Flops, OfAFullTrainingAreThreeForwards) {
  for (const bool tied : {true, false}) {
    ModelConfig config = small();
    config.tied_head = tied;
    const auto decoder = decoder_of(config);
    decoder->require_gradients(true);
    EXPECT_EQ(counted([&] { score(*decoder, {5, 3}, 4).backward(); }), 3 * forward(config, {5, 3}, 4));
  }
}

// A bias is added; its gradient is a sum.
TEST(Flops, LeaveOutBiases) {
  ModelConfig config = small();
  config.qkv_bias = true;
  const auto decoder = decoder_of(config);
  decoder->require_gradients(true);
  EXPECT_EQ(counted([&] { score(*decoder, {7}, 2).backward(); }), 3 * forward(config, {7}, 2));
}

TEST(Flops, ALinearCountsEachGradientByItself) {
  const std::int64_t product = 2 * 5 * 7 * 3;
  const at::Tensor x = zeros({5, 7}), weight = zeros({3, 7}), bias = zeros({3});
  const auto cost = [&](bool to_x, bool to_weight, const std::optional<at::Tensor>& added) {
    const at::Tensor in = x.detach().requires_grad_(to_x), by = weight.detach().requires_grad_(to_weight);
    return counted([&] { counted_linear(in, by, added).sum().backward(); });
  };
  EXPECT_EQ(cost(true, true, std::nullopt), 3 * product);
  EXPECT_EQ(cost(true, false, std::nullopt), 2 * product);
  EXPECT_EQ(cost(false, true, std::nullopt), 2 * product);
  EXPECT_EQ(cost(true, true, bias), 3 * product);
  EXPECT_EQ(cost(true, false, bias.detach().requires_grad_(true)), 2 * product);
  const c10::NoGradGuard no_grad;
  EXPECT_EQ(counted([&] { counted_linear(x, weight); }), product);
  EXPECT_EQ(counted([&] { counted_product(zeros({4, 2}), zeros({2, 9})); }), 2 * 4 * 2 * 9);
}

// Of a layer below the trained ones nothing goes back; a frozen one above them passes the gradient on.
TEST(Flops, OfFrozenLayersAreThoseOfWhatIsTrained) {
  const auto decoder = decoder_of(small());
  for (const auto& [name, weight] : decoder->trainable()) {
    at::Tensor(weight).set_requires_grad(name.starts_with("model.layers.1.mlp.down_proj"));
  }
  const std::int64_t back = 2 * 8 * 12 * 20 +                                                          // its own gradient
                            block(small()) * 8 + 4 * pair(small()) * triangle(8) + head(small()) * 2;  // through layer 2
  EXPECT_EQ(counted([&] { score(*decoder, {8}, 2).backward(); }), forward(small(), {8}, 2) + back);
}

// Vaccine asks for the gradient of states alone: no weight gets one.
TEST(Flops, OfAGradientOfStatesLeaveOutTheWeights) {
  const auto decoder = decoder_of(small());
  decoder->require_gradients(true);
  const auto cost = [&] {
    const auto states = decoder->states(ids_of(8), {8}, {1, 3});
    torch::autograd::grad({states.back().sum()}, {states.front()});
  };
  const std::int64_t layer = block(small()) * 8 + 2 * pair(small()) * triangle(8);
  EXPECT_EQ(counted(cost), 3 * layer + 2 * (block(small()) * 8 + 4 * pair(small()) * triangle(8)));
}

TEST(Flops, OfASharedPrefixAreThoseOfDistinctTokens) {
  const auto decoder = decoder_of(small());
  const std::int64_t pairs = triangle(10) + (11 + 12 + 13) + 11;
  EXPECT_EQ(counted([&] {
              decoder->forward_shared(ids_of(14), 10, {3, 1});
            }),
            3 * (14 * block(small()) + 2 * pair(small()) * pairs));
}

TEST(Flops, OfAWindowAreThoseOfWhatItShows) {
  ModelConfig config = small();
  config.window = 4;
  config.sliding = {true, false, true};
  const auto decoder = decoder_of(config);
  const std::int64_t seen = 1 + 2 + 3 + 4 + 4 + 4 + 4;
  EXPECT_EQ(counted([&] { decoder->forward(ids_of(7), {7}); }),
            3 * 7 * block(config) + 2 * pair(config) * (2 * seen + triangle(7)));
}

// Capped scores take another way through attention.
TEST(Flops, OfCappedScoresAreTheSame) {
  ModelConfig config = small();
  config.score_cap = 30;
  const auto decoder = decoder_of(config);
  decoder->require_gradients(true);
  EXPECT_EQ(counted([&] { score(*decoder, {5, 3}, 4).backward(); }), 3 * forward(config, {5, 3}, 4));
}

// Shares are scores without values.
TEST(Flops, OfAttentionSharesAreThoseOfScores) {
  const at::Tensor q = zeros({6, 4, 6}).requires_grad_(true), k = zeros({6, 2, 6});
  EXPECT_EQ(counted([&] { attention_shares(small(), q, k, 0).sum().backward(); }), 2 * pair(small()) * triangle(6));
}

// The hand count of tests/parity/flops.py.
class FlopsByHand : public testing::TestWithParam<const char*> {
 protected:
  FlopsByHand() {
    const fs::path path = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/flops.json";
    all_ = parse_json(read_file(path), path.string());
    const Json& model = all_.at("models").at(GetParam());
    const Json& shape = model.at("shape");
    flops_ = model.at("flops");
    shape.at("vocabulary").get_to(config_.vocabulary);
    shape.at("width").get_to(config_.width);
    shape.at("feed_forward").get_to(config_.feed_forward);
    shape.at("layers").get_to(config_.layers);
    shape.at("heads").get_to(config_.heads);
    shape.at("kv_heads").get_to(config_.kv_heads);
    shape.at("head_width").get_to(config_.head_width);
    config_.tied_head = true;
    decoder_ = decoder_of(config_);
    all_.at("lengths").get_to(lengths_);
    all_.at("labels").get_to(labels_);
  }

  void expect(const std::string& what, const std::function<void()>& work) {
    EXPECT_EQ(counted(work), flops_.at(what).get<std::int64_t>());
  }
  void expect_of_step(const std::string& what) {
    const Passes before = passes_so_far();
    expect(what, [&] { score(*decoder_, lengths_, sum(labels_)).backward(); });
    EXPECT_EQ(passes_so_far().forward_tokens - before.forward_tokens, sum(lengths_));
  }

  Json all_, flops_;
  ModelConfig config_;
  std::unique_ptr<Decoder> decoder_;
  Lengths lengths_, labels_;
};

INSTANTIATE_TEST_SUITE_P(Of, FlopsByHand, testing::Values("organism", "SmolLM2-135M"),
                         [](const auto& info) { return info.param[0] == 'o' ? "organism" : "smollm2"; });

TEST_P(FlopsByHand, AreThoseOfALikelihood) {
  const c10::NoGradGuard no_grad;
  expect("likelihood", [&] { score(*decoder_, lengths_, sum(labels_)); });
}

TEST_P(FlopsByHand, AreThoseOfAFullTraining) {
  decoder_->require_gradients(true);
  expect_of_step("full_training");
}

TEST_P(FlopsByHand, AreThoseOfALoraTraining) {
  decoder_->add_adapters({all_.at("rank"), 32, {}}, 1);
  decoder_->require_gradients(true);
  expect_of_step("lora_training");
}

TEST_P(FlopsByHand, AreThoseOfAGeneration) {
  const c10::NoGradGuard no_grad;
  const Lengths prompts = all_.at("prompts");
  const auto replies = all_.at("replies").get<std::int64_t>(), batch = static_cast<std::int64_t>(prompts.size());
  const Passes before = passes_so_far();
  expect("generation", [&] {
    KvCache cache = decoder_->new_cache(batch, 20);
    decoder_->logits(decoder_->forward(ids_of(sum(prompts)), prompts, &cache).narrow(0, 0, batch));
    for (std::int64_t n = 1; n < replies; ++n) {
      decoder_->logits(decoder_->forward(ids_of(batch), Lengths(prompts.size(), 1), &cache));
    }
  });
  EXPECT_EQ(passes_so_far().forward_tokens - before.forward_tokens, sum(prompts) + batch * (replies - 1));
}

}  // namespace
}  // namespace holdfast
