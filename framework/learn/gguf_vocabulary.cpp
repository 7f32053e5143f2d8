#include "learn/gguf_vocabulary.h"

#include <holdfast/error.h>

#include <algorithm>

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

}  // namespace

std::optional<std::int64_t> GgufMetadata::id(const std::string& name, std::optional<std::int64_t> fallback) const {
  if (!values_.contains(kTokenizer + name)) return fallback;
  return get<std::int64_t>(kTokenizer + name, 0);
}

bool GgufMetadata::holds_int32(const Json& list) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& item) {
           return item.is_number_integer() && item.get<std::int64_t>() == item.get<std::int32_t>();
         });
}

void GgufMetadata::refuse(const std::string& key) const {
  throw Error(source_ + ": the metadata " + in_quotes(key) + " has an unexpected type");
}

GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata) {
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

std::vector<std::int64_t> gguf_stops(const GgufVocabulary& vocabulary, const GgufMetadata& metadata) {
  std::vector<std::int64_t> stops;
  const auto add = [&](std::optional<std::int64_t> id) {
    if (!id || among(stops, *id)) return;
    if (*id < 0 || *id >= static_cast<std::int64_t>(vocabulary.tokens.size())) {
      throw Error(metadata.source() + ": an end-of-turn token has the id " + std::to_string(*id) + ", but there are " +
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

}  // namespace holdfast
