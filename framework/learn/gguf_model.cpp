#include "learn/gguf_model.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>
#include <optional>

#include "model/gguf_decoder.h"
#include "model/gguf_parts.h"
#include "model/placement.h"

namespace holdfast {
namespace {

const std::string kTokenizer = "tokenizer.ggml.";

// llama.cpp stops at these whatever the file's keys say.
const std::vector<std::string> kEndTexts = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",   "<|endoftext|>",      "</s>", "<|eom_id|>", "<EOT>",
    "_<EOT>",     "[EOT]",      "[EOS]",   "<|end_of_text|>", "<end_of_utterance>", "<eos>"};
// Pre-tokenizers whose models begin with BOS unless a key says otherwise.
const std::vector<std::string> kBeginWithBos = {"llama3", "llama-v3", "llama-bpe", "falcon3", "tekken"};

template <typename T>
bool among(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Metadata; absent members keep their defaults.
class Metadata {
 public:
  Metadata(const std::map<std::string, Json>& values, const std::string& source) : values_(values), source_(source) {}

  template <typename T>
  T get(const std::string& key, T fallback) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return fallback;
    try {
      return found->second.get<T>();
    } catch (const Json::exception&) {
      throw Error(source_ + ": the metadata \"" + key + "\" has an unexpected type");
    }
  }
  std::optional<std::int64_t> id(const std::string& name, std::optional<std::int64_t> fallback = std::nullopt) const {
    if (!values_.contains(kTokenizer + name)) return fallback;
    return get<std::int64_t>(kTokenizer + name, 0);
  }

 private:
  const std::map<std::string, Json>& values_;
  const std::string& source_;
};

GgufVocabulary vocabulary_of(const Metadata& metadata) {
  GgufVocabulary v;
  v.model = metadata.get<std::string>(kTokenizer + "model", "");
  v.pre = metadata.get<std::string>(kTokenizer + "pre", "");
  v.tokens = metadata.get<std::vector<std::string>>(kTokenizer + "tokens", {});
  v.merges = metadata.get<std::vector<std::string>>(kTokenizer + "merges", {});
  v.scores = metadata.get<std::vector<float>>(kTokenizer + "scores", {});
  v.token_types = metadata.get<std::vector<std::int32_t>>(kTokenizer + "token_type", {});
  const bool sentence_piece = v.model == "llama";
  const auto usual = [&](std::int64_t id) { return sentence_piece ? std::optional(id) : std::nullopt; };
  v.bos = metadata.id("bos_token_id", usual(1));
  v.eos = metadata.id("eos_token_id", usual(2));
  v.unknown = metadata.id("unknown_token_id", usual(0));
  v.add_bos = metadata.get<bool>(kTokenizer + "add_bos_token", sentence_piece || among(kBeginWithBos, v.pre));
  v.add_eos = metadata.get<bool>(kTokenizer + "add_eos_token", false);
  v.add_space_prefix = metadata.get<bool>(kTokenizer + "add_space_prefix", true);
  return v;
}

std::vector<std::int64_t> stops_of(const GgufVocabulary& vocabulary, const Metadata& metadata, const std::string& source) {
  std::vector<std::int64_t> stops;
  const auto add = [&](std::optional<std::int64_t> id) {
    if (!id || among(stops, *id)) return;
    if (*id < 0 || *id >= static_cast<std::int64_t>(vocabulary.tokens.size())) {
      throw Error(source + ": an end-of-turn token has the id " + std::to_string(*id) + ", but there are " +
                  std::to_string(vocabulary.tokens.size()) + " tokens");
    }
    stops.push_back(*id);
  };
  add(vocabulary.eos);
  add(metadata.id("eot_token_id"));
  add(metadata.id("eom_token_id"));
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (among(kEndTexts, vocabulary.tokens[id])) add(static_cast<std::int64_t>(id));
  }
  return stops;
}

FilesBeside files_in(const GgufFile& file, const fs::path& path) {
  const std::string source = path.string();
  const Metadata metadata(file.metadata(), source);
  const GgufVocabulary vocabulary = vocabulary_of(metadata);
  const Json tokenizer = tokenizer_definition(vocabulary, source);

  Json settings = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  Json ids = {{"eos_token_id", stops_of(vocabulary, metadata, source)}};
  const auto name = [&](const char* token, const std::optional<std::int64_t>& id) {
    if (id && *id >= 0 && *id < static_cast<std::int64_t>(vocabulary.tokens.size())) {
      settings[token] = vocabulary.tokens[static_cast<std::size_t>(*id)];
    }
  };
  name("bos_token", vocabulary.bos);
  name("eos_token", vocabulary.eos);
  name("unk_token", vocabulary.unknown);
  name("pad_token", metadata.id("padding_token_id"));
  if (vocabulary.bos) ids["bos_token_id"] = *vocabulary.bos;

  FilesBeside files;
  files["tokenizer.json"] = {tokenizer.dump(), path};
  files["tokenizer_config.json"] = {settings.dump(2), path};
  files["generation_config.json"] = {ids.dump(2), path};
  files["config.json"] = {ids.dump(2), path};
  if (const auto text = metadata.get<std::string>("tokenizer.chat_template", ""); !text.empty()) {
    files["chat_template.jinja"] = {text, path};
  }
  return files;
}

}  // namespace

FilesBeside gguf_files_beside(const fs::path& path) { return files_in(read_gguf(path), path); }

GgufModel read_gguf_model(const fs::path& path, const std::vector<c10::Device>& devices, c10::ScalarType dtype) {
  const std::string source = path.string();
  const GgufFile file = read_gguf(path);
  GgufModel model;
  model.files = files_in(file, path);
  auto [config, weights] = read_gguf_decoder(file, source);
  const Placement placement(config, devices);
  for (auto& [tensor_name, tensor] : weights) tensor = tensor.to(placement.of(tensor_name), dtype);
  model.decoder = std::make_shared<Decoder>(config, std::move(weights), source);
  return model;
}

GgufModel read_gguf_around(const fs::path& path, NamedTensors weights) {
  const std::string source = path.string();
  const GgufFile file = read_gguf(path);
  return {std::make_shared<Decoder>(read_gguf_config(file, source), std::move(weights), source), files_in(file, path)};
}

}  // namespace holdfast
