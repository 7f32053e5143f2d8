// A GGUF vocabulary, written as the tokenizer.json that it came from.
#include <holdfast/error.h>

#include <algorithm>
#include <sstream>
#include <tuple>
#include <unordered_map>

#include "text/characters.h"
#include "text/tokenizer.h"

namespace holdfast {

namespace {

constexpr std::int32_t kUnknown = 2;
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kUserDefined = 4;
constexpr const char* kSpaceMark = "\xE2\x96\x81";  // U+2581

// How a "gpt2" model cuts text, by the name that the file gives.
struct Cut {
  const char* names;   // separated by spaces
  const char* regex;   // "" for GPT-2's own
  bool single_digits;  // each digit is a piece
  bool ignore_merges;
  bool nfc;
};

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// "smollm" stands in the first row because transformers, our reference for GGUF files, cuts it so; the tokenizer.json of the
// same checkpoint cuts single digits first, which differs where two or more spaces or newlines stand before a digit.
constexpr Cut kCuts[] = {
    {"default gpt-2 gpt2 olmo mpt phi-2 jais smollm", "", false, false, false},
    {"starcoder refact command-r codeshell", "", true, false, false},
    {"llama-bpe llama3 llama-v3 falcon3", kLlama3, false, true, false},
    {"smaug-bpe dbrx", kLlama3, false, false, false},
    {"qwen2 deepseek-r1-qwen megrez", kQwen2, false, false, true},
    {"stablelm2", kQwen2, false, false, false},
    {"tekken", kTekken, false, true, false},
};

std::string known_names() {
  std::string all;
  for (const Cut& cut : kCuts) {
    std::istringstream names(cut.names);
    for (std::string name; names >> name;) all.append(all.empty() ? "" : ", ").append(name);
  }
  return all;
}

const Cut& cut_named(const std::string& name, const std::string& source) {
  const std::string wanted = name.empty() ? "default" : name;
  for (const Cut& cut : kCuts) {
    std::istringstream names(cut.names);
    for (std::string known; names >> known;)
      if (known == wanted) return cut;
  }
  throw Error(source + ": the pre-tokenizer \"" + name + "\" is not supported; supported: " + known_names());
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", use_regex}};
}

Json pre_tokenizer_of(const Cut& cut) {
  Json parts = Json::array();
  if (cut.single_digits) parts.push_back({{"type", "Digits"}, {"individual_digits", true}});
  const std::string regex = cut.regex;
  if (!regex.empty())
    parts.push_back({{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}});
  parts.push_back(byte_level(regex.empty()));
  return {{"type", "Sequence"}, {"pretokenizers", parts}};
}

void check(const GgufVocabulary& vocabulary, const std::string& source) {
  const std::size_t count = vocabulary.tokens.size();
  const auto same = [&](std::size_t found, const char* what) {
    if (found != count)
      throw Error(source + ": the tokenizer has " + std::to_string(count) + " tokens but " + std::to_string(found) + " " +
                  what);
  };
  if (count == 0) throw Error(source + ": the tokenizer has no tokens");
  if (!vocabulary.token_types.empty()) same(vocabulary.token_types.size(), "token types");
  if (vocabulary.model == "llama") same(vocabulary.scores.size(), "scores");
  for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.unknown})
    if (id && (*id < 0 || *id >= static_cast<std::int64_t>(count)))
      throw Error(source + ": a special token has the id " + std::to_string(*id) + ", but there are " + std::to_string(count) +
                  " tokens");
  for (std::size_t i = 0; i < count; ++i)
    if (!is_valid_utf8(vocabulary.tokens[i])) throw Error(source + ": token " + std::to_string(i) + " is not valid UTF-8");
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i)
    if (!is_valid_utf8(vocabulary.merges[i])) throw Error(source + ": merge " + std::to_string(i) + " is not valid UTF-8");
}

Json vocab_of(const GgufVocabulary& vocabulary) {
  Json vocab = Json::object();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) vocab[vocabulary.tokens[i]] = i;
  return vocab;
}

Json added_tokens_of(const GgufVocabulary& vocabulary) {
  Json added = Json::array();
  for (std::size_t i = 0; i < vocabulary.token_types.size(); ++i) {
    const std::int32_t type = vocabulary.token_types[i];
    const bool special = type == kControl || type == kUnknown;
    if (!special && type != kUserDefined) continue;
    // HF tokenizers insists on every one of these.
    added.push_back({{"id", i},
                     {"content", vocabulary.tokens[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  return added;
}

Json post_processor_of(const GgufVocabulary& vocabulary) {
  Json single = Json::array();
  Json special = Json::object();
  const auto add = [&](bool wanted, const std::optional<std::int64_t>& id) {
    if (!wanted || !id) return;
    const std::string name = vocabulary.tokens[static_cast<std::size_t>(*id)];
    single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    special[name] = {{"id", name}, {"ids", {*id}}, {"tokens", {name}}};
  };
  add(vocabulary.add_bos, vocabulary.bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(vocabulary.add_eos, vocabulary.eos);
  const Json pair = {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}};
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Json byte_level_definition(const GgufVocabulary& vocabulary, const std::string& source) {
  const Cut& cut = cut_named(vocabulary.pre, source);
  Json definition;
  definition["model"] = {
      {"type", "BPE"}, {"vocab", vocab_of(vocabulary)}, {"merges", vocabulary.merges}, {"ignore_merges", cut.ignore_merges}};
  if (cut.nfc) definition["normalizer"] = {{"type", "NFC"}};
  definition["pre_tokenizer"] = pre_tokenizer_of(cut);
  definition["decoder"] = byte_level(true);
  return definition;
}

// SentencePiece joins any two neighbours that make a token, best score first. As ranked merges that is: every way to cut a
// token in two tokens, ordered by the token's score.
Json merges_by_score(const GgufVocabulary& vocabulary) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) ids[vocabulary.tokens[i]] = i;
  using Ranked = std::tuple<float, std::size_t, std::size_t>;  // -score, token, size of its left part
  std::vector<Ranked> ranked;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string_view token = vocabulary.tokens[i];
    for (std::size_t cut = token.empty() ? 0 : character_at(token, 0).size; cut < token.size();
         cut += character_at(token, cut).size)
      if (ids.contains(token.substr(0, cut)) && ids.contains(token.substr(cut)))
        ranked.emplace_back(-vocabulary.scores[i], i, cut);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return std::get<0>(a) < std::get<0>(b); });
  Json merges = Json::array();
  for (const auto& [score, token, cut] : ranked)
    merges.push_back({vocabulary.tokens[token].substr(0, cut), vocabulary.tokens[token].substr(cut)});
  return merges;
}

Json sentence_piece_definition(const GgufVocabulary& vocabulary) {
  const auto replace = [](const char* from, const char* to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  Json definition;
  definition["model"] = {{"type", "BPE"},
                         {"vocab", vocab_of(vocabulary)},
                         {"merges", merges_by_score(vocabulary)},
                         {"byte_fallback", true},
                         {"fuse_unk", true}};
  if (vocabulary.unknown) definition["model"]["unk_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unknown)];
  Json normalizers = Json::array();
  if (vocabulary.add_space_prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
  normalizers.push_back(replace(" ", kSpaceMark));
  definition["normalizer"] = {{"type", "Sequence"}, {"normalizers", normalizers}};
  Json decoders = {replace(kSpaceMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (vocabulary.add_space_prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  definition["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  return definition;
}

}  // namespace

Json tokenizer_definition(const GgufVocabulary& vocabulary, const std::string& source) {
  check(vocabulary, source);
  Json definition;
  if (vocabulary.model == "gpt2")
    definition = byte_level_definition(vocabulary, source);
  else if (vocabulary.model == "llama")
    definition = sentence_piece_definition(vocabulary);
  else
    throw Error(source + ": tokenizer model \"" + vocabulary.model + "\" is not supported; supported: gpt2, llama");
  definition["added_tokens"] = added_tokens_of(vocabulary);
  definition["post_processor"] = post_processor_of(vocabulary);
  return definition;
}

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const GgufVocabulary& vocabulary, const std::string& source) {
  return from_json(tokenizer_definition(vocabulary, source), source);
}

}  // namespace holdfast
