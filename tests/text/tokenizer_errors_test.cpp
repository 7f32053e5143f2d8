// Definitions that are not supported or not well formed: one sentence each, never a crash.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "text/fixtures.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

std::string definition_failure(const Json& definition) {
  try {
    Tokenizer::from_json(definition, "model/tokenizer.json")->encode("hello \xC3\xA9", true);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A small valid definition with one part replaced.
std::string definition_failure(const std::string& pointer, const Json& value) {
  Json definition = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
  definition[Json::json_pointer(pointer)] = value;
  return definition_failure(definition);
}

TEST(TokenizerErrors, TheSmallDefinitionIsFine) { EXPECT_EQ(definition_failure("/decoder", nullptr), ""); }

TEST(TokenizerErrors, UnsupportedTypesAreNamed) {
  EXPECT_EQ(definition_failure("/model/type", "Unigram"),
            "model/tokenizer.json: tokenizer model type \"Unigram\" is not supported; supported: BPE, WordLevel");
  EXPECT_THAT(definition_failure("/normalizer", {{"type", "Precompiled"}}),
              HasSubstr("normalizer type \"Precompiled\" is not supported"));
  EXPECT_THAT(definition_failure("/pre_tokenizer", {{"type", "UnicodeScripts"}}),
              HasSubstr("pre-tokenizer type \"UnicodeScripts\" is not supported"));
  EXPECT_THAT(definition_failure("/decoder", {{"type", "CTC"}}), HasSubstr("decoder type \"CTC\" is not supported"));
  EXPECT_THAT(definition_failure("/post_processor", {{"type", "Odd"}}),
              HasSubstr("post-processor type \"Odd\" is not supported"));
  EXPECT_THAT(definition_failure("/decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "CTC"}}}}}), HasSubstr("\"CTC\""));
  EXPECT_THAT(definition_failure("/model/dropout", 0.1), HasSubstr("dropout"));
}

TEST(TokenizerErrors, MalformedPartsNameTheirPlace) {
  EXPECT_THAT(definition_failure(Json(3)), HasSubstr("expected an object, found number"));
  EXPECT_THAT(definition_failure(Json::object()), HasSubstr("the key \"model\" is missing"));
  EXPECT_THAT(definition_failure("/model", Json::array()), HasSubstr("model"));
  EXPECT_THAT(definition_failure("/model/vocab", Json::array({"a"})),
              HasSubstr("model.vocab: expected an object of token ids, found array"));
  EXPECT_THAT(definition_failure("/model/vocab/a", -1), HasSubstr("the token \"a\" has the id -1"));
  EXPECT_THAT(definition_failure("/model/vocab/a", 1e18), HasSubstr("expected an integer"));
  EXPECT_THAT(definition_failure("/model/vocab/a", 4000000000u), HasSubstr("expected an integer"));
  EXPECT_THAT(definition_failure("/model/vocab/a", 18446744073709551615u), HasSubstr("expected an integer"));
  EXPECT_THAT(definition_failure("/model/vocab/a", 1), HasSubstr("have the same id 1"));
  EXPECT_THAT(definition_failure("/model/merges", "a b"), HasSubstr("expected an array, found string"));
  EXPECT_THAT(definition_failure("/model/merges/0", "ab"), HasSubstr("merges[0]: expected two tokens"));
  EXPECT_THAT(definition_failure("/model/merges/0", {"a", 7}), HasSubstr("merges[0]: expected two tokens"));
  EXPECT_THAT(definition_failure("/model/merges/0", "a z"), HasSubstr("merges[0]: \"z\" is not in the vocabulary"));
  EXPECT_THAT(definition_failure("/model/unk_token", "[UNK]"),
              HasSubstr("the unknown token \"[UNK]\" is not in the vocabulary"));
  EXPECT_THAT(definition_failure("/model/byte_fallback", "yes"),
              HasSubstr("\"byte_fallback\": expected true or false, found string"));
  EXPECT_THAT(definition_failure("/added_tokens", {{{"id", "x"}, {"content", "<s>"}}}),
              HasSubstr("added_tokens[0]: \"id\": expected an integer"));
  EXPECT_THAT(definition_failure("/added_tokens", {{{"id", -2}, {"content", "<s>"}}}), HasSubstr("is not a token id"));
  EXPECT_THAT(definition_failure("/normalizer", {{"type", "Replace"}, {"pattern", {{"Odd", "x"}}}, {"content", ""}}),
              HasSubstr("expected a \"String\" or a \"Regex\""));
  EXPECT_THAT(definition_failure("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", ""}}),
              HasSubstr("expected one character"));
  EXPECT_THAT(definition_failure("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "odd"}}),
              HasSubstr("prepend_scheme \"odd\""));
  EXPECT_THAT(definition_failure("/post_processor", {{"type", "TemplateProcessing"}, {"single", Json::array()}}),
              HasSubstr("no place for the text"));
  EXPECT_THAT(definition_failure("/post_processor", {{"type", "BertProcessing"}, {"cls", "x"}}),
              HasSubstr("expected [\"token\", id]"));
}

Json split_by(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

TEST(TokenizerErrors, BadRegularExpressionsAreNamed) {
  EXPECT_THAT(definition_failure("/pre_tokenizer", split_by("(a")), HasSubstr("the regular expression \"(a\" is not valid"));
  EXPECT_THAT(definition_failure("/pre_tokenizer", split_by(std::string(100000, '('))), HasSubstr("is not valid"));
}

TEST(TokenizerErrors, ARegularExpressionThatExplodesGivesUp) {
  Json definition = text_fixture("smollm.tokenizer.json");
  definition["pre_tokenizer"] = split_by("(x+x+)+\\1y");
  const auto tokenizer = Tokenizer::from_json(definition, "tokenizer.json");
  try {
    tokenizer->encode(std::string(60, 'x') + "zy", false);
    ADD_FAILURE() << "the search came to an end";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("gave up"));
  }
}

TEST(TokenizerErrors, DeepNestingIsRefused) {
  Json part = {{"type", "NFC"}};
  for (int i = 0; i < 1000; ++i) part = Json{{"type", "Sequence"}, {"normalizers", Json::array({part})}};
  EXPECT_THAT(definition_failure("/normalizer", part), HasSubstr("nested more than 32 deep"));
}

TEST(TokenizerErrors, NoSinglePartOfADefinitionCanCrash) {
  const Json odd[] = {nullptr,
                      true,
                      -1,
                      1e300,
                      "",
                      "\xEF\xBF\xBD",
                      Json::array(),
                      Json::object(),
                      Json::array({Json::array()}),
                      {{"type", "Sequence"}}};
  for (const std::string name : {"llama2", "unknowns"}) {
    Json definition = text_fixture(name + ".tokenizer.json");
    definition["model"]["vocab"] = {{"<unk>", 0}, {"h", 1}, {"e", 2}, {"he", 3}, {"<s>", 4}};
    definition["model"]["merges"] = {"h e"};
    ASSERT_EQ(definition_failure(definition), "");
    const Json flat = definition.flatten();
    for (const auto& [pointer, leaf] : flat.items())
      for (const Json& value : odd) {
        Json changed = definition;
        for (Json::json_pointer place(pointer); !place.empty(); place.pop_back()) {
          changed = definition;
          changed[place] = value;
          EXPECT_THAT(definition_failure(changed), testing::Not(HasSubstr("\n"))) << place.to_string();
        }
      }
  }
}

}  // namespace
}  // namespace holdfast
