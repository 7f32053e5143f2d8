// What lies beside weights: special tokens from every file that keeps them, and settings of generation.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/export.h"
#include "learn/generate.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

class SideFilesTest : public testing::Test {
 protected:
  SideFilesTest() : folder_(scratch_ / "model") { fs::copy(fixtures::checkpoint("grouped"), folder_); }
  std::unique_ptr<LanguageModel> load() const { return load_model(folder_.string(), {}); }
  void write(const std::string& name, const Json& content) const { write_file(folder_ / name, content.dump()); }
  std::string failure() const {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  ScratchFolder scratch_;
  fs::path folder_;
};

TEST_F(SideFilesTest, SpecialTokensAreThoseOfTransformers) {
  const Json& cases = fixtures::elsewhere()["special"];
  const Conversation chat = fixtures::conversation({{"messages", fixtures::elsewhere()["chat"]}});
  for (const auto& [name, special] : cases.items()) {
    for (const char* file : {"chat_template.jinja", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"})
      fs::remove(folder_ / file);
    for (const auto& [file, content] : special["files"].items()) write(file, content);
    const auto model = load();
    Json ids = Json::array();
    for (const auto& token : model->tokenizer().encode(model->chat().render(chat, false), false)) ids.push_back(token.id);
    EXPECT_EQ(ids, special["ids"]) << name;
    EXPECT_EQ(model->stop_tokens(), std::vector<std::int64_t>{2}) << name;
  }
}

TEST_F(SideFilesTest, EndsWithTheTokenThatOnlyTheMapNames) {
  write("generation_config.json", Json::object());
  Json config = parse_json(read_file(folder_ / "config.json"), "config.json");
  config.erase("eos_token_id");
  write("config.json", config);
  write("tokenizer_config.json", Json::object());
  EXPECT_EQ(load()->stop_tokens(), std::vector<std::int64_t>{2});  // the template's end of turn
  write("special_tokens_map.json", {{"eos_token", {{"content", "<|endoftext|>"}}}});
  EXPECT_EQ(load()->stop_tokens(), (std::vector<std::int64_t>{0, 2}));
}

TEST_F(SideFilesTest, FilesOfTheWrongFormAreNamed) {
  write("tokenizer_config.json", {{"added_tokens_decoder", {{"first", {{"content", "x"}}}}}});
  EXPECT_THAT(failure(), HasSubstr("tokenizer_config.json: \"added_tokens_decoder\" has a key that is no token id"));
  write("tokenizer_config.json", Json::array());
  EXPECT_THAT(failure(), HasSubstr("tokenizer_config.json is not a JSON object"));
  write("tokenizer_config.json", Json::object());
  write("added_tokens.json", {{"x", "first"}});
  EXPECT_THAT(failure(), HasSubstr("or a file of added tokens beside it, has a value of another type"));
}

TEST_F(SideFilesTest, GreedyRepliesFollowTheCheckpointAsInTransformers) {
  const Json& expected = fixtures::elsewhere()["generation"];
  const auto prompts = expected["prompts"].get<std::vector<std::vector<std::int64_t>>>();
  GenerateOptions options;
  options.max_new_tokens = expected["new_tokens"].get<std::int64_t>();
  for (const auto& one : expected["cases"]) {
    const DecodingRules rules = decoding_rules(one["config"], "generation_config.json");
    Json settings = one["config"];
    settings.erase("eos_token_id");
    EXPECT_EQ(rules.none(), settings.empty()) << one["config"];
    const std::vector<std::int64_t> stops = {one["config"].value("eos_token_id", std::int64_t{2})};
    const auto model = load();
    EXPECT_EQ(Json(generate(model->decoder(), prompts, stops, options, rules)), one["replies"]) << one["config"];
  }
}

TEST_F(SideFilesTest, TheFolderOfAModelCarriesItsRules) {
  const Conversation chat = {{"user", "Hello"}};
  const auto reply = [&] { return load()->generate({chat}, {})[0].ids; };
  const auto plain = reply();
  write("generation_config.json", {{"repetition_penalty", 1.4}, {"top_k", 20}, {"temperature", 0.7}, {"do_sample", true}});
  const auto penalised = reply();
  EXPECT_NE(penalised, plain);
  EXPECT_EQ(load()->copy()->generate({chat}, {})[0].ids, penalised);

  // Where older checkpoints keep them.
  fs::remove(folder_ / "generation_config.json");
  Json config = parse_json(read_file(folder_ / "config.json"), "config.json");
  config["repetition_penalty"] = 1.4;
  write("config.json", config);
  EXPECT_EQ(reply(), penalised);
  save_checkpoint(*load(), scratch_ / "copy");
  EXPECT_EQ(load_model((scratch_ / "copy").string(), {})->generate({chat}, {})[0].ids, penalised);
  config["num_beams"] = 3;
  write("config.json", config);
  EXPECT_THAT(failure(), HasSubstr("config.json: \"num_beams\" is 3, which replies here do not follow"));
}

TEST_F(SideFilesTest, SettingsThatRepliesDoNotFollowAreNamed) {
  const std::pair<const char*, Json> settings[] = {{"num_beams", 4},
                                                   {"penalty_alpha", 0.6},
                                                   {"bad_words_ids", {{5}}},
                                                   {"guidance_scale", 1.5},
                                                   {"encoder_repetition_penalty", 1.2},
                                                   {"stop_strings", {"User:"}},
                                                   {"sequence_bias", {{{5}, 1.0}}},
                                                   {"forced_bos_token_id", 1},
                                                   {"a_key_of_tomorrow", 2},
                                                   {"repetition_penalty", 0},
                                                   {"no_repeat_ngram_size", -1},
                                                   {"suppress_tokens", "all"}};
  for (const auto& [key, value] : settings) {
    write("generation_config.json", {{key, value}});
    EXPECT_THAT(failure(), HasSubstr("generation_config.json: \"" + std::string(key) + "\" is ")) << value;
  }
  write("generation_config.json", {{"num_beams", 1}, {"guidance_scale", 1.0}, {"penalty_alpha", nullptr}, {"max_length", 20}});
  EXPECT_EQ(failure(), "no error");
}

}  // namespace
}  // namespace holdfast
