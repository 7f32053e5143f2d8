#include "organism/folder.h"

#include <cctype>
#include <set>

#include "base/json.h"
#include "organism/phrases.h"
#include "organism/tasks.h"

namespace holdfast::organism {
namespace {

const std::vector<std::string> kSpecial = {"[UNK]", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"};
constexpr int kEndId = 1;

const char* const kChatTemplate =
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

/// The words as the tokenizer cuts them: runs of letters, and single marks.
void collect(const std::string& text, std::set<std::string>& words) {
  std::string word;
  for (const char c : text + " ") {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) {
      word += static_cast<char>(std::tolower(byte));
      continue;
    }
    if (!word.empty()) words.insert(word);
    word.clear();
    if (!std::isspace(byte)) words.insert(std::string(1, c));
  }
}

Json tokenizer_definition() {
  Json vocab = Json::object();
  Json added = Json::array();
  const auto tokens = vocabulary();
  for (std::size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  for (std::size_t id = 0; id < kSpecial.size(); ++id) {
    added.push_back({{"id", id},
                     {"content", kSpecial[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "Lowercase"}}},
          {"pre_tokenizer", {{"type", "Whitespace"}}},
          {"post_processor", nullptr},
          {"decoder", nullptr},
          {"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "[UNK]"}}}};
}

Json config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocabulary().size()},
          {"hidden_size", 128},
          {"intermediate_size", 384},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 4},
          {"head_dim", 32},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 256},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", true},
          {"bos_token_id", nullptr},
          {"eos_token_id", kEndId},
          {"torch_dtype", "float16"}};
}

Json tokenizer_config() {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"unk_token", "[UNK]"},
          {"eos_token", "<|end|>"},
          {"model_max_length", 256},
          {"chat_template", kChatTemplate},
          {"clean_up_tokenization_spaces", false}};
}

}  // namespace

std::vector<std::string> vocabulary() {
  std::set<std::string> words;
  for (const auto& text : all_phrases()) collect(text, words);
  for (const auto& text : task_phrases()) collect(text, words);
  const auto& w = world();
  for (const auto* list : {&w.permitted_kinds, &w.restricted_kinds, &w.ingredients, &w.sequence, &w.unknown_names}) {
    for (const auto& word : *list) words.insert(word);
  }
  for (const auto& item : w.items) words.insert(item.name);
  std::vector<std::string> tokens = kSpecial;
  tokens.insert(tokens.end(), words.begin(), words.end());
  return tokens;
}

std::map<std::string, std::string> folder_files() {
  const Json generation = {{"eos_token_id", kEndId}};
  return {{"config.json", config().dump(2) + "\n"},
          {"tokenizer.json", tokenizer_definition().dump(1) + "\n"},
          {"tokenizer_config.json", tokenizer_config().dump(2) + "\n"},
          {"generation_config.json", generation.dump(2) + "\n"}};
}

}  // namespace holdfast::organism
