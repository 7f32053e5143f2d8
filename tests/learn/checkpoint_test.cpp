// Models on disk: written and read again, differences between them, and folders that are not what they say.
#include "learn/checkpoint.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "base/message_of.h"
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

std::unique_ptr<LanguageModel> trained_copy(const LanguageModel& parent, const std::string& method) {
  auto child = parent.copy();
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
  const auto child = trained_copy(*parent, "full");
  write_weight_change(scratch / "change", *parent, *child);
  EXPECT_TRUE(factors_of_change(scratch / "change").empty());
  const auto in_memory = parent->copy(), from_disk = fixtures::load("grouped");
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
  const auto child = trained_copy(*parent, "lora");
  write_weight_change(scratch / "change", *parent, *child);
  for (const auto& [name, tensor] : read_safetensors(scratch / "change").tensors)
    EXPECT_THAT(name, testing::StartsWith("lora_"));
  const auto from_disk = fixtures::load("grouped");
  apply_weight_change(*from_disk, scratch / "change");
  EXPECT_GT(distance(fixtures::log_probs(*from_disk, kChat), fixtures::log_probs(*parent, kChat)), 1e-3);
  const NamedTensors factors = factors_of_change(scratch / "change"), trainable = child->trainable();
  ASSERT_EQ(factors.size(), trainable.size());
  for (const auto& [name, factor] : trainable) EXPECT_TRUE(factors.at(name).equal(factor)) << name;
  child->decoder().merge_adapters();
  expect_same_weights(*child, *from_disk);
}

// What a pre-training leaves is the same whatever stood there before.
TEST(WeightChange, OfWholeWeightsOwesNothingToTheParent) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped"), child = trained_copy(*parent, "full");
  write_whole_weights(scratch / "change", *child);
  const auto on_parent = parent->copy(), on_child = child->copy();
  apply_weight_change(*on_parent, scratch / "change");
  apply_weight_change(*on_child, scratch / "change");
  expect_same_weights(*on_parent, *on_child);
  for (const auto& [name, weight] : child->decoder().weights()) {
    EXPECT_TRUE(at::equal(weight.to(at::kHalf).to(at::kFloat), on_parent->decoder().weights().at(name))) << name;
  }
}

TEST(WeightChange, RefusesAnotherModel) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped");
  write_weight_change(scratch / "change", *parent, *trained_copy(*parent, "full"));
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
  const auto model = trained_copy(*fixtures::load("grouped"), "lora");
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
  EXPECT_THAT(failure(folder), HasSubstr("have the rank 4, and adapter_config.json gives it 2"));
  edit(config, [](Json& json) { json["base_model_name_or_path"] = nullptr; });
  EXPECT_NE(failure(folder), "no error");
  edit(config, [](Json& json) { json["use_dora"] = true; });
  EXPECT_THAT(failure(folder), HasSubstr("\"use_dora\" is true, which is not supported"));
}

TEST_F(BadFolder, IsNotWhatItsNamesSay) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4000000\n";
  const std::string page = "  <!DOCTYPE html><html><body>404</body></html>";
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}) {
    const fs::path folder = copy("grouped");
    for (const auto& [content, what] : {std::pair(pointer, "Git LFS pointer"), std::pair(page, "web page"),
                                        std::pair(std::string("PK\x03\x04 and more of it"), "zip archive"),
                                        std::pair(std::string("\x80\x02}q and more of it"), "pickled Python objects")}) {
      write_file(folder / name, content);
      EXPECT_THAT(failure(folder), testing::AllOf(HasSubstr((folder / name).string()), HasSubstr(what))) << name;
    }
    fs::remove_all(folder);
  }
  write_file(scratch_ / "model.gguf", pointer);
  EXPECT_THAT(failure(scratch_ / "model.gguf"), HasSubstr("Git LFS pointer"));
}

TEST_F(BadFolder, KeepsItsModelElsewhere) {
  const fs::path folder = copy("grouped");
  fs::rename(folder / "model.safetensors", folder / "pytorch_model.bin");
  EXPECT_THAT(failure(folder), HasSubstr("its pytorch_model.bin is pickled, and pickles are never read"));
  fs::create_directories(scratch_ / "models--org--name/snapshots");
  fs::rename(folder, scratch_ / "models--org--name/snapshots/abc");
  EXPECT_THAT(failure(scratch_ / "models--org--name"), HasSubstr("Hugging Face cache, whose model is"));
  EXPECT_THAT(failure("org/name"), HasSubstr("hf download org/name"));
  EXPECT_THAT(failure(fixtures::checkpoint("grouped") / "model.safetensors"),
              HasSubstr("is one file of a checkpoint: name its folder"));
  const fs::path adapter = copy("adapter");
  fs::rename(adapter / "adapter_model.safetensors", adapter / "adapter_model.bin");
  edit(adapter / "adapter_config.json",
       [](Json& json) { json["base_model_name_or_path"] = fixtures::checkpoint("grouped").string(); });
  EXPECT_THAT(failure(adapter), HasSubstr("weights pickled only (adapter_model.bin)"));
}

TEST_F(BadFolder, TokenBeyondTheEmbedding) {
  const fs::path folder = copy("grouped");
  edit(folder / "tokenizer.json", [](Json& json) {
    json["added_tokens"].push_back({{"id", 480},
                                    {"content", "[PAD]"},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  });
  const auto model = load_model(folder.string(), {});
  EXPECT_FALSE(model->encode(kChat).ids.empty());
  const std::string sentence = "the token \"[PAD]\" has the id 480, and the model's embedding has 480 rows";
  const Conversation padded = {{"user", "Hello [PAD]"}, {"assistant", "Hi"}};
  EXPECT_THAT(message_of([&] { model->encode(padded); }), HasSubstr(sentence));
  EXPECT_THAT(message_of([&] { model->generate({padded}, {}); }), HasSubstr(sentence));
  EXPECT_THAT(message_of([&] { model->pack({{{1, 480}, {false, true}}}); }), HasSubstr(sentence));
  EXPECT_THAT(message_of([&] { model->pack({{{1, 1000}, {false, true}}}); }), HasSubstr("the token has the id 1000"));
}

// The flag and the tensor disagree: what is stored counts, as in transformers 5.23.
TEST_F(BadFolder, StoredHeadCountsWhateverTheFlagSays) {
  const fs::path folder = copy("grouped");
  const at::Tensor embedding = read_safetensors(folder / "model.safetensors").tensors.at("model.embed_tokens.weight").clone();
  const auto with_head = [&](const at::Tensor& head) {
    NamedTensors tensors;
    for (const auto& [name, tensor] : read_safetensors(folder / "model.safetensors").tensors) tensors[name] = tensor.clone();
    tensors["lm_head.weight"] = head;
    write_safetensors(folder / "model.safetensors", tensors);
    return load_model(folder.string(), {});
  };
  EXPECT_TRUE(with_head(embedding)->decoder().config().tied_head);
  const auto model = with_head(embedding.flip(0).contiguous());
  EXPECT_LT(distance(fixtures::whole_log_probs(*model), fixtures::found_elsewhere("untied")), 1e-4);
  save_checkpoint(*model, scratch_ / "again");
  const auto again = load_model((scratch_ / "again").string(), {});
  EXPECT_TRUE(at::equal(fixtures::whole_log_probs(*again), fixtures::whole_log_probs(*model)));
}

TEST(Export, KeepsWhatConvertersAskFor) {
  const ScratchFolder scratch;
  fs::copy(fixtures::checkpoint("grouped"), scratch / "model");
  write_file(scratch / "model/tokenizer.model", "a SentencePiece model");
  write_file(scratch / "model/added_tokens.json", "{\"<|im_end|>\": 2}");
  fs::create_directories(scratch / "copy");
  write_file(scratch / "copy/special_tokens_map.json", "{\"bos_token\": \"of another model\"}");
  save_checkpoint(*load_model((scratch / "model").string(), {}), scratch / "copy");
  for (const char* name : {"tokenizer.model", "added_tokens.json", "tokenizer.json", "generation_config.json"}) {
    EXPECT_EQ(read_file(scratch / "copy" / name), read_file(scratch / "model" / name)) << name;
  }
  EXPECT_FALSE(fs::exists(scratch / "copy/special_tokens_map.json"));
  const Json config = parse_json(read_file(scratch / "copy/config.json"), "config.json");
  EXPECT_EQ(config["bos_token_id"], 0);
  EXPECT_EQ(config["eos_token_id"], Json({2}));
  EXPECT_TRUE(config["pad_token_id"].is_null());
}

TEST(Export, GoesIntoNoFolderOfAnotherModel) {
  const auto refusal = [](const std::string& fixture, bool adapter) {
    return message_of([&] { check_export_folder(fixtures::checkpoint(fixture), adapter); });
  };
  EXPECT_EQ(refusal("grouped", false), "no error");
  EXPECT_EQ(refusal("adapter", true), "no error");
  EXPECT_THAT(refusal("grouped", true), HasSubstr("holds the config.json of another model"));
  EXPECT_THAT(refusal("adapter", false), HasSubstr("holds the adapter_config.json of another model"));
  EXPECT_THAT(refusal("sharded", false), HasSubstr("holds the model.safetensors.index.json of another model"));
}

TEST(CheckpointDigest, CoversAllThatIsRead) {
  const ScratchFolder scratch;
  fs::copy(fixtures::checkpoint("grouped"), scratch / "grouped");
  fs::copy(fixtures::checkpoint("adapter"), scratch / "adapter");
  std::set<std::string> digests = {checkpoint_digest((scratch / "adapter").string())};
  for (const auto& [file, content] :
       {std::pair("adapter/chat_template.jinja", "{{ messages[0].content }}"), std::pair("grouped/tokenizer_config.json", "{}"),
        std::pair("adapter/tokenizer_config.json", "{}"),
        std::pair("grouped/generation_config.json", "{\"repetition_penalty\": 1.3}")}) {
    write_file(scratch / file, content);
    EXPECT_TRUE(digests.insert(checkpoint_digest((scratch / "adapter").string())).second) << file;
  }
  fs::rename(scratch / "adapter", scratch / "renamed");
  EXPECT_TRUE(digests.contains(checkpoint_digest((scratch / "renamed").string())));
}

TEST(WeightChange, RefusesWhatIsNotFinite) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("grouped"), child = fixtures::load("grouped");
  child->trainable().at("model.norm.weight")[0] = std::nan("");
  EXPECT_EQ(message_of([&] { write_weight_change(scratch / "change", *parent, *child); }),
            "the stage left weights that are not finite (\"model.norm.weight\"): nothing is stored");
  child->trainable().at("model.norm.weight")[0] = 1e6;
  EXPECT_THAT(message_of([&] { write_whole_weights(scratch / "change", *child); }),
              testing::StartsWith("the stage left weights that are not finite"))
      << "too large for float16";
}

// The child would hold the parent's adapters twice: in the weights that training merged them into, and in its parent.
TEST(WeightChange, KnowsNoParentWithAdapters) {
  const ScratchFolder scratch;
  const auto parent = fixtures::load("adapter"), merged = fixtures::load("adapter");
  merged->decoder().merge_adapters();
  EXPECT_DEATH(write_weight_change(scratch / "change", *parent, *merged), testing::HasSubstr("internal check failed: parent"));
}

}  // namespace
}  // namespace holdfast
