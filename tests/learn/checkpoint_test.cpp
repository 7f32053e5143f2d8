// Models on disk: written and read again, differences between them, and folders that are not what they say.
#include "learn/checkpoint.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/export.h"
#include "learn/training.h"
#include "learn/weight_change.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

using fixtures::distance;

const Conversation kChat = {{"user", "Hello"}, {"assistant", "Good morning, how are you?"}};

void expect_same_weights(const LanguageModel& a, const LanguageModel& b) {
  ASSERT_EQ(a.decoder().weights().size(), b.decoder().weights().size());
  for (const auto& [name, weight] : a.decoder().weights())
    EXPECT_TRUE(at::equal(weight, b.decoder().weights().at(name))) << name;
}

std::unique_ptr<LanguageModel> trained(const LanguageModel& parent, const std::string& method) {
  auto child = parent.clone();
  TrainingOptions options;
  options.method = method;
  options.lr = 3e-3;
  options.lora_rank = 4;
  train(*child, fixtures::trained_rows(), options, {});
  return child;
}

TEST(WeightChange, OfFullTrainingComesBackBitForBit) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped");
  const auto child = trained(*parent, "full");
  write_weight_change(scratch / "change", *parent, *child);
  const auto in_memory = parent->clone(), from_disk = fixtures::load("grouped");
  apply_weight_change(*in_memory, scratch / "change");
  apply_weight_change(*from_disk, scratch / "change");
  expect_same_weights(*in_memory, *from_disk);
  for (const auto& [name, weight] : child->decoder().weights()) {
    const at::Tensor moved = (weight - parent->decoder().weights().at(name)).to(at::kDouble).abs();
    EXPECT_GT(moved.max().item<double>(), 1e-3) << name;
    // Half a unit in the last of the eight binary digits of each difference, and the rounding of one float32 sum.
    const at::Tensor allowed = moved * 0x1p-8 + weight.to(at::kDouble).abs() * 0x1p-23;
    const at::Tensor missed = (weight - in_memory->decoder().weights().at(name)).to(at::kDouble).abs();
    EXPECT_TRUE((missed <= allowed).all().item<bool>()) << name;
  }
}

TEST(WeightChange, OfLoraIsTheFactorsMerged) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped");
  const auto child = trained(*parent, "lora");
  write_weight_change(scratch / "change", *parent, *child);
  for (const auto& [name, tensor] : read_safetensors(scratch / "change").tensors)
    EXPECT_THAT(name, testing::StartsWith("lora_"));
  const auto from_disk = fixtures::load("grouped");
  apply_weight_change(*from_disk, scratch / "change");
  EXPECT_GT(distance(fixtures::log_probs(*from_disk, kChat), fixtures::log_probs(*parent, kChat)), 1e-3);
  child->decoder().merge_adapters();
  expect_same_weights(*child, *from_disk);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(WeightChange, RefusesAnotherModel) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped");
  write_weight_change(scratch / "change", *parent, *trained(*parent, "full"));
  const auto other = fixtures::load("sharded");
  EXPECT_THAT(message_of([&] { apply_weight_change(*other, scratch / "change"); }),
              testing::HasSubstr("does not fit the model it is applied to"));
}

TEST(SaveCheckpoint, OpensAsTheSameModel) {
  for (const char* name : {"grouped", "sharded", "grouped.gguf"}) {
    const ScratchFolder scratch;
    const auto model = fixtures::load(name);
    save_checkpoint(*model, scratch / "copy");
    const auto copy = load_model((scratch / "copy").string(), {});
    expect_same_weights(*model, *copy);
    EXPECT_EQ(copy->stop_tokens(), model->stop_tokens()) << name;
    EXPECT_EQ(copy->encode_prompt(kChat), model->encode_prompt(kChat)) << name;
    EXPECT_TRUE(at::equal(fixtures::log_probs(*copy, kChat), fixtures::log_probs(*model, kChat))) << name;
  }
}

TEST(SaveCheckpoint, MergesAdaptersAndLeavesTheModelAlone) {
  const ScratchFolder scratch;
  const auto model = fixtures::load("adapter");
  save_checkpoint(*model, scratch / "merged");
  EXPECT_FALSE(model->decoder().adapters().empty());
  const auto merged = load_model((scratch / "merged").string(), {});
  EXPECT_TRUE(merged->decoder().adapters().empty());
  EXPECT_LT(distance(fixtures::log_probs(*merged, kChat), fixtures::log_probs(*model, kChat)), 2e-5);
}

TEST(SaveAdapter, OpensAsTheSameModel) {
  const ScratchFolder scratch;
  const auto model = trained(*fixtures::load("grouped"), "lora");
  save_adapter(*model, fixtures::checkpoint("grouped").string(), scratch / "adapter");
  const auto copy = load_model((scratch / "adapter").string(), {});
  EXPECT_EQ(copy->decoder().adapters().size(), 14u);
  EXPECT_TRUE(at::equal(fixtures::log_probs(*copy, kChat), fixtures::log_probs(*model, kChat)));
}

// A copy of a fixture that a test then spoils.
class BadFolder : public testing::Test {
 protected:
  fs::path copy(const std::string& fixture) {
    fs::copy(fixtures::checkpoint(fixture), scratch_ / fixture);
    return scratch_ / fixture;
  }
  static void edit(const fs::path& path, const std::function<void(Json&)>& change) {
    Json json = parse_json(read_file(path), path.string());
    change(json);
    write_file(path, json.dump());
  }
  static std::string failure(const fs::path& path) {
    return message_of([&] { load_model(path.string(), {}); });
  }
  /// What loading says when config.json has this value.
  std::string with_config(const std::string& key, const Json& value) {
    const fs::path folder = copy("grouped");
    edit(folder / "config.json", [&](Json& json) { json[key] = value; });
    const std::string message = failure(folder);
    fs::remove_all(folder);
    return message;
  }

  ScratchFolder scratch_;
};

using testing::HasSubstr;

TEST_F(BadFolder, LacksAFile) {
  EXPECT_THAT(failure(scratch_ / "nowhere"),
              HasSubstr("expected \"organism\", a GGUF file, a Hugging Face folder or an adapter folder"));
  const fs::path folder = copy("grouped");
  fs::remove(folder / "model.safetensors");
  EXPECT_THAT(failure(folder), HasSubstr("has neither model.safetensors nor model.safetensors.index.json"));
  fs::remove(folder / "tokenizer.json");
  EXPECT_THAT(failure(folder), HasSubstr("has no tokenizer.json"));
  fs::remove(folder / "config.json");
  EXPECT_THAT(failure(folder), HasSubstr("has no config.json"));
}

TEST_F(BadFolder, IndexLies) {
  const fs::path folder = copy("sharded"), index = folder / "model.safetensors.index.json";
  edit(index, [](Json& json) { json["weight_map"]["model.norm.weight"] = "../grouped/model.safetensors"; });
  EXPECT_THAT(failure(folder),
              HasSubstr("the shard of \"model.norm.weight\" is \"../grouped/model.safetensors\", expected a file name"));
  edit(index, [](Json& json) { json["weight_map"]["model.norm.weight"] = "model-00004-of-00003.safetensors"; });
  EXPECT_THAT(failure(folder), HasSubstr("lacks the shard model-00004-of-00003.safetensors that its index names"));
  fs::copy(folder / "model-00001-of-00003.safetensors", folder / "model-00004-of-00003.safetensors");
  EXPECT_THAT(failure(folder), HasSubstr("of another shard"));
  edit(index, [](Json& json) {
    for (auto& [tensor, file] : json["weight_map"].items()) file = "model-00001-of-00003.safetensors";
  });
  EXPECT_THAT(failure(folder), HasSubstr("has no tensor \""));
  write_file(index, "{}");
  EXPECT_THAT(failure(folder), HasSubstr("has no \"weight_map\" table"));
}

TEST_F(BadFolder, ConfigurationIsNotSupportedOrLies) {
  EXPECT_THAT(with_config("model_type", "gpt2"), HasSubstr("model_type \"gpt2\" is not supported; supported: llama"));
  EXPECT_THAT(with_config("hidden_act", "gelu"), HasSubstr("hidden_act \"gelu\" is not supported"));
  EXPECT_THAT(with_config("attention_bias", true), HasSubstr("biases are not supported"));
  EXPECT_THAT(with_config("rope_parameters", {{"rope_type", "yarn"}}), HasSubstr("rotary scaling \"yarn\" is not supported"));
  EXPECT_THAT(with_config("num_key_value_heads", 3), HasSubstr("4 attention heads cannot share 3 key-value heads evenly"));
  EXPECT_THAT(with_config("num_attention_heads", 0), HasSubstr("\"num_attention_heads\" is 0, expected a positive integer"));
  EXPECT_THAT(with_config("hidden_size", "wide"), HasSubstr("\"hidden_size\" is \"wide\", expected a positive integer"));
  EXPECT_THAT(with_config("vocab_size", 500),
              HasSubstr("tensor \"model.embed_tokens.weight\" has shape [480, 32], its configuration calls for [500, 32]"));
  EXPECT_THAT(with_config("num_hidden_layers", 3), HasSubstr("has no tensor \"model.layers.2."));
  EXPECT_THAT(with_config("num_hidden_layers", 1), HasSubstr("has a tensor \"model.layers.1."));
  EXPECT_THAT(with_config("tie_word_embeddings", false), HasSubstr("has no tensor \"lm_head.weight\""));
}

TEST_F(BadFolder, HoldsASurplusTensor) {
  const fs::path folder = copy("grouped");
  {
    auto file = read_safetensors(folder / "model.safetensors");
    file.tensors["model.extra.weight"] = at::zeros({2});
    write_safetensors(folder / "model.safetensors", file.tensors);
  }
  EXPECT_THAT(failure(folder), HasSubstr("has a tensor \"model.extra.weight\" that a llama decoder"));
}

TEST_F(BadFolder, AdapterDoesNotFit) {
  const fs::path folder = copy("adapter"), config = folder / "adapter_config.json";
  EXPECT_THAT(failure(folder), HasSubstr("adapts the base model \"../grouped\", which is not there"));
  edit(config, [](Json& json) { json["base_model_name_or_path"] = fixtures::checkpoint("sharded").string(); });
  EXPECT_THAT(failure(folder), HasSubstr("do not fit its weight of shape"));
  edit(config, [](Json& json) { json["rank_pattern"] = {{"q_proj", 2}}; });
  EXPECT_THAT(failure(folder), HasSubstr("\"rank_pattern\""));
  edit(config, [](Json& json) { json["base_model_name_or_path"] = nullptr; });
  EXPECT_NE(failure(folder), "no error");
  edit(config, [](Json& json) { json["use_dora"] = true; });
  EXPECT_THAT(failure(folder), HasSubstr("is not a plain LoRA adapter"));
}

}  // namespace
}  // namespace holdfast
