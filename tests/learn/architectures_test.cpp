// What every architecture must do beyond equalling the reference (parity_test.cpp): packed, shared, cached, adapted, written.
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/export.h"
#include "learn/training.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::expected;

class Architectures : public testing::TestWithParam<std::string> {
 protected:
  std::vector<Encoded> encoded() const {
    std::vector<Encoded> examples;
    for (const auto& row : expected()[GetParam()]["scores"])
      examples.push_back(model_->encode(fixtures::conversation(row["messages"])));
    return examples;
  }
  /// The two long ones that begin alike.
  std::vector<Encoded> twins() const {
    const auto all = encoded();
    return {all[5], all[6]};
  }

  std::shared_ptr<LanguageModel> model_ = fixtures::load(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Families, Architectures,
                         testing::Values("llama2", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"),
                         [](const auto& info) { return info.param; });

struct Pass {
  at::Tensor log_probs;
  NamedTensors gradients;  // of their sum
};

Pass pass(LanguageModel& model, const std::vector<Encoded>& examples) {
  Pass out{model.log_probs(model.pack(examples)), {}};
  out.log_probs.sum().backward();
  for (auto& [name, parameter] : model.trainable()) {
    out.gradients[name] = parameter.grad().clone();
    parameter.mutable_grad() = at::Tensor();
  }
  return out;
}

// In float64, so that only a wrong mask or position can differ.
void expect_packed_as_alone(const std::shared_ptr<const LanguageModel>& given, const std::vector<Encoded>& examples) {
  const auto model = fixtures::in_float64(given);
  model->decoder().require_gradients(true);
  std::vector<at::Tensor> alone;
  NamedTensors sums;
  for (const auto& example : examples) {
    const Pass one = pass(*model, {example});
    alone.push_back(one.log_probs);
    for (const auto& [name, gradient] : one.gradients) sums[name] = sums.contains(name) ? sums[name] + gradient : gradient;
  }
  const Pass packed = pass(*model, examples);
  EXPECT_LT(distance(packed.log_probs, at::cat(alone)), 1e-10);
  for (const auto& [name, gradient] : packed.gradients) {
    EXPECT_LT(distance(gradient, sums.at(name)), 1e-8) << name;
    EXPECT_GT(gradient.abs().max().item<double>(), 1e-4) << name;
  }
}

TEST_P(Architectures, PaddedBatchEqualsItsExamples) {
  auto examples = encoded();
  // Nothing in common at the beginning, so that no prefix is shared.
  for (std::size_t i = 0; i < examples.size(); ++i) examples[i].ids[0] = static_cast<std::int64_t>(i);
  ASSERT_EQ(model_->pack(examples).shared_prefix, 0);
  expect_packed_as_alone(model_, examples);
}

TEST_P(Architectures, SharedPrefixLongerThanTheWindowEqualsItsExamples) {
  ASSERT_GT(model_->pack(twins()).shared_prefix, 2 * model_->decoder().config().window);
  expect_packed_as_alone(model_, twins());
}

TEST_P(Architectures, SharedPrefixBeforeSingleTokensEqualsItsExamples) {
  std::vector<Encoded> examples(2, twins()[0]);
  for (std::size_t i = 0; i < 2; ++i) {
    examples[i].ids.resize(40);
    examples[i].label.assign(40, false);
    examples[i].label.back() = true;
    examples[i].ids.back() = static_cast<std::int64_t>(60 + i);
  }
  ASSERT_EQ(model_->pack(examples).shared_prefix, 39);
  expect_packed_as_alone(model_, examples);
}

// What a rule compares a training model with must not differ by rounding: at equal weights a distance has no direction.
TEST_P(Architectures, AFrozenReferenceEqualsTheModelInTrainingToTheBit) {
  NamedTensors weights;
  for (const auto& [name, weight] : model_->decoder().weights()) weights[name] = weight.to(at::kFloat, false, /*copy=*/true);
  Decoder trained(model_->decoder().config(), weights, "the test");
  const auto reference = trained.clone(), adapted = trained.clone();
  trained.require_gradients(true);
  adapted->add_adapters({3, 6, {}}, 1);
  adapted->require_gradients(true);
  const at::Tensor ids = at::arange(5, 58);
  const auto states = [&](const Decoder& decoder) { return decoder.forward(ids, {33, 20}); };
  const at::Tensor with_graph = states(trained), with_adapters = states(*adapted);
  const c10::NoGradGuard no_grad;
  const at::Tensor wanted = states(*reference);
  EXPECT_TRUE(with_graph.requires_grad());
  EXPECT_TRUE(with_adapters.requires_grad());
  EXPECT_TRUE(with_graph.equal(wanted));
  EXPECT_TRUE(with_adapters.equal(wanted));
  EXPECT_TRUE(trained.forward_shared(ids, 10, {23, 20}).equal(reference->forward_shared(ids, 10, {23, 20})));
  EXPECT_TRUE(states(trained).equal(wanted));
}

TEST_P(Architectures, LoraOnEveryLinearTrainsAndMerges) {
  const auto adapted = model_->copy();
  TrainingOptions options;
  options.method = "lora";
  options.lr = 2e-2;
  options.epochs = 6;
  options.lora_rank = 4;
  const auto records = train(*adapted, fixtures::trained_rows(), options, {});
  EXPECT_LT(records.back().loss, records.front().loss - 0.3);
  EXPECT_EQ(adapted->decoder().adapters().size(), 7u * static_cast<std::size_t>(model_->layers()));
  for (const auto& [name, weight] : model_->decoder().weights())
    EXPECT_TRUE(at::equal(weight, adapted->decoder().weights().at(name))) << name;

  const Conversation chat = fixtures::conversation(expected()[GetParam()]["scores"][0]["messages"]);
  const at::Tensor before = fixtures::log_probs(*adapted, chat);
  const ScratchFolder scratch;
  save_adapter(*adapted, fixtures::checkpoint(GetParam()).string(), scratch / "adapter");
  const auto opened = load_model((scratch / "adapter").string(), {});
  EXPECT_TRUE(at::equal(fixtures::log_probs(*opened, chat), before));
  adapted->decoder().merge_adapters();
  EXPECT_LT(distance(fixtures::log_probs(*adapted, chat), before), 5e-4);
  EXPECT_GT(distance(fixtures::log_probs(*model_, chat), before), 0.1);
}

TEST_P(Architectures, RandomWeightsKeepWhatTheNormsSee) {
  const ModelConfig& config = model_->decoder().config();
  Decoder newborn(config, Decoder::random_weights(config, 1), "the test");
  const c10::NoGradGuard no_grad;
  const at::Tensor states = newborn.forward(at::arange(30), {30});
  EXPECT_LT((states.square().mean(-1) - 1).abs().max().item<double>(), 0.2);
}

// The configuration of a file is written so that the same one is read again, and says the same as the file it came from.
TEST_P(Architectures, SaveCheckpointOpensAsTheSameModel) {
  for (const auto& name : {GetParam(), GetParam() + ".gguf"}) {
    const ScratchFolder scratch;
    const auto model = fixtures::load(name);
    save_checkpoint(*model, scratch / "copy");
    const auto copy = load_model((scratch / "copy").string(), {});
    EXPECT_EQ(copy->decoder().config().to_json(""), model->decoder().config().to_json("")) << name;
    const Conversation chat = fixtures::conversation(expected()[name]["scores"][5]["messages"]);
    EXPECT_TRUE(at::equal(fixtures::log_probs(*copy, chat), fixtures::log_probs(*model, chat))) << name;
    EXPECT_EQ(copy->stop_tokens(), model->stop_tokens()) << name;
  }
}

TEST_P(Architectures, GgufFileIsTheSameModel) {
  const auto other = fixtures::load(GetParam() + ".gguf");
  ModelConfig config = model_->decoder().config();
  // What has no key there.
  if (GetParam() == "gemma2") config.query_scalar = config.head_width;
  if (GetParam() == "mistral") config.architecture = kArchitectures;  // its files say "llama"
  Json wanted = config.to_json("");
  EXPECT_NEAR(other->decoder().config().norm_eps, 1e-5, 1e-11);
  wanted["rms_norm_eps"] = other->decoder().config().norm_eps;  // float32 there
  EXPECT_EQ(other->decoder().config().to_json(""), wanted);
  EXPECT_EQ(other->stop_tokens(), model_->stop_tokens());
  for (const auto& row : expected()[GetParam()]["replies"]) {
    const Conversation prompt = fixtures::conversation(row["messages"]);
    EXPECT_EQ(other->encode_prompt(prompt), model_->encode_prompt(prompt));
  }
}

// Configurations as they were published, beside what transformers reads out of them.
TEST(Configurations, OfPublishedModelsAreReadAsTransformersDoes) {
  ASSERT_EQ(expected()["configurations"].size(), 8u);
  for (const auto& [name, row] : expected()["configurations"].items()) {
    const auto config = ModelConfig::from_json(row["published"], name);
    EXPECT_EQ(config.to_json("bfloat16"), ModelConfig::from_json(row["read"], name).to_json("bfloat16")) << name;
    EXPECT_EQ(ModelConfig::from_json(config.to_json("bfloat16"), name).to_json("bfloat16"), config.to_json("bfloat16")) << name;
  }
}

std::string config_refusal(const std::string& fixture, const Json& changes) {
  const fs::path path = fixtures::checkpoint(fixture) / "config.json";
  Json json = parse_json(read_file(path), path.string());
  json.update(changes);
  try {
    ModelConfig::from_json(json, "config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Configurations, SwitchesThatAreNotSupportedAreNamed) {
  const std::string known = "supported: llama, mistral, qwen2, qwen3, gemma2, gemma3_text";
  for (const char* type : {"mixtral", "qwen3_moe", "gemma3", "phi3"}) {
    EXPECT_EQ(config_refusal("mistral", {{"model_type", type}}),
              "config.json: model_type \"" + std::string(type) + "\" is not supported; " + known);
  }
  EXPECT_EQ(config_refusal("qwen2", {{"rope_parameters", nullptr}, {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}}),
            "config.json: rotary scaling \"yarn\" is not supported; supported: llama3, linear, default");
  EXPECT_EQ(config_refusal("mistral", {{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}}),
            "config.json: \"partial_rotary_factor\" is set; heads that are rotated in part are not supported");
  EXPECT_EQ(config_refusal("qwen3", {{"attention_bias", true}}),
            "config.json: \"attention_bias\" is true; biases are not supported");
  EXPECT_EQ(config_refusal("qwen2", {{"attention_bias", true}}), "no error");  // its own biases, which it always has
  EXPECT_EQ(config_refusal("mistral", {{"num_local_experts", 8}}),
            "config.json: \"num_local_experts\" is 8; mixtures of experts are not supported");
  EXPECT_EQ(config_refusal("qwen3", {{"quantization_config", {{"quant_method", "awq"}}}}),
            "config.json: \"quantization_config\" is set; quantised weights are read from GGUF files only");
  EXPECT_EQ(config_refusal("gemma2", {{"hidden_activation", "gelu"}}),
            "config.json: hidden_activation \"gelu\" is not supported; supported: gelu_pytorch_tanh");
  EXPECT_EQ(config_refusal("qwen2", {{"hidden_act", "gelu_pytorch_tanh"}}),
            "config.json: hidden_act \"gelu_pytorch_tanh\" is not supported; supported: silu");
  EXPECT_EQ(config_refusal("gemma3", {{"use_bidirectional_attention", true}}),
            "config.json: \"use_bidirectional_attention\" is true; only causal attention is supported");
  EXPECT_EQ(config_refusal("gemma3", {{"attn_logit_softcapping", 50.0}}),
            "config.json: \"attn_logit_softcapping\" is set; it is supported in gemma2 only");
  EXPECT_EQ(config_refusal("gemma2", {{"layer_types", {"sliding_attention", "chunked_attention", "full_attention"}}}),
            "config.json: layer type \"chunked_attention\" is not supported; supported: sliding_attention, full_attention");
  EXPECT_EQ(config_refusal("gemma2", {{"layer_types", {"full_attention"}}}),
            "config.json: \"layer_types\" is [\"full_attention\"], expected 3 names");
  EXPECT_EQ(config_refusal("gemma2", {{"sliding_window", nullptr}}),
            "config.json: \"sliding_window\" is null, expected a positive integer");
  const Json linear = {{"rope_type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(config_refusal("gemma3", {{"rope_parameters", {{"sliding_attention", linear}}}}),
            "config.json: rotary scaling of sliding layers is not supported");
  EXPECT_EQ(config_refusal("llama2", {{"rope_parameters", {{"rope_type", "linear"}}}}),
            "config.json: rope_parameters lacks \"factor\"");
  EXPECT_EQ(config_refusal("llama2", {{"rope_parameters", {1}}}), "config.json: \"rope_parameters\" is not a table");
}

std::map<std::string, Json> gguf_metadata(const std::string& architecture, const Json& changes) {
  std::map<std::string, Json> metadata = {
      {"general.architecture", architecture},      {architecture + ".embedding_length", 16},
      {architecture + ".feed_forward_length", 24}, {architecture + ".block_count", 6},
      {architecture + ".attention.head_count", 4}, {architecture + ".attention.sliding_window", 12},
      {architecture + ".context_length", 64},      {architecture + ".attention.layer_norm_rms_epsilon", 1e-5},
      {"tokenizer.ggml.tokens", {"a", "b"}}};
  for (const auto& [key, value] : changes.items()) metadata[architecture + "." + key] = value;
  return metadata;
}

std::string gguf_refusal(const std::string& architecture, const Json& changes) {
  try {
    ModelConfig::from_gguf(gguf_metadata(architecture, changes), "model.gguf");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Configurations, GgufFeaturesThatAreNotSupportedAreNamed) {
  for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma2", "gemma3"})
    EXPECT_EQ(gguf_refusal(architecture, Json::object()), "no error");
  EXPECT_EQ(gguf_refusal("phi3", Json::object()),
            "model.gguf: architecture \"phi3\" is not supported; supported: llama, qwen2, qwen3, gemma2, gemma3");
  EXPECT_EQ(gguf_refusal("llama", {{"expert_count", 8}}),
            "model.gguf: \"llama.expert_count\" is 8; mixtures of experts are not supported");
  EXPECT_EQ(gguf_refusal("qwen2", {{"rope.scaling.type", "yarn"}}),
            "model.gguf: rotary scaling \"yarn\" is not supported in GGUF files; supported: linear, none");
  EXPECT_EQ(gguf_refusal("llama", {{"rope.dimension_count", 2}}),
            "model.gguf: 2 of the 4 values of a head are rotated; heads that are rotated in part are not supported");
  EXPECT_EQ(gguf_refusal("gemma3", {{"attention.sliding_window", nullptr}}),
            "model.gguf lacks \"gemma3.attention.sliding_window\"");
  EXPECT_EQ(gguf_refusal("gemma3", {{"attention.sliding_window_pattern", 4}}),
            "model.gguf: \"gemma3.attention.sliding_window_pattern\" is 4; supported: 6");
  EXPECT_EQ(gguf_refusal("llama", {{"attention.value_length", 8}}),
            "model.gguf: \"llama.attention.value_length\" is 8; supported: the 4 of the keys");
  EXPECT_EQ(gguf_refusal("llama", {{"rope.scaling.attn_factor", 2.0}}),
            "model.gguf: \"llama.rope.scaling.attn_factor\" is 2.0; supported: 1");
  for (const char* required : {"context_length", "embedding_length", "block_count", "attention.layer_norm_rms_epsilon"}) {
    EXPECT_EQ(gguf_refusal("llama", {{required, nullptr}}), "model.gguf lacks \"llama." + std::string(required) + "\"");
  }
}

// A factor is linear unless a type says otherwise, and has an older name.
TEST(Configurations, GgufKeysThatAreAbsentMeanWhatTheyMeanToLlamaCpp) {
  const auto factor = [](const Json& changes) {
    const auto scaling = ModelConfig::from_gguf(gguf_metadata("llama", changes), "model.gguf").rope.scaling;
    EXPECT_TRUE(!scaling || scaling->type == RopeScaling::Type::kLinear);
    return scaling ? scaling->factor : 1;
  };
  EXPECT_EQ(factor(Json::object()), 1);
  EXPECT_EQ(factor({{"rope.scaling.factor", 4.0}}), 4);
  EXPECT_EQ(factor({{"rope.scale_linear", 2.0}}), 2);
  EXPECT_EQ(factor({{"rope.scaling.factor", 4.0}, {"rope.scale_linear", 2.0}}), 4);
  EXPECT_EQ(factor({{"rope.scaling.factor", 0.0}}), 1);
  EXPECT_EQ(factor({{"rope.scaling.type", "linear"}}), 1);
  EXPECT_EQ(factor({{"rope.scaling.type", "none"}, {"rope.scaling.factor", 4.0}}), 1);
  const ModelConfig plain = ModelConfig::from_gguf(gguf_metadata("llama", Json::object()), "model.gguf");
  EXPECT_EQ(plain.rope.theta, 10000);
  EXPECT_EQ(plain.kv_heads, plain.heads);
  EXPECT_EQ(plain.head_width, 4);
}

// The same file in which a key has another name.
class GgufWithoutAKey : public testing::Test {
 protected:
  std::unique_ptr<LanguageModel> load(const std::string& fixture, const std::vector<std::string>& keys) {
    std::string bytes = read_file(fixtures::checkpoint(fixture));
    for (const auto& key : keys) {
      const auto at = bytes.find("tokenizer.ggml." + key);
      if (at != std::string::npos) bytes[at] = 'T';
    }
    write_file(scratch_ / "model.gguf", bytes);
    return load_model((scratch_ / "model.gguf").string(), {});
  }
  ScratchFolder scratch_;
};

TEST_F(GgufWithoutAKey, SentencePieceHasItsUsualIds) {
  const auto whole = fixtures::load("llama2.gguf");
  const auto bare =
      load("llama2.gguf", {"bos_token_id", "eos_token_id", "unknown_token_id", "add_bos_token", "add_space_prefix"});
  EXPECT_EQ(bare->stop_tokens(), std::vector<std::int64_t>{2});
  EXPECT_EQ(bare->tokenizer().encode("the sea", true).front().id, 1);
  EXPECT_EQ(bare->tokenizer().encode("the sea", true).size(), whole->tokenizer().encode("the sea", true).size());
}

TEST_F(GgufWithoutAKey, Llama3BeginsWithBosAndStopsAtItsTurns) {
  const auto whole = fixtures::load("llama3.gguf");
  const auto bare = load("llama3.gguf", {"add_bos_token", "eos_token_id", "eot_token_id"});
  EXPECT_EQ(bare->tokenizer().encode("sea", true).front().id, whole->tokenizer().encode("sea", true).front().id);
  EXPECT_NE(bare->tokenizer().encode("sea", true).front().id, bare->tokenizer().encode("sea", false).front().id);
  for (const auto id : whole->stop_tokens()) EXPECT_THAT(bare->stop_tokens(), testing::Contains(id));
}

// gemma-2-27b and gemma-3-27b divide scores by the root of width / heads, which no key says.
TEST(Configurations, TheLargestGemmasHaveAnotherQueryScalar) {
  const auto scalar = [](const std::string& name, std::int64_t layers) {
    const std::map<std::string, Json> metadata = {
        {name + ".context_length", 8192},       {name + ".attention.layer_norm_rms_epsilon", 1e-6},
        {"general.architecture", name},         {name + ".embedding_length", 4608},
        {name + ".feed_forward_length", 36864}, {name + ".block_count", layers},
        {name + ".attention.head_count", 32},   {name + ".attention.head_count_kv", 16},
        {name + ".attention.key_length", 128},  {name + ".attention.sliding_window", 4096},
        {"tokenizer.ggml.tokens", {"a"}}};
    return ModelConfig::from_gguf(metadata, "model.gguf").query_scalar;
  };
  EXPECT_EQ(scalar("gemma2", 46), 144);
  EXPECT_EQ(scalar("gemma2", 42), 128);
  EXPECT_EQ(scalar("gemma3", 62), 144);
  EXPECT_EQ(scalar("gemma3", 34), 128);
}

TEST(Llama3Scaling, IsFoundFromItsDivisorsOrRefused) {
  const Rope plain{500000, std::nullopt};
  Rope scaled = plain;
  scaled.scaling = RopeScaling{RopeScaling::Type::kLlama3, 32};
  std::vector<double> divisors;
  for (std::size_t i = 0; i < 32; ++i) divisors.push_back(plain.frequencies(64)[i] / scaled.frequencies(64)[i]);
  const RopeScaling found = llama3_scaling(plain, divisors, "model.gguf");
  EXPECT_NEAR(found.factor, 32, 1e-9);
  EXPECT_EQ(found.type, RopeScaling::Type::kLlama3);
  for (const double wrong : {0.0, -1.0, 1.1, std::nan("")}) {
    auto changed = divisors;
    changed[3] = wrong;
    EXPECT_THROW(llama3_scaling(plain, changed, "model.gguf"), Error) << wrong;
  }
  try {
    llama3_scaling(plain, std::vector<double>(32, 4.0), "model.gguf");
    ADD_FAILURE() << "a constant divisor is no Llama-3 scaling";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("model.gguf: rope_freqs.weight divides the frequency of plane 0 by 4.0"));
  }
}

}  // namespace
}  // namespace holdfast
