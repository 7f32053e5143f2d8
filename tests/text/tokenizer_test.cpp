// Against HF tokenizers on the mixed corpus, and what the fixtures cannot say: origins, threads, lying input.
#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <thread>

#include "text/fixtures.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using Ids = std::vector<std::int64_t>;

class HfParity : public testing::TestWithParam<std::string> {
 protected:
  HfParity() : tokenizer_(fixture_tokenizer(GetParam())), expected_(text_fixture(GetParam() + ".expected.json")) {}
  std::shared_ptr<const Tokenizer> tokenizer_;
  Json expected_;
};

TEST_P(HfParity, EncodesTheCorpus) {
  ASSERT_GT(expected_["cases"].size(), 200u);
  for (const Json& each : expected_["cases"])
    EXPECT_EQ(ids_of(tokenizer_->encode(each["text"].get<std::string>(), false)), each["ids"].get<Ids>()) << each["text"];
}

TEST_P(HfParity, DecodesTheCorpus) {
  for (const Json& each : expected_["cases"]) {
    const auto written = [&](const Json& value) { return value == true ? each["text"] : value; };
    const Ids ids = each["ids"];
    EXPECT_EQ(Json(tokenizer_->decode(ids, false)), written(each["decoded"])) << each["text"];
    EXPECT_EQ(Json(tokenizer_->decode(ids, true)), written(each.contains("skipped") ? each["skipped"] : each["decoded"]))
        << each["text"];
  }
}

TEST_P(HfParity, DecodesSingleTokens) {
  for (std::size_t i = 0; i < expected_["pieces"].size(); ++i)
    EXPECT_EQ(tokenizer_->decode({static_cast<std::int64_t>(i * 7)}, true), expected_["pieces"][i]) << i * 7;
}

TEST_P(HfParity, AddsSpecialTokensAndKnowsItsSize) {
  EXPECT_EQ(ids_of(tokenizer_->encode("", true)), expected_["special"][0].get<Ids>());
  EXPECT_EQ(ids_of(tokenizer_->encode("hello world", true)), expected_["special"][1].get<Ids>());
  EXPECT_EQ(tokenizer_->size(), expected_["size"]);
}

TEST_P(HfParity, OriginsAreOrderedAndInside) {
  for (const Json& each : expected_["cases"]) {
    const std::string text = each["text"];
    std::size_t last = 0;
    for (const Token& token : tokenizer_->encode(text, false)) {
      EXPECT_LE(last, token.begin) << each["text"];
      EXPECT_LE(token.begin, token.end) << each["text"];
      EXPECT_LE(token.end, text.size()) << each["text"];
      last = token.begin;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, HfParity,
                         testing::Values("llama3", "smollm", "qwen2", "gpt2", "llama2", "mistral", "gemma", "never",
                                         "metaspace", "unknowns", "organism"),
                         [](const auto& info) { return info.param; });

// The text of each token's origin.
std::vector<std::string> origins(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> parts;
  for (const Token& token : tokenizer.encode(text, false)) parts.push_back(text.substr(token.begin, token.end - token.begin));
  return parts;
}

TEST(Origins, TileTheTextOfByteLevelTokenizers) {
  for (const std::string name : {"llama3", "smollm"}) {
    const auto tokenizer = fixture_tokenizer(name);
    for (const Json& each : text_fixture(name + ".expected.json")["cases"]) {
      const std::string text = each["text"];
      std::string joined;
      for (const std::string& part : origins(*tokenizer, text)) joined += part;
      EXPECT_EQ(joined, text);
      for (const Token& token : tokenizer->encode(text, false)) EXPECT_LT(token.begin, token.end) << each["text"];
    }
  }
}

TEST(Origins, SplitACharacterByItsBytes) {
  const auto tokenizer = fixture_tokenizer("smollm");
  EXPECT_THAT(origins(*tokenizer, "\xF0\x90\x8D\x88"), ElementsAre("\xF0", "\x90", "\x8D", "\x88"));
  EXPECT_THAT(origins(*fixture_tokenizer("llama2"), "\xF0\x90\x8D\x88"), ElementsAre("", "\xF0", "\x90", "\x8D", "\x88"));
}

TEST(Origins, OfInsertedSpaceAreEmpty) {
  EXPECT_THAT(origins(*fixture_tokenizer("llama2"), "hello <s>"), ElementsAre("h", "ello", " ", "<s>"));
  EXPECT_THAT(origins(*fixture_tokenizer("organism"), "HELLO,  World"), ElementsAre("HELLO", ",", "World"));
}

TEST(Origins, OfComposedCharactersCoverTheirParts) {
  const auto tokenizer = fixture_tokenizer("qwen2");
  const std::string text = "x e\xCC\x81 y";  // e and a combining acute
  const auto tokens = tokenizer->encode(text, false);
  EXPECT_EQ(tokens.front().begin, 0u);
  EXPECT_EQ(tokens.back().begin, 5u);
  EXPECT_EQ(tokens.back().end, text.size());
}

TEST(Origins, OfSpecialTokensStandAtTheEnds) {
  const auto tokens = fixture_tokenizer("never")->encode("hello", true);
  EXPECT_EQ(tokens.front().end, 0u);
  EXPECT_EQ(tokens.back().begin, 5u);
}

TEST(Tokenizer, KnowsNamesAndIds) {
  const auto tokenizer = fixture_tokenizer("qwen2");
  EXPECT_EQ(tokenizer->id_of("<|im_end|>"), 2);
  EXPECT_EQ(tokenizer->token_of(2), "<|im_end|>");
  EXPECT_EQ(tokenizer->id_of("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer->token_of(123456), "");
  EXPECT_EQ(tokenizer->token_of(-1), "");
}

TEST(Tokenizer, InvalidUtf8BecomesTheReplacementCharacter) {
  const auto tokenizer = fixture_tokenizer("smollm");
  const auto tokens = tokenizer->encode("a\xFFz\xE4\xB8", false);
  EXPECT_EQ(tokenizer->decode(ids_of(tokens), false), "a\xEF\xBF\xBDz\xEF\xBF\xBD");
  EXPECT_EQ(tokens.back().end, 5u);
}

TEST(Tokenizer, DecodesHalfACharacter) {
  const auto tokenizer = fixture_tokenizer("smollm");
  Ids ids = ids_of(tokenizer->encode("\xF0\x90\x8D\x88", false));
  ids.pop_back();
  EXPECT_EQ(tokenizer->decode(ids, false), "\xEF\xBF\xBD");
}

TEST(Tokenizer, SkipsIdsThatAreNoTokens) { EXPECT_EQ(fixture_tokenizer("smollm")->decode({-5, 99999999}, false), ""); }

TEST(Tokenizer, MergesALongWordInGoodTime) {
  const auto tokenizer = fixture_tokenizer("llama2");
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "the"[i % 3];
  EXPECT_EQ(tokenizer->decode(ids_of(tokenizer->encode(text, false)), true), text);
}

TEST(Tokenizer, ServesManyThreads) {
  const auto tokenizer = fixture_tokenizer("llama3");
  const Json cases = text_fixture("llama3.expected.json")["cases"];
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong)
    threads.emplace_back([&] {
      for (const Json& each : cases)
        count += ids_of(tokenizer->encode(each["text"].get<std::string>(), false)) != each["ids"].get<Ids>();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace holdfast
