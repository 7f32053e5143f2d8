#include "learn/side_files.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "learn/json_file.h"

namespace holdfast {
namespace {

constexpr char kTemplate[] = "chat_template.jinja";
constexpr char kTokenizerConfig[] = "tokenizer_config.json";

// tokenizer.model is read by nobody here; converters of exported folders ask for it.
const std::vector<std::string> kTokenizerFiles = {"added_tokens.json", "special_tokens_map.json", "tokenizer.json",
                                                  "tokenizer.model", kTokenizerConfig};
const std::vector<std::string> kOtherFiles = {kTemplate, "config.json", "generation_config.json"};

template <typename Action>
void for_each_name(Action action) {
  for (const auto* names : {&kTokenizerFiles, &kOtherFiles}) std::for_each(names->begin(), names->end(), action);
}

// A token as tokenizer_config.json writes it: a text, or a table with "content".
std::string token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  return "";
}

// The template that a tokenizer_config.json holds: a text, or the one named "default" of several.
std::string template_in(const Json& tokenizer_config) {
  const Json given = tokenizer_config.value("chat_template", Json());
  if (given.is_string()) return given.get<std::string>();
  for (const auto& named : given.is_array() ? given : Json::array()) {
    const bool is_default = named.is_object() && named.value("name", Json()) == "default";
    if (is_default && named.contains("template") && named["template"].is_string()) return named["template"];
  }
  return "";
}

bool has_template(const FilesBeside& files) {
  return files.contains(kTemplate) || !template_in(json_beside(files, kTokenizerConfig)).empty();
}

// tokenizer_config.json with what special_tokens_map.json says of special tokens, which counts unless the former lists the
// added tokens itself.
Json tokenizer_settings(const FilesBeside& files) {
  Json settings = json_beside(files, kTokenizerConfig);
  if (!settings.contains("added_tokens_decoder")) settings.update(json_beside(files, "special_tokens_map.json"));
  return settings;
}

// "bos_token", "eos_token" and whatever else is named so, as templates see them.
std::map<std::string, std::string> special_tokens(const Json& settings) {
  std::map<std::string, std::string> special;
  for (const auto& [key, value] : settings.items()) {
    if (!key.ends_with("_token")) continue;
    if (const auto token = token_text(value); !token.empty()) special[key] = token;
  }
  return special;
}

Json added_token(const Json& value, bool special) {
  special = special || (value.is_object() && value.value("special", false));
  Json token = {{"content", token_text(value)}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                {"normalized", !special},       {"special", special}};
  if (!value.is_object()) return token;
  for (const auto& [key, flag] : token.items()) {
    if (key != "special" && value.contains(key)) flag = value[key];
  }
  return token;
}

// Tokens that other files than tokenizer.json add, in the order in which they are added.
std::vector<Json> tokens_elsewhere(const FilesBeside& files, const Json& settings) {
  const auto special = special_tokens(settings);
  const auto is_special = [&](const std::string& text) {
    return std::any_of(special.begin(), special.end(), [&](const auto& item) { return item.second == text; });
  };
  std::map<std::int64_t, Json> by_id;
  const Json listed = settings.value("added_tokens_decoder", Json::object());
  for (const auto& [id, value] : listed.items()) {
    by_id[std::stoll(id)] = added_token(value, is_special(token_text(value)));
  }
  const Json more_by_text =
      settings.contains("added_tokens_decoder") ? Json::object() : json_beside(files, "added_tokens.json");
  for (const auto& [text, id] : more_by_text.items()) by_id[id.get<std::int64_t>()] = added_token(text, is_special(text));
  std::vector<Json> tokens;
  for (const auto& [id, token] : by_id) tokens.push_back(token);
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    if (special.contains(key)) tokens.push_back(added_token(settings[key], true));
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const Json more = settings.value(key, Json());
    if (!more.is_array() && !more.is_object()) continue;
    for (const auto& [name, value] : more.items()) tokens.push_back(added_token(value, true));
  }
  std::erase_if(tokens, [](const Json& token) { return token["content"] == ""; });
  return tokens;
}

// tokenizer.json with the added tokens of the files beside it; a token that it does not know at all gets the next id.
Json whole_definition(const FilesBeside& files, const Json& settings) {
  Json definition = json_beside(files, "tokenizer.json");
  if (!definition.is_object() || !definition.contains("model")) return definition;  // the tokenizer says what is wrong
  const Json& vocabulary = definition["model"]["vocab"];
  Json& added = definition["added_tokens"];
  if (added.is_null()) added = Json::array();
  std::set<std::string> known;
  std::int64_t next = static_cast<std::int64_t>(vocabulary.size());
  for (const auto& token : added) {
    known.insert(token.value("content", ""));
    next = std::max(next, token.value("id", std::int64_t{-1}) + 1);
  }
  for (Json token : tokens_elsewhere(files, settings)) {
    const std::string content = token["content"].get<std::string>();
    if (!known.insert(content).second) continue;
    token["id"] = vocabulary.is_object() && vocabulary.contains(content) ? vocabulary[content] : Json(next++);
    added.push_back(token);
  }
  return definition;
}

std::shared_ptr<const Tokenizer> tokenizer_of(const FilesBeside& files, const Json& settings) {
  const std::string source = files.at("tokenizer.json").path.string();
  try {
    return Tokenizer::from_json(whole_definition(files, settings), source);
  } catch (const Json::exception& error) {
    throw Error(source + ", or a file of added tokens beside it, has a value of another type than it should: " + error.what());
  } catch (const std::logic_error&) {
    throw Error(files.at(kTokenizerConfig).path.string() + ": \"added_tokens_decoder\" has a key that is no token id");
  }
}

std::shared_ptr<const ChatTemplate> chat_of(const FilesBeside& files, const Json& settings) {
  const auto special = special_tokens(settings);
  if (files.contains(kTemplate)) {
    const SideFile& file = files.at(kTemplate);
    return std::make_shared<ChatTemplate>(file.content, special, file.path.string());
  }
  const std::string text = template_in(settings);
  if (text.empty()) return nullptr;
  return std::make_shared<ChatTemplate>(text, special, files.at(kTokenizerConfig).path.string());
}

void add_stop(std::vector<std::int64_t>& stops, const Json& value) {
  if (value.is_array()) {
    for (const auto& item : value) add_stop(stops, item);
  } else if (value.is_number_integer() && std::count(stops.begin(), stops.end(), value.get<std::int64_t>()) == 0) {
    stops.push_back(value.get<std::int64_t>());
  }
}

// Checkpoints older than generation_config.json keep such settings in config.json, where transformers still finds them.
const std::vector<std::string> kGenerationKeys = {"repetition_penalty",
                                                  "no_repeat_ngram_size",
                                                  "min_length",
                                                  "min_new_tokens",
                                                  "suppress_tokens",
                                                  "begin_suppress_tokens",
                                                  "bad_words_ids",
                                                  "diversity_penalty",
                                                  "encoder_no_repeat_ngram_size",
                                                  "encoder_repetition_penalty",
                                                  "exponential_decay_length_penalty",
                                                  "forced_bos_token_id",
                                                  "forced_eos_token_id",
                                                  "guidance_scale",
                                                  "num_beams",
                                                  "penalty_alpha",
                                                  "sequence_bias",
                                                  "stop_strings"};

FilesBeside with_generation_config(FilesBeside files) {
  if (files.contains("generation_config.json") || !files.contains("config.json")) return files;
  const Json config = json_beside(files, "config.json");
  Json settings = Json::object();
  for (const auto& key : kGenerationKeys) {
    if (config.contains(key)) settings[key] = config[key];
  }
  if (settings.empty()) return files;
  for (const char* id : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(id)) settings[id] = config[id];
  }
  files["generation_config.json"] = {settings.dump(2), files.at("config.json").path};
  return files;
}

std::vector<std::int64_t> stops_of(const FilesBeside& files, const Json& settings, const Tokenizer& tokenizer) {
  std::vector<std::int64_t> stops;
  for (const char* name : {"generation_config.json", "config.json"}) {
    add_stop(stops, json_beside(files, name).value("eos_token_id", Json()));
  }
  const auto special = special_tokens(settings);
  if (!special.contains("eos_token")) return stops;
  if (const auto eos = tokenizer.id_of(special.at("eos_token"))) add_stop(stops, *eos);
  return stops;
}

}  // namespace

std::vector<fs::path> side_files_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  for_each_name([&](const std::string& name) {
    if (fs::exists(folder / name)) paths.push_back(folder / name);
  });
  return paths;
}

FilesBeside files_beside(const fs::path& folder) {
  FilesBeside files;
  for (const auto& path : side_files_in(folder)) files[path.filename().string()] = {read_file(path), path};
  return files;
}

void remove_side_files(const fs::path& folder) {
  for (const auto& path : side_files_in(folder)) fs::remove(path);
}

FilesBeside laid_over(FilesBeside base, const FilesBeside& own) {
  if (has_template(own)) {
    base.erase(kTemplate);
  } else if (!base.contains(kTemplate) && has_template(base)) {
    // It would be lost with the file that holds it.
    base[kTemplate] = {template_in(json_beside(base, kTokenizerConfig)), base.at(kTokenizerConfig).path};
  }
  if (own.contains("tokenizer.json")) {
    for (const auto& name : kTokenizerFiles) base.erase(name);
  }
  for (const auto& [name, file] : own) base[name] = file;
  return base;
}

Json json_beside(const FilesBeside& files, const std::string& name) {
  const auto found = files.find(name);
  if (found == files.end()) return Json::object();
  Json json = json_content(found->second.content, found->second.path);
  if (!json.is_object()) throw Error(found->second.path.string() + " is not a JSON object");
  return json;
}

std::shared_ptr<const ChatTemplate> chat_template(const FilesBeside& files) {
  return chat_of(files, tokenizer_settings(files));
}

std::unique_ptr<LanguageModel> language_model(std::shared_ptr<Decoder> decoder, const FilesBeside& beside) {
  const FilesBeside files = with_generation_config(beside);
  const Json settings = tokenizer_settings(files);
  auto tokenizer = tokenizer_of(files, settings);
  auto stops = stops_of(files, settings, *tokenizer);
  DecodingRules rules;
  if (const auto found = files.find("generation_config.json"); found != files.end()) {
    rules = decoding_rules(json_beside(files, found->first), found->second.path.string());
  }
  SideFiles texts;
  for (const auto& [name, file] : files) texts[name] = file.content;
  return std::make_unique<LanguageModel>(std::move(decoder), std::move(tokenizer), chat_of(files, settings), std::move(stops),
                                         std::move(texts), std::move(rules));
}

}  // namespace holdfast
