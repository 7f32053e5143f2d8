// PEFT adapters: every kind that is read against PEFT's own numbers, and those that are refused by name.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/export.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

fs::path adapters() { return fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/checkpoints"; }

class Adapters : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Kinds, Adapters,
                         testing::Values("gaussian", "orthogonal", "eva", "rslora", "pattern", "one_layer", "head", "embedding",
                                         "saved_head", "saved_embedding", "saved_norm"),
                         [](const auto& info) { return info.param; });

TEST_P(Adapters, GiveTheNumbersOfPeft) {
  const auto model = load_model((adapters() / GetParam()).string(), {});
  const at::Tensor expected = fixtures::found_elsewhere(fixtures::elsewhere()["adapters"][GetParam()]);
  EXPECT_LT(fixtures::distance(fixtures::whole_log_probs(*model), expected), 2e-4);
  EXPECT_GT(fixtures::distance(fixtures::found_elsewhere("base"), expected), 1e-2);
  const ScratchFolder scratch;
  save_checkpoint(*model, scratch / "merged");
  const auto merged = load_model((scratch / "merged").string(), {});
  EXPECT_LT(fixtures::distance(fixtures::whole_log_probs(*merged), expected), 2e-4);
}

// A copy of a fixture, on the fixtures' base, whose files a test then changes.
class ChangedAdapter : public testing::Test {
 protected:
  fs::path copy(const std::string& name, const fs::path& base = fixtures::checkpoint("grouped")) {
    const fs::path folder = scratch_ / name;
    fs::remove_all(folder);
    fs::copy(adapters() / name, folder);
    set(folder, "base_model_name_or_path", base.string());
    return folder;
  }
  static void set(const fs::path& folder, const std::string& key, const Json& value) {
    Json config = parse_json(read_file(folder / "adapter_config.json"), "adapter_config.json");
    config[key] = value;
    write_file(folder / "adapter_config.json", config.dump());
  }
  static std::string failure(const fs::path& folder) {
    try {
      load_model(folder.string(), {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  static void change_weights(const fs::path& folder, const std::function<void(NamedTensors&)>& change) {
    NamedTensors tensors;
    for (const auto& [name, tensor] : read_safetensors(folder / "adapter_model.safetensors").tensors)
      tensors[name] = tensor.clone();
    change(tensors);
    write_safetensors(folder / "adapter_model.safetensors", tensors);
  }

  ScratchFolder scratch_;
};

TEST_F(ChangedAdapter, SettingsThatAreNotKnownOrNotPlainAreNamed) {
  const std::pair<const char*, Json> settings[] = {{"init_lora_weights", "pissa"},
                                                   {"init_lora_weights", "pissa_niter_16"},
                                                   {"init_lora_weights", "olora"},
                                                   {"init_lora_weights", "corda"},
                                                   {"init_lora_weights", "loftq"},
                                                   {"init_lora_weights", "lora_ga"},
                                                   {"init_lora_weights", "mica"},
                                                   {"layer_replication", {{0, 1}, {0, 2}}},
                                                   {"use_dora", true},
                                                   {"use_qalora", true},
                                                   {"lora_bias", true},
                                                   {"fan_in_fan_out", true},
                                                   {"bias", "lora_only"},
                                                   {"trainable_token_indices", {1, 2}},
                                                   {"target_parameters", {"mlp.experts"}},
                                                   {"megatron_config", {{"tensor_model_parallel_size", 2}}},
                                                   {"alora_invocation_tokens", {5}},
                                                   {"ensure_weight_tying", true},
                                                   {"peft_type", "IA3"},
                                                   {"task_type", "SEQ_CLS"},
                                                   {"r", "four"},
                                                   {"lora_alpha", nullptr},
                                                   {"rank_pattern", {{"q_proj", 0}}},
                                                   {"a_key_of_tomorrow", 3}};
  const fs::path folder = copy("gaussian");
  const Json untouched = parse_json(read_file(folder / "adapter_config.json"), "adapter_config.json");
  for (const auto& [key, value] : settings) {
    set(folder, key, value);
    EXPECT_THAT(failure(folder), testing::AllOf(HasSubstr((folder / "adapter_config.json").string()),
                                                HasSubstr("\"" + std::string(key) + "\" is " + value.dump())));
    write_file(folder / "adapter_config.json", untouched.dump());
  }
  for (const Json& off : {Json(), Json(false), Json::array(), Json::object(), Json("")}) {
    set(folder, "a_key_of_tomorrow", off);
    EXPECT_EQ(failure(folder), "no error") << off;
  }
}

TEST_F(ChangedAdapter, TensorsThatAreNotReadAreNamed) {
  const fs::path folder = copy("saved_head");
  change_weights(folder, [](NamedTensors& tensors) { tensors["base_model.model.score.weight"] = at::zeros({2, 32}); });
  EXPECT_THAT(failure(folder),
              HasSubstr("holds \"base_model.model.score.weight\", which is neither a LoRA factor nor a tensor"));
  change_weights(folder, [](NamedTensors& tensors) {
    tensors.erase("base_model.model.score.weight");
    tensors.erase("base_model.model.lm_head.weight");
  });
  EXPECT_THAT(failure(folder), HasSubstr("holds no tensor of \"lm_head\", which adapter_config.json names in modules_to_save"));
  const fs::path larger = copy("saved_embedding");
  change_weights(larger, [](NamedTensors& tensors) {
    tensors["base_model.model.model.embed_tokens.weight"] = at::zeros({490, 32});
  });
  EXPECT_THAT(failure(larger), HasSubstr("\"model.embed_tokens.weight\" has shape [490, 32]"));
}

TEST_F(ChangedAdapter, RanksAreThoseOfTheFile) {
  const fs::path folder = copy("gaussian");
  set(folder, "r", 8);
  EXPECT_THAT(failure(folder), HasSubstr("have the rank 2, and adapter_config.json gives it 8"));
  set(folder, "r", 2);
  set(folder, "rank_pattern", {{"q_(proj", 2}});
  EXPECT_THAT(failure(folder), HasSubstr("\"rank_pattern\" has the key \"q_(proj\", which is no regular expression"));
}

TEST_F(ChangedAdapter, OnAnAdapterAddsToIt) {
  const fs::path below = copy("rslora"), above = copy("gaussian", below);
  const auto model = load_model(above.string(), {});
  EXPECT_LT(fixtures::distance(fixtures::whole_log_probs(*model),
                               fixtures::found_elsewhere(fixtures::elsewhere()["adapters"]["stacked"])),
            2e-4);
  EXPECT_NE(checkpoint_digest(above.string()), checkpoint_digest(below.string()));
}

TEST_F(ChangedAdapter, OnItselfIsRefused) {
  const fs::path folder = copy("gaussian");
  for (const std::string& base : {folder.string(), (folder / "../gaussian").string(), std::string("../gaussian")}) {
    set(folder, "base_model_name_or_path", base);
    EXPECT_THAT(failure(folder), HasSubstr("which is itself or stands on it")) << base;
  }
  const fs::path other = copy("rslora", folder);
  set(folder, "base_model_name_or_path", other.string());
  EXPECT_THAT(failure(folder), HasSubstr("which is itself or stands on it"));
}

TEST_F(ChangedAdapter, BesideAWholeModelIsRefused) {
  const fs::path folder = copy("gaussian");
  fs::copy(fixtures::checkpoint("grouped") / "model.safetensors", folder / "model.safetensors");
  EXPECT_THAT(failure(folder), HasSubstr("holds both an adapter (adapter_config.json) and a whole model (model.safetensors)"));
}

TEST_F(ChangedAdapter, BringsItsOwnTokenizerAndTemplate) {
  const Conversation chat = {{"user", "Hello"}};
  const std::string own = "{{ eos_token }}{{ messages[0].content }}";
  const fs::path folder = copy("gaussian");
  const auto rendered = [&] { return load_model(folder.string(), {})->chat().render(chat, false); };
  const std::string of_base = rendered();
  EXPECT_THAT(of_base, HasSubstr("<|im_start|>user"));

  // A tokenizer without a template leaves the base's template, which refers to the adapter's tokens.
  write_file(folder / "tokenizer_config.json", Json{{"eos_token", "<|im_start|>"}}.dump());
  EXPECT_EQ(rendered(), of_base);
  EXPECT_EQ(load_model(folder.string(), {})->stop_tokens(), (std::vector<std::int64_t>{2, 1}));
  write_file(folder / "tokenizer_config.json", Json{{"eos_token", "<|im_start|>"}, {"chat_template", own}}.dump());
  EXPECT_EQ(rendered(), "<|im_start|>Hello");
  write_file(folder / "chat_template.jinja", "file: " + own);
  EXPECT_EQ(rendered(), "file: <|im_start|>Hello");

  Json tokenizer = parse_json(read_file(fixtures::checkpoint("grouped") / "tokenizer.json"), "tokenizer.json");
  tokenizer["added_tokens"].push_back({{"id", 480},
                                       {"content", "Hello"},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", true}});
  write_file(folder / "tokenizer.json", tokenizer.dump());
  EXPECT_EQ(load_model(folder.string(), {})->tokenizer().id_of("Hello"), 480);
}

TEST_F(ChangedAdapter, KeepsATemplateInTheBasesTokenizerConfig) {
  const fs::path base = scratch_ / "base";
  fs::copy(fixtures::checkpoint("grouped"), base);
  const std::string text = read_file(base / "chat_template.jinja");
  fs::remove(base / "chat_template.jinja");
  write_file(base / "tokenizer_config.json", Json{{"eos_token", "<|im_end|>"}, {"chat_template", text}}.dump());
  const fs::path folder = copy("gaussian", base);
  write_file(folder / "tokenizer_config.json", Json{{"eos_token", "<|im_end|>"}}.dump());
  EXPECT_THAT(load_model(folder.string(), {})->chat().render({{"user", "Hello"}}, false), HasSubstr("<|im_start|>user"));
}

}  // namespace
}  // namespace holdfast
