// A GGUF vocabulary gives the tokens of the tokenizer.json that it was written from.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "text/fixtures.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

GgufVocabulary vocabulary_of(const Json& definition, const std::string& model, const std::string& pre) {
  GgufVocabulary vocabulary;
  vocabulary.model = model;
  vocabulary.pre = pre;
  const Json& ids = definition["model"]["vocab"];
  vocabulary.tokens.resize(ids.size());
  for (const auto& [token, id] : ids.items()) vocabulary.tokens[id.get<std::size_t>()] = token;
  for (const Json& merge : definition["model"]["merges"])
    vocabulary.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                                  : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  vocabulary.token_types.assign(vocabulary.tokens.size(), 1);
  for (const Json& token : definition["added_tokens"]) vocabulary.token_types[token["id"].get<std::size_t>()] = 3;
  return vocabulary;
}

void expect_same(const Tokenizer& tokenizer, const std::string& name) {
  const Json expected = text_fixture(name + ".expected.json");
  for (const Json& each : expected["cases"]) {
    const auto ids = ids_of(tokenizer.encode(each["text"].get<std::string>(), false));
    EXPECT_EQ(ids, each["ids"].get<std::vector<std::int64_t>>()) << each["text"];
    const Json decoded = each["decoded"] == true ? each["text"] : each["decoded"];
    EXPECT_EQ(tokenizer.decode(ids, false), decoded.get<std::string>());
  }
}

TEST(GgufTokenizer, Llama3) {
  GgufVocabulary vocabulary = vocabulary_of(text_fixture("llama3.tokenizer.json"), "gpt2", "llama-bpe");
  vocabulary.bos = 0;
  vocabulary.add_bos = true;
  const auto tokenizer = Tokenizer::from_gguf(vocabulary, "model.gguf");
  expect_same(*tokenizer, "llama3");
  EXPECT_THAT(ids_of(tokenizer->encode("", true)), testing::ElementsAre(0));
}

TEST(GgufTokenizer, SingleDigits) {
  expect_same(*Tokenizer::from_gguf(vocabulary_of(text_fixture("smollm.tokenizer.json"), "gpt2", "starcoder"), "model.gguf"),
              "smollm");
}

// Scores that rank as the merges do.
TEST(GgufTokenizer, SentencePieceByScores) {
  const Json definition = text_fixture("llama2.tokenizer.json");
  GgufVocabulary vocabulary = vocabulary_of(definition, "llama", "");
  vocabulary.scores.assign(vocabulary.tokens.size(), -1e6F);
  std::vector<bool> scored(vocabulary.tokens.size());
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) {
    std::string merged = vocabulary.merges[i];
    merged.erase(merged.find(' '), 1);
    const std::size_t id = definition["model"]["vocab"][merged];
    if (!scored[id]) vocabulary.scores[id] = -static_cast<float>(i);
    scored[id] = true;
  }
  vocabulary.merges.clear();
  vocabulary.unknown = 0;
  expect_same(*Tokenizer::from_gguf(vocabulary, "model.gguf"), "llama2");
}

std::string vocabulary_failure(const GgufVocabulary& vocabulary) {
  try {
    Tokenizer::from_gguf(vocabulary, "model.gguf");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GgufTokenizer, Errors) {
  const GgufVocabulary good = vocabulary_of(text_fixture("smollm.tokenizer.json"), "gpt2", "gpt-2");
  ASSERT_EQ(vocabulary_failure(good), "");
  const auto broken = [&](const auto& change) {
    GgufVocabulary vocabulary = good;
    change(vocabulary);
    return vocabulary_failure(vocabulary);
  };
  EXPECT_EQ(broken([](auto& v) { v.model = "bert"; }),
            "model.gguf: tokenizer model \"bert\" is not supported; supported: gpt2, llama");
  EXPECT_THAT(broken([](auto& v) { v.pre = "odd"; }),
              HasSubstr("model.gguf: the pre-tokenizer \"odd\" is not supported; supported: default, gpt-2"));
  EXPECT_THAT(broken([](auto& v) { v.pre = "gpt-2 gpt2"; }), HasSubstr("is not supported"));
  EXPECT_THAT(broken([](auto& v) { v.tokens.clear(); }), HasSubstr("has no tokens"));
  EXPECT_THAT(broken([](auto& v) { v.token_types.pop_back(); }), HasSubstr("token types"));
  EXPECT_THAT(broken([](auto& v) { v.model = "llama"; }), HasSubstr("0 scores"));
  EXPECT_THAT(broken([](auto& v) { v.bos = 1 << 30; }), HasSubstr("a special token has the id 1073741824"));
  EXPECT_THAT(broken([](auto& v) { v.tokens[5] = "\xFF"; }), HasSubstr("token 5 is not valid UTF-8"));
  EXPECT_THAT(broken([](auto& v) { v.merges[0] = "\xFF a"; }), HasSubstr("merge 0 is not valid UTF-8"));
  EXPECT_THAT(broken([](auto& v) { v.merges[0] = "a"; }), HasSubstr("merges[0]"));
}

}  // namespace
}  // namespace holdfast
